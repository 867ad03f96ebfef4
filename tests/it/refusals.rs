//! What is refused, with which status and at which place; and that nothing of it was written.

use serde_json::{Value, json};

use crate::builders::{With, condition, dispense, hypertension, patient, snomed};
use crate::golden::golden;
use crate::house::House;

fn report() -> Value {
    json!({"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "CT"}, "subject": {"reference": "Patient/p"}})
}

/// What is wrong, the resource, and the place that must be named.
fn faulty() -> Vec<(&'static str, Value, &'static str)> {
    let patient = || patient("p");
    let dispense = || dispense("d", "p", "2026-06-01");
    let coded = |system: &str, code: &str| json!({"coding": [{"system": format!("http://terminology.hl7.org/CodeSystem/{system}"), "code": code}]});
    let condition = || condition("c", "p", &snomed("44054006", "Diabetes mellitus type 2"));
    let script = r#"<div xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></div>"#;
    vec![
        ("an unknown element", patient().with("shoeSize", 42), "Patient.shoeSize"),
        ("a boolean as a string", patient().with("active", "yes"), "Patient.active"),
        ("a list where one stands", patient().with("gender", json!(["female"])), "Patient.gender"),
        ("one where a list stands", patient().with("name", json!({"family": "X"})), "Patient.name"),
        ("no subject", condition().with("subject", Value::Null), "Condition.subject"),
        ("no status", dispense().with("status", Value::Null), "MedicationDispense.status"),
        ("no medication", dispense().with("medicationCodeableConcept", Value::Null), "MedicationDispense.medication"),
        (
            "two medications",
            dispense().with("medicationReference", json!({"reference": "Medication/1"})),
            "MedicationDispense.medication",
        ),
        ("no code", report().with("code", Value::Null), "DiagnosticReport.code"),
        ("a thirteenth month", patient().with("birthDate", "2024-13-05"), "Patient.birthDate"),
        ("the thirtieth of February", patient().with("birthDate", "2023-02-30"), "Patient.birthDate"),
        ("an instant without a zone", report().with("issued", "2026-01-01T10:00:00"), "DiagnosticReport.issued"),
        ("a code outside its set", patient().with("gender", "lady"), "Patient.gender"),
        ("a status outside its set", dispense().with("status", "done"), "MedicationDispense.status"),
        (
            "an active diagnosis entered in error",
            condition().with("verificationStatus", coded("condition-ver-status", "entered-in-error")),
            "Condition",
        ),
        ("an empty string", patient().with("language", ""), "Patient.language"),
        ("an empty list", patient().with("name", json!([])), "Patient.name"),
        ("a reference to the wrong type", condition().with("subject", json!({"reference": "Medication/1"})), "Condition.subject"),
        ("a script in the narrative", patient().with("text", json!({"status": "generated", "div": script})), "Patient.text.div"),
    ]
}

// Each fault alone is refused, at its place and with a sentence; nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_refused_at_its_place() {
    let house = House::new().await;
    let mut wrong = Vec::new();
    for (what, resource, place) in faulty() {
        let answer = house.post(&resource.clone().with("id", Value::Null)).await;
        let named = answer.status / 100 == 4 && answer.expressions().iter().any(|at| at.starts_with(place));
        let said = answer.status / 100 == 4 && answer.at("/issue/0/diagnostics").as_str().is_some_and(|words| words.len() > 10);
        if ![400, 422].contains(&answer.status) || !named || !said {
            wrong.push(format!("{what}: {} {}", answer.status, answer.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for kind in ["Patient", "Condition", "MedicationDispense", "DiagnosticReport"] {
        assert_eq!(house.count(kind).await, 0, "{kind}");
    }
}

// Status, issue code and our own stable code of every refusal: clients hold on to them.
#[tokio::test(flavor = "multi_thread")]
async fn the_codes_of_refusals_are_as_written() {
    let house = House::new().await;
    let mut codes = serde_json::Map::new();
    let mut note = |what: &str, answer: &crate::answer::Answer| {
        let own = answer.at("/issue/0/details/coding/0/code");
        codes.insert(what.to_owned(), json!(format!("{} {} {}", answer.status, answer.codes()[0], own.as_str().unwrap_or("-"))));
    };
    for (what, resource, _) in faulty() {
        note(what, &house.post(&resource).await);
    }
    for (what, text, _) in broken() {
        note(what, &house.ask("POST", "Patient").body("application/fhir+json", text).await);
    }
    house.put(&patient("p")).await.is(201);
    for (what, method, path, header) in [
        ("an unknown id", "GET", "Patient/none", ("Accept", "*/*")),
        ("an unknown version", "GET", "Patient/p/_history/9", ("Accept", "*/*")),
        ("an unknown type", "GET", "Banana", ("Accept", "*/*")),
        ("a format not spoken", "GET", "Patient/p", ("Accept", "text/csv")),
        ("an unknown parameter", "GET", "Patient?shoe=9", ("Prefer", "handling=strict")),
        ("a bad date", "GET", "Patient?birthdate=never", ("Accept", "*/*")),
        ("a bad count", "GET", "Patient?_count=many", ("Accept", "*/*")),
        ("a method not offered", "POST", "Patient/p", ("Accept", "*/*")),
        ("a stale delete", "DELETE", "Patient/p", ("If-Match", "W/\"9\"")),
    ] {
        note(what, &house.ask(method, path).header(header.0, header.1).send().await);
    }
    note("a stale update", &house.ask("PUT", "Patient/p").header("If-Match", "W/\"9\"").json(&patient("p")).await);
    note("another id", &house.ask("PUT", "Patient/q").json(&patient("p")).await);
    note("text/plain", &house.ask("POST", "Patient").body("text/plain", "{}").await);
    house.delete("Patient/p").await.is(204);
    note("a deleted one", &house.get("Patient/p").await);
    golden("refusals.json", &Value::Object(codes));
}

// A resource with several faults is answered with all of them at once; its twin without faults is accepted.
#[tokio::test(flavor = "multi_thread")]
async fn all_faults_are_named_at_once() {
    let house = House::new().await;
    let faulty = patient("p").with("gender", "lady").with("birthDate", "2023-02-30").with("shoeSize", 42).with("active", "yes");
    let answer = house.put(&faulty).await.is(400);
    golden("refusal.json", &answer.json());
    house.put(&patient("p")).await.is(201);
}

/// What is wrong, the text, and the statuses that say so.
fn broken() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let deep = format!(
        r#"{{"resourceType":"Patient","extension":[{}{}]}}"#,
        r#"{"url":"x","extension":["#.repeat(500),
        "]}".repeat(500)
    );
    vec![
        ("no JSON", b"this is not json".to_vec(), &[400]),
        ("half a JSON", br#"{"resourceType":"Patient""#.to_vec(), &[400]),
        ("nothing", Vec::new(), &[400]),
        ("a list", b"[]".to_vec(), &[400, 422]),
        ("a key twice", br#"{"resourceType":"Patient","gender":"male","gender":"female"}"#.to_vec(), &[400, 422]),
        ("a null", br#"{"resourceType":"Patient","gender":null}"#.to_vec(), &[400, 422]),
        ("no UTF-8", b"{\"resourceType\":\"Patient\",\"language\":\"\xff\xfe\"}".to_vec(), &[400]),
        ("a zero character", br#"{"resourceType":"Patient","language":"d\u0000e"}"#.to_vec(), &[400, 422]),
        ("five hundred levels", deep.into_bytes(), &[400, 413, 422]),
        ("another type", br#"{"resourceType":"Observation","status":"final","code":{"text":"x"}}"#.to_vec(), &[400, 422]),
        ("no type", br#"{"active":true}"#.to_vec(), &[400, 422]),
        ("sixty megabytes", vec![b' '; 60_000_000], &[400, 413]),
    ]
}

// Text that is no resource at all is refused without a panic, and the gateway stays.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_resource_is_refused() {
    let house = House::new().await;
    for (what, text, statuses) in broken() {
        let answer = house.ask("POST", "Patient").body("application/fhir+json", text).await;
        assert!(statuses.contains(&answer.status), "{what}: {} {}", answer.status, answer.text);
        assert_eq!(answer.at("/resourceType"), "OperationOutcome", "{what}");
    }
    assert_eq!(house.count("Patient").await, 0);
}

// Formats that are not spoken here are refused by name; our own with its parameters is understood.
#[tokio::test(flavor = "multi_thread")]
async fn other_formats_are_refused() {
    let house = House::new().await;
    let body = patient("p").with("id", Value::Null).to_string();
    for (content_type, status) in [
        ("text/plain", 415),
        ("application/fhir+xml; fhirVersion=5.0", 415),
        ("application/fhir+turtle", 415),
        ("application/json; charset=iso-8859-1", 415),
        ("application/fhir+json; charset=utf-8", 201),
        ("application/fhir+json; fhirVersion=4.0", 201),
    ] {
        house.ask("POST", "Patient").body(content_type, body.clone()).await.is(status);
    }
    house.put(&patient("p")).await.is(201);
    house.ask("GET", "Patient/p").header("Accept", "text/csv").send().await.is(406);
    house.ask("GET", "Patient/p").header("Accept", "application/fhir+json").send().await.is(200);
}

// An address and a body that disagree are refused; so are interactions that do not exist.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_disagrees_is_refused() {
    let house = House::new().await;
    let ask = |path: &'static str, resource: Value| {
        let ask = house.ask("PUT", path);
        async move { ask.json(&resource).await.status }
    };
    assert_eq!(ask("Patient/p", patient("other")).await, 400);
    assert_eq!(ask("Patient/p", patient("p").with("id", Value::Null)).await, 400);
    assert_eq!(ask("Patient/bad_id!", patient("bad_id!")).await, 400);
    assert_eq!(ask("Patient/p", hypertension("p", "p")).await, 400);
    house.ask("PUT", "Patient").json(&patient("p")).await;
    assert_eq!(house.count("Patient").await, 0);
}
