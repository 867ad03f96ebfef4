//! Decides again what was decided of a person, and tells where it comes out otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Rehearser;
use crate::ledger::{Decision, Error, How, Person, Stored};
use crate::react::rehearsal::{Difference, Trial, differences};

/// What Signa records itself when it decides: it is decided anew.
const OUTPUTS: [&str; 3] = ["Communication", "CommunicationRequest", "Task"];
/// The gate of what a fault of ours kept from being decided.
const FAULT: &str = "fault";

/// What came of deciding again.
#[derive(Debug)]
pub struct Again {
    /// All that came.
    pub trial: Trial,
    /// Decisions that came out otherwise.
    pub decisions: Vec<Difference>,
    /// `Type/id` of what was recorded otherwise, or once only; the latest thousand of each type are compared.
    pub outputs: Vec<String>,
    /// Events that rules ask for and were never asked about.
    pub unheard: usize,
    /// Decisions that cannot be compared: those that a fault of ours kept from being made, and all of a person of whom something was
    /// decided before it was kept when the rules were asked.
    pub uncompared: usize,
}

impl Rehearser {
    /// Decides again what was decided of a person; `None` where more is known than is told. The stage must be one on which the rules
    /// are asked when they were asked.
    pub async fn again(&mut self, person: Person) -> Result<Option<Again>, Error> {
        let Some(trial) = self.trial(person).await? else { return Ok(None) };
        let (mut live, mut recorded, mut known) = (Vec::new(), Vec::new(), BTreeSet::new());
        for person in &trial.persons {
            if !known.contains(person) {
                known.extend(self.ledger.united(&self.scope, *person).await?);
                live.extend(self.ledger.all_decisions(&self.scope, *person).await?);
                recorded.extend(self.ledger.held(&self.scope, *person, &OUTPUTS, i64::MAX).await?);
            }
        }
        live.sort_by_key(|decision| decision.at);
        live.retain(|decision| decision.at <= self.stage.until);
        if trial.traced.before > 0 {
            let uncompared = live.len();
            let trial = Trial { decisions: Vec::new(), outputs: Vec::new(), faults: 0, ..trial };
            return Ok(Some(Again { trial, decisions: Vec::new(), outputs: Vec::new(), unheard: 0, uncompared }));
        }
        let (faults, live): (Vec<Decision>, Vec<Decision>) = live.into_iter().partition(|decision| decision.gate == FAULT);
        let decisions = differences(&live, &trial.decisions);
        let outputs = self.parted(&recorded, &trial);
        let (unheard, uncompared) = (trial.traced.unheard, faults.len());
        Ok(Some(Again { trial, decisions, outputs, unheard, uncompared }))
    }

    /// What was recorded otherwise, or once only.
    fn parted(&self, recorded: &[Stored], trial: &Trial) -> Vec<String> {
        let recorded = recorded.iter().filter(|stored| stored.how == How::Derived && stored.updated <= self.stage.until);
        let mut outputs: BTreeMap<String, Value> =
            recorded.map(|stored| (name(&stored.value()), plain(stored.value()))).collect();
        for output in &trial.outputs {
            let name = name(output);
            if outputs.remove(&name).as_ref() != Some(&plain(output.clone())) {
                outputs.insert(name, Value::Null);
            }
        }
        outputs.into_keys().collect()
    }
}

/// `Type/id` of a resource.
fn name(resource: &Value) -> String {
    let part = |part: &str| resource.get(part).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}", part("resourceType"), part("id"))
}

/// A resource without what only the store writes.
fn plain(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.shift_remove("meta");
    }
    value
}
