//! Many at once: one conditional create, one claim of a Task. Of all, one wins.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::Value;

use crate::answer::Answer;
use crate::builders::{MEMBERS, With, patient, store, task};
use crate::database::Database;
use crate::house::House;

fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut counted = BTreeMap::new();
    for answer in answers {
        *counted.entry(answer.status).or_default() += 1;
    }
    counted
}

/// 64 clients send the same patient under one condition; one row is left, and all are told which.
pub(crate) async fn one_conditional_create_wins(house: &House) {
    let criteria = format!("identifier={MEMBERS}|racer");
    let racer = patient("racer").with("id", Value::Null);
    let create = || house.ask("POST", "Patient").header("If-None-Exist", &criteria).json(&racer);
    let answers = join_all((0..64).map(|_| create())).await;
    assert_eq!(statuses(&answers), BTreeMap::from([(200, 63), (201, 1)]));
    assert_eq!(house.count(&format!("Patient?identifier={MEMBERS}|racer")).await, 1);
    let winner = answers.iter().find(|answer| answer.status == 201).unwrap().id();
    assert!(answers.iter().all(|answer| answer.header("location").contains(&winner)));
}

/// 50 pharmacists claim one Task with the version they saw; one wins, the others are refused.
pub(crate) async fn one_claim_wins(house: &House) {
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("claimed")).await.is(201);
    house.put(&task("claim-me", "claimed", "store-1")).await.is(201);
    let claim = |number: usize| {
        let claimed = task("claim-me", "claimed", "store-1")
            .with("status", "accepted")
            .with("owner", serde_json::json!({"reference": format!("PractitionerRole/pharmacist-{number}")}));
        let ask = house.ask("PUT", "Task/claim-me").header("If-Match", "W/\"1\"");
        async move { ask.json(&claimed).await }
    };
    let answers = join_all((0..50).map(claim)).await;
    assert_eq!(statuses(&answers), BTreeMap::from([(200, 1), (412, 49)]));
    let kept = house.get("Task/claim-me").await.is(200);
    let winner = answers.iter().find(|answer| answer.status == 200).unwrap();
    assert_eq!((kept.version().as_str(), kept.at("/owner")), ("2", winner.at("/owner")));
}

// The condition is decided inside the batch, so 64 clients at once leave one row.
#[tokio::test(flavor = "multi_thread")]
async fn of_64_conditional_creates_one_makes_the_row() {
    one_conditional_create_wins(&House::over(Database::sqlite()).await).await;
}

// A claim is an update with `If-Match`: of fifty one wins, and the Task says who.
#[tokio::test(flavor = "multi_thread")]
async fn of_50_claims_one_gets_the_task() {
    one_claim_wins(&House::over(Database::sqlite()).await).await;
}
