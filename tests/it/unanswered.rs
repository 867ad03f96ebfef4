//! A connection is lost in a COMMIT: whether it took effect is not known then, and what it recorded is told, once.

use crate::builders::{With, dispense, hypertension, patient, subscription};
use crate::database::Database;
use crate::house::House;
use crate::receiver::Receiver;
use crate::wire::{Cut, Wire};

/// What is told of a Condition settles its event; the rules have still to look at the dispense.
const HEARD: [&str; 2] = ["Condition", "MedicationDispense"];

/// Two notices are recorded in one unit, and the wire is cut at its COMMIT.
async fn cut(cut: Cut) {
    let mut database = Database::postgres().await;
    let wire = Wire::lay(&mut database).await;
    let (house, receiver) = (House::over(database).await, Receiver::start().await);
    for name in ["ada", "bo"] {
        house.put(&patient(name)).await.is(201);
    }
    for kind in HEARD {
        house.put(&subscription(kind, &receiver.url()).with("id", kind.to_lowercase())).await.is(201);
    }
    house.beat().await;
    house.put(&hypertension("c", "ada")).await.is(201);
    house.put(&dispense("d", "bo", "2026-06-01")).await.is(201);
    wire.cut(cut);
    if cut == Cut::All {
        assert!(house.engine().try_turn().await.is_err(), "the database was not to be reached");
        wire.mend();
    } else {
        house.turn().await;
    }
    assert!(wire.was_cut());
    house.beat().await;
    let mut arrived = receiver.arrived();
    arrived.sort();
    assert_eq!((arrived, receiver.numbers()), (vec![String::from("c"), String::from("d")], vec![1, 1]), "{cut:?}");
    // Numbers have no gaps and none is given twice.
    house.put(&hypertension("c2", "ada")).await.is(201);
    house.beat().await;
    assert_eq!(receiver.numbers(), [1, 1, 2], "{cut:?}");
    let House { database, .. } = house;
    database.drop().await;
}

// It took effect, and its answer was lost: what was recorded is told without waiting for anything else.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_unanswered_commit_recorded_is_told() {
    cut(Cut::Answer).await;
}

// It takes effect after it was looked for in the store: the same is not recorded twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_late_commit_recorded_is_told_once() {
    cut(Cut::Late).await;
}

// It took effect, and the database cannot be reached for a while: then nobody hears of what is settled already.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_before_an_outage_is_told_after_it() {
    cut(Cut::All).await;
}
