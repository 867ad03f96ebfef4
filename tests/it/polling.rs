//! A pharmacy polls its Tasks: from horizon to horizon it sees each change, and completes what it claimed.

use serde_json::{Value, json};

use crate::builders::{With, dispense, patient, store, task};
use crate::database::Database;
use crate::house::House;
use crate::partings::known;

/// One poll from this horizon on: the Tasks seen and the next horizon.
async fn poll(house: &House, since: &str) -> (Vec<Value>, String) {
    let answer = house.get(&format!("Task?owner=Organization/store-1&status=requested&_lastUpdated=ge{since}")).await.is(200);
    (answer.resources(), answer.at("/meta/lastUpdated").as_str().unwrap().to_owned())
}

// The searchset names the value from which to ask next; a poller that uses it misses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_poller_misses_nothing_between_horizons() {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("ada")).await.is(201);
    let (seen, mut horizon) = poll(&house, "2026-01-01").await;
    assert!(seen.is_empty());
    let mut known = std::collections::BTreeSet::new();
    for round in 0..20 {
        for number in 0..5 {
            house.put(&task(&format!("t{round}-{number}"), "ada", "store-1")).await.is(201);
        }
        let (seen, next) = poll(&house, &horizon).await;
        known.extend(seen.iter().map(|task| task["id"].as_str().unwrap().to_owned()));
        assert!(next >= horizon, "{next} after {horizon}");
        horizon = next;
        house.clock.advance(std::time::Duration::from_millis(3));
    }
    assert_eq!(known.len(), 100);
}

// A claimed Task leaves the list; completed, it keeps its output in the ledger.
#[tokio::test(flavor = "multi_thread")]
async fn a_claimed_task_leaves_the_list_and_keeps_its_output() {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("ada")).await.is(201);
    house.put(&task("t", "ada", "store-1")).await.is(201);
    assert_eq!(poll(&house, "2026-01-01").await.0.len(), 1);

    let claimed = task("t", "ada", "store-1").with("status", "accepted");
    house.ask("PUT", "Task/t").header("If-Match", "W/\"1\"").json(&claimed).await.is(200);
    assert!(poll(&house, "2026-01-01").await.0.is_empty());

    let output = json!([{"type": {"text": "what came of the call"}, "valueString": "will come on Friday"}]);
    let completed = claimed.with("status", "completed").with("output", output.clone());
    house.ask("PUT", "Task/t").header("If-Match", "W/\"2\"").json(&completed).await.is(200);
    house.ask("PUT", "Task/t").header("If-Match", "W/\"2\"").json(&completed).await.is(412);
    assert_eq!(house.get("Task/t").await.is(200).at("/output"), output);

    let told = house.get("Patient/ada/$ledger").await.is(200);
    let lines = told.resources().iter().filter(|line| line["resourceType"] == "Task").count();
    assert!(lines >= 1, "{}", told.text);
}

// A pharmacy's software may write whole addresses: they name the same, and what is stored is as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_claimed_with_our_own_address_before_what_it_names() {
    let house = known(Database::sqlite(), &["one"]).await;
    house.put(&dispense("d", "one", "2026-05-02")).await.is(201);
    house.beat().await;
    let asked = house.get("Task?status=requested").await.is(200).resources().remove(0);
    let mut claimed = asked.clone().with("status", "accepted");
    for name in ["for", "focus", "requester", "owner"] {
        if let Some(reference) = asked[name]["reference"].as_str() {
            claimed[name]["reference"] = json!(format!("{}/{reference}", house.base()));
        }
    }
    assert_ne!(claimed["for"], asked["for"]);
    let kept = house.put(&claimed).await.is(200);
    assert_eq!(
        (kept.at("/for"), kept.at("/owner"), kept.at("/status")),
        (asked["for"].clone(), asked["owner"].clone(), json!("accepted"))
    );
    let other = claimed.with("for", json!({"reference": format!("{}/Patient/two", house.base())}));
    house.put(&other).await.is(422);
}
