//! A system asks for an alert by a CommunicationRequest and finds what became of it: a Communication, if the gates let it pass.
//! Follows <https://hl7.org/fhir/R4/communicationrequest.html> and IHE's Mobile Alert Communication Management.

use serde_json::{Value, json};

use crate::builders::{Purpose, With, consent, patient, reply, store};
use crate::house::House;

fn alert(words: &str) -> Value {
    json!({"resourceType": "CommunicationRequest", "status": "active", "priority": "urgent",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/communication-category", "code": "alert"}]}],
        "subject": {"reference": "Patient/ada"}, "recipient": [{"reference": "Patient/ada"}],
        "requester": {"reference": "Organization/store-1"},
        "payload": [{"contentString": words}, {"contentReference": {"reference": "DocumentReference/d"}}]})
}

async fn clinic(purposes: &[Purpose]) -> House {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("ada")).await.is(201);
    if !purposes.is_empty() {
        house.put(&consent("yes", "ada", purposes)).await.is(201);
    }
    house.beat().await;
    house
}

/// What became of an alert, as its sender finds it.
async fn outcome(house: &House, alert: &Value) -> Vec<Value> {
    let id = house.post(alert).await.is(201).at("/id").as_str().unwrap().to_owned();
    house.beat().await;
    house.all(&format!("Communication?based-on=CommunicationRequest/{id}")).await
}

// It is said once, in the sender's words, and names what it rests on; the same again or another version of it says nothing new.
#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_said_in_its_senders_words() {
    let house = clinic(&[Purpose::Treatment]).await;
    let asked = alert("Please call the clinic.");
    let said = outcome(&house, &asked).await;
    assert_eq!(said.len(), 1);
    let said = &said[0];
    for element in ["payload", "category", "priority", "recipient", "subject"] {
        assert_eq!(said[element], asked[element], "{element}");
    }
    assert_eq!((&said["status"], &said["sender"]), (&json!("completed"), &asked["requester"]));
    assert_eq!(said["instantiatesCanonical"][0], "https://signa.example/fhir/PlanDefinition/alert|1.0.0");
    assert!(said["sent"].is_string() && said["about"].is_null());
    let mut again = house.all("CommunicationRequest").await;
    assert_eq!(again.len(), 1);
    house.put(&again.remove(0).with("note", json!([{"text": "seen"}]))).await.is(200);
    house.beat().await;
    assert_eq!(house.count("Communication?status=completed").await, 1);
}

// The gates hold for it as for everything: no consent holds it back, STOP ends it.
#[tokio::test(flavor = "multi_thread")]
async fn the_gates_hold_for_an_alert() {
    let house = clinic(&[]).await;
    let held = outcome(&house, &alert("Please call.")).await;
    assert_eq!((held.len(), &held[0]["status"]), (1, &json!("preparation")));
    house.put(&reply("stop", "ada", "STOP")).await.is(201);
    house.beat().await;
    assert_eq!(house.count("Communication?status=not-done").await, 1);
    assert!(outcome(&house, &alert("Please call.")).await.is_empty());
    let told = house.get("Patient/ada/$why-not?plan=alert").await.is(200).text;
    assert!(told.contains(r#""stop""#), "{told}");
}

// What is no alert, not active, or not for the patient is kept and not said.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_alert_for_the_patient_is_kept_and_not_said() {
    let house = clinic(&[Purpose::Treatment]).await;
    for other in [
        alert("x").with("status", "draft"),
        alert("x").with("category", Value::Null),
        alert("x").with("recipient", json!([{"reference": "Practitioner/d"}])),
        alert("x").with("recipient", json!([{"reference": "Patient/bob"}])),
        alert("x").with("recipient", json!([{"reference": "Patient/ada"}, {"reference": "Patient/bob"}])),
        alert("x").with("payload", Value::Null),
    ] {
        assert!(outcome(&house, &other).await.is_empty(), "{other}");
    }
}

// One for later is said at its time; without a subject its recipient tells whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_alert_for_later_is_said_at_its_time() {
    let house = clinic(&[Purpose::Treatment]).await;
    let later = alert("Tomorrow.").with("occurrenceDateTime", "2026-06-03T15:00:00Z").with("subject", Value::Null);
    assert!(outcome(&house, &later).await.is_empty());
    house.days(1).await;
    assert_eq!(house.count("Communication").await, 0);
    house.days(1).await;
    assert_eq!(house.count("Communication?subject=Patient/ada&status=completed").await, 1);
}
