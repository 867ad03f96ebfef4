//! That a notice arrived, or went to the dead letters, cannot be recorded for a while: it is remembered until it can be.

use std::time::Duration;

use crate::builders::{With, hypertension, patient, subscription};
use crate::database::Database;
use crate::house::House;
use crate::receiver::Receiver;

/// From now on the database keeps what waits for these patients' notices as it is.
async fn plant(house: &House, when: &str) {
    if house.database.url.starts_with("sqlite") {
        for act in ["UPDATE", "DELETE"] {
            let refuse = "BEGIN SELECT RAISE(ABORT, 'planted'); END";
            let trigger = format!("CREATE TRIGGER planted_{act} BEFORE {act} ON deliveries WHEN {when} {refuse}");
            house.database.tamper(&trigger).await;
        }
        return;
    }
    let refuse = "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted'; END $$";
    house.database.tamper(&format!("CREATE FUNCTION planted() RETURNS trigger {refuse}")).await;
    for act in ["UPDATE", "DELETE"] {
        let each = format!("FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION planted()");
        house.database.tamper(&format!("CREATE TRIGGER planted_{act} BEFORE {act} ON deliveries {each}")).await;
    }
}

async fn pull(house: &House) {
    let of = if house.database.url.starts_with("sqlite") { "" } else { " ON deliveries" };
    for act in ["UPDATE", "DELETE"] {
        house.database.tamper(&format!("DROP TRIGGER planted_{act}{of}")).await;
    }
}

async fn remembered(database: Database, when: &str) {
    let (mut house, receiver) = (House::over(database).await, Receiver::start().await);
    for name in ["ada", "bo", "cy"] {
        house.put(&patient(name)).await.is(201);
    }
    house.put(&subscription("Condition", &receiver.url()).with("id", "s")).await.is(201);
    house.beat().await;
    receiver.answers_to("\"dead\"", 422);
    plant(&house, when).await;
    for (id, name) in [("c1", "ada"), ("c2", "bo"), ("dead", "cy")] {
        house.put(&hypertension(id, name)).await.is(201);
    }
    for _ in 0..30 {
        house.clock.advance(Duration::from_secs(1));
        house.beat().await;
    }
    pull(&house).await;
    house.clock.advance(Duration::from_hours(1));
    house.beat().await;
    let tries = receiver.received().len();
    assert_eq!(tries, 6, "a probe, two that arrived, and three tries of one that is refused");
    house.restart().await;
    house.days(1).await;
    assert_eq!(receiver.received().len(), tries, "{when}");
    house.stop().await;
    house.database.drop().await;
}

// Nothing of it can be recorded; later it is, and after a restart nothing goes once more.
#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_notices_is_recorded_when_it_can_be() {
    remembered(Database::sqlite(), "OLD.number > 0").await;
    remembered(Database::postgres().await, "OLD.number > 0").await;
}

// One row of a group cannot be written: the others are, at once.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_recorded_keeps_no_other() {
    remembered(Database::sqlite(), "OLD.number = 2").await;
    remembered(Database::postgres().await, "OLD.number = 2").await;
}
