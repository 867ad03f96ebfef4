//! Stories told to the shipped rules: what is said, to whom, when, and why not.

mod again;
mod allowed;
mod any_order;
mod back;
mod calendar;
mod certain;
mod closed;
mod copies;
mod corrected;
mod counting;
mod diagnosis;
mod doubles;
mod engine;
mod held;
mod in_time;
mod interlock;
mod left;
mod lint;
mod mistaken;
mod never;
mod orders;
mod refill;
mod renewed;
mod retold;
mod taken_back;
mod tasks;
mod united;
mod versions;
mod why_not;
mod world;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::rehearsal::Rehearsal;
use super::{Rules, Settings, Store, Unasked, shipped};
use crate::ledger::Outcome;

/// UTC milliseconds of an RFC 3339 time.
fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

/// The rules that these stories are about, with all that is shipped beside rules; every shipped rule has cases of its own.
fn artefacts() -> Vec<Value> {
    let of_ours = ["refill", "chemotherapy-nausea", "osteoporosis-report"];
    let mut artefacts = shipped();
    artefacts.retain(|one| one["resourceType"] != "PlanDefinition" || of_ours.iter().any(|id| one["id"] == *id));
    artefacts
}

fn rules() -> Rules {
    let (rules, issues) = Rules::read(&artefacts());
    assert_eq!(issues, []);
    rules
}

fn store() -> Store {
    Store { organization: String::from("store"), zone: TimeZone::get("America/New_York").unwrap() }
}

fn patient() -> Value {
    json!({"resourceType": "Patient", "id": "p", "birthDate": "1970-01-01",
        "telecom": [{"system": "phone", "value": "+1 555 010 0123"}],
        "address": [{"country": "US", "state": "NY"}]})
}

/// A person who is known, of age, reachable, in a house that may speak without being asked.
fn house<'r>(rules: &'r Rules, now: &str) -> Rehearsal<'r> {
    let mut house = Rehearsal::new(rules, Settings { treatment: Unasked::Allowed, ..Default::default() }, store(), at(now));
    house.hear(patient());
    house
}

fn dispense(id: &str, handed: &str, days: i64) -> Value {
    json!({"resourceType": "MedicationDispense", "id": id, "status": "completed", "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "860975"}]},
        "whenHandedOver": handed, "daysSupply": {"value": days, "code": "d", "system": "http://unitsofmeasure.org"}})
}

fn condition(id: &str, code: &str, clinical: &str) -> Value {
    json!({"resourceType": "Condition", "id": id, "subject": {"reference": "Patient/p"},
        "clinicalStatus": {"coding": [{"code": clinical}]}, "verificationStatus": {"coding": [{"code": "confirmed"}]},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]}})
}

/// `step outcome day-and-hour` of every decision, in order.
fn told(house: &Rehearsal) -> Vec<String> {
    house.journal.iter().map(|one| format!("{} {} {}", one.step, one.outcome.word(), hour(one.at))).collect()
}

fn hour(at: i64) -> String {
    Timestamp::from_millisecond(at).unwrap().to_string().chars().take(13).collect()
}

/// Due days by step.
fn dues(house: &Rehearsal) -> Vec<String> {
    let mut dues: Vec<String> = house.dues.values().map(|due| format!("{} {}", due.step, hour(due.due))).collect();
    dues.sort();
    dues
}

fn status<'a>(house: &'a Rehearsal, kind: &'a str) -> Vec<&'a str> {
    house.outputs(kind).filter_map(|value| value["status"].as_str()).collect()
}

fn outcome(house: &Rehearsal, step: &str) -> (Outcome, String) {
    let last = house.last(step).unwrap();
    (last.outcome, last.gate.clone())
}
