//! A STOP that was answered binds whatever is said after it, however much the rules have to look at meanwhile.

use serde_json::Value;

use crate::builders::{Purpose, With, bundle, consent, dispense, patient, reply, store};
use crate::database::Database;
use crate::diary::texts;
use crate::house::{House, millis};

/// Enough to keep the rules busy while a STOP comes.
const PERSONS: usize = 160;
/// Of one transaction.
const TOGETHER: usize = 40;

/// Hands in many patients with a fill each.
async fn crowd(house: &House) {
    let ids: Vec<String> = (0..PERSONS).map(|number| format!("p{number}")).collect();
    for ids in ids.chunks(TOGETHER) {
        let put = |resource: Value| {
            let (kind, id) = (resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
            (format!("{kind}/{id}"), resource)
        };
        let all: Vec<(String, Value)> =
            ids.iter().flat_map(|id| [put(patient(id)), put(dispense(&format!("d-{id}"), id, "2026-06-01"))]).collect();
        let entries: Vec<(&str, &str, Value)> = all.iter().map(|(url, one)| ("PUT", url.as_str(), one.clone())).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
}

// Ada's advice is due, and the rules are busy with many others when Bo, who shares her telephone, says STOP: she is not written to.
// Without the STOP she is.
async fn answered(database: Database, says_stop: bool) {
    let mut house = House::over(database).await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("ada")).await.is(201);
    house.put(&patient("bo").with("telecom", patient("ada")["telecom"].clone())).await.is(201);
    house.put(&consent("yes", "ada", &[Purpose::Treatment])).await.is(201);
    house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
    house.beat().await;
    house.clock.set(millis("2026-06-04T15:00:00Z"));
    crowd(&house).await;
    let mut written = house.engine().written();
    house.start_beat();
    written.changed().await.unwrap();
    if says_stop {
        house.put(&reply("stop", "bo", "STOP")).await.is(201);
    }
    house.engine().idle().await;
    assert_eq!(texts(&house, "ada").await.len(), usize::from(!says_stop));
    house.stop().await;
    house.database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_was_answered_binds_what_is_said_after_it_on_sqlite() {
    answered(Database::sqlite(), true).await;
    answered(Database::sqlite(), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_was_answered_binds_what_is_said_after_it_on_postgresql() {
    answered(Database::postgres().await, true).await;
    answered(Database::postgres().await, false).await;
}
