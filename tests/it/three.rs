//! Of three records that were taken for one, each two were so since a time of their own: what was said or done before concerns only
//! whom it was said to. Follows <https://hl7.org/fhir/R4/patient.html#links>.

use serde_json::Value;

use crate::builders::{With, bundle, dispense, patient, reply};
use crate::costs::statements;
use crate::database::Database;
use crate::diary::texts;
use crate::house::{House, both};
use crate::merges::replaced;
use crate::partings::{known, times};
use crate::rules::{gout, message, rule};

/// Lets records go their own ways at one moment.
async fn part(house: &House, names: &[&str]) {
    let puts: Vec<(String, Value)> = names.iter().map(|name| (format!("Patient/{name}"), patient(name))).collect();
    let entries: Vec<(&str, &str, Value)> = puts.iter().map(|(url, one)| ("PUT", url.as_str(), one.clone())).collect();
    house.bundle(&bundle("transaction", &entries)).await.is(200);
}

// B was one with A since January. C was told about a diagnosis of its own before it was one with them, too; then B was found to have
// the same. When B is parted from them, or all three are at one moment, B is told.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_before_two_were_one_does_not_count_for_both() {
    for parted in [&["b"][..], &["b", "c"]] {
        both(async |database| {
            let house = known(database, &["a", "b", "c"]).await;
            let entries = [
                ("PUT", "PlanDefinition/gout", rule("gout", "1", "drink")),
                ("PUT", "ActivityDefinition/drink", message("drink", "Drink.")),
            ];
            house.bundle(&bundle("transaction", &entries)).await.is(200);
            house.put(&replaced("b", "a")).await.is(200);
            house.days(1).await;
            house.put(&gout("g-c", "c")).await.is(201);
            house.days(3).await;
            assert_eq!(times(&house, "c", "notification").await, 1);
            house.put(&replaced("c", "a")).await.is(200);
            house.days(1).await;
            house.put(&gout("g-b", "b")).await.is(201);
            house.days(1).await;
            let said = async || times(&house, "a", "notification").await + times(&house, "b", "notification").await;
            assert_eq!(said().await, 0, "it is one episode");
            part(&house, parted).await;
            house.days(3).await;
            let said = [times(&house, "a", "notification").await, times(&house, "b", "notification").await];
            assert_eq!((said, times(&house, "c", "notification").await), ([0, 1], 1), "{parted:?}");
            house
        })
        .await;
    }
}

// C said STOP for the telephone that it shared with B, long before both were taken for one: it binds the number after they are parted.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_said_before_two_were_one_still_binds() {
    for says_stop in [true, false] {
        both(async |database| {
            let house = known(database, &["a", "b"]).await;
            house.put(&replaced("b", "a")).await.is(200);
            let shared = patient("b")["telecom"].clone();
            house.put(&patient("c").with("telecom", shared)).await.is(201);
            house.days(1).await;
            if says_stop {
                house.put(&reply("stop", "c", "STOP")).await.is(201);
            }
            house.days(1).await;
            house.put(&patient("c")).await.is(200);
            house.days(1).await;
            house.put(&replaced("c", "a")).await.is(200);
            house.days(1).await;
            house.put(&patient("b")).await.is(200);
            house.days(1).await;
            house.put(&dispense("d", "b", "2026-06-06")).await.is(201);
            house.days(28).await;
            assert_eq!(times(&house, "b", "reminder").await, usize::from(!says_stop), "{says_stop}");
            house
        })
        .await;
    }
}

/// Partings of long ago, far more than are told.
const PARTINGS: u64 = 1_500;

// Two records were parted very often. What was said while they were taken for one the last time is known to both; and it costs few
// statements to know it.
async fn parted_often(database: Database) {
    let house = known(database, &["new", "old"]).await;
    let is_counted = !house.database.url.starts_with("sqlite");
    if is_counted {
        house.database.tamper("CREATE EXTENSION pg_stat_statements").await;
    }
    house.put(&replaced("old", "new")).await.is(200);
    house.put(&dispense("d", "old", "2026-06-01")).await.is(201);
    house.days(5).await;
    assert_eq!(texts(&house, "new").await.len(), 1, "the advice");
    house.put(&patient("old")).await.is(200);
    let often = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {PARTINGS})
        INSERT INTO partings (tenant, person, known_as, since, until)
        SELECT p.tenant, p.person, p.known_as, n.i * 1000, n.i * 1000 + 500 FROM partings p, n"
    );
    assert_eq!(house.database.tamper(&often).await, 2 * PARTINGS);
    let before = if is_counted { statements(&house).await } else { 0 };
    house.beat().await;
    let cost = if is_counted { statements(&house).await - before } else { 0 };
    assert!(cost < 150, "{cost} statements for two who were parted");
    house.days(1).await;
    assert_eq!((texts(&house, "new").await.len(), texts(&house, "old").await.len()), (1, 0), "the advice is not said again");
    let House { database, .. } = house;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_of_many_partings_is_known_on_sqlite() {
    parted_often(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_of_many_partings_is_known_on_postgresql() {
    parted_often(Database::postgres().await).await;
}
