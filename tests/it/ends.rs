//! A Subscription that ends: what was learned before its end is told, and what was learned later is not.
//! Follows <https://hl7.org/fhir/R4/subscription-definitions.html#Subscription.end>.

use std::time::Duration;

use serde_json::{Value, json};

use crate::builders::{With, hypertension, patient, subscription};
use crate::database::Database;
use crate::house::{House, both};
use crate::receiver::Receiver;

const CRITERIA: &str = "Condition?code=http://snomed.info/sct|38341003";
/// An hour after the story begins.
const END: &str = "2026-06-01T16:00:00Z";
const HOUR: Duration = Duration::from_hours(1);

/// A house with Ada, a receiver, and the subscription `s` that is active and ends in an hour.
async fn subscribed(database: Database) -> (House, Receiver) {
    let (house, receiver) = (House::over(database).await, Receiver::start().await);
    house.put(&patient("ada")).await.is(201);
    house.put(&subscription(CRITERIA, &receiver.url()).with("id", "s").with("end", END)).await.is(201);
    house.beat().await;
    assert_eq!(status(&house).await, "active");
    (house, receiver)
}

async fn status(house: &House) -> Value {
    house.get("Subscription/s").await.is(200).at("/status")
}

// The endpoint is down over the end. What waits for it goes when it is back; then the subscription is off.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_at_the_end_is_carried_after_it() {
    both(async |database| {
        let (mut house, receiver) = subscribed(database).await;
        receiver.answers(503);
        house.put(&hypertension("c1", "ada")).await.is(201);
        house.beat().await;
        house.clock.advance(HOUR);
        house.put(&hypertension("late", "ada")).await.is(201);
        house.beat().await;
        assert_eq!(status(&house).await, "active");
        house.restart().await;
        house.beat().await;
        receiver.answers(200);
        house.clock.advance(HOUR);
        house.beat().await;
        assert_eq!((receiver.arrived(), status(&house).await), (vec![String::from("c1")], json!("off")));
        house
    })
    .await;
}

// The gateway is down over the end, or its beat is late: what was learned before the end is heard, and told.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_learned_before_the_end_is_heard_after_it() {
    both(async |database| {
        let (mut house, receiver) = subscribed(database).await;
        house.put(&hypertension("c1", "ada")).await.is(201);
        house.restart().await;
        house.clock.advance(HOUR);
        house.put(&hypertension("late", "ada")).await.is(201);
        house.engine().rest().await;
        assert_eq!(status(&house).await, "active", "what it was to be told is not heard yet");
        house.beat().await;
        house.clock.advance(HOUR);
        house.beat().await;
        assert_eq!((receiver.arrived(), status(&house).await), (vec![String::from("c1")], json!("off")));
        house
    })
    .await;
}

// Of one of which nothing waits the end is the end; its client's own `off` drops what waits, also then.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_with_nothing_waiting_is_off_at_once() {
    both(async |database| {
        let (house, receiver) = subscribed(database).await;
        house.put(&hypertension("c1", "ada")).await.is(201);
        house.beat().await;
        house.clock.advance(HOUR.saturating_sub(Duration::from_millis(1)));
        house.beat().await;
        assert_eq!(status(&house).await, "active");
        house.clock.advance(Duration::from_millis(1));
        house.beat().await;
        assert_eq!((receiver.arrived().len(), status(&house).await), (1, json!("off")));

        let again = subscription(CRITERIA, &receiver.url()).with("id", "t").with("end", "2026-06-01T17:00:00Z");
        house.put(&again).await.is(201);
        house.beat().await;
        receiver.answers(503);
        house.put(&hypertension("c2", "ada")).await.is(201);
        house.beat().await;
        house.clock.advance(HOUR);
        house.beat().await;
        house.put(&again.with("status", "off")).await.is(200);
        house.beat().await;
        receiver.answers(200);
        house.days(1).await;
        assert_eq!(receiver.arrived().len(), 1);
        house
    })
    .await;
}
