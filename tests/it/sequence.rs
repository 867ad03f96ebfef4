//! Notices come in order per patient, and per resource, whoever it was said to be about.
//! Follows <https://hl7.org/fhir/R4/subscription.html>.

use std::time::Duration;

use serde_json::json;

use crate::builders::{With, hypertension, patient, subscription};
use crate::database::Database;
use crate::house::{House, both};
use crate::merges::replaced;
use crate::receiver::Receiver;

/// Longer than the wait before the second try.
const AGAIN: Duration = Duration::from_secs(7);

async fn subscribed(database: Database) -> (House, Receiver) {
    let (house, receiver) = (House::over(database).await, Receiver::start().await);
    for name in ["ada", "bo", "cy"] {
        house.put(&patient(name)).await.is(201);
    }
    house.put(&subscription("Condition", &receiver.url()).with("id", "s")).await.is(201);
    house.beat().await;
    (house, receiver)
}

/// What arrived: id and version.
fn versions(receiver: &Receiver) -> Vec<String> {
    let of = |one: serde_json::Value| format!("{}/{}", one["id"].as_str().unwrap(), one["meta"]["versionId"].as_str().unwrap());
    receiver.notices().iter().map(|notice| of(notice.json())).collect()
}

// A Condition names the wrong patient and is corrected while its first version waits: the correction comes last.
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_does_not_overtake_what_it_corrects() {
    both(async |database| {
        let (mut house, receiver) = subscribed(database).await;
        receiver.answers(422);
        house.put(&hypertension("c", "ada")).await.is(201);
        house.beat().await;
        receiver.answers(200);
        house.put(&hypertension("c", "bo")).await.is(200);
        house.put(&hypertension("other", "bo")).await.is(201);
        house.put(&hypertension("free", "cy")).await.is(201);
        house.beat().await;
        assert_eq!(versions(&receiver), ["free/1"]);
        house.clock.advance(AGAIN);
        house.beat().await;
        assert_eq!(versions(&receiver), ["free/1", "c/1", "c/2", "other/1"]);

        // The same after a restart, and where the first goes to the dead letters.
        receiver.answers(422);
        house.put(&hypertension("e", "ada")).await.is(201);
        house.beat().await;
        house.put(&hypertension("e", "bo")).await.is(200);
        house.restart().await;
        receiver.answers_to("\"Patient/ada\"", 422);
        receiver.answers(200);
        house.beat().await;
        assert_eq!(versions(&receiver).len(), 4);
        for _ in 0..3 {
            house.clock.advance(AGAIN * 2);
            house.beat().await;
        }
        assert_eq!(versions(&receiver)[4..], ["e/2"]);
        house
    })
    .await;
}

// Two records are one person: what is told of either comes in one order.
#[tokio::test(flavor = "multi_thread")]
async fn two_records_of_one_person_have_one_order() {
    both(async |database| {
        let (mut house, receiver) = subscribed(database).await;
        house.put(&replaced("ada", "bo")).await.is(200);
        house.beat().await;
        receiver.answers(422);
        house.put(&hypertension("c1", "ada")).await.is(201);
        house.beat().await;
        receiver.answers(200);
        house.put(&hypertension("c2", "bo").with("note", json!([{"text": "later"}]))).await.is(201);
        house.beat().await;
        assert!(receiver.notices().is_empty());
        house.clock.advance(AGAIN);
        house.beat().await;
        assert_eq!(receiver.arrived(), ["c1", "c2"]);

        receiver.answers(503);
        house.put(&hypertension("c3", "ada")).await.is(201);
        house.put(&hypertension("c4", "bo")).await.is(201);
        house.beat().await;
        house.restart().await;
        receiver.answers_to("\"c3\"", 422);
        receiver.answers(200);
        house.clock.advance(AGAIN);
        house.beat().await;
        assert_eq!(receiver.arrived(), ["c1", "c2"], "after a restart, too");
        house
    })
    .await;
}
