//! Letters that are no accented ones, in a search for a text: they are found by those that are written for them.

use serde_json::json;

use crate::builders::{With, patient};
use crate::database::Database;
use crate::house::{House, both};

// Letters that are no accented ones are found by those that are written for them, in any case, and the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn letters_of_other_languages_are_found_by_plain_ones() {
    let house = House::new().await;
    let names = [
        ("l", "ŁUKASZ", "lukasz"),
        ("o", "Øre", "ore"),
        ("d", "Đorđević", "dordevic"),
        ("s", "Straße", "STRASSE"),
        ("ae", "Ægir", "aegir"),
        ("oe", "Œuvray", "Oeuvray"),
        ("th", "Þórðarson", "thordarson"),
        ("i", "Işık", "ISIK"),
        ("gr", "Παπαδόπουλος", "ΠΑΠΑΔΟΠΟΥΛΟΣ"),
    ];
    for (id, written, _) in names {
        house.put(&patient(id).with("name", json!([{"family": written}]))).await.is(201);
    }
    for (id, written, plain) in names {
        for asked in [written, plain, &written.to_uppercase(), &plain.to_lowercase()] {
            assert_eq!(house.get(&format!("Patient?family={asked}")).await.is(200).ids(), [id], "{asked}");
        }
        assert_eq!(
            house.get(&format!("Patient?family:contains={}", &plain.chars().skip(1).collect::<String>())).await.is(200).ids(),
            [id],
            "{plain}"
        );
        assert_eq!(house.get(&format!("Patient?family:exact={written}")).await.is(200).ids(), [id]);
        assert_eq!(house.count(&format!("Patient?family:exact={plain}")).await, 0);
    }
}

// What was kept by a program that did not know of it is found after the next start, and no row of before is left.
async fn known_before(database: Database) -> House {
    let mut house = House::over(database).await;
    for (id, family) in [("l", "Łukasz"), ("s", "Straße"), ("gr", "Ρήγας"), ("b", "Berg")] {
        house.put(&patient(id).with("name", json!([{"family": family}]))).await.is(201);
    }
    assert_eq!(house.count("Patient?family=berg").await, 1);
    house.stop().await;
    for (now, before) in [("lukasz", "łukasz"), ("strasse", "straße"), ("ρηγασ", "ρηγας")] {
        assert!(house.database.tamper(&format!("UPDATE words SET word = '{before}' WHERE word = '{now}'")).await > 0);
    }
    assert_eq!(house.database.tamper("DELETE FROM extractions WHERE number > 2").await, 1);
    assert_eq!(house.database.tamper("DELETE FROM migrations WHERE name LIKE '%_letters' OR name LIKE '%_marks'").await, 2);
    house.restart().await;
    for (asked, id) in [("lukasz", "l"), ("Łuk", "l"), ("strasse", "s"), ("straß", "s"), ("ΡΗΓΑΣ", "gr"), ("berg", "b")] {
        assert_eq!(house.get(&format!("Patient?family={asked}")).await.is(200).ids(), [id], "{asked}");
    }
    house.stop().await;
    assert_eq!(house.database.tamper("DELETE FROM words WHERE word LIKE '%ł%' OR word LIKE '%ß%' OR word LIKE '%ς%'").await, 0);
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_before_is_found_by_plain_letters() {
    both(known_before).await;
}
