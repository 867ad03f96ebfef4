//! A gateway that is told to stop ends soon, however much the rules have still to look at; the next one goes on with it.

use serde_json::Value;

use crate::builders::{bundle, dispense, patient};
use crate::database::Database;
use crate::house::House;

/// Far more than are decided together.
const PERSONS: u64 = 160;
/// Of one transaction.
const TOGETHER: usize = 40;

/// Rows of the reminders that were planned.
async fn planned(house: &House) -> u64 {
    // Nothing is changed: the statement only tells how many rows there are.
    house.database.tamper("UPDATE dues SET due = due WHERE step = 'reminder' AND person <> 0").await
}

// Many wait for the rules when the stop comes: it does not wait for all of them, and after the next start each is planned for, once.
async fn much_waits(database: Database) {
    let mut house = House::over(database).await;
    let ids: Vec<String> = (0..PERSONS).map(|number| format!("p{number}")).collect();
    for ids in ids.chunks(TOGETHER) {
        let put = |resource: Value| {
            let (kind, id) = (resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
            (format!("{kind}/{id}"), resource)
        };
        let all = ids.iter().flat_map(|id| [put(patient(id)), put(dispense(&format!("d-{id}"), id, "2026-06-01"))]);
        let all: Vec<(String, Value)> = all.collect();
        let entries: Vec<(&str, &str, Value)> = all.iter().map(|(url, one)| ("PUT", url.as_str(), one.clone())).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
    assert!(house.engine().stop_amid().await > 0, "the stop waited for all of it");
    assert!(planned(&house).await < PERSONS);
    house.restart().await;
    house.beat().await;
    assert_eq!(planned(&house).await, PERSONS);
    house.stop().await;
    house.database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_all_that_waits_on_sqlite() {
    much_waits(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_all_that_waits_on_postgresql() {
    much_waits(Database::postgres().await).await;
}
