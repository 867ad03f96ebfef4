//! What is kept of notices is bounded, also for whoever never puts their endpoint right.

use crate::builders::{With, hypertension, patient, subscription};
use crate::database::Database;
use crate::house::House;
use crate::receiver::Receiver;

/// Notices that are kept of a subscription.
const KEPT_MAX: i64 = 100_000;
/// After so many it is looked whether there are more.
const EVERY: i64 = 64;

/// The next notice gets the number after this one.
async fn noticed(house: &House, number: i64, id: &str) {
    house.database.tamper(&format!("UPDATE subscriptions SET notices = {}", number - 1)).await;
    house.put(&hypertension(id, "ada")).await.is(201);
    house.beat().await;
}

async fn bounded(database: Database) {
    let (mut house, receiver) = (House::over(database).await, Receiver::start().await);
    house.put(&patient("ada")).await.is(201);
    house.put(&subscription("Condition", &receiver.url()).with("id", "s")).await.is(201);
    house.beat().await;
    receiver.answers(503);
    let last = (KEPT_MAX / EVERY + 1) * EVERY;
    for (number, id) in [(last - KEPT_MAX, "old"), (last - KEPT_MAX + 1, "oldest-kept"), (last - 1, "waits"), (last, "new")] {
        noticed(&house, number, id).await;
    }
    house.restart().await;
    receiver.answers(200);
    house.days(1).await;
    assert_eq!(receiver.arrived(), ["oldest-kept", "waits", "new"]);
    // Those that arrived go too.
    noticed(&house, last + EVERY, "later").await;
    assert_eq!(receiver.arrived().last().unwrap(), "later");
    assert_eq!(house.database.tamper("UPDATE notices SET at = at").await, 3);
    house.stop().await;
    house.database.drop().await;
}

// Of each subscription the latest notices are kept: older ones are neither stored nor sent any more.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_latest_notices_are_kept_on_sqlite() {
    bounded(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_latest_notices_are_kept_on_postgres() {
    bounded(Database::postgres().await).await;
}
