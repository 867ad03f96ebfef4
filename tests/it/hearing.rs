//! What a Subscription hears while nothing is carried to it: changed by its client and not yet probed, in error, off, over.
//! Follows <https://hl7.org/fhir/R4/subscription.html>.

use serde_json::{Value, json};

use crate::builders::{With, condition, hypertension, patient, snomed, subscription};
use crate::database::Database;
use crate::house::House;
use crate::receiver::Receiver;

const CRITERIA: &str = "Condition?code=http://snomed.info/sct|38341003";

/// A house with Ada, a receiver, and the subscription `s` of hypertension that became active.
async fn subscribed(database: Database) -> (House, Receiver) {
    let (house, receiver) = (House::over(database).await, Receiver::start().await);
    house.put(&patient("ada")).await.is(201);
    house.put(&asked(&receiver)).await.is(201);
    house.beat().await;
    assert_eq!(status(&house).await, "active");
    (house, receiver)
}

fn asked(receiver: &Receiver) -> Value {
    subscription(CRITERIA, &receiver.url()).with("id", "s")
}

/// The same with one more header.
fn changed(receiver: &Receiver) -> Value {
    let asked = asked(receiver);
    let channel = asked["channel"].clone().with("header", json!(["X-Site: 7"]));
    asked.with("channel", channel)
}

async fn status(house: &House) -> Value {
    house.get("Subscription/s").await.is(200).at("/status")
}

/// Lets the beat hear all that was recorded, without waiting for what is on its way.
async fn hear(house: &House) {
    while house.turn().await > 0 {}
}

async fn told(house: &House, ids: &[&str]) {
    for id in ids {
        house.put(&hypertension(id, "ada")).await.is(201);
    }
    hear(house).await;
}

async fn an_update_loses_nothing(database: Database) {
    let (mut house, receiver) = subscribed(database).await;
    told(&house, &["c1"]).await;
    house.beat().await;
    // Its receiver takes its time over the new probe: nothing is carried meanwhile, and everything is noticed.
    receiver.holds(true);
    house.put(&changed(&receiver)).await.is(200);
    hear(&house).await;
    receiver.has(3).await;
    told(&house, &["c2", "c3", "c4"]).await;
    assert_eq!((status(&house).await, receiver.received().len()), (json!("requested"), 3));
    receiver.holds(false);
    house.beat().await;
    assert_eq!(
        (status(&house).await, receiver.arrived()),
        (json!("active"), ["c1", "c2", "c3", "c4"].map(String::from).to_vec())
    );
    assert!(receiver.notices()[1..].iter().all(|notice| notice.header("x-site") == "7"));

    // The house falls while the probe is on its way, and what was noticed before and after is told by the next.
    receiver.holds(true);
    house.put(&asked(&receiver)).await.is(200);
    told(&house, &["c5"]).await;
    receiver.has(7).await;
    house.restart().await;
    receiver.has(8).await;
    told(&house, &["c6"]).await;
    receiver.holds(false);
    house.beat().await;
    assert_eq!((status(&house).await, receiver.arrived()[4..].to_vec()), (json!("active"), vec!["c5".into(), "c6".into()]));

    // A probe that fails ends in error; what was noticed waits until the client has put it right.
    receiver.answers(500);
    house.put(&changed(&receiver)).await.is(200);
    told(&house, &["c7"]).await;
    house.beat().await;
    assert_eq!(status(&house).await, "error");
    told(&house, &["c8"]).await;
    house.restart().await;
    told(&house, &["c9"]).await;
    receiver.answers(200);
    house.days(2).await;
    assert_eq!((status(&house).await, receiver.arrived().len()), (json!("error"), 6));
    house.put(&asked(&receiver)).await.is(200);
    house.beat().await;
    assert_eq!(receiver.arrived(), (1..10).map(|number| format!("c{number}")).collect::<Vec<_>>());
    assert_eq!(receiver.numbers(), (1..10).collect::<Vec<_>>());
    let House { database, .. } = house;
    database.drop().await;
}

// A client may change its subscription, or ask for it anew at each start, and misses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_loses_nothing_on_sqlite() {
    an_update_loses_nothing(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_loses_nothing_on_postgres() {
    an_update_loses_nothing(Database::postgres().await).await;
}

// What was recorded before a subscription is turned off, and is heard after it, is dropped as what waited; what comes after it is active
// again is told, by the next number.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_heard_after_off_does_not_wait_for_the_next_activation() {
    for database in [Database::sqlite(), Database::postgres().await] {
        let (house, receiver) = subscribed(database).await;
        told(&house, &["c1"]).await;
        house.beat().await;
        house.put(&hypertension("late", "ada")).await.is(201);
        house.put(&asked(&receiver).with("status", "off")).await.is(200);
        house.beat().await;
        house.put(&asked(&receiver)).await.is(200);
        house.beat().await;
        told(&house, &["c2"]).await;
        house.beat().await;
        assert_eq!((receiver.arrived(), receiver.numbers()), (vec![String::from("c1"), String::from("c2")], vec![1, 2]));
        let House { database, .. } = house;
        database.drop().await;
    }
}

async fn what_does_not_hear_is_told_nothing(database: Database) {
    let (house, receiver) = (House::over(database).await, Receiver::start().await);
    house.put(&patient("ada")).await.is(201);
    // One that was never active hears from when it is.
    receiver.answers(500);
    house.put(&asked(&receiver)).await.is(201);
    told(&house, &["before"]).await;
    house.beat().await;
    assert_eq!(status(&house).await, "error");
    receiver.answers(200);
    house.put(&asked(&receiver)).await.is(200);
    house.beat().await;
    told(&house, &["c1"]).await;
    house.beat().await;
    assert_eq!((receiver.arrived(), receiver.numbers()), (vec![String::from("c1")], vec![1]));

    // Who turns it off and on again has not wanted what came between, also while it is probed anew.
    house.put(&asked(&receiver).with("status", "off")).await.is(200);
    told(&house, &["off"]).await;
    receiver.holds(true);
    house.put(&asked(&receiver)).await.is(200);
    hear(&house).await;
    told(&house, &["again"]).await;
    receiver.holds(false);
    house.beat().await;
    assert_eq!((status(&house).await, receiver.arrived().len()), (json!("active"), 1));

    // One in error hears no more once its end has passed.
    receiver.answers(500);
    house.put(&asked(&receiver).with("end", "2026-06-02T15:00:00Z")).await.is(200);
    house.beat().await;
    told(&house, &["c2"]).await;
    house.days(2).await;
    told(&house, &["ended"]).await;
    receiver.answers(200);
    house.put(&asked(&receiver)).await.is(200);
    house.beat().await;
    assert_eq!((receiver.arrived(), receiver.numbers()), (["c1", "c2"].map(String::from).to_vec(), vec![1, 2]));

    // One that is deleted while it is asked for hears nothing any more.
    receiver.holds(true);
    house.put(&changed(&receiver)).await.is(200);
    hear(&house).await;
    house.delete("Subscription/s").await.is(204);
    told(&house, &["gone"]).await;
    receiver.holds(false);
    house.days(1).await;
    assert_eq!(receiver.arrived().len(), 2);
    let House { database, .. } = house;
    database.drop().await;
}

// One that was never active, is off, over or deleted hears nothing, and is told nothing of it later.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hear_is_told_nothing_on_sqlite() {
    what_does_not_hear_is_told_nothing(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hear_is_told_nothing_on_postgres() {
    what_does_not_hear_is_told_nothing(Database::postgres().await).await;
}

// Changed criteria hold from the change on, not from the answer to the probe.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_hears_by_its_new_criteria() {
    let (house, receiver) = subscribed(Database::sqlite()).await;
    receiver.holds(true);
    house.put(&asked(&receiver).with("criteria", "Condition?code=http://snomed.info/sct|73211009")).await.is(200);
    hear(&house).await;
    house.put(&hypertension("old", "ada")).await.is(201);
    house.put(&condition("new", "ada", &snomed("73211009", "Diabetes mellitus"))).await.is(201);
    hear(&house).await;
    receiver.holds(false);
    house.beat().await;
    assert_eq!(receiver.arrived(), ["new"]);
}
