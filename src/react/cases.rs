//! A rule's own test cases: what happens, and what the rule must have come to.
//!
//! A file of cases is `{"plan": url, "cases": [{"name", "now", "zone"?, "treatment"?: "allowed" | "held", "happens":
//! [{"at", "resource"} | {"at", "resource", "import": true} | {"at", "delete"}], "until", "decisions": ["step outcome day gate"]}]}`.
//! All decisions of the rule are compared, in order; the gate is left out where a step fired.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::json::{each, text, unversioned};
use super::rehearsal::Rehearsal;
use super::{Rules, Settings, Store, Unasked, zones};
use crate::ledger::How;

/// Runs the cases of a file; returns a sentence for each that failed.
#[must_use]
pub fn run(rules: &Rules, file: &Value) -> Vec<String> {
    let plan = text(file, "plan").unwrap_or_default();
    if rules.plan(plan).is_none() {
        return vec![format!("{plan}: no such rule runs")];
    }
    each(file, "cases").iter().filter_map(|case| fails(rules, plan, case)).collect()
}

/// What a rule comes to in a case, as its file would state it.
pub fn decisions(rules: &Rules, plan: &str, case: &Value) -> Result<Vec<String>, String> {
    tell(rules, plan, case, &zone(case))
}

fn zone(case: &Value) -> TimeZone {
    TimeZone::get(text(case, "zone").unwrap_or("UTC")).unwrap_or(TimeZone::UTC)
}

fn fails(rules: &Rules, plan: &str, case: &Value) -> Option<String> {
    let name = text(case, "name").unwrap_or("a case without a name");
    let told = match decisions(rules, plan, case) {
        Ok(told) => told,
        Err(why) => return Some(format!("{name}: {why}")),
    };
    let expected: Vec<&str> = each(case, "decisions").iter().filter_map(Value::as_str).collect();
    (told != expected).then(|| format!("{name}: expected {expected:?}, got {told:?}"))
}

/// Everything that was recorded in a case, whichever rule it was: for whoever looks at what is said.
pub fn outputs(rules: &Rules, case: &Value) -> Result<Vec<Value>, String> {
    let rehearsal = play(rules, case, &zone(case))?;
    let ours = rehearsal.resources().filter(|resource| resource.how == How::Derived);
    Ok(ours.map(|resource| resource.value.as_ref().clone()).collect())
}

fn play<'r>(rules: &'r Rules, case: &Value, zone: &TimeZone) -> Result<Rehearsal<'r>, String> {
    let time = |value: &Value, name: &str| {
        let written = text(value, name).ok_or(format!("{name} is missing"))?;
        written.parse::<Timestamp>().map(Timestamp::as_millisecond).map_err(|error| format!("{name}: {error}"))
    };
    let treatment = if text(case, "treatment") == Some("held") { Unasked::Held } else { Unasked::Allowed };
    let store = Store { organization: String::from("store"), zone: zone.clone() };
    let mut rehearsal = Rehearsal::new(rules, Settings { treatment, ..Settings::default() }, store, time(case, "now")?);
    for event in each(case, "happens") {
        rehearsal.advance(time(event, "at")?);
        if let Some(reference) = text(event, "delete") {
            rehearsal.delete(reference);
        } else {
            let imported = event.get("import").and_then(Value::as_bool) == Some(true);
            let resource = event.get("resource").ok_or("a happening has no resource")?;
            rehearsal.hear_from(resource.clone(), if imported { How::Import } else { How::Live }, "case");
        }
    }
    rehearsal.advance(time(case, "until")?);
    Ok(rehearsal)
}

fn tell(rules: &Rules, plan: &str, case: &Value, zone: &TimeZone) -> Result<Vec<String>, String> {
    let rehearsal = play(rules, case, zone)?;
    let ours = rehearsal.journal.iter().filter(|decision| unversioned(&decision.rule) == plan);
    let line = |decision: &std::sync::Arc<crate::ledger::Decision>| {
        let day = zones::date(zones::day(decision.at, zone));
        let line = format!("{} {} {day} {}", decision.step, decision.outcome.word(), decision.gate);
        line.trim_end().to_owned()
    };
    Ok(ours.map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::react::shipped;

    #[test]
    fn a_case_that_expects_something_else_fails_with_what_came() {
        let (rules, _) = Rules::read(&shipped());
        let file = serde_json::json!({"plan": "https://signa.example/fhir/PlanDefinition/refill", "cases": [
            {"name": "nothing happens", "now": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z", "decisions": ["advice fired 2026-01-02"]}]});
        assert_eq!(run(&rules, &file).len(), 1);
        assert_eq!(run(&rules, &serde_json::json!({"plan": "x"})), ["x: no such rule runs"]);
    }
}
