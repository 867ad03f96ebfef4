//! A subscription that was deleted and is made again under the same id: its receiver hears each match once, under a number of its own.
//! Follows <https://hl7.org/fhir/R4/subscription.html>.

use serde_json::Value;

use crate::builders::{With, hypertension, patient, subscription};
use crate::database::Database;
use crate::house::House;
use crate::receiver::Receiver;

/// All hypertension, under the id `s`.
fn listening(receiver: &Receiver) -> Value {
    subscription("Condition?code=http://snomed.info/sct|38341003", &receiver.url()).with("id", "s")
}

/// Which resource arrived under which number, in order.
fn arrived(receiver: &Receiver) -> Vec<(String, String)> {
    let told = |notice: &crate::receiver::Received| {
        (notice.header("webhook-id").to_owned(), notice.json()["id"].as_str().unwrap().to_owned())
    };
    receiver.notices().iter().map(told).collect()
}

fn expected(told: &[(&str, &str)]) -> Vec<(String, String)> {
    told.iter().map(|(number, id)| ((*number).to_owned(), (*id).to_owned())).collect()
}

/// A house with two patients, and one match that was told of.
async fn told_once(database: Database) -> (House, Receiver) {
    let (house, receiver) = (House::over(database).await, Receiver::start().await);
    for name in ["ada", "bo"] {
        house.put(&patient(name)).await.is(201);
    }
    house.put(&listening(&receiver)).await.is(201);
    house.beat().await;
    house.put(&hypertension("c1", "ada")).await.is(201);
    house.beat().await;
    assert_eq!(arrived(&receiver), expected(&[("s.1", "c1")]));
    (house, receiver)
}

// What waited for the former subscription is not sent by the new one; what matches it has the next numbers, also when both came
// before anything was heard of either.
async fn made_again(database: Database) {
    let (house, receiver) = told_once(database).await;
    receiver.answers(503);
    house.put(&hypertension("c2", "ada")).await.is(201);
    house.beat().await;
    house.delete("Subscription/s").await.is(204);
    house.beat().await;
    receiver.answers(200);
    house.put(&listening(&receiver)).await.is(201);
    house.beat().await;
    assert_eq!(house.get("Subscription/s").await.is(200).at("/status"), "active");
    house.put(&hypertension("c3", "bo")).await.is(201);
    house.days(1).await;
    assert_eq!(arrived(&receiver), expected(&[("s.1", "c1"), ("s.3", "c3")]));

    house.delete("Subscription/s").await.is(204);
    house.put(&listening(&receiver)).await.is(201);
    house.beat().await;
    house.put(&hypertension("c4", "ada")).await.is(201);
    house.days(1).await;
    assert_eq!(arrived(&receiver).last(), expected(&[("s.4", "c4")]).last());
    let House { database, .. } = house;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_made_again_goes_on_counting_on_sqlite() {
    made_again(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_made_again_goes_on_counting_on_postgresql() {
    made_again(Database::postgres().await).await;
}

// One that was made again by a program that began to count anew goes on behind its last number from the next start.
async fn made_again_before(database: Database) {
    let (mut house, receiver) = told_once(database).await;
    house.stop().await;
    assert_eq!(house.database.tamper("UPDATE subscriptions SET notices = 0 WHERE id = 's'").await, 1);
    assert_eq!(house.database.tamper("DELETE FROM migrations WHERE number = 22").await, 1);
    house.restart().await;
    house.put(&hypertension("c2", "bo")).await.is(201);
    house.beat().await;
    assert_eq!(arrived(&receiver), expected(&[("s.1", "c1"), ("s.2", "c2")]));
    house.stop().await;
    let House { database, .. } = house;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_began_anew_is_mended_at_the_start_on_sqlite() {
    made_again_before(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_began_anew_is_mended_at_the_start_on_postgresql() {
    made_again_before(Database::postgres().await).await;
}
