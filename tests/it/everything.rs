//! All that is known of a patient, and of nobody else: whole or in pages, by time and type.
//! Follows <https://hl7.org/fhir/R4/patient-operation-everything.html>.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::builders::{MEMBERS, With, bundle, dispense, hypertension, patient, store};
use crate::database::Database;
use crate::house::House;

fn observation(id: &str, patient: &str, day: &str) -> Value {
    json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "pulse"}, "effectiveDateTime": day,
        "subject": {"reference": format!("Patient/{patient}")}, "performer": [{"reference": "Practitioner/doctor"}],
        "note": [{"text": "said \"reference\":\"Practitioner/stranger\""}]})
}

/// Ada and Bob share a practitioner and a store; each has records of their own.
async fn two_patients() -> House {
    told_of_two(House::new().await).await
}

async fn told_of_two(house: House) -> House {
    let practitioner = |id: &str| json!({"resourceType": "Practitioner", "id": id, "name": [{"family": id}]});
    let appointment = json!({"resourceType": "Appointment", "id": "visit", "status": "proposed", "participant":
        [{"actor": {"reference": "Patient/ada"}, "status": "accepted"}, {"actor": {"reference": "Location/room"}, "status": "accepted"}]});
    let entries = [
        ("PUT", "Practitioner/doctor", practitioner("doctor")),
        ("PUT", "Practitioner/stranger", practitioner("stranger")),
        ("PUT", "Organization/store-1", store("store-1")),
        ("PUT", "Location/room", json!({"resourceType": "Location", "id": "room"})),
        ("PUT", "Patient/ada", patient("ada")),
        ("PUT", "Patient/bob", patient("bob")),
        ("PUT", "Condition/ada-c", hypertension("ada-c", "ada")),
        ("PUT", "Condition/bob-c", hypertension("bob-c", "bob").with("asserter", json!({"reference": "Patient/ada"}))),
        ("PUT", "MedicationDispense/ada-d", dispense("ada-d", "ada", "2026-06-01")),
        ("PUT", "Observation/ada-o1", observation("ada-o1", "ada", "2026-01-15")),
        ("PUT", "Observation/ada-o2", observation("ada-o2", "ada", "2026-02-15")),
        ("PUT", "Observation/bob-o", observation("bob-o", "bob", "2026-02-15")),
        ("PUT", "Appointment/visit", appointment),
        (
            "PUT",
            "Group/both",
            json!({"resourceType": "Group", "id": "both", "type": "person", "actual": true,
            "member": [{"entity": {"reference": "Patient/ada"}}, {"entity": {"reference": "Patient/bob"}}]}),
        ),
    ];
    house.bundle(&bundle("transaction", &entries)).await.is(200);
    house
}

fn names(told: &Answer) -> Vec<String> {
    let name = |resource: &Value| format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
    told.resources().iter().map(name).collect()
}

fn sorted(told: &Answer) -> Vec<String> {
    let mut names = names(told);
    names.sort();
    names
}

const ADA: [&str; 9] = [
    "Appointment/visit",
    "Condition/ada-c",
    "Location/room",
    "MedicationDispense/ada-d",
    "Observation/ada-o1",
    "Observation/ada-o2",
    "Organization/store-1",
    "Patient/ada",
    "Practitioner/doctor",
];

// The patient, all that is hers, and what that refers to; each once, nothing of Bob, and nobody who is only spoken of.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_all_of_one_patient_and_nothing_of_another() {
    let house = two_patients().await;
    let told = house.get("Patient/ada/$everything").await.is(200);
    assert_eq!((told.at("/resourceType"), told.at("/type")), (json!("Bundle"), json!("searchset")));
    assert_eq!(sorted(&told), ADA);
    for entry in told.at("/entry").as_array().unwrap() {
        let kind = entry["resource"]["resourceType"].as_str().unwrap();
        let mode = if ["Practitioner", "Organization", "Location"].contains(&kind) { "include" } else { "match" };
        assert_eq!(entry["search"]["mode"], mode, "{kind}");
        assert_eq!(entry["fullUrl"], format!("{}/{kind}/{}", house.base(), entry["resource"]["id"].as_str().unwrap()));
    }
    house.get("Patient/nobody/$everything").await.is(404);
    house.get("Observation/ada-o1/$everything").await.is(404);
    house.delete("Condition/ada-c").await.is(204);
    assert!(!names(&house.get("Patient/ada/$everything").await.is(200)).contains(&String::from("Condition/ada-c")));
}

// Pages of any size hold the same, each once; a link belongs to its own question and says nothing of the patient.
#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_the_same() {
    let house = two_patients().await;
    for count in 1..=10 {
        let mut found = Vec::new();
        let mut next = format!("Patient/ada/$everything?_count={count}");
        let mut pages = 0;
        while !next.is_empty() {
            let page = house.get(&next).await.is(200);
            let names = names(&page);
            assert!(names.len() <= count && !names.is_empty(), "{count}: {names:?}");
            found.extend(names);
            next = page.link("next");
            pages += 1;
        }
        assert_eq!(pages, ADA.len().div_ceil(count), "{count}");
        found.sort();
        assert_eq!(found, ADA, "{count}");
    }
    let link = house.get("Patient/ada/$everything?_count=2").await.is(200).link("next");
    assert!(!link.contains("Observation") && !link.contains("Condition"), "{link}");
    let stolen = link.replace("Patient/ada", "Patient/bob");
    house.get(&stolen).await.is(400);
    house.get("Patient/ada/$everything?_count=0").await.is(400);
}

// A link goes on with its own patient's references, whoever else asks meanwhile, and also after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_shows_nobody_elses_references() {
    let mut house = two_patients().await;
    let stranger = json!([{"reference": "Practitioner/stranger"}]);
    house.put(&observation("bob-s", "bob", "2026-02-16").with("performer", stranger)).await.is(201);
    let base = house.base();
    let link = house.get("Patient/ada/$everything?_count=7").await.is(200).link("next");
    house.restart().await;
    let link = link.replace(&base, &house.base());
    let rest = ["Organization/store-1", "Practitioner/doctor"];
    for _ in 0..10 {
        let bob = house.get("Patient/bob/$everything?_count=5").await.is(200).link("next");
        assert_eq!(names(&house.get(&link).await.is(200)), rest);
        assert_eq!(names(&house.get(&bob).await.is(200)), ["Practitioner/stranger"]);
    }
}

// By the time it happened, the time it was recorded, and by type.
#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_narrowed() {
    let house = two_patients().await;
    let narrowed = async |query: &str| names(&house.get(&format!("Patient/ada/$everything?{query}")).await.is(200));
    let only = |names: &[String], kind: &str| names.iter().filter(|name| name.starts_with(kind)).cloned().collect::<Vec<_>>();
    let february = narrowed("start=2026-02-01&end=2026-02-28").await;
    assert_eq!(only(&february, "Observation"), ["Observation/ada-o2"]);
    assert_eq!(only(&february, "Patient"), ["Patient/ada"]);
    assert_eq!(only(&narrowed("end=2026-01-31").await, "Observation"), ["Observation/ada-o1"]);
    assert_eq!(only(&narrowed("start=2026-02-15").await, "Observation"), ["Observation/ada-o2"]);
    assert_eq!(
        narrowed("_type=Observation,Practitioner").await,
        ["Observation/ada-o1", "Observation/ada-o2", "Practitioner/doctor"]
    );
    assert_eq!(narrowed("_type=Patient").await, ["Patient/ada"]);
    // What is only referred to is found by what refers to it, whether that is shown or not.
    assert_eq!(narrowed("_type=Practitioner").await, ["Practitioner/doctor"]);
    assert_eq!(narrowed("_type=Location,Patient").await, ["Patient/ada", "Location/room"]);
    house.clock.advance(std::time::Duration::from_mins(1));
    house.put(&observation("ada-o3", "ada", "2026-01-20")).await.is(201);
    assert_eq!(only(&narrowed("_since=2026-06-01T15:00:30Z").await, "Observation"), ["Observation/ada-o3"]);
    for query in ["_type=Nothing", "start=x", "_since=2026-01-01", "_count=x"] {
        let refused = house.get(&format!("Patient/ada/$everything?{query}")).await.is(400);
        assert!(refused.expressions()[0].starts_with("http."), "{query}");
    }
    let posted = json!({"resourceType": "Parameters", "parameter": [{"name": "_type", "valueString": "Patient"}]});
    let told = house.ask("POST", "Patient/ada/$everything").json(&posted).await.is(200);
    assert_eq!(names(&told), ["Patient/ada"]);
}

// What is no plain JSON is not sent as it is read: it comes in pages also where none were asked for.
#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_translated_comes_in_pages() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    for piece in 0..4 {
        let urls: Vec<String> = (0..300).map(|at| format!("Observation/o{:04}", piece * 300 + at)).collect();
        let one = |url: &String| observation(url.trim_start_matches("Observation/"), "ada", "2026-01-15");
        let entries: Vec<(&str, &str, Value)> = urls.iter().map(|url| ("PUT", url.as_str(), one(url))).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
    let first = house.get("Patient/ada/$everything?_format=xml").await.is(200);
    assert_eq!((first.text.matches("<fullUrl").count(), first.text.contains("\"next\"")), (1_000, true));
    let pretty = house.get("Patient/ada/$everything?_pretty=true").await.is(200);
    assert_eq!(house.get(&pretty.link("next")).await.is(200).resources().len(), 201);
}

// The same questions on PostgreSQL have the same answers.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_the_same_on_postgresql() {
    let house = told_of_two(House::over(Database::postgres().await).await).await;
    house.beat().await;
    assert_eq!(sorted(&house.get("Patient/ada/$everything").await.is(200)), ADA);
    let mut found = Vec::new();
    let mut next = String::from("Patient/ada/$everything?_count=2");
    while !next.is_empty() {
        let page = house.get(&next).await.is(200);
        found.extend(names(&page));
        next = page.link("next");
    }
    found.sort();
    assert_eq!(found, ADA);
    assert_eq!(
        names(&house.get("Patient/ada/$everything?_type=Condition,Patient").await.is(200)),
        ["Condition/ada-c", "Patient/ada"]
    );
    assert_eq!(house.get("Patient/$everything").await.is(200).resources().len(), ADA.len() + 3);
    let tag = json!({"system": "urn:t", "code": "vip"});
    house.put(&patient("bob").with("meta", json!({"tag": [tag]}))).await.is(200);
    assert_eq!(house.get("Patient/$meta").await.is(200).at("/parameter/0/valueMeta/tag"), json!([tag]));
    let pix = house.get(&format!("Patient/$ihe-pix?sourceIdentifier={MEMBERS}|ada")).await.is(200);
    assert_eq!(pix.at("/parameter/0/valueReference/reference"), "Patient/ada");
    let adherence = house.get("Patient/ada/$adherence?start=2026-06-01&end=2026-07-30").await.is(200);
    assert_eq!(adherence.at("/group/0/measureScore/value").to_string(), "0.500000");
    house.get("Patient/ada/$why-not").await.is(200);
    let House { database, .. } = house;
    database.drop().await;
}

// Of all patients: everything of everybody, each once, and still nothing that belongs to nobody and is not referred to.
#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_asked_of_all_patients() {
    let house = two_patients().await;
    let told = sorted(&house.get("Patient/$everything").await.is(200));
    for name in ADA.iter().chain(&["Patient/bob", "Condition/bob-c", "Observation/bob-o"]) {
        assert_eq!(told.iter().filter(|known| known == name).count(), 1, "{name}: {told:?}");
    }
    assert_eq!(told.len(), ADA.len() + 3, "{told:?}");
    let mut found = Vec::new();
    let mut next = String::from("Patient/$everything?_count=5");
    while !next.is_empty() {
        let page = house.get(&next).await.is(200);
        found.extend(names(&page));
        next = page.link("next");
    }
    found.sort();
    assert_eq!(found, told);
}

// Two records that were united are one person: either id tells of both.
#[tokio::test(flavor = "multi_thread")]
async fn united_patients_are_one() {
    let house = House::new().await;
    house.put(&hypertension("c", "x").with("subject", json!({"identifier": {"system": MEMBERS, "value": "ada"}}))).await.is(201);
    house
        .put(&hypertension("d", "x").with("subject", json!({"identifier": {"system": "urn:other", "value": "ada"}})))
        .await
        .is(201);
    let both = json!([{"system": MEMBERS, "value": "ada"}, {"system": "urn:other", "value": "ada"}]);
    house.put(&patient("ada").with("identifier", both)).await.is(201);
    assert_eq!(sorted(&house.get("Patient/ada/$everything").await.is(200)), ["Condition/c", "Condition/d", "Patient/ada"]);
    assert_eq!(sorted(&house.get("Patient/ada/$everything?_type=Condition").await.is(200)), ["Condition/c", "Condition/d"]);
}

// A patient with far more than one piece comes whole, in many pieces, none of which is large.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_patient_comes_in_pieces() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let one = |at: usize| observation(&format!("o{at:04}"), "ada", "2026-01-15");
    for piece in 0..4 {
        let urls: Vec<String> = (0..300).map(|at| format!("Observation/o{:04}", piece * 300 + at)).collect();
        let entries: Vec<(&str, &str, Value)> =
            urls.iter().enumerate().map(|(at, url)| ("PUT", url.as_str(), one(piece * 300 + at))).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
    let pieces = house.ask("GET", "Patient/ada/$everything").pieces().await;
    let whole: Value = serde_json::from_slice(&pieces.concat()).unwrap();
    let ids: BTreeSet<&str> = whole["entry"].as_array().unwrap().iter().map(|entry| entry["fullUrl"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), whole["entry"].as_array().unwrap().len()), (1_201, 1_201));
    let largest = pieces.iter().map(Vec::len).max().unwrap();
    let all: usize = pieces.iter().map(Vec::len).sum();
    assert!(pieces.len() >= 6 && largest < all / 3, "{} pieces, the largest {largest} of {all}", pieces.len());
}
