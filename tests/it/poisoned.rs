//! A receiver that fails at one notice, or refuses everything for a while, loses none of the others.
//! Follows <https://hl7.org/fhir/R4/subscription.html>.

use std::time::Duration;

use serde_json::Value;

use crate::builders::{With, hypertension, patient, subscription};
use crate::database::Database;
use crate::house::{House, both};
use crate::receiver::Receiver;

const CRITERIA: &str = "Condition?code=http://snomed.info/sct|38341003";

fn asked(receiver: &Receiver) -> Value {
    subscription(CRITERIA, &receiver.url()).with("id", "s")
}

/// A house with these patients, a receiver, and the subscription `s` that is active.
async fn subscribed(database: Database, names: &[&str]) -> (House, Receiver) {
    let (house, receiver) = (House::over(database).await, Receiver::start().await);
    for name in names {
        house.put(&patient(name)).await.is(201);
    }
    house.put(&asked(&receiver)).await.is(201);
    house.beat().await;
    (house, receiver)
}

async fn status(house: &House) -> Value {
    house.get("Subscription/s").await.is(200).at("/status")
}

// The receiver fails at one patient's resource. The others are told, soon and for days, and the subscription stays active.
#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_breaks_its_receiver_stops_no_other() {
    both(async |database| {
        let (house, receiver) = subscribed(database, &["ada", "bo", "cy"]).await;
        receiver.answers_to("\"poison\"", 500);
        house.put(&hypertension("poison", "ada")).await.is(201);
        house.put(&hypertension("behind", "ada")).await.is(201);
        house.put(&hypertension("c1", "bo")).await.is(201);
        house.beat().await;
        house.seconds(10).await;
        assert_eq!(receiver.arrived(), ["c1"]);
        house.put(&hypertension("c2", "cy")).await.is(201);
        house.seconds(10).await;
        assert_eq!(receiver.arrived(), ["c1", "c2"]);
        house.days(1).await;
        house.put(&hypertension("c3", "bo")).await.is(201);
        house.beat().await;
        assert_eq!(receiver.arrived(), ["c1", "c2", "c3"], "it takes no turn of an endpoint that answers");
        house.days(1).await;
        assert_eq!((receiver.arrived(), status(&house).await), (ids(&["c1", "c2", "c3", "behind"]), Value::from("active")));
        house
    })
    .await;
}

// Nothing else waits when the receiver fails at it: who comes next is tried at once, and shows that the endpoint answers.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_next_does_not_wait_behind_it() {
    both(async |database| {
        let (house, receiver) = subscribed(database, &["ada", "bo"]).await;
        receiver.answers_to("\"poison\"", 500);
        house.put(&hypertension("poison", "ada")).await.is(201);
        house.days(1).await;
        house.put(&hypertension("c1", "bo")).await.is(201);
        house.beat().await;
        assert_eq!(receiver.arrived(), ["c1"]);
        house.days(2).await;
        assert_eq!(status(&house).await, "active");
        house
    })
    .await;
}

fn ids(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

// A row of ours cannot be read when its notice goes: no endpoint is to blame, and the others are told.
#[tokio::test(flavor = "multi_thread")]
async fn what_we_cannot_read_is_no_fault_of_the_endpoint() {
    let (house, receiver) = subscribed(Database::sqlite(), &["ada", "bo"]).await;
    receiver.answers(503);
    house.put(&hypertension("c1", "ada")).await.is(201);
    house.put(&hypertension("c2", "bo")).await.is(201);
    house.beat().await;
    house.database.tamper("UPDATE resources SET version = 'broken' WHERE id = 'c1'").await;
    receiver.answers(200);
    house.days(2).await;
    assert_eq!((receiver.arrived(), status(&house).await), (ids(&["c2"]), Value::from("active")));
    house.database.tamper("UPDATE resources SET version = 1 WHERE id = 'c1'").await;
    house.days(1).await;
    assert_eq!(receiver.arrived(), ["c2", "c1"]);
}

// While it is deployed, or its token changes, a receiver refuses all for minutes, or for an hour: nothing is lost by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_refusal_of_everything_loses_nothing() {
    for status in [401, 403, 404, 410] {
        both(async |database| {
            let (house, receiver) = subscribed(database, &["ada", "bo"]).await;
            receiver.answers(status);
            house.put(&hypertension("c1", "ada")).await.is(201);
            house.put(&hypertension("c2", "ada")).await.is(201);
            house.beat().await;
            for _ in 0..12 {
                house.clock.advance(Duration::from_mins(5));
                house.beat().await;
            }
            receiver.answers(200);
            // Who is told shows that the others may be tried again.
            house.put(&hypertension("c3", "bo")).await.is(201);
            house.beat().await;
            house.days(1).await;
            let mut arrived = receiver.arrived();
            arrived.sort();
            assert_eq!(arrived, ["c1", "c2", "c3"], "{status}");
            house
        })
        .await;
    }
}

// Gateway and receiver are deployed together, and the gateway starts twice before the receiver knows its token again.
#[tokio::test(flavor = "multi_thread")]
async fn restarts_do_not_spend_the_tries_of_a_refused_notice() {
    both(async |database| {
        let (mut house, receiver) = subscribed(database, &["ada"]).await;
        receiver.answers(401);
        house.put(&hypertension("c1", "ada")).await.is(201);
        house.beat().await;
        for _ in 0..3 {
            house.restart().await;
            house.seconds(5).await;
        }
        receiver.answers(200);
        house.days(1).await;
        assert_eq!(receiver.arrived(), ["c1"]);
        house
    })
    .await;
}

// What went to the dead letters is sent again when its client asks for its subscription anew.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_sent_again_when_their_client_asks_anew() {
    both(async |database| {
        let (mut house, receiver) = subscribed(database, &["ada"]).await;
        receiver.answers(422);
        house.put(&hypertension("c1", "ada")).await.is(201);
        house.days(1).await;
        receiver.answers(200);
        house.put(&hypertension("c2", "ada")).await.is(201);
        house.days(1).await;
        house.restart().await;
        house.days(1).await;
        assert_eq!(receiver.arrived(), ["c2"]);
        house.put(&asked(&receiver).with("reason", "mended")).await.is(200);
        house.beat().await;
        assert_eq!((receiver.arrived(), receiver.numbers()), (ids(&["c2", "c1"]), vec![2, 1]));
        house
    })
    .await;
}
