//! What was decided becomes true in a rehearsal: rows and resources, all of it or nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::Rehearsal;
use super::refusals::Said;
use crate::ledger::{Decision, How, Mark, Person, Precondition};
use crate::react::json::{local, reference};
use crate::react::{Output, Reaction};

impl Rehearsal<'_> {
    /// Records what was decided, all of it or nothing, as the ledger does.
    pub(super) fn record(&mut self, person: Person, reaction: Reaction, depth: u8) {
        if !reaction.outputs.iter().all(|output| self.may_be_recorded(output)) {
            self.faults += 1;
            return;
        }
        let mut planned = reaction.planned.into_iter().peekable();
        for mark in reaction.marks {
            match mark {
                // Those of a reaction stand in its order.
                Mark::Due(due) => {
                    let due = planned.next_if(|planned| **planned == due).unwrap_or_else(|| due.into());
                    self.rows(due.person).insert(due.output.clone(), due);
                }
                mark => self.mark(mark),
            }
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

    /// The ids of what a reaction makes under which something stands already.
    pub(super) fn standing(&self, reaction: &Reaction) -> BTreeSet<String> {
        let stands = |output: &&Output| self.known.own(&format!("{}/{}", output.kind, output.id)).is_some();
        reaction.made().filter(stands).map(|output| output.id.clone()).collect()
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
            Mark::Decided(decision) => self.decided(decision),
            Mark::Due(due) => {
                self.rows(due.person).insert(due.output.clone(), due.into());
            }
            Mark::DueGone { person, output } => {
                self.rows(person).remove(&output);
            }
            Mark::Supplied(supply) => {
                let supply = Arc::new(supply);
                self.kept.supplied(self.unions.known_as(supply.person), &supply.dispense, Some(&supply));
                self.supplies.insert((supply.dispense.clone(), supply.person), supply);
            }
            Mark::SupplyGone { person, dispense } => {
                self.kept.supplied(self.unions.known_as(person), &dispense, None);
                self.supplies.remove(&(dispense, person));
            }
            Mark::Stopped { address, person } => self.stops.say(Said { at, address, person, is_stop: true }, at),
            Mark::Started { address, person, since } => self.stops.say(Said { at, address, person, is_stop: false }, since),
            _ => {}
        }
    }

    /// Of all who are one, what was decided of an output has one order, in which no time goes back: as the ledger keeps it.
    fn decided(&mut self, mut decision: Decision) {
        let known_as = self.unions.known_as(decision.person);
        let first = (decision.output.clone(), Person(i64::MIN));
        let known = self.decisions.range(first..).take_while(|((output, _), _)| *output == decision.output);
        let known = known.filter(|((_, person), _)| self.unions.known_as(*person) == known_as).map(|(_, known)| known);
        let (last, at) = known.fold((0, decision.at), |(last, at), (place, known)| (last.max(*place), at.max(known.at)));
        decision.at = at;
        let decision = Arc::new(decision);
        self.kept.decided(known_as, &decision);
        self.journal.push(Arc::clone(&decision));
        self.decisions.insert((decision.output.clone(), decision.person), (last + 1, decision));
    }
}
