//! Two records that were taken for one person turned out to be of two. Each has its own facts again; what was planned while they were
//! one is planned anew for whose fact it is, and what was said then counts for both, so that nobody is written to twice.
//! Follows <https://hl7.org/fhir/R4/patient.html#maintenance>.

use std::collections::BTreeSet;

use super::decide::{because, is_settled, prepare};
use super::heard::{bound, freed};
use super::json::{local, reference, text};
use super::turn::{Candidate, Turn};
use super::words::{self, Wish};
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
/// They were taken for one until then: what is learned of this person later is no matter of it.
#[must_use]
pub fn shared(decision: Decision, to: Person, until: i64) -> Decision {
    let reason = format!("Two records were taken for one person then. {}", decision.reason);
    Decision { person: to, gate: because::SHARED.to_owned(), until, recorded: String::new(), reason, ..decision }
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
    refuse(turn);
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
    for due in turn.dues_where(|due| due.detail().held) {
        if let Some(candidate) = turn.candidate(&due) {
            readdress(turn, &candidate);
        }
        turn.plan(Due { due: due.due.min(now), ..Due::clone(&due) });
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

/// Whoever said STOP for this very record refuses still: a START that somebody said for all the records took nothing back for them.
fn refuse(turn: &mut Turn) {
    let story = turn.story;
    let is_own = |one: &&Resource| one.kind == "Communication" && !one.deleted && story.united.contains(&one.person);
    let mut own: Vec<&Resource> = story.resources.iter().filter(is_own).collect();
    own.sort_by_key(|one| (one.learned, one.reference()));
    let mut refused: BTreeSet<(String, Person)> = BTreeSet::new();
    for said in own {
        match words::wish(&said.value) {
            Some(Wish::Stop) => refused.extend(bound(story, said).into_iter().map(|address| (address, said.person))),
            // Of one that was corrected it is not known when it was said: it takes nothing back.
            Some(Wish::Start) if said.version == 1 && said.how == How::Live => {
                let (addresses, persons) = freed(story, said);
                refused.retain(|(address, person)| !addresses.contains(address) || !persons.contains(person));
            }
            _ => {}
        }
    }
    for (address, person) in refused {
        turn.reaction.marks.push(Mark::Stopped { address: address.clone(), person });
        turn.stopped.push(address);
    }
}

/// Gates by which something ends for a reason of its own facts, or since a person saw to it: it stays ended.
const OWN: &[&str] = &[because::REVERSED, because::TAKEN, "diagnosis"];

/// What was held for a fact of the person, and then for one of the other, is not held for the person any more. A message that was
/// ended while both were taken for one may have been so for the other's sake: it is looked at again, and its gates are asked again.
fn forget(turn: &mut Turn) {
    let since = turn.story.parted.since;
    let is_gone = |one: &&Decision| match one.outcome {
        Outcome::Held => !turn.dues.has(&one.output),
        Outcome::Stopped | Outcome::Withdrawn => {
            let is_message = one.recorded.starts_with("Communication/");
            is_message && one.at >= since && !OWN.contains(&one.gate.as_str())
        }
        Outcome::Fired => false,
    };
    let gone: Vec<Decision> = turn.decisions.values().filter(is_gone).cloned().collect();
    for decision in gone {
        let reason = match decision.outcome {
            Outcome::Held => "It was held for somebody who was taken for the same person.",
            _ => "It was ended while two records were taken for one person, and is looked at again.",
        };
        let (gate, reason) = (because::PARTED.to_owned(), reason.to_owned());
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
pub(super) fn look_again(turn: &mut Turn, mut candidate: Candidate) {
    let settled = turn.decided(candidate.plan, &candidate.step.id, &candidate.episode).is_some_and(is_settled);
    let Some(learned) = candidate.trigger.map(|trigger| trigger.learned).filter(|_| !settled) else { return };
    candidate.detail.until = candidate.detail.until.min(learned + candidate.step.window());
    if candidate.detail.until >= turn.story.now {
        let due = turn.due(&candidate, turn.story.now);
        turn.plan(due);
    }
}
