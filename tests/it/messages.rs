//! A Communication of our own moves as Communications move; those of others are stored as they come.
//! Follows <https://hl7.org/fhir/R4/valueset-event-status.html>.

use serde_json::{Value, json};

use crate::builders::{With, bone_density, patient, reply, store};
use crate::house::House;

/// A message that waits, since nobody was asked for consent.
async fn waiting() -> (House, Value) {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("ada")).await.is(201);
    house.put(&bone_density("r", "ada")).await.is(201);
    house.beat().await;
    let message = house.all("Communication?status=preparation").await.remove(0);
    (house, message)
}

// What waits may be taken on and completed step by step; no step is left out, by no way of writing, and what was said stays as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_ours_moves_step_by_step() {
    let (house, message) = waiting().await;
    let to = |status: &str| message.clone().with("status", status);
    let refused = house.put(&to("completed")).await.is(422);
    assert!(refused.text.contains("communication-move"), "{}", refused.text);
    assert_eq!(refused.expressions(), ["Communication.status"]);
    let place = format!("Communication/{}", message["id"].as_str().unwrap());
    let stopped = json!([{"op": "replace", "path": "/status", "value": "stopped"}]);
    let patched = house.ask("PATCH", &place).body("application/json-patch+json", stopped.to_string()).await.is(422);
    assert_eq!(patched.expressions(), ["Communication.status"]);
    let other = to("in-progress").with("payload", json!([{"contentString": "other words"}]));
    assert_eq!(house.put(&other).await.is(422).expressions(), ["Communication.payload"]);
    house.put(&to("in-progress")).await.is(200);
    house.put(&to("completed").with("sent", "2026-06-01T15:00:00Z")).await.is(200);
    house.put(&to("in-progress")).await.is(422);
    house.put(&to("entered-in-error")).await.is(200);
    // Somebody has seen to it: it is not said again.
    house.days(4).await;
    assert_eq!(house.count("Communication?status=completed").await, 0);
}

// Who does not say it says why, or that there is no reason.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_said_has_a_reason() {
    let (house, message) = waiting().await;
    let ended = house.put(&message.with("status", "not-done")).await.is(200);
    assert_eq!(ended.at("/statusReason/text"), "No reason was given.");
}

// Others may write theirs as they like.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_others_is_stored_as_it_comes() {
    let house = House::new().await;
    house.put(&reply("r", "ada", "hello").with("status", "completed")).await.is(201);
    house.put(&reply("r", "ada", "hello again").with("status", "preparation")).await.is(200);
}
