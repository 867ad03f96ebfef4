//! References as they are sent: with our own address before them or without, they lead to the same; and what can lead to nothing is
//! refused. Follows <https://hl7.org/fhir/R4/references.html#literal>.

use serde_json::{Value, json};

use crate::builders::{MEMBERS, With, bundle, hypertension, patient};
use crate::house::House;

fn about(id: &str, reference: &str) -> Value {
    hypertension(id, "x").with("subject", json!({"reference": reference}))
}

/// Sends a diagnosis about whom this reference leads to in every way in, each time one of its own; gives the statuses.
async fn in_every_way(house: &House, reference: &str) -> Vec<u16> {
    let put = house.put(&about("put", reference)).await.status;
    let posted = about("x", reference).with("id", Value::Null).with("identifier", json!([{"system": "urn:c", "value": "post"}]));
    let post = house.post(&posted).await.status;
    let by = about("by", reference).with("identifier", json!([{"system": "urn:c", "value": "by"}]));
    let condition = house.ask("PUT", "Condition?identifier=urn:c|by").json(&by).await.status;
    house.put(&hypertension("patched", "other")).await;
    let patch = json!([{"op": "replace", "path": "/subject/reference", "value": reference}]).to_string();
    let patch = house.ask("PATCH", "Condition/patched").body("application/json-patch+json", patch).await.status;
    let whole = bundle("transaction", &[("PUT", "Condition/whole", about("whole", reference))]);
    let whole = house.bundle(&whole).await.status;
    let alone = house.bundle(&bundle("batch", &[("PUT", "Condition/alone", about("alone", reference))])).await.is(200);
    vec![put, post, condition, patch, whole, alone.statuses()[0].parse().unwrap()]
}

/// What all that was sent in every way refers to.
async fn subjects(house: &House) -> Vec<String> {
    let found = house.all("Condition").await;
    found.iter().map(|one| one["subject"]["reference"].as_str().unwrap().to_owned()).collect()
}

// A conditional reference is resolved whether our own address stands before it or not, and with it finds nobody where without it
// nobody is found; that of another server is left as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_reference_may_name_us() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let (ours, theirs) = (house.base(), "https://other.example/fhir");
    let by = |value: &str| format!("Patient?identifier={MEMBERS}|{value}");
    assert_eq!(in_every_way(&house, &format!("{ours}/{}", by("ada"))).await, [201, 201, 201, 200, 200, 201]);
    assert_eq!(subjects(&house).await, ["Patient/ada"; 6]);
    let nobody = in_every_way(&house, &by("nobody")).await;
    assert!(nobody.iter().all(|status| status / 100 == 4), "{nobody:?}");
    assert_eq!(in_every_way(&house, &format!("{ours}/{}", by("nobody"))).await, nobody);
    let foreign = format!("{theirs}/{}", by("ada"));
    house.put(&about("foreign", &foreign)).await.is(201);
    assert_eq!(house.get("Condition/foreign").await.at("/subject/reference"), foreign.as_str());
}
