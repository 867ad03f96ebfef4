//! What is not certain yet is waited for, longer than a step would be worth doing, and has its whole time when it is.

use serde_json::{Value, json};

use super::corrected::{fact, on, said};
use super::engine::{plan, step, with};
use super::{at, condition, house, outcome, status, told};
use crate::ledger::Outcome;

fn report(status: &str) -> Value {
    fact("DiagnosticReport", status)
}

// A report is final on the fifth day, and the rule's word is worth three: it is said, whether the rule hears of changes or not, and
// so is work asked for.
#[test]
fn a_report_that_is_final_on_the_fifth_day_is_spoken_of() {
    for lines in [vec!["data-added"], vec!["data-added", "data-modified"]] {
        for (activity, kind) in [("chemotherapy-nausea-nudge", "Communication"), ("refill-call", "Task")] {
            let triggers: Vec<Value> =
                lines.iter().map(|line| json!({"type": line, "data": [{"type": "DiagnosticReport"}]})).collect();
            let action = json!({"id": "a", "trigger": triggers, "action": [step("say", activity, None)]});
            let rules = with(&[plan("own", &action)]);
            let mut house = house(&rules, "2026-01-01T15:00:00Z");
            house.hear(report("preliminary"));
            house.advance(at("2026-01-06T15:00:00Z"));
            assert_eq!(outcome(&house, "say"), (Outcome::Held, String::from("reversed")), "{lines:?} {kind}");
            house.hear(report("final"));
            assert_eq!(outcome(&house, "say"), (Outcome::Fired, String::new()), "{lines:?} {kind}");
            house.advance(at("2026-01-07T15:00:00Z"));
            assert_eq!(house.outputs(kind).count(), 1);
        }
    }
}

// Its whole time begins when it is certain: what is final at night is said in the morning, also of work that hangs on it.
#[test]
fn its_time_begins_when_it_is_certain() {
    let rules = on("data-added", "DiagnosticReport", &Value::Null, &[], &said(None));
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(report("preliminary"));
    house.advance(at("2026-01-07T05:00:00Z"));
    house.hear(report("final"));
    assert_eq!(outcome(&house, "say"), (Outcome::Held, String::from("quiet")));
    house.advance(at("2026-01-07T14:00:00Z"));
    assert_eq!(told(&house).last().map(String::as_str), Some("say fired 2026-01-07T13"));
}

// A diagnosis that is provisional waits alike.
#[test]
fn a_diagnosis_that_is_confirmed_on_the_fifth_day_is_spoken_of() {
    let filter = json!({"path": "code", "code": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J45"}]});
    let rules = on("data-added", "Condition", &filter, &[], &said(None));
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    let mut provisional = condition("x", "J45", "active");
    provisional["verificationStatus"]["coding"][0]["code"] = json!("provisional");
    house.hear(provisional);
    house.advance(at("2026-01-06T15:00:00Z"));
    assert_eq!(outcome(&house, "say"), (Outcome::Held, String::from("diagnosis")));
    house.hear(condition("x", "J45", "active"));
    assert_eq!(outcome(&house, "say").0, Outcome::Fired, "{:?}", told(&house));
}

// It is not waited for for ever, nor is what has a day of its own: a word before a visit is not said after it.
#[test]
fn what_never_becomes_certain_is_given_up() {
    let rules = on("data-added", "DiagnosticReport", &Value::Null, &[], &said(None));
    let mut told_of = house(&rules, "2026-01-01T15:00:00Z");
    told_of.hear(report("preliminary"));
    told_of.advance(at("2026-04-01T14:00:00Z"));
    assert_eq!(outcome(&told_of, "say").0, Outcome::Held);
    told_of.advance(at("2026-04-02T15:00:00Z"));
    assert_eq!(outcome(&told_of, "say"), (Outcome::Stopped, String::from("timely")));
    assert_eq!(status(&told_of, "Communication"), ["not-done"]);
    let dated = on("data-added", "Encounter", &Value::Null, &[], &said(Some(("a", "before-start", 1, "d"))));
    let visit = |status: &str| {
        let mut visit = fact("Encounter", status);
        visit["period"] = json!({"start": "2026-01-05T15:00:00Z"});
        visit
    };
    let mut house = house(&dated, "2026-01-01T15:00:00Z");
    house.hear(visit("unknown"));
    house.advance(at("2026-01-08T15:00:00Z"));
    house.hear(visit("planned"));
    assert_eq!(outcome(&house, "say"), (Outcome::Stopped, String::from("timely")));
}
