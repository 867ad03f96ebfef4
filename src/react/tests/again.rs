//! A fact is corrected back: what was taken back is asked for again, and what was said is not said again.

use serde_json::json;

use super::corrected::fact;
use super::engine::{plan, step, with};
use super::{at, house, status, told};

// A word was said and work was asked for; the work was taken back, and is asked for again. What hangs on the word comes when it would
// have come.
#[test]
fn what_was_said_stays_said_when_a_fact_is_so_again() {
    let trigger = json!([{"type": "data-added", "data": [{"type": "Observation"}]}, {"type": "data-modified", "data": [{"type": "Observation"}]}]);
    let mut action = json!({"id": "a", "trigger": trigger, "action": [
        step("word", "chemotherapy-nausea-nudge", None),
        step("work", "refill-call", None),
        step("last", "refill-call", Some(("word", "after-end", 3, "d")))]});
    action["condition"] = json!([{"kind": "applicability", "expression": {"language": "text/fhirpath", "expression": "interpretation.text = 'high'"}}]);
    let rules = with(&[plan("own", &action)]);
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    let result = |interpretation: &str| {
        let mut result = fact("Observation", "final");
        result["interpretation"] = json!([{"text": interpretation}]);
        result
    };
    for interpretation in ["high", "normal", "high", "normal", "high"] {
        house.hear(result(interpretation));
        house.advance(house.now + 60_000);
    }
    assert_eq!(house.spoken(), 1, "{:?}", told(&house));
    let mut tasks = status(&house, "Task");
    tasks.sort_unstable();
    assert_eq!(tasks, ["cancelled", "cancelled", "requested"]);
    house.advance(at("2026-01-05T00:00:00Z"));
    let last: Vec<String> = told(&house).into_iter().filter(|line| line.starts_with("last fired")).collect();
    assert_eq!((last.as_slice(), house.spoken()), (&[String::from("last fired 2026-01-04T13")][..], 1), "{:?}", told(&house));
}

// A rule that is called some hours late asks as of then, and so does the correction of what it was called for.
#[test]
fn a_late_call_and_a_correction_ask_as_of_then() {
    let trigger = json!([{"type": "periodic", "timingTiming": {"repeat": {"period": 1, "periodUnit": "d"}}}]);
    let mut action = json!({"id": "a", "trigger": trigger, "input": [{"type": "Observation"}], "action": [
        step("say", "chemotherapy-nausea-nudge", Some(("a", "after-start", 2, "d")))]});
    let fresh = "issued > now() - 10 hours";
    action["condition"] = json!([{"kind": "applicability", "expression": {"language": "text/fhirpath", "expression": fresh}}]);
    let rules = with(&[plan("own", &action)]);
    for (issued, expected) in [("2026-01-02T04:00:00Z", 1), ("2026-01-02T02:00:00Z", 0)] {
        let mut house = house(&rules, "2026-01-02T10:00:00Z");
        let mut result = fact("Observation", "final");
        result["issued"] = json!(issued);
        house.hear(result.clone());
        house.advance(at("2026-01-02T12:00:00Z"));
        // At eight in the morning it is called, and at noon that is seen to.
        house.now = at("2026-01-02T17:00:00Z");
        house.advance(at("2026-01-02T18:00:00Z"));
        assert_eq!(house.dues.values().filter(|due| due.step == "say").count(), expected, "{issued}");
        result["note"] = json!([{"text": "x"}]);
        house.hear(result);
        assert!(!told(&house).iter().any(|line| line.contains("withdrawn")), "{:?}", told(&house));
    }
}
