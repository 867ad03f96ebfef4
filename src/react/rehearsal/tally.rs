//! What rehearsals came to, counted by rule, step and gate: who would be contacted, when, and who was held back and why.
//! Follows <https://hl7.org/fhir/R4/parameters.html>.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::Traced;
use crate::fhir::time::instant;
use crate::ledger::{Decision, Outcome, Person};
use crate::react::json::unversioned;
use crate::react::zones;

/// What came of those who are one person in the end.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// All who are one.
    pub persons: Vec<Person>,
    /// `Patient/id` that stands for them; empty when none is known.
    pub patient: String,
    /// Entries of the ledger that were told.
    pub entries: usize,
    /// All that was decided, in order.
    pub decisions: Vec<Arc<Decision>>,
    /// What was recorded, as it stands in the end.
    pub outputs: Vec<Value>,
    /// How often something could not be decided; it is to be 0.
    pub faults: usize,
    /// Events of which the rules were never asked, where they were asked again what they were asked.
    pub traced: Traced,
}

/// What is counted.
#[derive(Debug, Clone)]
pub struct Asked {
    /// From when on, UTC milliseconds.
    pub from: i64,
    /// Until before when.
    pub to: i64,
    /// Urls of the rules that are counted; all when empty.
    pub rules: Vec<String>,
    /// Where days begin and end.
    pub zone: TimeZone,
}

/// What a step came to, over all persons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Said or done, by day.
    pub fired: BTreeMap<String, u64>,
    /// Of these, how many waited before, by the gate that held them.
    pub waited: BTreeMap<String, u64>,
    /// Not said or done, by how it stands and by the gate.
    pub kept: BTreeMap<(&'static str, String), u64>,
}

/// What rehearsals came to.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Persons.
    pub persons: u64,
    /// Entries of the ledger that were told.
    pub entries: u64,
    /// Persons to whom something was said.
    pub contacted: u64,
    /// Messages to persons.
    pub messages: u64,
    /// Decisions that were counted.
    pub decisions: u64,
    /// How often something could not be decided; it is to be 0.
    pub faults: u64,
    /// By rule (`url|version`) and step.
    pub steps: BTreeMap<(String, String), Counts>,
}

impl Asked {
    /// What of a trial is counted: the decisions of these rules in this time.
    pub fn of<'t>(&'t self, trial: &'t Trial) -> impl Iterator<Item = &'t Decision> {
        let is_meant = |decision: &&Decision| {
            let url = unversioned(&decision.rule);
            let is_meant = self.rules.is_empty() || self.rules.iter().any(|rule| rule == url);
            is_meant && (self.from..self.to).contains(&decision.at)
        };
        trial.decisions.iter().map(Arc::as_ref).filter(is_meant)
    }
}

impl Tally {
    /// Counts a trial.
    pub fn add(&mut self, asked: &Asked, trial: &Trial) {
        self.persons += u64::from(!trial.persons.is_empty());
        self.entries += count(trial.entries);
        self.faults += count(trial.faults);
        let mut last: HashMap<&str, (&Decision, Option<&str>)> = HashMap::new();
        let mut order = Vec::new();
        let mut messages = 0;
        for decision in asked.of(trial) {
            self.decisions += 1;
            messages += u64::from(decision.spoken && decision.outcome == Outcome::Fired && decision.gate.is_empty());
            let waited = match last.get(decision.output.as_str()) {
                Some((before, waited)) => waited.or_else(|| (before.outcome == Outcome::Held).then_some(before.gate.as_str())),
                None => {
                    order.push(decision.output.as_str());
                    None
                }
            };
            last.insert(decision.output.as_str(), (decision, waited));
        }
        self.messages += messages;
        self.contacted += u64::from(messages > 0);
        for (decision, waited) in order.into_iter().filter_map(|output| last.get(output)) {
            let counts = self.steps.entry((decision.rule.clone(), decision.step.clone())).or_default();
            if decision.outcome == Outcome::Fired {
                let day = zones::date(zones::day(decision.at, &asked.zone)).to_string();
                *counts.fired.entry(day).or_default() += 1;
                if let Some(gate) = waited {
                    *counts.waited.entry((*gate).to_owned()).or_default() += 1;
                }
            } else {
                *counts.kept.entry((decision.outcome.word(), decision.gate.clone())).or_default() += 1;
            }
        }
    }

    /// As parameters: the answer of the operation, and what scripts read.
    #[must_use]
    pub fn parameters(&self, asked: &Asked) -> Vec<Value> {
        let number = |name: &str, count: u64| json!({"name": name, "valueUnsignedInt": count});
        let mut parameters = vec![
            json!({"name": "period", "valuePeriod": {"start": instant(asked.from), "end": instant(asked.to)}}),
            number("persons", self.persons),
            number("entries", self.entries),
            number("contacted", self.contacted),
            number("messages", self.messages),
            number("decisions", self.decisions),
            number("faults", self.faults),
        ];
        for ((rule, step), counts) in &self.steps {
            let mut part = vec![
                json!({"name": "rule", "valueCanonical": rule}),
                json!({"name": "step", "valueString": step}),
                number("fired", counts.fired.values().sum()),
            ];
            let days = counts.fired.iter().map(|(day, count)| {
                json!({"name": "day", "part": [{"name": "date", "valueDate": day}, {"name": "fired", "valueUnsignedInt": count}]})
            });
            part.extend(days);
            let gated = |name: &str, gate: &str, count: u64| json!({"name": name, "part": [{"name": "gate", "valueCode": gate}, {"name": "count", "valueUnsignedInt": count}]});
            part.extend(counts.waited.iter().map(|(gate, count)| gated("waited", gate, *count)));
            part.extend(counts.kept.iter().map(|((outcome, gate), count)| gated(outcome, gate, *count)));
            parameters.push(json!({"name": "step", "part": part}));
        }
        parameters
    }
}

/// One person's decisions as a parameter; `None` when nothing was decided.
#[must_use]
pub fn person(asked: &Asked, trial: &Trial) -> Option<Value> {
    let mut part = Vec::new();
    if !trial.patient.is_empty() {
        part.push(json!({"name": "patient", "valueReference": {"reference": trial.patient}}));
    }
    let before = part.len();
    part.extend(asked.of(trial).map(|decision| {
        let mut told = vec![
            json!({"name": "at", "valueInstant": instant(decision.at)}),
            json!({"name": "rule", "valueCanonical": decision.rule}),
            json!({"name": "step", "valueString": decision.step}),
            json!({"name": "outcome", "valueCode": decision.outcome.word()}),
        ];
        if !decision.gate.is_empty() {
            told.push(json!({"name": "gate", "valueCode": decision.gate}));
        }
        if decision.until > 0 {
            told.push(json!({"name": "until", "valueInstant": instant(decision.until)}));
        }
        told.push(json!({"name": "reason", "valueString": decision.reason}));
        json!({"name": "decision", "part": told})
    }));
    (part.len() > before).then(|| json!({"name": "person", "part": part}))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
