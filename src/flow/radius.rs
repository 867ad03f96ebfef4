//! A rule would have fired far too often: it is stopped, and a person is asked, in one unit.

use serde_json::Value;

use super::{Derived, Flow, Output, Refused, broken};
use crate::ledger::{Basis, Beyond, Halt, HaltState, Mark, Person, Precondition, Scope, Stored};
use crate::react;

/// Times that a rule may be asked about on one day.
const QUESTIONS_MAX: usize = 10;

impl Flow {
    /// Stops a rule that reached its bound. Another gateway may have done it already: then nothing is left to be done.
    pub async fn halt(&self, scope: &Scope, beyond: &Beyond) -> Result<(), Refused> {
        let url = beyond.rule.split('|').next().unwrap_or_default();
        let kept = self.by_url(scope, "PlanDefinition", url).await.map_err(broken)?;
        let is_active = |kept: &&Stored| kept.value().get("status").and_then(Value::as_str) == Some("active");
        let focus = kept.iter().find(is_active).or(kept.first()).map(|kept| format!("PlanDefinition/{}", kept.id));
        let is_clinical = self.rules.of(&scope.tenant).is_clinical(&beyond.rule);
        let now = self.clock.now();
        for before in 0..QUESTIONS_MAX {
            let resource = react::question(&scope.tenant, beyond, is_clinical, focus.as_deref(), now, before);
            let task = resource.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            let halt = Halt { rule: beyond.rule.clone(), state: HaltState::Stopped, task, at: now };
            let derived = Derived {
                scope: scope.clone(),
                person: Person::NOBODY,
                depth: 1,
                outputs: vec![Output { resource, when: Precondition::Absent }],
                marks: vec![Mark::Halted(halt)],
                expects: Vec::new(),
                basis: Basis::default(),
            };
            match self.record_derived(derived).await {
                Ok(_) => {
                    tracing::error!(
                        rule = beyond.rule,
                        fired = beyond.fired,
                        most = beyond.most,
                        "a rule was stopped; a Task asks what becomes of it"
                    );
                    return Ok(());
                }
                // A Task of this id that nothing waits for was answered: it is asked again, under another one.
                Err(Refused::Exists) => {
                    let halts = self.ledger.halts(scope).await.map_err(broken)?;
                    if halts.iter().any(|halt| halt.holds(&beyond.rule)) {
                        return Ok(());
                    }
                }
                Err(refused) => return Err(refused),
            }
        }
        Err(Refused::Busy)
    }
}
