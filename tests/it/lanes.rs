//! An endpoint counts as down only for what waits for it: who comes later is not charged with what was before.
//! Follows <https://hl7.org/fhir/R4/subscription.html>.

use serde_json::Value;

use crate::builders::{With, condition, hypertension, patient, snomed, subscription};
use crate::database::Database;
use crate::house::House;
use crate::receiver::Receiver;

const CRITERIA: &str = "Condition?code=http://snomed.info/sct|38341003";
/// Days after which an endpoint that was down all the time has its subscriptions in error.
const LONG: u32 = 2;

async fn ask(house: &House, receiver: &Receiver, id: &str, status: &str) {
    let asked = subscription(CRITERIA, &receiver.url()).with("id", id).with("status", status);
    let answer = house.put(&asked).await;
    assert_eq!(answer.status / 100, 2, "{}", answer.text);
    house.beat().await;
}

async fn tell(house: &House, id: &str) {
    house.put(&hypertension(id, "ada")).await.is(201);
    house.beat().await;
}

async fn status(house: &House, id: &str) -> Value {
    house.get(&format!("Subscription/{id}")).await.is(200).at("/status")
}

async fn a_newcomer_begins_anew(database: Database) {
    let (mut house, receiver) = (House::over(database).await, Receiver::start().await);
    house.put(&patient("ada")).await.is(201);
    // The endpoint goes down, and the only one who wanted something of it leaves.
    ask(&house, &receiver, "first", "requested").await;
    receiver.answers(503);
    tell(&house, "c1").await;
    house.delete("Subscription/first").await.is(204);
    house.beat().await;
    receiver.answers(200);
    ask(&house, &receiver, "second", "requested").await;
    house.days(LONG).await;
    house.restart().await;
    receiver.answers(503);
    tell(&house, "c2").await;
    assert_eq!(status(&house, "second").await, "active");
    receiver.answers(200);
    house.days(1).await;
    assert_eq!(receiver.arrived(), ["c2"]);
    let House { database, .. } = house;
    database.drop().await;
}

// Whoever uses an endpoint that was down for somebody else has the whole schedule before them, after a restart too.
#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_begins_anew_on_sqlite() {
    a_newcomer_begins_anew(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_begins_anew_on_postgres() {
    a_newcomer_begins_anew(Database::postgres().await).await;
}

// The same where somebody else stays: nothing of theirs has waited. What waits keeps its downtime, and ends in error.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_nothing_waiting_is_not_charged() {
    let (house, receiver) = (House::new().await, Receiver::start().await);
    house.put(&patient("ada")).await.is(201);
    ask(&house, &receiver, "leaves", "requested").await;
    let other = subscription("Condition?code=http://snomed.info/sct|73211009", &receiver.url()).with("id", "stays");
    house.put(&other).await.is(201);
    house.beat().await;
    receiver.answers(503);
    tell(&house, "c1").await;
    ask(&house, &receiver, "leaves", "off").await;
    house.days(LONG).await;
    let sweet = snomed("73211009", "Diabetes mellitus");
    house.put(&condition("c2", "ada", &sweet)).await.is(201);
    house.beat().await;
    assert_eq!(status(&house, "stays").await, "active");
    house.days(LONG).await;
    assert_eq!(status(&house, "stays").await, "error");
}
