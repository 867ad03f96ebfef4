//! Who has no number for somebody changes nobody else: criteria that leave a value out are refused wherever something is written.
//! Follows <https://hl7.org/fhir/R4/http.html#ccreate>.

use serde_json::{Value, json};

use crate::builders::{MEMBERS, With, bundle, hypertension, patient};
use crate::house::House;

/// What a feed sends that puts an empty number behind the system.
const GAPS: [&str; 5] = ["{}|", "{}|%20", "{}|,", "{}|%20,", ","];

fn gap(pattern: &str) -> String {
    format!("identifier={}", pattern.replace("{}", MEMBERS))
}

fn stranger() -> Value {
    patient("eve").with("id", Value::Null).with("identifier", Value::Null)
}

// By none of the conditional interactions is the only patient of a system found who was not named.
#[tokio::test(flavor = "multi_thread")]
async fn a_system_without_a_value_changes_nobody() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    for criteria in GAPS.map(gap) {
        let path = format!("Patient?{criteria}");
        let changed = house.ask("PATCH", &path).body("application/json-patch+json", r#"[{"op":"remove","path":"/gender"}]"#);
        for refused in [
            house.ask("PUT", &path).json(&stranger()).await,
            house.ask("PUT", &format!("{path}&active=true")).json(&stranger()).await,
            house.delete(&path).await,
            house.ask("POST", "Patient").header("If-None-Exist", &criteria).json(&stranger()).await,
            changed.await,
        ] {
            assert_eq!(refused.is(400).at("/issue/0/details/coding/0/code"), "empty-criteria", "{criteria}");
        }
    }
    house.ask("PUT", "Patient?gender=http://hl7.org/fhir/administrative-gender|").json(&stranger()).await.is(400);
    assert_eq!((house.count("Patient").await, house.get("Patient/ada").await.is(200).version().as_str()), (1, "1"));
    // Who only looks may look so.
    assert_eq!(house.get(&format!("Patient?{}", gap("{}|"))).await.is(200).ids(), ["ada"]);
}

// Nor in a Bundle: not by the address of an entry, not by its condition, not by a conditional reference.
#[tokio::test(flavor = "multi_thread")]
async fn nor_does_an_entry_of_a_bundle() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let by = format!("Patient?{}", gap("{}|"));
    let mut once = bundle("batch", &[("POST", "Patient", stranger())]);
    once["entry"][0]["request"]["ifNoneExist"] = json!(gap("{}|"));
    let about = hypertension("c", "x").with("subject", json!({"reference": by}));
    for mut sent in [
        bundle("batch", &[("PUT", by.as_str(), stranger())]),
        bundle("batch", &[("DELETE", by.as_str(), Value::Null)]),
        bundle("batch", &[("PUT", "Condition/c", about)]),
        once,
    ] {
        assert_eq!(house.bundle(&sent).await.is(200).statuses(), ["400"], "{sent}");
        sent["type"] = json!("transaction");
        house.bundle(&sent).await.is(400);
    }
    assert_eq!((house.count("Patient").await, house.get("Patient/ada").await.is(200).version().as_str()), (1, "1"));
    house.get("Condition/c").await.is(404);
}
