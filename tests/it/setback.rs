//! The machine's clock is wrong by years and is set right: nobody waits for those years to pass.

use std::time::Duration;

use crate::builders::{With, hypertension, patient, subscription};
use crate::database::Database;
use crate::faults::{plant, pull};
use crate::house::{House, START, millis};
use crate::receiver::Receiver;

/// What a clock without a battery shows after a start without a network.
const WRONG: &str = "2036-06-01T15:00:00Z";
/// The longest wait between two tries of an endpoint, lengthened by chance.
const WAIT: Duration = Duration::from_mins(144);

async fn wrong(database: Database, is_restarted: bool) {
    let (mut house, receiver) = (House::over(database).await, Receiver::start().await);
    house.put(&patient("ada")).await.is(201);
    house.put(&subscription("Condition", &receiver.url()).with("id", "s")).await.is(201);
    house.beat().await;
    house.clock.set(millis(WRONG));
    receiver.answers(503);
    house.put(&hypertension("c1", "ada")).await.is(201);
    house.beat().await;
    receiver.answers(422);
    house.clock.advance(Duration::from_secs(10));
    house.beat().await;
    receiver.answers(200);
    house.clock.set(millis(START));
    if is_restarted {
        house.restart().await;
    }
    house.beat().await;
    house.clock.advance(WAIT);
    house.beat().await;
    assert_eq!(receiver.arrived(), ["c1"], "restarted {is_restarted}");
    house.stop().await;
    house.database.drop().await;
}

async fn silent(database: Database, is_restarted: bool) {
    let (mut house, receiver) = (House::over(database).await, Receiver::start().await);
    house.put(&patient("ada")).await.is(201);
    house.put(&subscription("Condition", &receiver.url()).with("id", "s")).await.is(201);
    house.beat().await;
    house.clock.set(millis(WRONG));
    receiver.answers(503);
    house.put(&hypertension("c1", "ada")).await.is(201);
    house.beat().await;
    house.clock.set(millis(START));
    if is_restarted {
        house.restart().await;
    }
    house.beat().await;
    // Still silent: its downtime is counted by the clock that is right.
    house.days(2).await;
    assert_eq!(house.get("Subscription/s").await.is(200).at("/status"), "error", "restarted {is_restarted}");
    house.stop().await;
    house.database.drop().await;
}

// An endpoint that was down, or refused a notice, while the clock was wrong is tried again as if the clock had been right.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_does_not_wait_for_a_wrong_clock() {
    for is_restarted in [false, true] {
        wrong(Database::sqlite(), is_restarted).await;
        wrong(Database::postgres().await, is_restarted).await;
    }
}

// One that stays silent is given up after 28 hours of the right clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_endpoint_is_given_up_by_the_right_clock() {
    for is_restarted in [false, true] {
        silent(Database::sqlite(), is_restarted).await;
        silent(Database::postgres().await, is_restarted).await;
    }
}

// What could not be recorded while the clock was wrong is recorded soon after it is right.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_recorded_does_not_wait_for_a_wrong_clock() {
    let (house, receiver) = (House::new().await, Receiver::start().await);
    house.put(&patient("ada")).await.is(201);
    house.put(&subscription("Condition", &receiver.url()).with("id", "s")).await.is(201);
    house.beat().await;
    house.clock.set(millis(WRONG));
    plant(&house, "notices", "NEW.id <> ''").await;
    house.put(&hypertension("c1", "ada")).await.is(201);
    house.beat().await;
    pull(&house, "notices").await;
    house.clock.set(millis(START));
    house.beat().await;
    assert_eq!(receiver.arrived(), ["c1"]);
}
