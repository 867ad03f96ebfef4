//! What the references of a Bundle lead to, and what they leave alone, on both databases.
//! Follows <https://hl7.org/fhir/R4/bundle.html#references> and <https://hl7.org/fhir/R4/http.html#trules>.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::builders::{MEMBERS, With, patient};
use crate::database::Database;
use crate::house::House;
use crate::transactions::{entry, of, urn};

async fn houses() -> [House; 2] {
    [House::new().await, House::over(Database::postgres().await).await]
}

fn nameless(id: &str) -> Value {
    patient(id).with("id", Value::Null)
}

fn observation(subject: &str) -> Value {
    json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": subject}})
}

/// `Type/id` of what the entry at this place wrote.
fn place(answer: &Answer, at: usize) -> String {
    let location = answer.at(&format!("/entry/{at}/response/location"));
    location.as_str().unwrap().split("/fhir/").nth(1).unwrap().split("/_history").next().unwrap().to_owned()
}

async fn subject(house: &House, of: &str) -> Value {
    house.get(of).await.is(200).at("/subject/reference")
}

// Two senders number their patients alike: a relative reference is meant beside the fullUrl of its own entry, and where that
// has no root it means what is here.
#[tokio::test(flavor = "multi_thread")]
async fn a_relative_reference_is_meant_beside_its_own_entry() {
    for house in houses().await {
        house.put(&patient("1")).await.is(201);
        let full = |url: &str| json!({"fullUrl": url});
        let report = |id: &str| observation("Patient/1").with("id", id);
        let sent = of(
            "transaction",
            &[
                entry("POST", "Patient", nameless("a"), full("http://a.example/fhir/Patient/1")),
                entry("POST", "Patient", nameless("b"), full("http://b.example/fhir/Patient/1")),
                entry("POST", "Observation", observation("Patient/1"), full("http://a.example/fhir/Observation/2")),
                entry("POST", "Observation", observation("Patient/1"), full("http://b.example/fhir/Observation/2")),
                entry("PUT", "Observation/ours", report("ours"), full(&format!("{}/Observation/ours", house.base()))),
                entry("PUT", "Observation/urn", report("urn"), full(&urn(5))),
                entry("PUT", "Observation/none", report("none"), json!({})),
                entry("POST", "Observation", observation("Patient/1"), full("http://c.example/fhir/Observation/2")),
                entry("POST", "Observation", observation("http://b.example/fhir/Patient/1"), full(&urn(8))),
            ],
        );
        let answer = house.bundle(&sent).await.is(200);
        let (a, b) = (place(&answer, 0), place(&answer, 1));
        let mut found = Vec::new();
        for at in 2..9 {
            found.push(subject(&house, &place(&answer, at)).await);
        }
        assert_eq!(found, [a.as_str(), &b, "Patient/1", "Patient/1", "Patient/1", "Patient/1", &b]);
        house.database.drop().await;
    }
}

// What is patched is ours: the sender's own numbers are not read into it.
#[tokio::test(flavor = "multi_thread")]
async fn a_patch_does_not_move_what_was_kept() {
    for house in houses().await {
        house.put(&patient("1")).await.is(201);
        house.put(&observation("Patient/1").with("id", "o")).await.is(201);
        let patch = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
            {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Observation.status"},
            {"name": "value", "valueCode": "amended"}]}]});
        let sent = of(
            "transaction",
            &[
                entry("POST", "Patient", nameless("lab"), json!({"fullUrl": "http://lab.example/fhir/Patient/1"})),
                entry("PATCH", "Observation/o", patch, json!({"fullUrl": "http://lab.example/fhir/Observation/o"})),
            ],
        );
        house.bundle(&sent).await.is(200);
        assert_eq!(house.get("Observation/o").await.at("/status"), "amended");
        assert_eq!(subject(&house, "Observation/o").await, "Patient/1");
        house.database.drop().await;
    }
}

// Definitions whose fullUrl is their canonical keep it, and what names them goes on naming them.
#[tokio::test(flavor = "multi_thread")]
async fn names_of_definitions_are_not_rewritten() {
    const SYSTEM: &str = "http://lab.example/fhir/CodeSystem/cs";
    const SET: &str = "http://lab.example/fhir/ValueSet/vs";
    for house in houses().await {
        let system = json!({"resourceType": "CodeSystem", "id": "cs", "url": SYSTEM, "status": "active", "content": "complete",
            "valueSet": SET, "concept": [{"code": "a"}]});
        let values = json!({"resourceType": "ValueSet", "id": "vs", "url": SET, "status": "active",
            "compose": {"include": [{"system": SYSTEM}]}});
        let coded =
            observation("Patient/1").with("id", "o").with("code", json!({"coding": [{"system": SYSTEM, "code": "a"}]})).with(
                "extension",
                json!([{"url": SYSTEM, "valueUri": SYSTEM}, {"url": "http://x.example/set", "valueCanonical": SET}]),
            );
        let sent = of(
            "transaction",
            &[
                entry("PUT", "CodeSystem/cs", system.clone(), json!({"fullUrl": SYSTEM})),
                entry("PUT", "ValueSet/vs", values.clone(), json!({"fullUrl": SET})),
                entry("PUT", "Observation/o", coded.clone(), json!({"fullUrl": "http://lab.example/fhir/Observation/o"})),
            ],
        );
        house.bundle(&sent).await.is(200);
        for sent in [system, values, coded] {
            let kept = house.get(&format!("{}/{}", sent["resourceType"].as_str().unwrap(), sent["id"].as_str().unwrap())).await;
            assert_eq!(kept.json().with("meta", Value::Null), sent);
        }
        house.database.drop().await;
    }
}

// A Bundle that is kept is a document: its entries are not those of the transaction that brings it, nor is it searched for.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_is_kept_stays_as_it_was_sent() {
    for house in houses().await {
        let inside = of(
            "collection",
            &[
                json!({"fullUrl": urn(1), "resource": nameless("x")}),
                json!({"fullUrl": urn(2), "resource": observation(&urn(1))}),
            ],
        );
        let sent = of(
            "transaction",
            &[
                entry("POST", "Bundle", inside.clone(), json!({"fullUrl": urn(9)})),
                entry("POST", "Patient", nameless("y"), json!({"fullUrl": urn(1)})),
                entry("POST", "Observation", observation(&urn(1)), json!({})),
            ],
        );
        let answer = house.bundle(&sent).await.is(200);
        let kept = house.get(&place(&answer, 0)).await.is(200).json();
        assert_eq!(kept.with("meta", Value::Null).with("id", Value::Null), inside);
        assert_eq!(subject(&house, &place(&answer, 2)).await, place(&answer, 1));

        let asking =
            of("transaction", &[entry("POST", "Observation", observation("Patient?identifier=urn:x|nobody"), json!({}))]);
        let kept = house.post(&asking).await.is(201).json();
        assert_eq!(kept["entry"], asking["entry"]);
        house.bundle(&asking).await.is(412);
        house.database.drop().await;
    }
}

// Who refers to a version of an entry refers to the one that is made; where only the ledger will know it, to the resource.
#[tokio::test(flavor = "multi_thread")]
async fn a_reference_to_a_version_leads_to_the_version_that_is_made() {
    for house in houses().await {
        house.put(&patient("known")).await.is(201);
        let new = "http://x.example/fhir/Patient/7";
        let known = "http://x.example/fhir/Patient/8";
        let about = |reference: &str, full: &str| entry("POST", "Observation", observation(reference), json!({"fullUrl": full}));
        let beside = "http://x.example/fhir/Observation/1";
        let sent = of(
            "transaction",
            &[
                entry("POST", "Patient", nameless("new"), json!({"fullUrl": new})),
                entry("PUT", "Patient/known", patient("known").with("gender", "other"), json!({"fullUrl": known})),
                about(&format!("{new}/_history/3"), &urn(2)),
                about("Patient/7/_history/3", beside),
                about(&format!("{known}/_history/3"), &urn(4)),
                about("http://elsewhere.example/fhir/Patient/7/_history/3", &urn(5)),
            ],
        );
        let answer = house.bundle(&sent).await.is(200);
        let first = format!("{}/_history/1", place(&answer, 0));
        let mut found = Vec::new();
        for at in 2..6 {
            found.push(subject(&house, &place(&answer, at)).await);
        }
        let elsewhere = "http://elsewhere.example/fhir/Patient/7/_history/3";
        assert_eq!(found, [first.as_str(), &first, "Patient/known", elsewhere]);
        house.get(&first).await.is(200);
        house.database.drop().await;
    }
}

// The same criteria in another spelling are the same: no second patient comes of them.
#[tokio::test(flavor = "multi_thread")]
async fn criteria_in_another_spelling_are_the_same() {
    for house in houses().await {
        let spelt = [format!("identifier={MEMBERS}|10"), format!("identifier={}%7C10", MEMBERS.replace(':', "%3A"))];
        let put = |criteria: &String| entry("PUT", &format!("Patient?{criteria}"), nameless("10"), json!({}));
        let refused = house.bundle(&of("transaction", &spelt.each_ref().map(put))).await.is(400);
        assert!(refused.text.contains("same-resource-twice"), "{}", refused.text);
        assert_eq!(house.count("Patient").await, 0);
        let both = ["identifier=urn:x|1&active=true", "active=true&identifier=urn:x%7C1"];
        let post = |criteria: &str| entry("POST", "Patient", nameless("10"), json!({"ifNoneExist": criteria}));
        let made = house.bundle(&of("transaction", &both.map(post))).await.is(200);
        assert_eq!((made.statuses(), house.count("Patient").await), (vec!["201".to_owned(), "200".to_owned()], 1));
        let other = [post("identifier=urn:x|2"), post("identifier=urn:x|3")];
        assert_eq!(house.bundle(&of("transaction", &other)).await.is(200).statuses(), ["201", "201"]);
        house.database.drop().await;
    }
}

// Our own address before a reference says nothing: it is found as if it were not there, also where no setting names it.
#[tokio::test(flavor = "multi_thread")]
async fn our_own_address_is_taken_off_what_is_written() {
    for house in houses().await {
        house.put(&patient("own")).await.is(201);
        let own = format!("{}/Patient/own", house.base());
        house.put(&observation(&own).with("id", "put")).await.is(201);
        let url = |rest: &str| format!("{}/{rest}", house.base());
        let sent =
            of("transaction", &[entry("PUT", &url("Observation/bundled"), observation(&own).with("id", "bundled"), json!({}))]);
        assert_eq!(house.bundle(&sent).await.is(200).statuses(), ["201"]);
        for (search, found) in [
            ("Observation?subject=Patient/own&_sort=_id", vec!["bundled", "put"]),
            (&format!("Observation?subject={own}&_sort=_id"), vec!["bundled", "put"]),
            ("Observation?patient:Patient.gender=female&_sort=_id", vec!["bundled", "put"]),
        ] {
            assert_eq!(house.get(search).await.is(200).ids(), found, "{search}");
        }
        assert_eq!(subject(&house, "Observation/put").await, "Patient/own");
        // The same criteria with and without our address are the same condition.
        for (criteria, status) in [(format!("subject={own}&status=amended"), 201), (format!("subject={own}&_id=put"), 200)] {
            house.ask("POST", "Observation").header("If-None-Exist", &criteria).json(&observation(&own)).await.is(status);
        }
        // Only the address of this very call is ours: another host's patient stays another's.
        let other = "http://other.example/fhir/Patient/own";
        let answer =
            house.ask("PUT", "Observation/o").header("Host", "spoken.example").json(&observation(other).with("id", "o")).await;
        assert_eq!(answer.is(201).at("/subject/reference"), other);
        house.put(&observation("http://spoken.example/fhir/Patient/own").with("id", "s")).await.is(201);
        assert_eq!(subject(&house, "Observation/s").await, "http://spoken.example/fhir/Patient/own");
        house.database.drop().await;
    }
}
