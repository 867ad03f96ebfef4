//! Pages while others write, and reads right after writes. Follows <https://hl7.org/fhir/R4/http.html#paging>.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::builders::{MEMBERS, With, bundle, patient};
use crate::database::Database;
use crate::house::House;

/// So many are there before the reader begins.
const ROWS: usize = 1_000;

fn row(number: usize) -> Value {
    let born = format!("19{:02}-{:02}-01", 40 + number % 60, 1 + number % 12);
    patient(&format!("p{number:04}")).with("birthDate", born).with("name", json!([{"family": format!("Row{}", number % 50)}]))
}

/// Writes without an end: new ones, changes of what is there and was read or will be, and deletions of what it added.
async fn write(house: &House, round: usize) {
    for turn in 0_usize.. {
        let id = format!("new{round}-{turn:06}");
        house.put(&patient(&id).with("birthDate", "1950-01-01")).await.is(201);
        let touched = row(turn * 37 % ROWS).with("gender", if (turn / ROWS).is_multiple_of(2) { "other" } else { "male" });
        house.put(&touched.with("telecom", json!([{"system": "phone", "value": turn.to_string()}]))).await.is(200);
        if turn.is_multiple_of(3) {
            house.delete(&format!("Patient/{id}")).await.is(204);
        }
    }
}

/// The ids of all pages of seven.
async fn read(house: &House, search: &str) -> Vec<String> {
    let (mut ids, mut next) = (Vec::new(), format!("{search}_count=7"));
    while !next.is_empty() {
        let page = house.get(&next).await.is(200);
        ids.extend(page.ids());
        next = page.link("next");
    }
    ids
}

async fn pages_lose_and_repeat_nothing(database: Database) {
    let house = House::over(database).await;
    for piece in 0..ROWS / 250 {
        let rows: Vec<Value> = (0..250).map(|at| row(piece * 250 + at)).collect();
        let urls: Vec<String> = rows.iter().map(|row| format!("Patient/{}", row["id"].as_str().unwrap())).collect();
        let entries: Vec<(&str, &str, Value)> = urls.iter().zip(rows).map(|(url, row)| ("PUT", url.as_str(), row)).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
    let searches = ["Patient?", "Patient?_sort=_id&", "Patient?_sort=-birthdate&", "Patient?name=row&_sort=family&"];
    for (round, search) in searches.into_iter().enumerate() {
        let ids = tokio::select! {
            ids = read(&house, search) => ids,
            () = write(&house, round) => unreachable!("the writer has no end"),
        };
        let once: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(once.len(), ids.len(), "{search}: something came twice");
        let kept = once.iter().filter(|id| id.starts_with('p')).count();
        assert_eq!(kept, ROWS, "{search}: something was lost");
    }
    let House { database, .. } = house;
    database.drop().await;
}

// Who reads a thousand resources seven at a time sees each of them once, whatever is written meanwhile, in every order.
#[tokio::test(flavor = "multi_thread")]
async fn pages_lose_and_repeat_nothing_on_sqlite() {
    pages_lose_and_repeat_nothing(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn pages_lose_and_repeat_nothing_on_postgres() {
    pages_lose_and_repeat_nothing(Database::postgres().await).await;
}

async fn what_was_written_is_found_at_once(database: Database) {
    let house = House::over(database).await;
    let by = |value: &str| format!("Patient?identifier={MEMBERS}|{value}");
    for turn in 0..500 {
        let (old, new) = (format!("old{turn}"), format!("new{turn}"));
        let named = |value: &str| patient("ada").with("identifier", json!([{"system": MEMBERS, "value": value}]));
        house.put(&named(&old)).await;
        assert_eq!(house.get(&by(&old)).await.is(200).ids(), ["ada"], "{turn}");
        house.put(&named(&new)).await.is(200);
        assert_eq!(house.get(&by(&old)).await.is(200).ids(), Vec::<String>::new(), "{turn}");
        assert_eq!(house.get(&by(&new)).await.is(200).ids(), ["ada"], "{turn}");
        if turn % 5 == 0 {
            house.delete("Patient/ada").await.is(204);
            assert_eq!(house.get(&by(&new)).await.is(200).ids(), Vec::<String>::new(), "{turn}");
        }
    }
    let House { database, .. } = house;
    database.drop().await;
}

// What was answered is found by the next search, what was changed or deleted is not, five hundred times in a row.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_found_at_once_on_sqlite() {
    what_was_written_is_found_at_once(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_found_at_once_on_postgres() {
    what_was_written_is_found_at_once(Database::postgres().await).await;
}
