//! What lies in a patient's compartment and does not say whose it is, since it only names the patient: it is filed under the one whom it
//! names, and nobody's where it may be somebody else's. Follows <https://hl7.org/fhir/R4/compartmentdefinition-patient.html>.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::builders::{MEMBERS, Purpose, With, bundle, consent, dispense, patient, store};
use crate::database::Database;
use crate::diary::texts;
use crate::house::{House, both};
use crate::verify::verify;

fn to(reference: &str) -> Value {
    json!({"reference": reference})
}

fn numbered(patient: &str) -> Value {
    json!({"type": "Patient", "identifier": {"system": MEMBERS, "value": patient}})
}

/// One of each type that names these, by one element.
fn naming(id: &str, named: &[Value]) -> Vec<Value> {
    let code = json!({"text": "x"});
    let participants: Vec<Value> = named.iter().map(|actor| json!({"actor": actor, "status": "accepted"})).collect();
    let members: Vec<Value> = named.iter().map(|entity| json!({"entity": entity})).collect();
    let agents: Vec<Value> = named.iter().map(|who| json!({"requestor": true, "who": who})).collect();
    vec![
        json!({"resourceType": "Appointment", "id": id, "status": "proposed", "participant": participants}),
        json!({"resourceType": "AuditEvent", "id": id, "type": {"code": "rest"}, "recorded": "2026-02-15T10:00:00Z",
            "agent": agents, "source": {"observer": to("Device/d")}}),
        json!({"resourceType": "Communication", "id": id, "status": "completed", "sender": to("Practitioner/nurse"), "recipient": named}),
        json!({"resourceType": "DocumentReference", "id": id, "status": "current", "author": named,
            "content": [{"attachment": {"title": "x"}}]}),
        json!({"resourceType": "Group", "id": id, "type": "person", "actual": true, "member": members}),
        json!({"resourceType": "MedicationDispense", "id": id, "status": "completed", "receiver": named, "medicationCodeableConcept": code}),
        json!({"resourceType": "Observation", "id": id, "status": "final", "code": code, "performer": named}),
    ]
}

const KINDS: [&str; 7] =
    ["Appointment", "AuditEvent", "Communication", "DocumentReference", "Group", "MedicationDispense", "Observation"];

fn with(ids: &[&str], more: &[&str]) -> Vec<String> {
    let each = KINDS.iter().flat_map(|kind| ids.iter().map(move |id| format!("{kind}/{id}")));
    let mut names: Vec<String> = each.chain(more.iter().copied().map(String::from)).collect();
    names.sort();
    names
}

async fn keep(house: &House, resources: &[Value]) {
    let named = |one: &Value| format!("{}/{}", one["resourceType"].as_str().unwrap(), one["id"].as_str().unwrap());
    let urls: Vec<String> = resources.iter().map(named).collect();
    let entries: Vec<(&str, &str, Value)> =
        urls.iter().zip(resources).map(|(url, one)| ("PUT", url.as_str(), one.clone())).collect();
    house.bundle(&bundle("transaction", &entries)).await.is(200);
}

fn sorted(told: &Answer) -> Vec<String> {
    let name = |resource: &Value| format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
    let mut names: Vec<String> = told.resources().iter().map(name).collect();
    names.sort();
    names
}

async fn everything(house: &House, patient: &str) -> Vec<String> {
    sorted(&house.get(&format!("Patient/{patient}/$everything")).await.is(200))
}

/// Ada and Bob, who share a nurse.
async fn two(database: Database) -> House {
    let house = House::over(database).await;
    keep(&house, &[patient("ada"), patient("bob"), json!({"resourceType": "Practitioner", "id": "nurse"})]).await;
    house
}

// By an id or by an identifier, of each type, alone or beside the nurse: it is theirs, and of nobody else; the compartment has it as before.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_names_a_patient_is_theirs() {
    both(async |database| {
        let house = two(database).await;
        keep(&house, &naming("id", &[to("Patient/ada")])).await;
        keep(&house, &naming("number", &[numbered("ada")])).await;
        keep(&house, &naming("bobs", &[to("Patient/bob"), to("Practitioner/nurse")])).await;
        assert_eq!(everything(&house, "ada").await, with(&["id", "number"], &["Patient/ada", "Practitioner/nurse"]));
        assert_eq!(everything(&house, "bob").await, with(&["bobs"], &["Patient/bob", "Practitioner/nurse"]));
        for kind in KINDS {
            assert_eq!(house.get(&format!("Patient/ada/{kind}")).await.is(200).ids(), ["id"], "{kind}");
        }
        house
    })
    .await;
}

// One more patient in it, however they are named, or somebody of whom it cannot be known, and it is nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_somebody_elses_is_nobodys() {
    let house = two(Database::sqlite()).await;
    let ada = to("Patient/ada");
    for (id, other) in [
        ("literal", to("Patient/bob")),
        ("foreign", to("https://other.example/fhir/Patient/ada")),
        ("identifier", numbered("bob")),
        ("own-identifier", numbered("ada")),
        ("contained", to("#bob")),
    ] {
        let mut both = naming(id, &[ada.clone(), other]);
        if id == "contained" {
            let inner = json!([{"resourceType": "Patient", "id": "bob", "name": [{"family": "Secret"}]}]);
            both = both.into_iter().map(|one| one.with("contained", inner.clone())).collect();
        }
        keep(&house, &both).await;
    }
    let observation =
        |id: &str| json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"}, "performer": [ada]});
    let message = |id: &str| json!({"resourceType": "Communication", "id": id, "status": "completed", "recipient": [ada]});
    let child = json!([{"resourceType": "Patient", "id": "p", "name": [{"family": "Secret"}]}]);
    keep(
        &house,
        &[
            observation("of-a-child").with("contained", child).with("subject", to("#p")),
            observation("of-a-name").with("subject", json!({"display": "Ms. X"})),
            observation("of-a-number").with("subject", json!({"identifier": {"value": "7"}})),
            observation("focus").with("focus", json!([numbered("bob")])),
            observation("visit").with("encounter", to("Encounter/bobs")),
            message("about").with("about", json!([{"reference": "Condition/bobs", "display": "of Bob"}])),
            message("mother").with("recipient", json!([ada, to("RelatedPerson/bobs")])),
            message("untyped").with("recipient", json!([ada, {"identifier": {"system": MEMBERS, "value": "bob"}}])),
            message("extension").with("extension", json!([{"url": "urn:x", "valueReference": to("Patient/bob")}])),
        ],
    )
    .await;
    let alone = to("Patient/ada");
    house
        .put(&json!({"resourceType": "Observation", "id": "seen", "status": "final", "code": {"text": "x"}, "focus": [alone]}))
        .await
        .is(201);
    assert_eq!(everything(&house, "ada").await, ["Patient/ada"]);
    assert_eq!(everything(&house, "bob").await, ["Patient/bob"]);
    assert_eq!(house.count("Patient/ada/Group").await, 5);
}

// It follows its corrections: one more member, and it is gone from the first; one less, and it is there again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_corrected_goes_over() {
    let house = two(Database::sqlite()).await;
    let (ada, bob) = (to("Patient/ada"), to("Patient/bob"));
    let told = async |named: &[Value]| {
        keep(&house, &naming("one", named)).await;
        (everything(&house, "ada").await.len(), everything(&house, "bob").await.len())
    };
    assert_eq!(told(std::slice::from_ref(&ada)).await, (9, 1));
    assert_eq!(told(&[ada, bob.clone()]).await, (1, 1));
    assert_eq!(told(&[bob]).await, (1, 9));
    house.delete("Group/one").await.is(204);
    house.beat().await;
    assert_eq!(everything(&house, "bob").await.len(), 8);
    verify(&house).unwrap();
}

// To be named is nothing that the rules go by: a fill that she fetched is not hers, and a STOP that was sent to her is not her word.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_names_a_patient_says_nothing_of_them() {
    let house = two(Database::sqlite()).await;
    keep(&house, &[store("store-1"), consent("yes", "ada", &[Purpose::Treatment])]).await;
    house.beat().await;
    let greeted = texts(&house, "ada").await.len();
    let fetched = dispense("fetched", "ada", "2026-06-01").with("receiver", json!([to("Patient/ada")]));
    let mut fetched = fetched;
    fetched.as_object_mut().unwrap().remove("subject");
    let heard = json!({"resourceType": "Communication", "id": "heard", "status": "completed", "recipient": [to("Patient/ada")],
        "payload": [{"contentString": "STOP"}]});
    keep(&house, &[fetched, heard]).await;
    assert_eq!(
        everything(&house, "ada").await.iter().filter(|name| name.ends_with("/fetched") || name.ends_with("/heard")).count(),
        2
    );
    house.days(40).await;
    assert_eq!(texts(&house, "ada").await.len(), greeted);
    let told = house.get("Patient/ada/$adherence?start=2026-06-01&end=2026-06-30").await.is(200);
    assert!(!told.text.contains("MedicationDispense/fetched"), "{}", told.text);
    house.put(&dispense("own", "ada", "2026-07-11")).await.is(201);
    house.days(27).await;
    assert!(texts(&house, "ada").await.len() > greeted);
}

// A fill that was hers and turns out to be one that she only fetched sets nothing off any more; and the other way round it is heard as
// new. The chain tells of both.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_corrected_to_name_a_patient_only_is_gone_from_them() {
    let fetched = || {
        let mut one = dispense("d", "ada", "2026-06-01").with("receiver", json!([to("Patient/ada")]));
        one.as_object_mut().unwrap().remove("subject");
        one
    };
    let own = || dispense("d", "ada", "2026-06-01");
    for (first, then, is_reminded) in [(own(), fetched(), false), (fetched(), own(), true)] {
        let house = two(Database::sqlite()).await;
        keep(&house, &[store("store-1"), consent("yes", "ada", &[Purpose::Treatment])]).await;
        house.put(&first).await.is(201);
        house.beat().await;
        house.put(&then).await.is(200);
        house.beat().await;
        let before = texts(&house, "ada").await.len();
        house.days(27).await;
        assert_eq!(texts(&house, "ada").await.len() > before, is_reminded);
        assert!(everything(&house, "ada").await.contains(&String::from("MedicationDispense/d")));
        let told = house.database.rows("SELECT line FROM entries WHERE kind = 'MedicationDispense' ORDER BY ordinal");
        assert_eq!(told, [["created"], ["left"], ["created"]]);
        house.engine().seal().await;
        verify(&house).unwrap();
    }
}
