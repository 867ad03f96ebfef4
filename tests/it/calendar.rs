//! Rules that the calendar calls, and what an arrival calls for: page by page, once, over restarts and jumps of the clock.

use serde_json::{Value, json};

use crate::builders::{Purpose, With, bundle, consent, patient, store};
use crate::database::Database;
use crate::diary::texts;
use crate::house::{House, millis};

const ROOT: &str = "https://signa.example/fhir";
const GREETING: &str = "Happy birthday! All of us at your pharmacy wish you a good year.";
const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";

/// So many patients: more than one page of a sweep.
const MANY: usize = 600;

/// Patients whose birthday is on 5 June, among many others.
async fn town(house: &House, many: usize) {
    let born = |number: usize| if number.is_multiple_of(200) { "1970-06-05" } else { "1970-07-03" };
    let ids: Vec<String> = (0..many).map(|number| format!("p{number:04}")).collect();
    for batch in ids.chunks(200) {
        let mut entries: Vec<(String, Value)> = Vec::new();
        for id in batch {
            let number: usize = id[1..].parse().unwrap();
            let phone = json!([{"system": "phone", "value": format!("+1 212 777 {number:04}")}]);
            let value = patient(id).with("birthDate", born(number)).with("telecom", phone).with("identifier", Value::Null);
            entries.push((format!("Patient/{id}"), value));
            if number.is_multiple_of(200) {
                entries.push((format!("Consent/yes-{id}"), consent(&format!("yes-{id}"), id, &[Purpose::Marketing])));
            }
        }
        let entries: Vec<(&str, &str, Value)> = entries.iter().map(|(url, value)| ("PUT", url.as_str(), value.clone())).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
    house.beat().await;
}

async fn set(house: &House, time: &str) {
    house.clock.set(millis(time));
    house.beat().await;
}

async fn greeted(house: &House) -> Vec<String> {
    let mut said = house.all("Communication?status=completed").await;
    said.retain(|one| one["instantiatesCanonical"][0].as_str().unwrap().contains("/birthday|"));
    let mut found: Vec<String> = said.iter().map(|one| one["subject"]["reference"].as_str().unwrap().to_owned()).collect();
    found.sort();
    found
}

// On the morning of the day those are greeted whose birthday it is, each once: also when the gateway is started again in the middle of
// the sweep, and when nothing is there to be done any more.
async fn birthdays(database: Database) {
    let mut house = House::over(database).await;
    house.put(&store("store-1")).await.is(201);
    town(&house, MANY).await;
    // Who agreed to such messages is welcomed first.
    set(&house, "2026-06-02T15:00:00Z").await;
    set(&house, "2026-06-05T07:59:00Z").await;
    assert_eq!(greeted(&house).await, [""; 0]);
    // The first page is looked at; then the gateway dies.
    house.clock.set(millis("2026-06-05T15:00:00Z"));
    house.turn().await;
    let first = greeted(&house).await;
    assert_eq!(first, ["Patient/p0000", "Patient/p0200"]);
    house.restart().await;
    house.beat().await;
    assert_eq!(greeted(&house).await, ["Patient/p0000", "Patient/p0200", "Patient/p0400"]);
    assert_eq!(texts(&house, "p0200").await[1..], [GREETING]);
    house.restart().await;
    set(&house, "2026-06-05T18:00:00Z").await;
    assert_eq!(greeted(&house).await.len(), 3);
    // A year later the clock jumps over the day and comes back to time in the evening after: that day is over.
    set(&house, "2027-06-06T02:00:00Z").await;
    assert_eq!(greeted(&house).await.len(), 3);
    set(&house, "2028-06-05T15:00:00Z").await;
    assert_eq!(greeted(&house).await.len(), 6);
    house.stop().await;
    let House { database, .. } = house;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn birthdays_are_greeted_once_on_sqlite() {
    birthdays(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn birthdays_are_greeted_once_on_postgres() {
    birthdays(Database::postgres().await).await;
}

/// A rule of the clinic: a word every morning to everybody.
fn morning(version: &str, status: &str) -> Value {
    json!({"resourceType": "PlanDefinition", "id": "morning", "url": "https://clinic.example/morning", "version": version, "status": status,
        "meta": {"profile": [format!("{ROOT}/StructureDefinition/signa-plan")]},
        "extension": [{"url": format!("{ROOT}/StructureDefinition/plan-priority"), "valueCode": "clinical"}],
        "approvalDate": "2026-05-01", "reviewer": [{"name": "Dr. Reader"}],
        "action": [{"id": "day", "trigger": [{"type": "periodic", "timingTiming": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}}],
            "action": [{"id": "word", "definitionCanonical": format!("{ROOT}/ActivityDefinition/follow-up-message")}]}]})
}

async fn town_of_one(database: Database) -> House {
    let house = House::over(database).await;
    house.put(&patient("ada")).await.is(201);
    house.put(&consent("yes", "ada", &[Purpose::Treatment])).await.is(201);
    house.beat().await;
    house
}

// A rule that is sent today begins tomorrow, acts on no period before, and stops when it is retired.
async fn begins_and_ends(database: Database) {
    let house = town_of_one(database).await;
    house.put(&morning("1", "active")).await.is(201);
    set(&house, "2026-06-01T22:00:00Z").await;
    assert_eq!(house.count("Communication").await, 0);
    set(&house, "2026-06-02T13:00:00Z").await;
    assert_eq!(house.count("Communication?status=completed").await, 1);
    house.put(&morning("2", "retired")).await.is(200);
    for day in ["2026-06-03", "2026-06-04", "2026-06-20"] {
        set(&house, &format!("{day}T15:00:00Z")).await;
    }
    assert_eq!(house.count("Communication?status=completed").await, 1);
    let House { database, .. } = house;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_begins_after_its_activation_and_ends_when_retired_on_sqlite() {
    begins_and_ends(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_begins_after_its_activation_and_ends_when_retired_on_postgres() {
    begins_and_ends(Database::postgres().await).await;
}

/// Something that is out of stock, waited for by a patient in a store.
fn waits(id: &str, patient: &str, store: &str) -> Value {
    json!({"resourceType": "MedicationDispense", "id": id, "status": "on-hold", "subject": {"reference": format!("Patient/{patient}")},
        "statusReasonCodeableConcept": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medicationdispense-status-reason", "code": "outofstock"}]},
        "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": "860975"}]},
        "performer": [{"actor": {"reference": format!("Organization/{store}")}}]})
}

fn goods(id: &str) -> Value {
    json!({"resourceType": "SupplyDelivery", "id": id, "status": "completed", "destination": {"reference": "Location/counter"},
        "suppliedItem": {"itemCodeableConcept": {"coding": [{"system": RXNORM, "code": "860975"}]}}})
}

// What arrives in a store is told to who waits for it there: to nobody elsewhere, to nobody twice.
async fn arrivals(database: Database) {
    let mut house = House::over(database).await;
    house
        .put(&json!({"resourceType": "Location", "id": "counter", "managingOrganization": {"reference": "Organization/store-1"}}))
        .await
        .is(201);
    for (number, (name, store)) in [("ada", "store-1"), ("bob", "store-2"), ("eve", "store-1")].into_iter().enumerate() {
        let phone = json!([{"system": "phone", "value": format!("+1 212 555 019{number}")}]);
        house.put(&patient(name).with("telecom", phone).with("identifier", Value::Null)).await.is(201);
        house.put(&consent(&format!("yes-{name}"), name, &[Purpose::Treatment])).await.is(201);
        house.put(&waits(&format!("d-{name}"), name, store)).await.is(201);
    }
    house.put(&waits("d-eve", "eve", "store-1").with("status", "completed").with("whenHandedOver", "2026-06-01")).await.is(200);
    house.beat().await;
    house.put(&goods("g")).await.is(201);
    house.restart().await;
    house.beat().await;
    let said = house.all("Communication?status=completed").await;
    let told: Vec<&str> = said.iter().map(|one| one["subject"]["reference"].as_str().unwrap()).collect();
    assert_eq!(told, ["Patient/ada"]);
    assert_eq!(said[0]["about"][0]["reference"], "MedicationDispense/d-ada");
    house.put(&goods("h")).await.is(201);
    set(&house, "2026-06-03T15:00:00Z").await;
    for (name, told) in [("ada", 1), ("bob", 0), ("eve", 0)] {
        assert_eq!(house.count(&format!("Communication?subject=Patient/{name}")).await, told, "{name}");
    }
    let House { database, .. } = house;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_is_told_to_who_waits_there_on_sqlite() {
    arrivals(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_is_told_to_who_waits_there_on_postgres() {
    arrivals(Database::postgres().await).await;
}

/// Of the birthday rule's step: what `$why-not` says under this name.
async fn why_not(house: &House, patient: &str, plan: &str, name: &str) -> String {
    let answer = house.get(&format!("Patient/{patient}/$why-not?plan={plan}")).await.is(200).json();
    let parts = answer["parameter"].as_array().unwrap().iter().find(|one| one["name"] == "rule").unwrap()["part"].clone();
    let part = parts.as_array().unwrap().iter().find(|one| one["name"] == name).cloned().unwrap_or_default();
    let value =
        part.as_object().into_iter().flatten().find(|(name, _)| name.starts_with("value")).map(|(_, value)| value.clone());
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

// A rule that the calendar calls says what stands against it now, what would change that, and when it is called next.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_calendar_calls_says_why_not() {
    let house = town_of_one(Database::sqlite()).await;
    assert_eq!(why_not(&house, "ada", "birthday", "gate").await, "condition");
    assert!(why_not(&house, "ada", "birthday", "reason").await.contains("%age.birthday"));
    assert_eq!(why_not(&house, "ada", "birthday", "next").await, "2026-06-02T08:00:00.000Z");
    assert_eq!(why_not(&house, "ada", "dose", "gate").await, "trigger");
    assert!(why_not(&house, "ada", "dose", "change").await.contains("CommunicationRequest"));
    house.put(&waits("d", "ada", "store-1")).await.is(201);
    house.beat().await;
    assert_eq!(why_not(&house, "ada", "stock", "gate").await, "calendar");
    assert!(why_not(&house, "ada", "stock", "change").await.contains("SupplyDelivery"));
    house.put(&morning("1", "active")).await.is(201);
    house.beat().await;
    assert_eq!(why_not(&house, "ada", "morning", "gate").await, "calendar");
    assert_eq!(why_not(&house, "ada", "morning", "next").await, "2026-06-02T08:00:00.000Z");
    house.put(&consent("no", "ada", &[Purpose::Treatment]).with("status", "inactive")).await.is(201);
    house.put(&consent("yes", "ada", &[Purpose::Treatment]).with("status", "inactive")).await.is(200);
    house.beat().await;
    assert_eq!(why_not(&house, "ada", "morning", "gate").await, "consent");
    assert!(why_not(&house, "ada", "morning", "change").await.contains("Consent"));
}
