//! One fact told twice, by two systems: either of the two may be cleared away, and what follows from the fact goes on with the other.

use std::time::Duration;

use serde_json::{Value, json};

use crate::builders::{With, dispense};
use crate::database::Database;
use crate::house::House;
use crate::partings::{known, times};
use crate::replay::again;

/// Thirty days that ended yesterday, under one number.
fn fill(id: &str) -> Value {
    dispense(id, "one", "2026-05-02").with("identifier", json!([{"system": "urn:rx", "value": "1"}]))
}

async fn tell(house: &House, value: &Value) {
    house.clock.advance(Duration::from_millis(1));
    let answer = house.put(value).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
    house.beat().await;
}

async fn one_of_two_is_cleared_away(database: Database) {
    let house = known(database, &["one"]).await;
    for id in ["a", "b"] {
        tell(&house, &fill(id)).await;
    }
    let calls = async |status: &str| times(&house, "one", &format!("refill-call {status}")).await;
    assert_eq!(calls("requested").await, 1);
    tell(&house, &fill("a").with("status", "entered-in-error")).await;
    assert_eq!((calls("requested").await, calls("cancelled").await), (1, 0));
    house.delete("MedicationDispense/a").await.is(204);
    house.beat().await;
    house.days(1).await;
    assert_eq!((calls("requested").await, calls("cancelled").await), (1, 0));
    tell(&house, &fill("b").with("status", "entered-in-error")).await;
    assert_eq!((calls("requested").await, calls("cancelled").await), (0, 1));
    again(&house).await;
    let House { database, .. } = house;
    database.drop().await;
}

// The call for a fill stands while one of its copies does, and no longer; it is decided again as it was.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_copies_is_cleared_away_on_sqlite() {
    one_of_two_is_cleared_away(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_copies_is_cleared_away_on_postgres() {
    one_of_two_is_cleared_away(Database::postgres().await).await;
}
