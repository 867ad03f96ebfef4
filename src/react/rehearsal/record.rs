//! What was decided becomes true in a rehearsal: rows and resources, all of it or nothing.

use std::sync::Arc;

use serde_json::Value;

use super::Rehearsal;
use super::refusals::Said;
use crate::ledger::{How, Mark, Person, Precondition};
use crate::react::json::{local, reference};
use crate::react::{Output, Reaction};

impl Rehearsal<'_> {
    /// Records what was decided, all of it or nothing, as the ledger does.
    pub(super) fn record(&mut self, person: Person, reaction: Reaction, depth: u8) {
        if !reaction.outputs.iter().all(|output| self.may_be_recorded(output)) {
            self.faults += 1;
            return;
        }
        for mark in reaction.marks {
            self.mark(mark);
        }
        for output in reaction.outputs {
            let known = self.known.own(&format!("{}/{}", output.kind, output.id));
            // The same content again is no new version.
            if known.is_none_or(|known| known.deleted || *known.value != output.value) {
                let whose = self.named(&output.value).unwrap_or(person);
                let fact = self.fact(output.value, whose, How::Derived, "signa");
                self.take(fact, depth);
            }
        }
    }

    /// The person of the Patient that an output names, where there is one.
    fn named(&self, output: &Value) -> Option<Person> {
        let named = reference(output, "subject").or_else(|| reference(output, "for")).and_then(local)?;
        named.starts_with("Patient/").then(|| self.known.own(&named).map(|patient| patient.person))?
    }

    fn may_be_recorded(&self, output: &Output) -> bool {
        let known = self.known.own(&format!("{}/{}", output.kind, output.id));
        match output.when {
            Precondition::None => true,
            Precondition::Absent => known.is_none(),
            Precondition::Version(version) => known.is_some_and(|known| known.version == version),
        }
    }

    pub(super) fn mark(&mut self, mark: Mark) {
        let at = self.now;
        match mark {
            Mark::Decided(decision) => {
                let decision = Arc::new(decision);
                self.kept.decided(self.unions.known_as(decision.person), &decision);
                self.journal.push(Arc::clone(&decision));
                self.decisions.insert((decision.output.clone(), decision.person), decision);
            }
            Mark::Due(due) => {
                self.rows(due.person).insert(due.output.clone(), due.into());
            }
            Mark::DueGone { person, output } => {
                self.rows(person).remove(&output);
            }
            Mark::Supplied(supply) => {
                let supply = Arc::new(supply);
                self.kept.supplied(&supply.dispense, Some((self.unions.known_as(supply.person), &supply)));
                self.supplies.insert(supply.dispense.clone(), supply);
            }
            Mark::SupplyGone { dispense, .. } => {
                self.kept.supplied(&dispense, None);
                self.supplies.remove(&dispense);
            }
            Mark::Stopped { address, person } => self.stops.say(Said { at, address, person, is_stop: true }, at),
            Mark::Started { address, person, since } => self.stops.say(Said { at, address, person, is_stop: false }, since),
            _ => {}
        }
    }
}
