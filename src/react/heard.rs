//! What an occasion asks: events are taken in by their kind, and what must be decided at once is decided in order.

use std::collections::BTreeSet;

use super::decide::{because, decide, withdraw};
use super::gates::therapy;
use super::plan::Anchor;
use super::turn::{Candidate, Turn};
use super::words::{self, Wish};
use super::{Heard, nudge, person, refill};
use crate::ledger::{Due, Line, Mark, Outcome};

/// Kinds whose change may open or close a gate.
const GATED: &[&str] = &["Patient", "RelatedPerson", "Consent", "Condition", "MedicationRequest"];

/// Takes in events of one person.
pub(super) fn hear<'a>(turn: &mut Turn<'a>, events: &'a [Heard]) {
    let dispenses: Vec<&Heard> = events.iter().filter(|event| event.resource.kind == "MedicationDispense").collect();
    let mut now: Vec<Candidate<'a>> = refill::hear(turn, &dispenses);
    let mut looks_again = false;
    for event in events.iter().filter(|event| event.resource.kind != "MedicationDispense") {
        let wish = words::wish(&event.resource.value).filter(|_| event.resource.kind == "Communication");
        if let Some(wish) = wish.filter(|wish| counts(event, *wish)) {
            looks_again |= obey(turn, event, wish);
        }
        looks_again |= GATED.contains(&event.resource.kind.as_str()) || event.line == Line::Linked;
        if event.resource.kind == "MedicationRequest" && (event.resource.deleted || therapy::has_ended(&event.resource.value)) {
            refill::end_order(turn, event);
        }
        now.extend(nudge::hear(turn, event));
    }
    if looks_again && person::has_died(turn.story) {
        nudge::end_all(turn);
    } else if looks_again {
        now.extend(nudge::held(turn));
    }
    in_order(turn, now);
}

/// Looks at a due whose time has come.
pub(super) fn look(turn: &mut Turn, due: &Due) {
    // What is not due any more was taken back or decided meanwhile; what is due later was moved.
    let Some(known) = turn.dues.get(&due.output).filter(|known| known.due <= turn.story.now).cloned() else { return };
    let Some(candidate) = turn.candidate(&known) else {
        return withdraw(turn, &known, Outcome::Withdrawn, because::RULE, "The rule it follows runs no longer.");
    };
    if let (Anchor::End(_), Some(fill)) = (candidate.step.anchor, &candidate.fill)
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

/// A STOP binds however it becomes known. A START is one only when it is said: an old one that is corrected, deleted or
/// imported must not end a STOP that was said after it.
fn counts(event: &Heard, wish: Wish) -> bool {
    wish == Wish::Stop || (event.line == Line::Created && refill::acts(event))
}

/// Somebody said STOP or START: it binds all addresses of whoever said it. Whether it came from a person we know.
fn obey(turn: &mut Turn, event: &Heard, wish: Wish) -> bool {
    let sender = words::sender(&event.resource.value).and_then(|sender| turn.story.find(&sender));
    let Some(sender) = sender.or_else(|| person::patient(turn.story)) else { return false };
    let person = event.resource.person;
    for address in person::addresses(std::slice::from_ref(sender)) {
        turn.reaction.marks.push(match wish {
            Wish::Stop => Mark::Stopped { address: address.clone(), person },
            Wish::Start => Mark::Started { address: address.clone(), person },
        });
        match wish {
            Wish::Stop => turn.stopped.push(address),
            // Others who share the address may have said STOP too; the ledger knows at the next look.
            Wish::Start => {}
        }
    }
    wish == Wish::Stop
}
