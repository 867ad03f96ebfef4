//! A rule with a time of its own: it begins nothing before or after it, and what it began within goes on to its end.

use serde_json::{Value, json};

use super::engine::{added, plan, step, with};
use super::{at, condition, dispense, dues, house, outcome, status, told};
use crate::ledger::Outcome;
use crate::react::rehearsal::Rehearsal;

const ICD: &str = "http://hl7.org/fhir/sid/icd-10-cm";

fn in_february(mut plan: Value) -> Value {
    plan["effectivePeriod"] = json!({"start": "2026-02-01", "end": "2026-02-28"});
    plan
}

// From the first to the last day of its time, by the clock of the store; what was planned for later comes later.
#[test]
fn a_rule_begins_within_its_time_and_ends_what_it_began() {
    let action = json!({"id": "found", "trigger": added("Condition", "code", ICD, "X1"), "action": [
        step("say", "chemotherapy-nausea-nudge", None),
        step("later", "chemotherapy-nausea-nudge", Some(("found", "after-start", 10, "d"))),
    ]});
    let rules = with(&[in_february(plan("timed", &action))]);
    for (heard, expected) in [
        ("2026-02-01T04:00:00Z", vec![]),
        ("2026-02-01T15:00:00Z", vec!["say fired 2026-02-01T15", "later fired 2026-02-11T13"]),
        ("2026-02-28T15:00:00Z", vec!["say fired 2026-02-28T15", "later fired 2026-03-10T12"]),
        ("2026-03-01T01:00:00Z", vec!["say fired 2026-03-01T01", "later fired 2026-03-10T12"]),
        ("2026-03-01T15:00:00Z", vec![]),
    ] {
        let mut house = house(&rules, heard);
        house.hear(condition("c", "X1", "active"));
        house.advance(at("2026-04-01T00:00:00Z"));
        assert_eq!(told(&house), expected, "{heard}");
    }
}

fn fill(id: &str, day: &str, note: &str) -> Value {
    let mut fill = dispense(id, day, 10);
    fill["note"] = json!([{"text": note}]);
    fill
}

// A fill within its time is followed to the end of the supply, though its dispense is sent again after it; a fill after it is not.
#[test]
fn a_fill_within_its_time_is_followed_to_its_end() {
    let trigger = json!([{"type": "data-added", "data": [{"type": "MedicationDispense"}]},
        {"type": "data-modified", "data": [{"type": "MedicationDispense"}]}]);
    let action = json!({"id": "fill", "trigger": trigger, "action": [
        step("ask", "refill-call", Some(("fill", "after-start", 1, "d"))),
        step("remind", "refill-reminder", Some(("fill", "before-end", 1, "d")))]});
    let rules = with(&[in_february(plan("timed", &action))]);
    let of_rule = |house: &Rehearsal, step: &str| outcome(house, step);
    let mut told_of = house(&rules, "2026-02-25T15:00:00Z");
    told_of.hear(fill("a", "2026-02-25", "x"));
    told_of.advance(at("2026-03-02T15:00:00Z"));
    assert_eq!(of_rule(&told_of, "ask").0, Outcome::Fired);
    told_of.hear(fill("a", "2026-02-25", "y"));
    assert_eq!(status(&told_of, "Task"), ["requested"], "{:?}", told(&told_of));
    told_of.advance(at("2026-03-05T15:00:00Z"));
    assert_eq!(of_rule(&told_of, "remind").0, Outcome::Fired, "{:?}", told(&told_of));
    let mut late = house(&rules, "2026-03-01T15:00:00Z");
    late.hear(fill("a", "2026-03-01", "x"));
    let mut unclear = fill("b", "2026-03-01", "x");
    unclear.as_object_mut().unwrap().shift_remove("whenHandedOver");
    late.hear(unclear);
    let steps = ["ask", "remind"];
    assert!(!dues(&late).iter().any(|due| steps.iter().any(|step| due.split(' ').next() == Some(*step))), "{:?}", dues(&late));
    assert!(steps.iter().all(|step| late.last(step).is_none()), "{:?}", told(&late));
}

// The calendar calls it within its time alone.
#[test]
fn the_calendar_calls_it_within_its_time() {
    let trigger =
        json!([{"type": "periodic", "timingTiming": {"repeat": {"period": 1, "periodUnit": "wk", "dayOfWeek": ["mon"]}}}]);
    let action = json!({"id": "weekly", "trigger": trigger, "input": [{"type": "Patient"}], "action": [
        step("greet", "chemotherapy-nausea-nudge", None)]});
    let rules = with(&[in_february(plan("timed", &action))]);
    let mut house = house(&rules, "2026-01-20T15:00:00Z");
    house.advance(at("2026-03-20T00:00:00Z"));
    let days: Vec<String> = told(&house).iter().map(|line| line.chars().skip(6).collect()).collect();
    assert_eq!(days, ["fired 2026-02-02T13", "fired 2026-02-09T13", "fired 2026-02-16T13", "fired 2026-02-23T13"]);
}

// Who asks why nothing was said is told of its time, and no call after it is announced.
#[test]
fn who_asks_why_not_is_told_of_its_time() {
    let found = json!({"id": "found", "trigger": added("Condition", "code", ICD, "X1"), "action": [
        step("say", "chemotherapy-nausea-nudge", None)]});
    let rules = with(&[in_february(plan("timed", &found))]);
    let mut house = house(&rules, "2026-03-05T15:00:00Z");
    house.hear(condition("c", "X1", "active"));
    let story = crate::react::Story {
        united: vec![crate::ledger::Person(1)],
        resources: ["Patient/p", "Condition/c"].iter().filter_map(|name| house.resource(name)).cloned().collect(),
        ..crate::react::Story::bare(&"t".into(), crate::ledger::Person(1), at("2026-03-05T15:00:00Z"), super::store())
    };
    let told = crate::react::why_not(&rules, &story, Some("timed")).unwrap();
    let parts = told["parameter"][1]["part"].as_array().unwrap();
    let gate = parts.iter().find(|part| part["name"] == "gate").unwrap();
    assert_eq!(gate["valueCode"], "period", "{told}");
}

// What comes with a fact comes when the fact says, to the minute, and at once where it says nothing.
#[test]
fn what_comes_with_a_fact_comes_at_its_moment() {
    let rules = crate::react::Rules::read(&crate::react::shipped()).0;
    for (occurrence, expected) in [
        (json!({"occurrenceDateTime": "2026-01-01T17:30:00-05:00"}), "2026-01-01T22:30:00Z"),
        (json!({"occurrencePeriod": {"start": "2026-01-01T18:15:00Z", "end": "2026-01-01T19:00:00Z"}}), "2026-01-01T18:15:00Z"),
        (json!({"occurrencePeriod": {"start": "2026-01-01T14:00:00Z", "end": "2026-01-01T19:00:00Z"}}), "2026-01-01T15:00:00Z"),
        (json!({"occurrenceDateTime": "2026-01-02"}), "2026-01-02T13:00:00Z"),
        (json!({}), "2026-01-01T15:00:00Z"),
    ] {
        let mut alert = json!({"resourceType": "CommunicationRequest", "id": "c", "status": "active", "subject": {"reference": "Patient/p"},
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/communication-category", "code": "alert"}]}],
            "recipient": [{"reference": "Patient/p"}], "payload": [{"contentString": "Please call."}]});
        alert.as_object_mut().unwrap().extend(occurrence.as_object().unwrap().clone());
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(alert);
        house.advance(at("2026-01-03T00:00:00Z"));
        let said: Vec<i64> = house.journal.iter().filter(|one| one.step == "relay").map(|one| one.at).collect();
        assert_eq!(said, [at(expected)], "{occurrence}");
    }
}

// Hours are counted from the moment also where there are none.
#[test]
fn no_hours_after_a_task_is_when_it_was_done() {
    let action = json!({"id": "found", "trigger": added("Condition", "code", ICD, "X1"), "action": [
        step("call", "refill-call", None), step("again", "refill-call", Some(("call", "after-end", 0, "h")))]});
    let rules = with(&[plan("chain", &action)]);
    let mut house = house(&rules, "2026-01-01T10:00:00Z");
    house.hear(condition("c", "X1", "active"));
    let mut done = house.outputs("Task").next().unwrap().clone();
    (done["status"], done["lastModified"]) = (json!("completed"), json!("2026-01-01T10:00:00Z"));
    house.hear(done);
    house.advance(at("2026-01-01T10:01:00Z"));
    assert_eq!(told(&house), ["call fired 2026-01-01T10", "again fired 2026-01-01T10"]);
}
