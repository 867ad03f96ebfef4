//! A fact is corrected, undone or taken away before anything was said because of it.

use serde_json::{Value, json};

use super::super::Rules;
use super::engine::{plan, step, with};
use super::{at, condition, house, outcome, patient, status, told};
use crate::ledger::Outcome;
use crate::react::rehearsal::Rehearsal;

const LATER: (&str, &str, i64, &str) = ("a", "after-start", 3, "d");

/// A rule with one step on new resources of this type, whatever they are about, under these conditions.
pub(super) fn on(line: &str, kind: &str, filter: &Value, conditions: &[&str], step: &Value) -> Rules {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|text| json!({"kind": "applicability", "expression": {"language": "text/fhirpath", "expression": text}}))
        .collect();
    let mut action = json!({"id": "a", "trigger": [{"type": line, "data": [{"type": kind}]}], "action": [step]});
    if !filter.is_null() {
        action["trigger"][0]["data"][0]["codeFilter"] = json!([filter]);
    }
    if !conditions.is_empty() {
        action["condition"] = conditions.into();
    }
    with(&[plan("own", &action)])
}

pub(super) fn said(anchor: Option<(&str, &str, i64, &str)>) -> Value {
    step("say", "chemotherapy-nausea-nudge", anchor)
}

pub(super) fn fact(kind: &str, status: &str) -> Value {
    json!({"resourceType": kind, "id": "x", "status": status, "subject": {"reference": "Patient/p"},
        "patient": {"reference": "Patient/p"}, "code": {"text": "x"}})
}

/// What comes of a fact of each type when its status becomes this one on the next day.
#[test]
fn what_did_not_happen_takes_back_what_was_planned() {
    for (kind, first, then) in [
        ("Procedure", "completed", "not-done"),
        ("Immunization", "completed", "not-done"),
        ("ServiceRequest", "active", "revoked"),
        ("SupplyDelivery", "completed", "abandoned"),
        ("MedicationStatement", "active", "not-taken"),
    ] {
        let rules = on("data-added", kind, &Value::Null, &[], &said(Some(LATER)));
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(fact(kind, first));
        house.advance(at("2026-01-02T15:00:00Z"));
        house.hear(fact(kind, then));
        assert_eq!(told(&house), ["say withdrawn 2026-01-02T15"], "{kind} {then}");
        assert!(house.dues.is_empty());
    }
}

#[test]
fn nothing_is_said_of_what_did_not_happen_or_is_not_certain_yet() {
    const FIRED: (Outcome, &str) = (Outcome::Fired, "");
    const STOPPED: (Outcome, &str) = (Outcome::Stopped, "reversed");
    const HELD: (Outcome, &str) = (Outcome::Held, "reversed");
    for (kind, status, (expected, gate)) in [
        ("Procedure", "completed", FIRED),
        ("Procedure", "in-progress", FIRED),
        ("Procedure", "not-done", STOPPED),
        ("Procedure", "preparation", HELD),
        ("Procedure", "on-hold", HELD),
        ("Procedure", "unknown", HELD),
        ("ServiceRequest", "active", FIRED),
        ("ServiceRequest", "completed", FIRED),
        ("ServiceRequest", "revoked", STOPPED),
        ("ServiceRequest", "draft", HELD),
        ("ServiceRequest", "on-hold", HELD),
        ("Observation", "final", FIRED),
        ("Observation", "amended", FIRED),
        ("Observation", "cancelled", STOPPED),
        ("Observation", "registered", HELD),
        ("Observation", "preliminary", HELD),
        ("DiagnosticReport", "final", FIRED),
        ("DiagnosticReport", "partial", HELD),
        ("DiagnosticReport", "unknown", HELD),
        ("Appointment", "booked", FIRED),
        ("Encounter", "planned", FIRED),
    ] {
        let rules = on("data-added", kind, &Value::Null, &[], &said(None));
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(fact(kind, status));
        assert_eq!(outcome(&house, "say"), (expected, gate.to_owned()), "{kind} {status}");
    }
}

// What waits for a fact to become certain is looked at when it does, also by a rule that listens to new facts alone.
#[test]
fn what_was_not_certain_is_said_when_it_is() {
    let rules = on("data-added", "Procedure", &Value::Null, &[], &said(None));
    for (then, expected) in [("completed", Outcome::Fired), ("on-hold", Outcome::Held), ("not-done", Outcome::Withdrawn)] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(fact("Procedure", "preparation"));
        house.advance(at("2026-01-02T15:00:00Z"));
        house.hear(fact("Procedure", then));
        assert_eq!(outcome(&house, "say").0, expected, "{then}");
    }
}

// Who names a status means it.
#[test]
fn a_rule_about_what_did_not_happen_speaks_of_it() {
    let filter = |status: &str| json!({"path": "status", "code": [{"code": status}]});
    for (filter, conditions, status, expected) in [
        (filter("not-done"), vec![], "not-done", Outcome::Fired),
        (Value::Null, vec!["status = 'not-done' or status = 'on-hold'"], "not-done", Outcome::Fired),
        (Value::Null, vec!["status = 'not-done' or status = 'on-hold'"], "on-hold", Outcome::Fired),
        (Value::Null, vec!["code.text = 'x'"], "not-done", Outcome::Stopped),
        (filter("entered-in-error"), vec![], "entered-in-error", Outcome::Stopped),
    ] {
        for anchor in [None, Some(LATER)] {
            let rules = on("data-added", "Procedure", &filter, &conditions, &said(anchor));
            let mut house = house(&rules, "2026-01-01T15:00:00Z");
            house.hear(fact("Procedure", status));
            house.advance(at("2026-01-05T15:00:00Z"));
            let came = if anchor.is_some() && expected == Outcome::Stopped { Outcome::Withdrawn } else { expected };
            assert_eq!(outcome(&house, "say").0, came, "{filter} {conditions:?} {status}");
        }
    }
}

// A status that is shut out, or asked of something else, is not meant.
#[test]
fn a_status_that_is_shut_out_is_not_meant() {
    for text in [
        "(status != 'not-done' and %patient.exists())",
        "%patient.exists() and (status = 'completed' or %orders.where(status = 'not-done').empty())",
    ] {
        let rules = on("data-added", "Procedure", &Value::Null, &[text], &said(Some(LATER)));
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(fact("Procedure", "completed"));
        house.hear(fact("Procedure", "not-done"));
        house.advance(at("2026-01-06T00:00:00Z"));
        assert_eq!(told(&house), ["say withdrawn 2026-01-01T15"], "{text}");
    }
}

// A diagnosis was mistyped for a moment, before anything was said of it: it is spoken of all the same, once.
#[test]
fn a_diagnosis_that_was_mistyped_for_a_moment_is_spoken_of() {
    for once in [false, true] {
        let condition_of = json!({"path": "code", "code": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J45"}]});
        let action = json!({"id": "a", "action": [said(None)],
            "trigger": [{"type": "data-modified", "data": [{"type": "Condition", "codeFilter": [condition_of]}]}]});
        let mut own = plan("own", &action);
        if once {
            let url = "https://signa.example/fhir/StructureDefinition/plan-once";
            own["extension"].as_array_mut().unwrap().push(json!({"url": url, "valueBoolean": true}));
        }
        let rules = with(&[own]);
        let mut house = house(&rules, "2026-01-01T05:00:00Z");
        for code in ["J46", "J45", "J44", "J45", "J44", "J45"] {
            house.hear(condition("x", code, "active"));
        }
        house.advance(at("2026-01-01T15:00:00Z"));
        assert_eq!(house.spoken(), 1, "{:?}", told(&house));
        house.hear(condition("x", "J44", "active"));
        house.hear(condition("x", "J45", "active"));
        assert_eq!(house.spoken(), 1, "what was said is not said again");
    }
}

/// A final result, with this changed two days after it was heard.
fn changed(rules: &Rules, change: impl Fn(&mut Value)) -> Rehearsal<'_> {
    let mut house = house(rules, "2026-01-01T15:00:00Z");
    let mut result = fact("Observation", "final");
    result["issued"] = json!("2026-01-01T10:00:00Z");
    result["interpretation"] = json!([{"text": "high"}]);
    house.hear(result.clone());
    house.advance(at("2026-01-03T00:00:00Z"));
    change(&mut result);
    house.hear(result);
    house.advance(at("2026-01-05T00:00:00Z"));
    house
}

// What else a condition reads may have changed meanwhile, and time has passed: neither is a correction of the fact.
#[test]
fn only_what_the_fact_itself_says_now_takes_back_what_is_planned() {
    let high = "interpretation.text = 'high' and %said.where(plan = 'own').empty()";
    let new = "issued > now() - 1 day";
    let first = step("first", "refill-call", None);
    let mut action = json!({"id": "a", "trigger": [{"type": "data-added", "data": [{"type": "Observation"}]}], "action": [first, said(Some(LATER))]});
    action["condition"] = [high, new]
        .iter()
        .map(|text| json!({"kind": "applicability", "expression": {"language": "text/fhirpath", "expression": text}}))
        .collect();
    let rules = with(&[plan("own", &action)]);
    let noted = changed(&rules, |result| result["note"] = json!([{"text": "x"}]));
    let of_rule: Vec<String> = told(&noted).into_iter().filter(|line| !line.starts_with("overdue")).collect();
    assert_eq!(of_rule, ["first fired 2026-01-01T15", "say fired 2026-01-04T13"]);
    for change in [("interpretation", json!([{"text": "normal"}])), ("issued", json!("2019-01-01T10:00:00Z"))] {
        let corrected = changed(&rules, |result| result[change.0] = change.1.clone());
        assert!(told(&corrected).contains(&String::from("say withdrawn 2026-01-03T00")), "{change:?}: {:?}", told(&corrected));
        assert!(!told(&corrected).iter().any(|line| line.starts_with("say fired")));
        // What was asked for is taken back where the fact says so; that it is old now does not tell how old it was.
        let task = if change.0 == "issued" { "requested" } else { "cancelled" };
        assert_eq!(status(&corrected, "Task"), [task], "{change:?}");
    }
}

// What was held in the night for what was corrected is not said in the morning, and begins anew when it is true after all.
#[test]
fn what_was_held_is_taken_back_at_once_and_begins_anew() {
    let rules = on("data-modified", "Observation", &Value::Null, &["interpretation.text = 'high'"], &said(None));
    let mut house = house(&rules, "2026-01-01T05:00:00Z");
    let result = |interpretation: &str| {
        let mut result = fact("Observation", "corrected");
        result["interpretation"] = json!([{"text": interpretation}]);
        result
    };
    for interpretation in ["unknown", "high", "normal"] {
        house.hear(result(interpretation));
    }
    assert_eq!(status(&house, "Communication"), ["not-done"]);
    assert_eq!(outcome(&house, "say"), (Outcome::Withdrawn, String::from("reversed")));
    house.hear(result("high"));
    house.advance(at("2026-01-02T00:00:00Z"));
    let mut all = status(&house, "Communication");
    all.sort_unstable();
    assert_eq!(all, ["completed", "not-done"]);
}

fn removed(kind: &str) -> Value {
    if kind == "Condition" { condition("x", "J45", "active") } else { fact(kind, "final") }
}

// A rule about what is taken away hears of it; the other gates hold as for any other rule.
#[test]
fn a_removal_is_something_to_speak_of() {
    // What is removed is known by its codes as long as it is there.
    let coded = |kind: &str| {
        let coding = removed(kind)["code"]["coding"][0].clone();
        json!({"path": "code", "code": [{"system": coding["system"], "code": coding["code"]}]})
    };
    for (kind, is_coded) in [("Condition", false), ("Observation", false), ("Condition", true)] {
        for anchor in [None, Some(LATER)] {
            let filter = if is_coded { coded(kind) } else { Value::Null };
            let rules = on("data-removed", kind, &filter, &[], &said(anchor));
            let day = if anchor.is_some() { "say fired 2026-01-04T13" } else { "say fired 2026-01-01T15" };
            let tell = |after: &dyn Fn(&mut Rehearsal)| {
                let mut house = house(&rules, "2026-01-01T15:00:00Z");
                house.hear(removed(kind));
                assert!(house.journal.is_empty());
                after(&mut house);
                house.delete(&format!("{kind}/x"));
                house.advance(at("2026-01-06T00:00:00Z"));
                told(&house)
            };
            assert_eq!(tell(&|_| {}), [day], "{kind}");
            let dead = |house: &mut Rehearsal| {
                let mut dead = patient();
                dead["deceasedBoolean"] = json!(true);
                house.hear(dead);
            };
            let of_dead = tell(&dead);
            assert!(!of_dead.is_empty() && of_dead.iter().all(|line| line.starts_with("say stopped")), "{kind}: {of_dead:?}");
            if kind == "Condition" {
                assert_eq!(tell(&|house| house.hear(condition("x", "J45", "resolved"))), [day]);
            }
        }
    }
}

#[test]
fn what_is_there_again_is_not_spoken_of_as_removed() {
    let rules = on("data-removed", "Observation", &Value::Null, &[], &said(Some(LATER)));
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(removed("Observation"));
    house.delete("Observation/x");
    house.hear(removed("Observation"));
    house.advance(at("2026-01-06T00:00:00Z"));
    assert_eq!(outcome(&house, "say"), (Outcome::Stopped, String::from("reversed")));
}

// One rule may speak of a diagnosis and of its removal: what waited for the one is taken back by the other, which is said.
#[test]
fn a_rule_may_speak_of_a_diagnosis_and_of_its_removal() {
    let action = |id: &str, line: &str, says: &str| {
        json!({"id": id, "trigger": [{"type": line, "data": [{"type": "Condition"}]}],
            "action": [step(says, "chemotherapy-nausea-nudge", Some((id, "after-start", 3, "d")))]})
    };
    for order in [[0, 1], [1, 0]] {
        let actions = [action("new", "data-added", "say"), action("gone", "data-removed", "take-leave")];
        let mut both = plan("own", &actions[order[0]]);
        both["action"] = order.iter().map(|at| actions[*at].clone()).collect();
        let rules = with(&[both]);
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(condition("x", "J45", "active"));
        house.delete("Condition/x");
        house.advance(at("2026-01-06T00:00:00Z"));
        assert_eq!(told(&house), ["say withdrawn 2026-01-01T15", "take-leave fired 2026-01-04T13"]);
    }
}
