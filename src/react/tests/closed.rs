//! The gates fail closed: what was never said frees nobody, and what may mean something else is no permission.

use serde_json::{Value, json};

use super::corrected::{fact, on};
use super::engine::step;
use super::{at, condition, house, outcome, patient, rules};
use crate::ledger::Outcome;
use crate::react::Unasked;

fn said(id: &str, word: &str, status: &str) -> Value {
    json!({"resourceType": "Communication", "id": id, "status": status, "sender": {"reference": "Patient/p"},
        "payload": [{"contentString": word}]})
}

#[test]
fn a_start_that_was_not_said_frees_nobody() {
    let rules = rules();
    for (status, is_freed) in [
        ("completed", true),
        ("in-progress", true),
        ("entered-in-error", false),
        ("not-done", false),
        ("preparation", false),
        ("on-hold", false),
        ("stopped", false),
        ("unknown", false),
    ] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(said("1", "STOP", "completed"));
        house.hear(said("2", "START", status));
        assert_eq!(!house.is_stopped("tel:5550100123"), is_freed, "{status}");
    }
}

#[test]
fn a_consent_that_may_mean_something_else_is_no_permission() {
    let rules = rules();
    let action =
        |code: &str| json!([{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": code}]}]);
    let other = json!([{"url": "https://hospital.example/only-on-paper", "valueBoolean": true}]);
    for (place, value, expected) in [
        ("/provision/action", action("collect"), Outcome::Held),
        ("/provision/action", action("correct"), Outcome::Held),
        ("/provision/action", action("use"), Outcome::Fired),
        ("/provision/action", action("disclose"), Outcome::Fired),
        ("/provision/modifierExtension", other.clone(), Outcome::Held),
        ("/modifierExtension", other.clone(), Outcome::Held),
        ("/extension", other, Outcome::Fired),
    ] {
        let mut consent = json!({"resourceType": "Consent", "id": "k", "status": "active", "patient": {"reference": "Patient/p"},
            "dateTime": "2026-01-01", "provision": {"type": "permit", "purpose": [{"code": "TREAT"}]}});
        let (parent, name) = place.rsplit_once('/').unwrap();
        consent.pointer_mut(parent).unwrap()[name] = value;
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.settings.treatment = Unasked::Held;
        house.hear(consent);
        house.hear(condition("c", "Z51.11", "active"));
        assert_eq!(outcome(&house, "nudge").0, expected, "{place}");
    }
}

// What a modifier extension says of a refusal may only make it wider for us.
#[test]
fn a_refusal_stays_one_whatever_is_said_beside_it() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(json!({"resourceType": "Consent", "id": "k", "status": "active", "patient": {"reference": "Patient/p"},
        "dateTime": "2026-01-01", "modifierExtension": [{"url": "https://hospital.example/x", "valueBoolean": true}],
        "provision": {"type": "deny", "purpose": [{"code": "TREAT"}], "action": [{"coding": [{"code": "collect"}]}]}}));
    house.hear(condition("c", "Z51.11", "active"));
    assert_eq!(outcome(&house, "nudge"), (Outcome::Stopped, String::from("consent")));
}

// <https://hl7.org/fhir/R4/extensibility.html#modifierExtension>
#[test]
fn a_fact_with_a_modifier_that_nobody_understands_waits() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    let mut told = condition("c", "Z51.11", "active");
    told["modifierExtension"] = json!([{"url": "https://hospital.example/ruled-out", "valueBoolean": true}]);
    house.hear(told);
    assert_eq!(outcome(&house, "nudge"), (Outcome::Held, String::from("reversed")));
    house.hear(condition("c", "Z51.11", "active"));
    house.advance(at("2026-01-01T16:00:00Z"));
    assert_eq!(outcome(&house, "nudge").0, Outcome::Fired);
}

// Whatever status a rule names by itself, what may mean something else is not spoken of.
#[test]
fn a_rule_that_names_the_status_waits_as_well() {
    let nudge = step("say", "chemotherapy-nausea-nudge", None);
    for condition in ["status = 'final'", "status.exists()"] {
        let rules = on("data-added", "DiagnosticReport", &Value::Null, &[condition], &nudge);
        for (modifier, expected) in [("modifierExtension", Outcome::Held), ("extension", Outcome::Fired)] {
            let mut house = house(&rules, "2026-01-01T15:00:00Z");
            let mut report = fact("DiagnosticReport", "final");
            report[modifier] = json!([{"url": "https://hospital.example/ruled-out", "valueBoolean": true}]);
            house.hear(report);
            assert_eq!(outcome(&house, "say").0, expected, "{condition} {modifier}");
        }
    }
}

#[test]
fn a_number_of_another_time_reaches_nobody_and_is_bound_by_stop() {
    let rules = rules();
    for (period, expected) in [
        (json!({"end": "2020-01-01"}), Outcome::Stopped),
        (json!({"start": "2027-01-01"}), Outcome::Stopped),
        (json!({"start": "2020-01-01", "end": "2027-01-01"}), Outcome::Fired),
    ] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        let mut person = patient();
        person["telecom"][0]["period"] = period.clone();
        house.hear(person);
        house.hear(condition("c", "Z51.11", "active"));
        assert_eq!(outcome(&house, "nudge").0, expected, "{period}");
        house.hear(said("1", "STOP", "completed"));
        assert!(house.is_stopped("tel:5550100123"), "{period}");
    }
}

#[test]
fn the_hours_of_where_they_lived_are_no_hours_of_theirs() {
    let rules = rules();
    for (since, expected) in [("2025-06-01", Outcome::Held), ("2026-06-01", Outcome::Fired)] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        let mut person = patient();
        person["address"] = json!([
            {"country": "US", "state": "NY", "period": {"end": since}},
            {"country": "AU", "state": "NSW", "period": {"start": since}},
        ]);
        house.hear(person);
        house.hear(condition("c", "Z51.11", "active"));
        assert_eq!(outcome(&house, "nudge").0, expected, "{since}");
    }
}
