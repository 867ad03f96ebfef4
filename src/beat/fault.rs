//! What becomes of something that a fault of ours keeps from being decided: nothing is lost, and a decision says so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use uuid::Uuid;

use super::Beat;
use crate::ledger::{self, Decision, Due, Error, Event, Mark, Outcome, Person, Scope};
use crate::react::{self, Call};

/// The gate that such decisions name.
const FAULT: &str = "fault";
/// After so long a due is tried again.
const PUT_OFF_MS: i64 = 3_600_000;

/// What comes of it; `None` where it panics: what is wrong with one resource or one rule must not stop the house.
pub(super) fn guarded<T>(act: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(act)).ok()
}

impl Beat {
    /// The event is settled, and a decision says so for a person to look at.
    pub(super) async fn give_up(&self, scope: &Scope, event: &Event) -> Result<(), Error> {
        tracing::error!(event = event.number, kind = event.kind, "an event could not be decided on");
        let name = format!("{}/{}/{}/{}", scope.tenant, event.kind, event.id, event.version);
        let decision = Decision {
            person: event.person,
            output: Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string(),
            at: self.clock().now(),
            outcome: Outcome::Stopped,
            gate: String::from(FAULT),
            until: 0,
            rule: String::new(),
            step: String::new(),
            episode: String::new(),
            priority: 1,
            spoken: false,
            reason: String::from("A fault of ours kept it from being decided; somebody must look at it."),
            facts: [format!("{}/{}/_history/{}", event.kind, event.id, event.version)].into(),
            recorded: String::new(),
        };
        let marks = self.settled(event.number).into_iter().chain([Mark::Decided(decision)]).collect();
        self.ledger().record_all(ledger::Unit::marks(scope.clone(), marks)).await?;
        self.were_decided([event.number]);
        Ok(())
    }

    /// A call came to nothing for a person, and a decision says so for a person to look at.
    pub(super) async fn give_up_call(&self, scope: &Scope, person: Person, call: &Call) -> Result<(), Error> {
        tracing::error!(rule = call.rule, action = call.action, "a call could not be decided on");
        let name = format!("{}/{}/{}/{}/{}", scope.tenant, person.0, call.rule, call.action, call.name);
        let decision = Decision {
            person,
            output: Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string(),
            at: self.clock().now(),
            outcome: Outcome::Stopped,
            gate: String::from(FAULT),
            until: 0,
            rule: call.rule.clone(),
            step: call.action.clone(),
            episode: call.name.clone(),
            priority: 1,
            spoken: false,
            reason: String::from("A fault of ours kept it from being decided; somebody must look at it."),
            facts: call.subjects.clone().into(),
            recorded: String::new(),
        };
        self.ledger().record_all(ledger::Unit::marks(scope.clone(), vec![Mark::Decided(decision)])).await.map(|_| ())
    }

    /// The sweep goes on later where it stood: it keeps no other from being walked.
    pub(super) async fn put_off_sweep(&self, scope: &Scope, due: &Due, error: &Error) -> Result<(), Error> {
        tracing::error!(%error, rule = due.rule, step = due.step, "a sweep failed; it is tried again later");
        let mark = react::swept_again(due, self.clock().now());
        self.ledger().record_all(ledger::Unit::marks(scope.clone(), vec![mark])).await.map(|_| ())
    }

    /// The due is looked at again later.
    pub(super) async fn put_off(&self, scope: &Scope, due: &Due) -> Result<(), Error> {
        tracing::error!(rule = due.rule, step = due.step, "a due could not be decided on; it is tried again later");
        let now = self.clock().now();
        let until = now + PUT_OFF_MS;
        let decision = Decision {
            person: due.person,
            output: due.output.clone(),
            at: now,
            outcome: Outcome::Held,
            gate: String::from(FAULT),
            until,
            rule: due.rule.clone(),
            step: due.step.clone(),
            episode: due.episode.clone(),
            priority: due.priority,
            spoken: false,
            reason: String::from("A fault of ours kept it from being decided; it is tried again."),
            facts: Arc::default(),
            recorded: String::new(),
        };
        let marks = vec![Mark::Due(Due { due: until, ..due.clone() }), Mark::Decided(decision)];
        self.ledger().record_all(ledger::Unit::marks(scope.clone(), marks)).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn what_panics_comes_to_nothing() {
        let numbers = [7];
        assert_eq!([0, 1].map(|at| guarded(|| numbers[at])), [Some(7), None]);
    }
}
