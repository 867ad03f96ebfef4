//! Two records that were taken for one person turned out to be of two. Each has its own facts again; what was planned while they were
//! one is planned anew for whose fact it is, and what was said then counts for both, so that nobody is written to twice.
//! Follows <https://hl7.org/fhir/R4/patient.html#maintenance>.

use std::collections::BTreeSet;

use super::decide::{because, is_settled, prepare};
use super::detail::Detail;
use super::json::{local, reference, text};
use super::turn::{Candidate, Turn};
use super::{Heard, Resource, Story, nudge, person, products, refill};
use crate::ledger::{Decision, Due, How, Line, Mark, Outcome, Person};

/// Those who were taken for one with a person until just now.
#[derive(Debug, Clone, Default)]
pub struct Parted {
    /// Who they are; empty where nobody was parted.
    pub persons: Vec<Person>,
    /// Since when they were taken for one, UTC milliseconds.
    pub since: i64,
    /// Their Patients and RelatedPersons.
    pub addressed: Vec<Resource>,
}

/// Kinds that are not told again: words that were heard once, what we asked for, and who they are.
const ONCE: &[&str] = &["Communication", "Task", "Patient", "RelatedPerson"];

/// What was said or done to somebody who was taken for one with this person: nothing of it can be taken back for them.
#[must_use]
pub fn shared(decision: Decision, to: Person) -> Decision {
    let reason = format!("Two records were taken for one person then. {}", decision.reason);
    Decision { person: to, gate: because::SHARED.to_owned(), recorded: String::new(), reason, ..decision }
}

/// What the facts refer to that are told again, as `Type/id`.
#[must_use]
pub fn told_again(parted: &Parted, resources: &[Resource]) -> Vec<String> {
    let facts = resources.iter().filter(|_| !parted.persons.is_empty());
    facts.flat_map(|resource| products::needed(&resource.value)).collect()
}

/// What is known of the person, in the order in which it was learned: what the other's facts set off may have stood for it.
pub(super) fn again(story: &Story) -> Vec<Heard> {
    let is_told = |resource: &&Resource| {
        let is_fact = !resource.deleted && resource.how != How::Derived && !ONCE.contains(&resource.kind.as_str());
        is_fact && story.united.contains(&resource.person)
    };
    let facts = story.resources.iter().filter(|_| !story.parted.persons.is_empty()).filter(is_told);
    let mut told: Vec<Heard> =
        facts.map(|fact| Heard { line: Line::Created, resource: fact.clone(), react: fact.how == How::Live, depth: 0 }).collect();
    told.sort_by_key(|heard| (heard.resource.learned, heard.resource.reference()));
    told
}

/// The person is one of their own again. Nothing is decided at once: who refuses is known at the next look.
pub(super) fn hear<'a>(turn: &mut Turn<'a>, again: &'a [Heard]) {
    let now = turn.story.now;
    free(turn);
    forget(turn);
    let dispenses: Vec<&'a Heard> = again.iter().filter(|event| event.resource.kind == "MedicationDispense").collect();
    let mut candidates = refill::hear(turn, &dispenses);
    refill::recount(turn);
    for event in again {
        candidates.extend(nudge::hear(turn, event, &event.resource));
    }
    for candidate in candidates {
        look_again(turn, candidate);
    }
    for due in turn.dues_where(|due| Detail::read(&due.detail).held) {
        if let Some(candidate) = turn.candidate(&due) {
            readdress(turn, &candidate);
        }
        turn.plan(Due { due: due.due.min(now), ..due });
    }
}

/// A STOP that somebody said for all the records binds their own addresses alone.
fn free(turn: &mut Turn) {
    let parted = &turn.story.parted;
    let theirs: BTreeSet<String> = person::addresses(&parted.addressed).into_iter().collect();
    let own = person::addresses(&turn.story.resources).into_iter().filter(|address| !theirs.contains(address));
    let marks: Vec<Mark> = own
        .flat_map(|address| {
            let freed = |person: &Person| Mark::Started { address: address.clone(), person: *person, since: parted.since };
            parted.persons.iter().map(freed).collect::<Vec<_>>()
        })
        .collect();
    turn.reaction.marks.extend(marks);
}

/// What was held for a fact of the person, and then for one of the other, is not held for the person any more.
fn forget(turn: &mut Turn) {
    let held = turn.decisions.values().filter(|decision| decision.outcome == Outcome::Held);
    let gone: Vec<Decision> = held.filter(|decision| !turn.dues.contains_key(&decision.output)).cloned().collect();
    for decision in gone {
        let (gate, reason) =
            (because::PARTED.to_owned(), String::from("It was held for somebody who was taken for the same person."));
        let (at, outcome) = (turn.story.now, Outcome::Withdrawn);
        turn.decide(Decision { at, outcome, gate, until: 0, reason, recorded: String::new(), ..decision });
    }
}

/// A message that waits in the name of the other record waits in the name of this one.
fn readdress(turn: &mut Turn, candidate: &Candidate) {
    let message = turn.story.find(&format!("Communication/{}", candidate.output));
    let waits = message.filter(|message| !message.deleted && text(&message.value, "status") == Some("preparation"));
    let named = waits.and_then(|message| reference(&message.value, "subject")).and_then(local);
    if named.is_some_and(|named| turn.story.find(&named).is_none()) {
        prepare(turn, candidate);
    }
}

/// What a fact would set off at once is due now, while it is worth doing since the fact was learned.
fn look_again(turn: &mut Turn, mut candidate: Candidate) {
    let settled = turn.decided(candidate.plan, &candidate.step.id, &candidate.episode).is_some_and(is_settled);
    let Some(learned) = candidate.trigger.map(|trigger| trigger.learned).filter(|_| !settled) else { return };
    candidate.detail.until = candidate.detail.until.min(learned + candidate.step.window());
    if candidate.detail.until >= turn.story.now {
        let due = turn.due(&candidate, turn.story.now);
        turn.plan(due);
    }
}
