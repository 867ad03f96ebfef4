//! A Medication that is told after what names it: what was handed over counts as if it had been known first.

use serde_json::{Value, json};

use crate::builders::{Purpose, RXNORM, With, consent, dispense, patient, store};
use crate::crowded::put_all;
use crate::database::Database;
use crate::diary::diary;
use crate::house::{House, both};
use crate::replay::{again, sixty_days};

/// So many patients got it: more than are on a page of a sweep.
const PATIENTS: usize = 300;

fn medication(code: &str) -> Value {
    json!({"resourceType": "Medication", "id": "m", "code": {"coding": [{"system": RXNORM, "code": code}]}})
}

/// What was handed over, naming its product by reference.
fn named(dispense: Value) -> Value {
    dispense.with("medicationCodeableConcept", Value::Null).with("medicationReference", json!({"reference": "Medication/m"}))
}

/// How many rows of a table are so. Nothing is changed: the statement only tells how many there are.
async fn count(house: &House, table: &str, is_so: &str) -> usize {
    let counted = house.database.tamper(&format!("UPDATE {table} SET person = person WHERE {is_so}")).await;
    usize::try_from(counted).unwrap()
}

/// How many supplies are of a product group, and how many are there.
async fn supplies(house: &House, product: &str) -> (usize, usize) {
    (count(house, "supplies", &format!("product = '{product}'")).await, count(house, "supplies", "1 = 1").await)
}

/// How many sweeps of a Medication are to be walked.
async fn sweeps(house: &House) -> usize {
    count(house, "dues", "person = 0 AND rule = 'Medication'").await
}

async fn is_told_late(database: Database) -> House {
    let house = House::over(database).await;
    house.put(&store("store-1")).await.is(201);
    let of = |at: usize| {
        let (patient, name) = (patient(&format!("p{at}")), format!("p{at}"));
        [patient, named(dispense(&format!("d{at}"), &name, "2026-06-01"))]
    };
    put_all(&house, (0..PATIENTS).flat_map(of)).await;
    house.beat().await;
    let all = (PATIENTS, PATIENTS);
    assert_eq!(supplies(&house, "Medication/m").await, all);

    house.put(&medication("314076")).await.is(201);
    house.beat().await;
    assert_eq!((supplies(&house, "ingredient|lisinopril").await, sweeps(&house).await), (all, 0));
    // What was planned is planned for what it is made of.
    assert_eq!(count(&house, "dues", "episode LIKE 'Medication/m|%'").await, 0);
    let planned = "rule LIKE '%/refill|%' AND episode LIKE 'ingredient|lisinopril|%'";
    assert_eq!(count(&house, "dues", planned).await, 3 * PATIENTS);

    // What says nothing new of the product, and what nothing names, sets nothing off.
    house.put(&medication("314076").with("status", "active")).await.is(200);
    house.put(&medication("314076").with("id", "other")).await.is(201);
    house.turn().await;
    assert_eq!(sweeps(&house).await, 0);
    house.put(&medication("860975")).await.is(200);
    house.beat().await;
    assert_eq!(supplies(&house, "ingredient|metformin").await, all);
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn a_medication_that_is_told_late_is_that_of_all_who_got_it() {
    both(is_told_late).await;
}

// The page of a patient's newest dispense is looked at first, and that of the one before it last: nothing that is due is looked at between.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_decided_on_half_of_what_is_known() {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("ada")).await.is(201);
    house.put(&consent("yes", "ada", &[Purpose::Treatment])).await.is(201);
    house.put(&named(dispense("old", "ada", "2026-04-20"))).await.is(201);
    let of = |at: usize| [patient(&format!("p{at}")), named(dispense(&format!("d{at}"), &format!("p{at}"), "2026-05-20"))];
    put_all(&house, (0..PATIENTS).flat_map(of)).await;
    house.put(&named(dispense("new", "ada", "2026-05-31"))).await.is(201);
    house.beat().await;
    house.put(&medication("855332")).await.is(201);
    house.beat().await;
    house.days(2).await;
    let begun = house.database.rows("SELECT COUNT(*) FROM decisions WHERE rule LIKE '%/anticoagulant|%' AND outcome = 'fired'");
    assert_eq!((begun, supplies(&house, "ingredient|warfarin").await.0), (vec![vec![String::from("0")]], PATIENTS + 2));
}

// A sweep goes on where it stood: the house is stopped amid it.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_amid_a_sweep_of_a_medication_leaves_nobody_out() {
    let mut house = House::new().await;
    let of = |at: usize| [patient(&format!("p{at}")), named(dispense(&format!("d{at}"), &format!("p{at}"), "2026-06-01"))];
    put_all(&house, (0..PATIENTS).flat_map(of)).await;
    house.beat().await;
    house.put(&medication("314076")).await.is(201);
    while supplies(&house, "ingredient|lisinopril").await.0 == 0 {
        house.turn().await;
    }
    assert_eq!(sweeps(&house).await, 1, "the story is over before it begins");
    house.restart().await;
    house.beat().await;
    assert_eq!(supplies(&house, "ingredient|lisinopril").await, (PATIENTS, PATIENTS));
}

// Told late, it comes to what it comes to where it is told first; and told again it is decided as it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_follows_is_the_same_and_is_decided_again_as_it_was() {
    let mut diaries = Vec::new();
    for day in [0, 2, 20] {
        let house = House::new().await;
        let told = [
            (0, store("store-1")),
            (0, patient("ada")),
            (0, consent("yes", "ada", &[Purpose::Treatment])),
            (1, named(dispense("d", "ada", "2026-06-02"))),
            (4, dispense("before", "ada", "2026-06-04").with("daysSupply", Value::Null).with("quantity", Value::Null)),
            (8, named(dispense("e", "ada", "2026-06-08"))),
        ];
        let mut told = told.to_vec();
        told.push((day, medication("314076")));
        told.sort_by_key(|(at, _)| *at);
        sixty_days(&house, &told).await;
        diaries.push(diary(&house, "ada").await);
        let (_, gates) = again(&house).await;
        assert!(gates.keys().any(|gate| gate.starts_with("fired")), "{gates:?}");
        let turns = house.database.rows("SELECT COUNT(*) FROM turns WHERE asked LIKE '%\"rule\":\"Medication\"%'");
        assert_eq!(turns[0][0] == "0", day == 0, "{turns:?}");
    }
    assert_eq!(diaries[0], diaries[1]);
    assert!(diaries[0].len() > 2, "{diaries:?}");
    let calls = |diary: &[String]| diary.iter().filter(|line| line.contains("call")).cloned().collect::<Vec<_>>();
    assert_eq!(calls(&diaries[0]), calls(&diaries[2]), "{diaries:?}");
}

// What was said before stays said of the product that it is, however often that is corrected, and is told again as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_medication_that_was_wrong_for_a_day_is_told_again_as_it_was() {
    let house = House::new().await;
    let told = [
        (0, store("store-1")),
        (0, patient("ada")),
        (0, consent("yes", "ada", &[Purpose::Treatment])),
        (1, named(dispense("d", "ada", "2026-06-02"))),
        (10, medication("314076")),
        (20, medication("860975")),
        (21, medication("314076")),
    ];
    sixty_days(&house, &told).await;
    let said = ["2026-06-05 instruction completed", "2026-06-27 reminder completed", "2026-07-02 refill-call requested"];
    assert_eq!(diary(&house, "ada").await, said);
    again(&house).await;
}
