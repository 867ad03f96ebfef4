//! Why something was said or done, or is held: what was decided of one output, step by step, as a sentence and as data.
//! Follows <https://hl7.org/fhir/R4/parameters.html>.

use serde_json::{Value, json};

use super::detail::Detail;
use super::episode::companion;
use crate::fhir::time::instant;
use crate::ledger::{Decision, Due, Outcome};

/// What was decided of an output, oldest first, and what is still planned of it; `None` when nothing is known of it. The output is
/// named by its id, alone or after its type: a Communication, its CommunicationRequest, or a Task.
#[must_use]
pub fn why(decisions: &[Decision], dues: &[Due], output: &str) -> Option<Value> {
    let id = output.rsplit('/').next().unwrap_or(output);
    let is_meant = |own: &str| own == id || companion(own, "request") == id;
    let decided: Vec<&Decision> = decisions.iter().filter(|decision| is_meant(&decision.output)).collect();
    let due = dues.iter().find(|due| is_meant(&due.output));
    let last = decided.last();
    let own = last.map(|last| &last.output).or(due.map(|due| &due.output))?;
    let last_told = last.map(|last| told(last));
    let planned = due.map(|due| format!("It is looked at again at {}.", instant(due.due)));
    let sentence: Vec<String> = last_told.into_iter().chain(planned).collect();
    let mut parameter = vec![
        json!({"name": "sentence", "valueString": sentence.join(" ")}),
        json!({"name": "output", "valueString": own}),
        json!({"name": "outcome", "valueCode": last.map_or("planned", |last| last.outcome.word())}),
    ];
    if let Some(recorded) = last.map(|last| last.recorded.as_str()).filter(|recorded| !recorded.is_empty()) {
        parameter.push(json!({"name": "recorded", "valueReference": {"reference": recorded}}));
    }
    parameter.extend(decided.iter().map(|decision| json!({"name": "decision", "part": parts(decision)})));
    parameter.extend(due.map(|due| json!({"name": "planned", "part": planned_parts(due)})));
    Some(json!({"resourceType": "Parameters", "parameter": parameter}))
}

/// A decision as one sentence.
pub(super) fn told(decision: &Decision) -> String {
    let at = instant(decision.at);
    let which = format!("step {} of rule {}", decision.step, decision.rule);
    let reason = decision.reason.as_str();
    match decision.outcome {
        Outcome::Fired => {
            let what = if decision.recorded.starts_with("Task/") { "Asked for" } else { "Said" };
            format!("{what} at {at} by {which}: {reason}")
        }
        Outcome::Held => {
            format!("Held at {at} by the gate {}, {which}, until {}: {reason}", decision.gate, instant(decision.until))
        }
        Outcome::Stopped => format!("Stopped at {at} by {}, {which}: {reason}", decision.gate),
        Outcome::Withdrawn => format!("Withdrawn at {at} because of {}, {which}: {reason}", decision.gate),
    }
}

/// A decision as data.
pub(super) fn parts(decision: &Decision) -> Vec<Value> {
    let mut parts = vec![
        json!({"name": "outcome", "valueCode": decision.outcome.word()}),
        json!({"name": "at", "valueInstant": instant(decision.at)}),
    ];
    let words = [
        ("rule", "valueCanonical", &decision.rule),
        ("step", "valueString", &decision.step),
        ("gate", "valueCode", &decision.gate),
    ];
    parts.extend(
        words.into_iter().filter(|(.., value)| !value.is_empty()).map(|(name, kind, value)| json!({"name": name, kind: value})),
    );
    parts.push(json!({"name": "reason", "valueString": decision.reason}));
    if decision.until != 0 {
        parts.push(json!({"name": "until", "valueInstant": instant(decision.until)}));
    }
    parts.extend(facts(&decision.facts));
    parts.push(json!({"name": "output", "valueString": decision.output}));
    if !decision.recorded.is_empty() {
        parts.push(json!({"name": "recorded", "valueReference": {"reference": decision.recorded}}));
    }
    parts.push(json!({"name": "sentence", "valueString": told(decision)}));
    parts
}

/// What is planned, as data.
pub(super) fn planned_parts(due: &Due) -> Vec<Value> {
    let mut parts = vec![
        json!({"name": "rule", "valueCanonical": due.rule}),
        json!({"name": "step", "valueString": due.step}),
        json!({"name": "next", "valueInstant": instant(due.due)}),
    ];
    parts.extend(facts(&Detail::read(&due.detail).facts));
    parts
}

/// The exact versions that something rests on.
pub(super) fn facts(facts: &[String]) -> impl Iterator<Item = Value> {
    facts.iter().map(|fact| json!({"name": "fact", "valueReference": {"reference": fact}}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Person;

    fn decision(outcome: Outcome, at: i64) -> Decision {
        Decision {
            person: Person(1),
            output: String::from("0f0e"),
            at,
            outcome,
            gate: if outcome == Outcome::Fired { String::new() } else { String::from("quiet") },
            until: if outcome == Outcome::Held { 3_600_000 } else { 0 },
            rule: String::from("https://x.example/rule|1"),
            step: String::from("reminder"),
            episode: String::from("p|2026-01-01"),
            priority: 2,
            spoken: outcome == Outcome::Fired,
            reason: String::from("Because."),
            facts: [String::from("MedicationDispense/d/_history/2")].into(),
            recorded: String::from("Communication/0f0e"),
        }
    }

    fn named<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
        value["parameter"].as_array().unwrap().iter().filter(|one| one["name"] == name).collect()
    }

    #[test]
    fn an_output_is_explained_from_first_to_last() {
        let decisions = [decision(Outcome::Held, 0), decision(Outcome::Fired, 3_600_000)];
        for name in ["0f0e", "Communication/0f0e", "https://a.example/fhir/Communication/0f0e", &companion("0f0e", "request")] {
            let told = why(&decisions, &[], name).unwrap();
            assert_eq!(named(&told, "outcome")[0]["valueCode"], "fired", "{name}");
            assert_eq!(named(&told, "decision").len(), 2);
            let sentence = named(&told, "sentence")[0]["valueString"].as_str().unwrap().to_owned();
            assert_eq!(sentence, "Said at 1970-01-01T01:00:00.000Z by step reminder of rule https://x.example/rule|1: Because.");
            let first = named(&told, "decision")[0]["part"].to_string();
            assert!(first.contains(r#""name":"until","valueInstant":"1970-01-01T01:00:00.000Z""#), "{first}");
            assert!(first.contains("MedicationDispense/d/_history/2"), "{first}");
        }
        assert_eq!(why(&decisions, &[], "0f0f"), None);
    }
}
