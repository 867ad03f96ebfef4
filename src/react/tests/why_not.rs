//! Why nothing was said, asked of a story: what is open, what it waits for, and what nobody told.

use serde_json::{Value, json};

use super::engine::{added, plan, step, with};
use super::{at, condition, dispense, house, patient};
use crate::ledger::Person;
use crate::react::rehearsal::Rehearsal;
use crate::react::{Handed, Latest, Rules, Settings, Story, why_not};

const ICD: &str = "http://hl7.org/fhir/sid/icd-10-cm";

/// What is told of each step of a rule: step, outcome, gate and reason.
fn told(rules: &Rules, house: &Rehearsal, rule: &str) -> Vec<String> {
    asked(rules, house, rule).iter().map(line).collect()
}

/// What would change each step of a rule.
fn changes(rules: &Rules, house: &Rehearsal, rule: &str) -> Vec<String> {
    let of = |rule: &Value| format!("{}: {}", part(rule, "step", "valueString"), part(rule, "change", "valueString"));
    asked(rules, house, rule).iter().map(of).collect()
}

fn asked(rules: &Rules, house: &Rehearsal, rule: &str) -> Vec<Value> {
    let wants = crate::react::wants(rules, Some(rule));
    let story = Story {
        united: vec![Person(1)],
        resources: house.resources().filter(|one| !one.deleted && wants.kinds.contains(&one.kind)).cloned().collect(),
        supplies: Handed::of(house.supplies.values().cloned()).into(),
        dues: house.dues.values().cloned().collect(),
        decisions: Latest::of(house.latest().cloned().map(Into::into)).into(),
        settings: house.settings,
        ..Story::bare(&"t".into(), Person(1), house.now, super::store())
    };
    let told = why_not(rules, &story, Some(rule)).unwrap();
    told["parameter"].as_array().unwrap().iter().filter(|one| one["name"] == "rule").cloned().collect()
}

fn part(rule: &Value, name: &str, kind: &str) -> String {
    let found = rule["part"].as_array().unwrap().iter().find(|part| part["name"] == name);
    found.and_then(|part| part[kind].as_str()).unwrap_or_default().to_owned()
}

fn line(rule: &Value) -> String {
    let part = |name: &str, kind: &str| part(rule, name, kind);
    let (step, outcome, gate) = (part("step", "valueString"), part("outcome", "valueCode"), part("gate", "valueCode"));
    format!("{step} {outcome} {gate}: {}", part("reason", "valueString"))
}

// Of several that are open each is told, and what holds it.
#[test]
fn each_that_is_open_is_told() {
    let action = json!({"id": "found", "trigger": added("Condition", "code", ICD, "X1"), "action": [
        step("say", "chemotherapy-nausea-nudge", None)]});
    let other = json!({"id": "other", "trigger": added("MedicationDispense", "status", "", "completed"), "action": [
        step("later", "refill-advice", Some(("other", "after-start", 20, "d")))]});
    let mut both = plan("both", &action);
    both["action"].as_array_mut().unwrap().push(other);
    let rules = with(&[both]);
    // In the night.
    let mut house = house(&rules, "2026-01-02T04:00:00Z");
    house.hear(condition("c", "X1", "active"));
    let mut second = dispense("b", "2026-01-01", 30);
    second["medicationCodeableConcept"]["coding"][0]["code"] = json!("314076");
    house.hear(dispense("a", "2026-01-01", 30));
    house.hear(second);
    let lines = told(&rules, &house, "both");
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("say held quiet: "), "{lines:?}");
    assert!(lines[1..].iter().all(|line| line == "later planned : Its day has not come."), "{lines:?}");
}

// What is planned anew is planned, whatever became of it before.
#[test]
fn what_is_planned_anew_is_told_as_planned() {
    let action = json!({"id": "found", "trigger": json!([
        {"type": "data-added", "data": [{"type": "Condition", "codeFilter": [{"path": "code", "code": [{"system": ICD, "code": "X1"}]}]}]},
        {"type": "data-modified", "data": [{"type": "Condition", "codeFilter": [{"path": "code", "code": [{"system": ICD, "code": "X1"}]}]}]}]),
        "action": [step("say", "chemotherapy-nausea-nudge", Some(("found", "after-start", 5, "d")))]});
    let rules = with(&[plan("anew", &action)]);
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    assert_eq!(
        told(&rules, &house, "anew"),
        [format!("say none trigger: Nothing is recorded that sets it off; it listens to Condition with code {ICD}|X1.")]
    );
    house.hear(condition("c", "X1", "active"));
    house.hear(condition("c", "X1", "resolved"));
    assert!(told(&rules, &house, "anew")[0].starts_with("say withdrawn diagnosis: "));
    house.hear(condition("c", "X1", "active"));
    assert_eq!(told(&rules, &house, "anew"), ["say planned : Its day has not come."]);
}

// What a condition reads that is asked when the time has come is loaded, too.
#[test]
fn what_is_asked_at_the_time_is_known() {
    let mut say = step("say", "chemotherapy-nausea-nudge", None);
    say["condition"] =
        json!([{"kind": "start", "expression": {"language": "text/fhirpath", "expression": "%observations.exists()"}}]);
    let action = json!({"id": "found", "trigger": added("Condition", "code", ICD, "X1"), "action": [say]});
    let rules = with(&[plan("asked", &action)]);
    let wants = crate::react::wants(&rules, Some("asked"));
    assert!(["Observation", "MedicationRequest"].iter().all(|kind| wants.kinds.iter().any(|known| known == kind)), "{wants:?}");
}

// A step that comes after another one waits for that, and one that is counted from an end needs one.
#[test]
fn a_step_that_has_no_time_says_why() {
    let mut trigger = added("Procedure", "status", "", "completed");
    let mut modified = trigger[0].clone();
    modified["type"] = json!("data-modified");
    trigger.as_array_mut().unwrap().push(modified);
    let action = json!({"id": "done", "trigger": trigger, "action": [
        step("word", "refill-advice", Some(("done", "after-end", 2, "d"))),
        step("call", "refill-call", Some(("word", "after-end", 1, "wk")))]});
    let rules = with(&[plan("operation", &action)]);
    let procedure = |day: &str| {
        let mut procedure =
            json!({"resourceType": "Procedure", "id": "x", "status": "completed", "subject": {"reference": "Patient/p"}});
        if !day.is_empty() {
            procedure["performedDateTime"] = json!(day);
        }
        procedure
    };
    for day in ["", "2026"] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(procedure(day));
        let undated = "The Procedure does not say the day on which it ended.";
        assert_eq!(
            told(&rules, &house, "operation"),
            [
                format!("word stopped undated: {undated}"),
                format!("call none step: It comes after step word, which was stopped: {undated}")
            ]
        );
        // A decision is kept of it, and it is no last one.
        assert_eq!(super::told(&house), ["word stopped 2026-01-01T15"]);
        let mut dated = procedure("2026-01-01");
        dated["note"] = json!([{"text": "x"}]);
        house.hear(dated);
        house.advance(at("2026-01-04T00:00:00Z"));
        assert_eq!(super::told(&house), ["word stopped 2026-01-01T15", "word fired 2026-01-03T13"]);
    }
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(procedure("2026-01-01"));
    assert_eq!(
        told(&rules, &house, "operation"),
        ["word planned : Its day has not come.", "call none step: It comes after step word, which has not come."]
    );
}

// A rule about what is removed has nothing to say of what stands, and nothing was counted of what was entered in error.
#[test]
fn what_stands_and_what_was_an_error_are_told_apart() {
    let gone = json!([{"type": "data-removed", "data": [{"type": "Condition"}]}]);
    let action = json!({"id": "gone", "trigger": gone, "action": [step("say", "refill-call", None)]});
    let rules = with(&[plan("gone", &action)]);
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(condition("c", "X1", "active"));
    assert_eq!(told(&rules, &house, "gone"), ["say none event: It listens to what is removed, and nothing of the kind was."]);
    let mut mistake = dispense("a", "2026-01-01", 30);
    mistake["status"] = json!("entered-in-error");
    house.hear(mistake);
    assert!(told(&rules, &house, "refill").iter().all(|line| line.ends_with(" none reversed: The dispense was reversed.")));
}

// What is held goes on when its gate gets what it wants. What was stopped does not: only what set it off, corrected, is asked about
// again; and what was recorded and ended is over.
#[test]
fn what_would_change_it_is_what_really_would() {
    let rules = super::rules();
    let mut unreachable = patient();
    unreachable.as_object_mut().unwrap().remove("telecom");
    let mut house = house(&rules, "2026-01-27T15:00:00Z");
    house.hear(unreachable);
    house.hear(dispense("a", "2026-01-01", 30));
    house.advance(house.now + 1_000);
    let wanted = crate::react::gates::GATES.iter().find(|gate| gate.name == "reachable").unwrap().mends;
    let again =
        "reminder: What set it off, corrected while there is time for it, is asked about again. Then, and for the next time: ";
    let change = |house: &Rehearsal| changes(&rules, house, "refill")[1].clone();
    assert_eq!(change(&house), format!("{again}{wanted}"));
    house.hear(patient());
    house.advance(house.now + 1_000);
    assert_eq!(house.spoken(), 0, "{:?}", super::told(&house));
    let mut noted = dispense("a", "2026-01-01", 30);
    noted["note"] = json!([{"text": "x"}]);
    house.hear(noted);
    house.advance(house.now + 1_000);
    assert_eq!(house.spoken(), 1, "{:?}", super::told(&house));

    // Held first, and ended while it waited.
    let mut house = Rehearsal::new(&rules, Settings::default(), super::store(), at("2026-01-27T15:00:00Z"));
    house.hear(patient());
    house.hear(dispense("a", "2026-01-01", 30));
    house.advance(house.now + 1_000);
    let consent = "A Consent that permits this purpose (TREAT for treatment, HMARKT for offers).";
    assert_eq!(change(&house), format!("reminder: {consent}"));
    let mut dead = patient();
    dead["deceasedBoolean"] = json!(true);
    house.hear(dead);
    house.advance(house.now + 1_000);
    assert_eq!(
        change(&house),
        "reminder: Nothing for this time, which is ended. For the next time: A corrected Patient.deceased, if the record is wrong; \
         who has died is not written to."
    );

    // A rule that hears nothing of corrections has no second word.
    let action = json!({"id": "found", "trigger": added("Condition", "code", ICD, "X1"), "action": [
        step("say", "chemotherapy-nausea-nudge", None)]});
    let rules = with(&[plan("once", &action)]);
    let mut house = super::house(&rules, "2026-01-27T15:00:00Z");
    let mut unreachable = patient();
    unreachable.as_object_mut().unwrap().remove("telecom");
    house.hear(unreachable);
    house.hear(condition("c", "X1", "active"));
    assert_eq!(changes(&rules, &house, "once"), [format!("say: Nothing for this time. For the next time: {wanted}")]);
}

// A rule that was retired is answered for as long as something of it is planned, or was decided.
#[test]
fn a_retired_rule_is_answered_for_while_something_of_it_is_there() {
    let action = json!({"id": "found", "trigger": added("Condition", "code", ICD, "X1"), "action": [
        step("say", "chemotherapy-nausea-nudge", None),
        step("later", "refill-call", Some(("found", "after-start", 20, "d")))]});
    let (rules, without) = (with(&[plan("gone", &action)]), super::rules());
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(condition("c", "X1", "active"));
    assert_eq!(
        told(&without, &house, "gone"),
        [
            "later planned rule: The rule runs no longer: the step is taken back when its time comes.",
            "say fired : Every gate was open."
        ]
    );
    assert_eq!(changes(&without, &house, "gone")[0], "later: A rule that runs again.");
}

// What is called in some days is not kept by the message of today.
#[test]
fn what_is_called_later_waits_for_its_day_and_not_for_a_cap() {
    let called =
        json!([{"type": "periodic", "timingTiming": {"repeat": {"period": 1, "periodUnit": "wk", "dayOfWeek": ["tue"]}}}]);
    let weekly = json!({"id": "week", "trigger": called, "action": [step("say", "refill-advice", None)]});
    let found = json!({"id": "found", "trigger": added("Condition", "code", ICD, "X1"), "action": [
        step("now", "chemotherapy-nausea-nudge", None)]});
    let rules = with(&[plan("weekly", &weekly), plan("found", &found)]);
    for (hour, said) in [("15", 1), ("05", 0)] {
        let mut house = house(&rules, &format!("2026-01-01T{hour}:00:00Z"));
        house.hear(condition("c", "X1", "active"));
        assert_eq!(house.spoken(), said);
        let reason = "Nothing stands against it; its day has not come since the rule runs.";
        assert_eq!(told(&rules, &house, "weekly"), [format!("say none calendar: {reason}")], "{hour}");
    }
}
