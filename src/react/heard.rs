//! What an occasion asks: events are taken in by their kind, and what must be decided at once is decided in order.

use std::collections::{BTreeSet, HashMap};

use super::decide::{because, decide, withdraw};
use super::turn::{Candidate, Turn};
use super::words::{self, Wish};
use super::{
    Call, Heard, Planned, Resource, Story, back, called, merged, nudge, overdue, parted, person, refill, renewal, retold,
};
use crate::ledger::{Line, Mark, Outcome, Person};

/// Kinds whose change may open or close a gate.
const GATED: &[&str] = &["Patient", "RelatedPerson", "Consent", "Condition", "MedicationRequest"];

/// Kinds by which somebody binds what is said to a person: by a word, an agreement, a death, or who speaks for them.
pub const BINDING: &[&str] = &["Communication", "Consent", "Patient", "RelatedPerson"];

/// What went over to somebody else is gone from a person: it stands in the story only so that this is known.
pub fn leave(resources: &mut [Resource], united: &[Person], heard: &[Heard]) {
    for left in heard.iter().filter(|event| event.line == Line::Left) {
        let named = resources.iter_mut().filter(|one| key(one) == key(&left.resource));
        for one in named.filter(|one| !united.contains(&one.person) || !one.is_about()) {
            one.deleted = true;
        }
    }
}

/// Whether it went over to somebody who is one with the person, or came back meanwhile: then it is not gone.
fn is_still_theirs(story: &Story, event: &Heard) -> bool {
    event.line == Line::Left && story.find(&event.resource.reference()).is_some_and(|known| !known.deleted)
}

/// Takes in events of one person. `again` is what must be told again: where the person was taken for one with somebody else, all that is
/// known of them.
pub(super) fn hear<'a>(turn: &mut Turn<'a>, events: &'a [Heard], again: &'a [Heard]) {
    let is_heard = |event: &&Heard| event.line.is_of_persons() || event.resource.is_about();
    let events = events.iter().filter(is_heard);
    let events: Vec<&'a Heard> = events.filter(|event| !is_still_theirs(turn.story, event)).collect();
    let is_parted = events.iter().any(|event| event.line == Line::Parted);
    if is_parted {
        parted::hear(turn, again);
    }
    let is_linked = !is_parted && events.iter().any(|event| event.line == Line::Linked);
    let newest: HashMap<(&str, &str), &'a Heard> = events.iter().map(|event| (key(&event.resource), *event)).collect();
    let newest = |event: &'a Heard| newest.get(&key(&event.resource)).copied().unwrap_or(event);
    let of_dispense = |event: &&&'a Heard| event.resource.kind == "MedicationDispense";
    let dispenses: Vec<&'a Heard> = events.iter().filter(of_dispense).copied().collect();
    let counted: Vec<&'a Heard> = dispenses.iter().copied().chain(again.iter().filter(|_| !is_parted)).collect();
    let mut now: Vec<Candidate<'a>> = refill::hear(turn, &counted);
    for event in dispenses {
        now.extend(nudge::hear(turn, event, newest(event)));
    }
    let mut looks_again = false;
    for event in events.iter().copied().filter(|event| event.resource.kind != "MedicationDispense") {
        if let Some(wish) = words::wish_of(&event.resource).filter(|wish| counts(event, *wish)) {
            looks_again |= obey(turn, event, wish);
        }
        looks_again |= GATED.contains(&event.resource.kind.as_str()) || event.line.is_of_persons();
        if event.resource.kind == "MedicationRequest" {
            renewal::hear(turn, event);
        }
        overdue::ended(turn, event);
        now.extend(nudge::hear(turn, event, newest(event)));
    }
    let tells_who = |event: &&Heard| event.line.is_of_persons() || event.resource.kind == "Patient";
    if events.iter().any(tells_who) {
        if turn.story.united.len() > 1 {
            merged::once(turn);
        }
        if is_linked {
            merged::recount(turn);
            renewal::unite(turn);
        }
        // What was asked for the dead goes over to nobody: it ends below.
        if !person::has_died(turn.story) {
            merged::move_tasks(turn);
        }
    }
    if !is_parted {
        back::hear(turn, &events);
    }
    let kinds = told_of(events.iter().copied());
    nudge::drop_pointless(turn, &kinds);
    if looks_again && person::has_died(turn.story) {
        nudge::end_all(turn);
    } else if looks_again && !is_parted {
        now.extend(nudge::held(turn));
    }
    if is_parted {
        // Nothing is decided at once: whose STOP binds whom is known at the next look.
        for candidate in now {
            parted::look_again(turn, candidate);
        }
    } else {
        in_order(turn, now);
    }
}

/// Of what kinds something may be another than it was: who turns out to be one with somebody was given what that one was.
pub(super) fn told_of<'h>(events: impl Iterator<Item = &'h Heard>) -> BTreeSet<&'h str> {
    let dispenses = |event: &Heard| (event.line == Line::Linked).then_some("MedicationDispense");
    events.flat_map(|event| [event.resource.kind.as_str()].into_iter().chain(dispenses(event))).collect()
}

fn key(resource: &Resource) -> (&str, &str) {
    (&resource.kind, &resource.id)
}

/// An action is called for the person; or `again` is told again, since the Medication that it names is known by now.
pub(super) fn answer<'a>(turn: &mut Turn<'a>, call: &Call, again: &'a [Heard]) {
    if call.is_of_medication() {
        return retold::hear(turn, again);
    }
    let now = called::call(turn, call);
    in_order(turn, now);
}

/// Looks at a due whose time has come.
pub(super) fn look(turn: &mut Turn, due: &Planned) {
    // What is not due any more was taken back or decided meanwhile; what is due later was moved.
    let Some(known) = turn.dues.get(&due.output).filter(|known| known.due <= turn.story.now).cloned() else { return };
    if overdue::is_watch(&known) {
        return overdue::look(turn, &known);
    }
    let Some(candidate) = turn.candidate(&known) else {
        return withdraw(turn, &known, Outcome::Withdrawn, because::RULE, "The rule it follows runs no longer.");
    };
    if let Some(fill) = candidate.fill.as_ref().filter(|_| candidate.step.follows_end)
        && turn.fills(&candidate.detail.product).last().is_some_and(|last| last.first > fill.first)
    {
        let why = "A later fill continues the supply.";
        return withdraw(turn, &known, Outcome::Withdrawn, because::MOVED, why);
    }
    decide(turn, &candidate);
}

/// Decides in the order of due time, priority and rule, each output once.
fn in_order<'a>(turn: &mut Turn<'a>, mut now: Vec<Candidate<'a>>) {
    now.sort_by(|a, b| {
        let key = |one: &Candidate<'a>| (one.detail.planned, one.plan.priority, &one.plan.url, &one.step.id, one.episode.clone());
        key(a).cmp(&key(b))
    });
    let mut seen = BTreeSet::new();
    for candidate in now {
        if seen.insert(candidate.output.clone()) {
            decide(turn, &candidate);
        }
    }
}

/// A STOP binds however it becomes known. A START is one only when it is said: an old one that is corrected, deleted, filed under
/// another person or imported must not end a STOP that was said after it, and one that is not done was not said.
fn counts(event: &Heard, wish: Wish) -> bool {
    let is_first = event.line == Line::Created && event.resource.version == 1;
    wish == Wish::Stop || (is_first && words::was_said(&event.resource) && refill::acts(event))
}

/// Somebody said STOP or START. Whether something must be looked at again.
fn obey(turn: &mut Turn, event: &Heard, wish: Wish) -> bool {
    match wish {
        Wish::Stop => stop(turn, event),
        Wish::Start => start(turn, event),
    }
    wish == Wish::Stop
}

fn stop(turn: &mut Turn, event: &Heard) {
    for address in bound(turn.story, &event.resource) {
        turn.reaction.marks.push(Mark::Stopped { address: address.clone(), person: event.resource.person });
        turn.stopped.push(address);
    }
}

/// STOP binds all addresses known of the person, whoever wrote it for them, and the person and the writer themselves: so also an
/// address that becomes known later, and a person of whom nothing is known yet.
pub(super) fn bound(story: &Story, said: &Resource) -> Vec<String> {
    bound_by(said.person, Some(said), &story.resources)
}

/// The same of a person's records; what was said need not be known.
#[must_use]
pub fn bound_by(person: Person, said: Option<&Resource>, records: &[Resource]) -> Vec<String> {
    let mut bound = vec![person::key(person)];
    bound.extend(said.and_then(|said| words::sender(&said.value)));
    bound.extend(person::addresses(records));
    bound.sort();
    bound.dedup();
    bound
}

fn start(turn: &mut Turn, event: &Heard) {
    let (addresses, persons) = freed(turn.story, &event.resource);
    for address in addresses {
        let freed = persons.iter().map(|person| Mark::Started { address: address.clone(), person: *person, since: i64::MIN });
        turn.reaction.marks.extend(freed);
    }
}

/// START frees the addresses of whoever said it; the person only when it was said by whom messages go to. Others who share an
/// address may have said STOP too; the ledger knows at the next look. Told are the addresses, and whose STOP for them ends.
pub(super) fn freed(story: &Story, said: &Resource) -> (Vec<String>, BTreeSet<Person>) {
    let sender = words::sender(&said.value);
    let known = sender.as_deref().and_then(|sender| story.find(sender));
    let of_patient = !words::is_related(&said.value);
    let patients: Vec<&Resource> = story.current("Patient").filter(|_| of_patient).collect();
    if sender.is_some() && known.is_none() && !patients.is_empty() {
        // Somebody who is not this person cannot take their STOP back.
        return (Vec::new(), BTreeSet::new());
    }
    let writers = if of_patient { patients } else { known.into_iter().collect() };
    let mut free: Vec<String> = writers.iter().flat_map(|writer| person::addresses(std::slice::from_ref(*writer))).collect();
    free.extend(sender);
    let mut persons: BTreeSet<Person> = story.united.iter().copied().chain([story.person, said.person]).collect();
    persons.extend(writers.iter().map(|writer| writer.person));
    let speaks_for = match person::recipient(story) {
        Some(recipient) => writers.iter().any(|writer| writer.reference() == recipient.resource.reference()),
        None => of_patient,
    };
    if speaks_for {
        free.extend(persons.iter().map(|person| person::key(*person)));
    }
    (free, persons)
}
