//! The engine on rules of its own making: what is looked at, when steps come, and what makes them pointless.

use serde_json::{Value, json};

use super::super::{Rules, shipped};
use super::{at, condition, dispense, dues, house, outcome, rules, told};
use crate::ledger::Outcome;

const ROOT: &str = "https://signa.example/fhir";

/// A clinical rule with this action, as its author would send it.
pub(super) fn plan(name: &str, action: &Value) -> Value {
    json!({"resourceType": "PlanDefinition", "url": format!("{ROOT}/PlanDefinition/{name}"), "version": "1", "status": "active",
        "meta": {"profile": [format!("{ROOT}/StructureDefinition/signa-plan")]},
        "extension": [{"url": format!("{ROOT}/StructureDefinition/plan-priority"), "valueCode": "clinical"}],
        "approvalDate": "2026-01-01", "reviewer": [{"name": "x"}], "action": [action]})
}

/// A trigger on a new resource of this type with this code.
pub(super) fn added(kind: &str, path: &str, system: &str, code: &str) -> Value {
    json!([{"type": "data-added", "data": [{"type": kind, "codeFilter": [{"path": path, "code": [{"system": system, "code": code}]}]}]}])
}

/// A step that does what a shipped activity does, so long after this.
pub(super) fn step(id: &str, activity: &str, anchor: Option<(&str, &str, i64, &str)>) -> Value {
    let mut step = json!({"id": id, "definitionCanonical": format!("{ROOT}/ActivityDefinition/{activity}")});
    if let Some((to, relationship, value, code)) = anchor {
        step["relatedAction"] =
            json!([{"actionId": to, "relationship": relationship, "offsetDuration": {"value": value, "code": code}}]);
    }
    step
}

fn holding(kind: &str, expression: &str) -> Value {
    json!([{"kind": kind, "expression": {"language": "text/fhirpath", "expression": expression}}])
}

pub(super) fn with(plans: &[Value]) -> Rules {
    let mut artefacts = super::artefacts();
    artefacts.extend_from_slice(plans);
    let (rules, issues) = Rules::read(&artefacts);
    assert_eq!(issues, []);
    rules
}

const ICD: &str = "http://hl7.org/fhir/sid/icd-10-cm";

// Rules are found by the codes that they name: of ten thousand, a diagnosis makes us look at those about it alone.
#[test]
fn ten_thousand_rules_cost_a_write_no_more_than_ten() {
    let about = |number: usize| {
        let action = json!({"id": "a", "trigger": added("Condition", "code", ICD, &format!("X{number:05}")),
            "action": [step("say", "chemotherapy-nausea-nudge", None)]});
        plan(&format!("rule-{number}"), &action)
    };
    let of = |count: usize| with(&(0..count).map(about).collect::<Vec<_>>());
    let (few, many) = (of(10), of(10_000));
    assert_eq!(many.running().len(), few.running().len() + 9_990);
    for value in [
        condition("c", "X00007", "active"),
        condition("c", "Z51.11", "active"),
        condition("c", "A00", "active"),
        dispense("d", "2026-01-01", 30),
        json!({"resourceType": "Observation"}),
    ] {
        let kind = value["resourceType"].as_str().unwrap();
        assert_eq!(many.considered(kind, &value), few.considered(kind, &value), "{value}");
        assert!(many.considered(kind, &value) <= 10, "{value}");
    }
    assert_eq!(many.considered("Condition", &condition("c", "X07777", "active")), 1);
}

// A step may hang on another step: it comes so long after that one came, and not at all when that one did not.
#[test]
fn a_step_comes_after_another_step() {
    let action = json!({"id": "found", "trigger": added("Condition", "code", ICD, "J45"), "action": [
        step("first", "chemotherapy-nausea-nudge", Some(("found", "after-start", 2, "d"))),
        step("second", "refill-call", Some(("first", "after-end", 1, "wk")))]});
    let rules = with(&[plan("asthma-x", &action)]);
    let mut told_of = house(&rules, "2026-01-01T15:00:00Z");
    told_of.hear(condition("c", "J45", "active"));
    assert_eq!(dues(&told_of), ["first 2026-01-03T13"]);
    told_of.advance(at("2026-01-11T00:00:00Z"));
    assert_eq!(told(&told_of), ["first fired 2026-01-03T13", "second fired 2026-01-10T13"]);
    let mut over = house(&rules, "2026-01-01T15:00:00Z");
    over.hear(condition("c", "J45", "active"));
    over.hear(condition("c", "J45", "resolved"));
    over.advance(at("2026-02-01T00:00:00Z"));
    assert!(told(&over).iter().all(|line| line.starts_with("first withdrawn")), "{:?}", told(&over));
}

// A step that hangs on another one is asked for what must hold of it, as any other step is, when that one came.
#[test]
fn a_step_after_another_step_has_conditions_of_its_own() {
    for (days, expected) in
        [(7, vec!["first fired 2026-01-02T13", "second fired 2026-01-03T13"]), (60, vec!["first fired 2026-01-02T13"])]
    {
        let mut second = step("second", "refill-call", Some(("first", "after-end", 1, "d")));
        second["condition"] = holding("applicability", &format!("%supply.days > {days}"));
        let action = json!({"id": "fill", "trigger": [{"type": "data-added", "data": [{"type": "MedicationDispense"}]}], "action": [
            step("first", "refill-advice", Some(("fill", "after-start", 1, "d"))), second]});
        let rules = with(&[plan("hanging", &action)]);
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(dispense("d", "2026-01-01", 30));
        house.advance(at("2026-01-04T15:00:00Z"));
        let fired: Vec<String> =
            told(&house).into_iter().filter(|line| line.contains("first fired") || line.contains("second fired")).collect();
        assert_eq!(fired, expected);
        let stopped = house.journal.iter().filter(|one| one.step == "second" && one.gate == "condition").count();
        assert_eq!(stopped, usize::from(days == 60));
    }
}

// What follows from a Task that was done is about the dispense it was for, also where its product is a resource of its own.
#[test]
fn a_step_after_a_task_is_about_the_same_dispense() {
    let action = json!({"id": "fill", "trigger": [{"type": "data-added", "data": [{"type": "MedicationDispense"}]}], "action": [
        step("ask", "refill-call", Some(("fill", "after-start", 1, "d"))),
        step("thank", "refill-advice", Some(("ask", "after-end", 1, "d")))]});
    let rules = with(&[plan("thanks", &action)]);
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    let mut fill = dispense("d", "2026-01-01", 30);
    let concept = fill.as_object_mut().unwrap().shift_remove("medicationCodeableConcept").unwrap();
    house.hear(json!({"resourceType": "Medication", "id": "m", "code": concept}));
    fill["medicationReference"] = json!({"reference": "Medication/m"});
    house.hear(fill);
    house.advance(at("2026-01-02T15:00:00Z"));
    let mut done = house.outputs("Task").next().unwrap().clone();
    done["status"] = json!("completed");
    house.hear(done);
    let due = house.dues.values().find(|due| due.step == "thank").unwrap();
    assert!(due.detail.contains("\"trigger\":\"MedicationDispense/d\"") && due.detail.contains("Medication/m"), "{}", due.detail);
    house.advance(at("2026-01-03T15:00:00Z"));
    assert_eq!(outcome(&house, "thank").0, Outcome::Fired, "{:?}", told(&house));
}

// Hours are counted from the moment, and what falls into the night waits for the morning.
#[test]
fn hours_are_counted_from_the_moment() {
    let action = json!({"id": "found", "trigger": added("Condition", "code", ICD, "J45"), "action": [
        step("soon", "chemotherapy-nausea-nudge", Some(("found", "after-start", 4, "h")))]});
    let rules = with(&[plan("hours", &action)]);
    for (now, expected) in
        [("2026-01-01T15:00:00Z", "soon fired 2026-01-01T19"), ("2026-01-01T23:00:00Z", "soon fired 2026-01-02T13")]
    {
        let mut house = house(&rules, now);
        house.hear(condition("c", "J45", "active"));
        house.advance(at("2026-01-03T00:00:00Z"));
        assert_eq!(told(&house).last().map(String::as_str), Some(expected));
    }
}

// An operation counts from the day it was done, not from the day we heard of it; one long past is too late.
#[test]
fn a_procedure_counts_from_when_it_was_done() {
    let action = json!({"id": "done", "trigger": added("Procedure", "status", "http://hl7.org/fhir/event-status", "completed"), "action": [
        step("care", "refill-advice", Some(("done", "after-end", 2, "d")))]});
    let rules = with(&[plan("operation", &action)]);
    for (performed, expected) in [
        (json!({"performedPeriod": {"start": "2025-12-28", "end": "2025-12-31"}}), "care fired 2026-01-02T13"),
        (json!({"performedDateTime": "2025-12-30T22:00:00-05:00"}), "care fired 2026-01-01T15"),
        (json!({"performedDateTime": "2025-12-01"}), "care stopped 2026-01-01T15"),
    ] {
        let mut procedure =
            json!({"resourceType": "Procedure", "id": "x", "status": "completed", "subject": {"reference": "Patient/p"}});
        procedure.as_object_mut().unwrap().extend(performed.as_object().unwrap().clone());
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(procedure);
        house.advance(at("2026-01-05T00:00:00Z"));
        assert_eq!(told(&house), [expected]);
    }
}

// What makes a step pointless ends it as soon as it is heard; what must hold when its time has come is asked only then.
#[test]
fn a_step_ends_when_it_is_pointless_and_starts_only_when_it_may() {
    let mut call = step("call", "refill-call", Some(("found", "after-start", 10, "d")));
    call["condition"] = holding("stop", "%observations.where(code.coding.code = '85354-9').exists()");
    let mut nudge = step("nudge", "chemotherapy-nausea-nudge", Some(("found", "after-start", 1, "d")));
    nudge["condition"] = holding("start", "%supplies.where(ingredient = 'lisinopril').empty()");
    let action = json!({"id": "found", "trigger": added("Condition", "code", ICD, "I10"), "action": [call, nudge]});
    let rules = with(&[plan("pressure", &action)]);
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(condition("c", "I10", "active"));
    let mut lisinopril = dispense("d", "2026-01-01", 30);
    lisinopril["medicationCodeableConcept"]["coding"][0]["code"] = json!("314076");
    house.hear(lisinopril);
    house.advance(at("2026-01-03T00:00:00Z"));
    assert_eq!(outcome(&house, "nudge"), (Outcome::Stopped, String::from("condition")));
    house.hear(json!({"resourceType": "Observation", "id": "o", "status": "final", "subject": {"reference": "Patient/p"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]}}));
    assert_eq!(outcome(&house, "call"), (Outcome::Withdrawn, String::from("pointless")));
}

// A rule may name ingredients: every product that is made of one of them sets it off, also one that is only referred to.
#[test]
fn a_rule_about_an_ingredient_hears_every_product_of_it() {
    let system = format!("{ROOT}/CodeSystem/ingredient");
    let set = json!({"resourceType": "ValueSet", "url": "urn:blood-pressure", "compose": {"include": [
        {"system": system, "concept": [{"code": "lisinopril"}]}]}});
    let trigger = json!([{"type": "data-added", "data": [
        {"type": "MedicationDispense", "codeFilter": [{"path": "medication", "valueSet": "urn:blood-pressure"}]}]}]);
    let mut first = step("first", "refill-advice", Some(("fill", "after-start", 1, "d")));
    first["condition"] = holding("applicability", "%supply.number = 1");
    let action = json!({"id": "fill", "trigger": trigger, "action": [first]});
    let rules = with(&[set, plan("pressure", &action)]);
    let heard = |code: &str, referred: bool| {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        let mut dispense = dispense("d", "2026-01-01", 30);
        let concept = json!({"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": code}]});
        dispense["medicationCodeableConcept"] = concept.clone();
        if referred {
            house.hear(json!({"resourceType": "Medication", "id": "m", "code": concept}));
            dispense.as_object_mut().unwrap().shift_remove("medicationCodeableConcept");
            dispense["medicationReference"] = json!({"reference": "Medication/m"});
        }
        house.hear(dispense.clone());
        let planned = house.dues.values().filter(|due| due.step == "first").count();
        dispense["id"] = json!("d2");
        dispense["whenHandedOver"] = json!("2026-01-20");
        house.now = at("2026-01-20T15:00:00Z");
        house.hear(dispense);
        assert_eq!(house.dues.values().filter(|due| due.step == "first").count(), 0, "a second fill is no first one");
        planned
    };
    assert_eq!((heard("314076", false), heard("314077", true), heard("860975", false)), (1, 1, 0));
}

// Somebody tells us of an event by its name, about a person: the rules that wait for it hear of it, and no others.
#[test]
fn an_event_has_a_name() {
    let action = json!({"id": "arrived", "trigger": [{"type": "named-event", "name": "result-promised"}], "action": [
        step("come", "refill-advice", None)]});
    let rules = with(&[plan("stock", &action)]);
    for (name, expected) in [("result-promised", vec!["come fired 2026-01-01T15"]), ("pick-up-missed", vec![])] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(json!({"resourceType": "Basic", "id": "e", "subject": {"reference": "Patient/p"},
            "code": {"coding": [{"system": format!("{ROOT}/CodeSystem/event"), "code": name}]}}));
        assert_eq!(told(&house), expected);
    }
}

// The whole calendar: a year after 29 February is 28 February, wherever the rule is about.
#[test]
fn a_year_after_the_leap_day_is_the_last_of_february() {
    let action = json!({"id": "found", "trigger": added("Condition", "code", ICD, "J45"), "action": [
        step("yearly", "refill-call", Some(("found", "after-start", 1, "a")))]});
    let rules = with(&[plan("yearly", &action)]);
    let mut house = house(&rules, "2028-02-29T15:00:00Z");
    house.hear(condition("c", "J45", "active"));
    assert_eq!(dues(&house), ["yearly 2029-02-28T13"]);
}

#[test]
fn what_is_shipped_is_looked_at_sparingly() {
    let rules = Rules::read(&shipped()).0;
    for value in [condition("c", "Z51.11", "active"), dispense("d", "2026-01-01", 30), super::patient()] {
        assert!(rules.considered(value["resourceType"].as_str().unwrap(), &value) <= 10, "{value}");
    }
}

// A code is found however its element holds it: in a CodeableConcept, as a Coding, as a plain word; an ICD code with its dot or without.
#[test]
fn a_code_is_found_however_its_element_holds_it() {
    const CLASS: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    let stay = json!({"resourceType": "Encounter", "id": "e", "status": "finished", "subject": {"reference": "Patient/p"},
        "class": {"system": CLASS, "code": "IMP"}, "type": [{"coding": [{"system": "urn:t", "code": "x"}]}]});
    for (kind, path, system, code, is_found) in [
        ("Encounter", "class", CLASS, "IMP", true),
        ("Encounter", "class", CLASS, "AMB", false),
        ("Encounter", "class", "urn:other", "IMP", false),
        ("Encounter", "status", "", "finished", true),
        ("Encounter", "status", "http://hl7.org/fhir/encounter-status", "finished", true),
        ("Encounter", "status", "", "planned", false),
        ("Encounter", "type", "urn:t", "x", true),
        ("Condition", "code", ICD, "M109", true),
        ("Condition", "code", ICD, "M10.8", false),
    ] {
        let action = json!({"id": "a", "trigger": added(kind, path, system, code), "action": [step("say", "chemotherapy-nausea-nudge", None)]});
        let rules = with(&[plan("coded", &action)]);
        let mut house = house(&rules, "2026-02-01T15:00:00Z");
        house.hear(stay.clone());
        house.hear(condition("c", "M10.9", "active"));
        assert_eq!(told(&house).len(), usize::from(is_found), "{path} {system}|{code}: {:?}", told(&house));
    }
}

// Another gateway counted its persons from one, too: what it said and an archive brought has the id that ours would have.
#[test]
fn an_id_that_something_from_elsewhere_has_is_left_to_it() {
    let rules = rules();
    let mut elsewhere = house(&rules, "2026-01-01T15:00:00Z");
    elsewhere.hear(condition("old", "Z51.11", "active"));
    elsewhere.hear(dispense("a", "2026-01-01", 30));
    elsewhere.advance(at("2026-02-01T15:00:00Z"));
    let said: Vec<Value> = ["Communication", "CommunicationRequest", "Task"]
        .iter()
        .flat_map(|kind| elsewhere.outputs(kind).cloned().collect::<Vec<_>>())
        .collect();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    for one in &said {
        house.hear_from(one.clone(), crate::ledger::How::Import, "archive");
    }
    house.hear(condition("new", "Z51.11", "active"));
    house.hear(dispense("a", "2026-01-01", 30));
    house.advance(at("2026-02-01T15:00:00Z"));
    let fired = |house: &crate::react::rehearsal::Rehearsal| {
        let fired = house.journal.iter().filter(|decision| decision.outcome == Outcome::Fired);
        fired.map(|decision| (decision.step.clone(), decision.at)).collect::<Vec<_>>()
    };
    assert_eq!((fired(&house), house.faults), (fired(&elsewhere), 0));
    let ids: Vec<&str> = said.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(house.journal.iter().all(|decision| !ids.contains(&decision.output.as_str())));
}
