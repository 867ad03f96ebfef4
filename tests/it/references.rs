//! References as they are sent: with our own address before them or without, they lead to the same; and what can lead to nothing is
//! refused. Follows <https://hl7.org/fhir/R4/references.html#literal>.

use serde_json::{Value, json};

use crate::builders::{MEMBERS, With, bundle, hypertension, patient};
use crate::house::House;

const PLACE: &str = "Condition.subject.reference";

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

// A relative reference to what is no type of R4 leads to nothing, wherever it stands: a type was misspelled.
#[tokio::test(flavor = "multi_thread")]
async fn a_reference_names_a_type_of_r4() {
    let house = House::new().await;
    let named = ["Foo/1", "patient/ada", "Patients/ada", "Foo?x=1", "Foo/1/_history/2", "Foo/1#part", "Resource/1"];
    // By our own address it means the same.
    let ours = named.map(|reference| format!("{}/{reference}", house.base()));
    for reference in named.into_iter().chain(ours.iter().map(String::as_str)) {
        let told = house.put(&about("put", reference)).await.is(400);
        assert_eq!(told.expressions(), [PLACE]);
        assert!(told.text.contains("unknown-resource-type"), "{}", told.text);
        let statuses = in_every_way(&house, reference).await;
        assert!(statuses.iter().all(|status| [400, 422].contains(status)), "{reference}: {statuses:?}");
        let inside = json!({"resourceType": "Basic", "id": "b", "code": {"text": "x"}, "contained": [about("c", reference)],
            "subject": {"reference": "#c"}, "extension": [{"url": "urn:x", "valueReference": {"reference": reference}}]});
        let places = house.put(&inside).await.is(400).expressions();
        assert_eq!(places.len(), 2, "{reference}: {places:?}");
    }
    assert_eq!(subjects(&house).await, ["Patient/other"]);
    for reference in [
        "https://other.example/fhir/Foo/1",
        "https://other.example/Foo?x=1",
        "urn:uuid:0a1b2c3d-0000-4000-8000-000000000001",
        "urn:oid:1.2.3",
        "Patient/ada",
        "Patient/ada/_history/1",
        "Foo",
        "some/where/else",
        "fixtures/patient.json",
        "./1",
    ] {
        let told = house.put(&about("taken", reference)).await;
        assert!(told.status < 300, "{reference}: {}", told.text);
    }
}

// What a reference leads to is looked at when it was turned into ours, too: a diagnosis is about no medication, whether that is named
// by our own address, by what it is searched by, or by the entry that it comes with.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_of_a_type_that_may_stand_there_however_it_is_named() {
    const URN: &str = "urn:uuid:0a1b2c3d-0000-4000-8000-000000000001";
    let house = House::new().await;
    let base = house.base();
    let code = |value: &str| json!({"coding": [{"system": "urn:m", "code": value}]});
    house.put(&json!({"resourceType": "Medication", "id": "m", "code": code("m")})).await.is(201);
    let plain = in_every_way(&house, "Medication/m").await;
    assert_eq!(plain, [400, 400, 400, 422, 400, 400]);
    for reference in [
        format!("{base}/Medication/m"),
        format!("{base}/Medication/m/_history/1"),
        String::from("Medication?code=urn:m|m"),
        format!("{base}/Medication?code=urn:m|m"),
    ] {
        let told = house.put(&about("put", &reference)).await.is(400);
        assert_eq!(
            (told.expressions(), told.text.contains("wrong-reference-target")),
            (vec![PLACE.to_owned()], true),
            "{reference}"
        );
        assert_eq!(in_every_way(&house, &reference).await, plain, "{reference}");
    }
    let with = |target: Value| {
        let mut sent = bundle(
            "transaction",
            &[("POST", "Condition", about("x", URN).with("id", Value::Null)), ("POST", "x", target.clone())],
        );
        sent["entry"][1]["fullUrl"] = json!(URN);
        sent["entry"][1]["request"]["url"] = target["resourceType"].clone();
        sent
    };
    let refused = house.bundle(&with(json!({"resourceType": "Medication", "code": code("new")}))).await.is(400);
    assert_eq!(refused.expressions(), ["Bundle.entry[0].resource.subject.reference"]);
    assert_eq!(house.count("Medication").await, 1);
    let named = |reference: &str| about("x", "Patient/ada").with("subject", json!({"reference": reference, "type": "Group"}));
    let told = house.put(&named(&format!("{base}/Patient/ada"))).await.is(400);
    assert_eq!(told.expressions(), ["Condition.subject.type"]);
    // In what is contained, too, where '#' means what stands beside it.
    let inside = |reference: &str| {
        let other = json!({"resourceType": "Patient", "id": "p"});
        let evidence = json!([{"detail": [{"reference": reference}, {"reference": "#p"}]}]);
        let contained = json!([about("c", reference).with("evidence", evidence), other]);
        json!({"resourceType": "Basic", "id": "b", "code": {"text": "x"}, "subject": {"reference": "#c"}, "contained": contained})
    };
    let told = house.put(&inside(&format!("{base}/Medication/m"))).await.is(400);
    assert_eq!(told.expressions(), ["Basic.contained[0].subject.reference"]);
    house.put(&inside(&format!("{base}/Patient/ada"))).await.is(201);
    house.bundle(&with(json!({"resourceType": "Patient", "active": true}))).await.is(200);
    assert_eq!(house.count("Condition").await, 2);
}
