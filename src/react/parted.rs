//! Two records that were taken for one person turned out to be of two. Each has its own facts again; what was planned while they were
//! one is planned anew for whose fact it is, and what was said then counts for both, so that nobody is written to twice.
//! Follows <https://hl7.org/fhir/R4/patient.html#maintenance>.

use std::collections::BTreeSet;

use super::decide::{LEFT, because, cancel_task, prepare, stands};
use super::detail::Detail;
use super::heard::{bound, freed};
use super::json::{local, reference, text};
use super::turn::{Candidate, Turn};
use super::words::{self, Wish};
use super::{Heard, Latest, PENDING_MS, Resource, Story, may_be_open, nudge, person, products, refill, renewal};
use crate::ledger::{Decision, Due, How, Line, Mark, Outcome, Person};

/// Those who were taken for one with a person until just now.
#[derive(Debug, Clone, Default)]
pub struct Parted {
    /// Who they are, and since when each was taken for one with the person; empty where nobody was parted.
    pub persons: Vec<(Person, i64)>,
    /// Since when the first of them were, UTC milliseconds.
    pub since: i64,
    /// When the first of them was parted, UTC milliseconds.
    pub from: i64,
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

/// What must be read beside, as `Type/id`, where somebody was parted: what the facts refer to that are told again, the Tasks that may
/// have been done for both, and what open ones rest on.
#[must_use]
pub fn told_again(parted: &Parted, resources: &[Resource], decisions: &Latest, now: i64) -> Vec<String> {
    if parted.persons.is_empty() {
        return Vec::new();
    }
    let facts = resources.iter().flat_map(|resource| products::needed(&resource.value));
    let tasks = decisions.iter().filter(|one| one.at > now - PENDING_MS).flat_map(asked_elsewhere);
    let doubles = decisions.iter().filter(|one| one.gate == because::TWICE).map(|one| one.recorded.clone());
    let open = decisions.iter().filter(|one| may_be_open(one, now)).flat_map(|one| one.facts.iter());
    facts.chain(tasks).chain(doubles).chain(open.map(|fact| unversioned(fact))).collect()
}

/// `Task/id` of what was asked in the place of this, or, of what was shared, asked of the other.
fn asked_elsewhere(decision: &Decision) -> Vec<String> {
    match decision.gate.as_str() {
        because::SHARED if !decision.spoken => vec![format!("Task/{}", decision.output)],
        because::TWICE => {
            let facts = decision.facts.iter().filter(|fact| fact.starts_with("Task/"));
            facts.map(|fact| unversioned(fact)).collect()
        }
        _ => Vec::new(),
    }
}

/// `Type/id` of a version.
fn unversioned(fact: &str) -> String {
    fact.split("/_history/").next().unwrap_or(fact).to_owned()
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
    let given_up = forget(turn);
    leave(turn);
    let dispenses: Vec<&'a Heard> = again.iter().filter(|event| event.resource.kind == "MedicationDispense").collect();
    let mut candidates = refill::hear(turn, &dispenses);
    refill::recount(turn);
    for event in again {
        candidates.extend(nudge::hear(turn, event, event));
    }
    for candidate in candidates {
        look_again(turn, candidate);
    }
    renewal::end_all(turn);
    for double in given_up.iter().filter(|one| one.gate == because::TWICE) {
        call_again(turn, double);
    }
    for due in turn.dues_where(|due| due.detail().held || due.detail().prepared) {
        if let Some(candidate) = turn.candidate(&due) {
            readdress(turn, &candidate);
        }
        if due.detail().held {
            turn.plan(Due { due: due.due.min(now), ..Due::clone(&due) });
        }
    }
}

/// A STOP that somebody said for all the records binds their own addresses alone.
fn free(turn: &mut Turn) {
    let parted = &turn.story.parted;
    let theirs: BTreeSet<String> = person::addresses(&parted.addressed).into_iter().collect();
    let own = person::addresses(&turn.story.resources).into_iter().filter(|address| !theirs.contains(address));
    let marks: Vec<Mark> = own
        .flat_map(|address| {
            let freed =
                |(person, since): &(Person, i64)| Mark::Started { address: address.clone(), person: *person, since: *since };
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
        match words::wish_of(said) {
            Some(Wish::Stop) => refused.extend(bound(story, said).into_iter().map(|address| (address, said.person))),
            // Of one that was corrected it is not known when it was said: it takes nothing back.
            Some(Wish::Start) if said.version == 1 && said.how == How::Live && words::was_said(said) => {
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
const OWN: &[&str] = &[because::REVERSED, because::LEFT, because::TAKEN, "diagnosis"];

/// What was held for a fact of the person, and then for one of the other, is not held for the person any more. What was ended while both
/// were taken for one may have been so for the other's sake: it is looked at again, and its gates are asked again. A Task that was asked
/// for both, or whose double was taken back, counts for both only if it was done while they were one. What is given up, as it was.
fn forget(turn: &mut Turn) -> Vec<Decision> {
    let (since, from) = (turn.story.parted.since, turn.story.parted.from);
    let is_gone = |one: &&Decision| match one.outcome {
        Outcome::Held => !turn.dues.has(&one.output),
        Outcome::Stopped | Outcome::Withdrawn if one.gate == because::TWICE => one.at >= since && is_single(turn, one),
        Outcome::Stopped | Outcome::Withdrawn => !one.recorded.is_empty() && one.at >= since && !OWN.contains(&one.gate.as_str()),
        // What was shared until an earlier parting was looked at then.
        Outcome::Fired => one.gate == because::SHARED && one.until >= from && is_undone(turn, one),
    };
    let mut gone: Vec<Decision> = turn.decisions.values().filter(is_gone).cloned().collect();
    // What was left to one of those is free again with it.
    let asked: BTreeSet<String> = gone.iter().map(|one| format!("Task/{}", one.output)).collect();
    let is_left = |one: &&Decision| {
        one.gate == because::TWICE && !gone.iter().any(|known| known.output == one.output) && {
            asked_elsewhere(one).iter().any(|task| asked.contains(task))
        }
    };
    let left: Vec<Decision> = turn.decisions.values().filter(is_left).cloned().collect();
    gone.extend(left);
    let parted_at = turn.story.parted_at.map_or(0, |(at, _)| at);
    for decision in gone.clone() {
        let reason = match decision.outcome {
            Outcome::Held => "It was held for somebody who was taken for the same person.",
            Outcome::Fired => "It was asked for somebody who was taken for the same person, and not done until they were parted.",
            _ => "It was ended while two records were taken for one person, and is looked at again.",
        };
        let (gate, reason) = (because::PARTED.to_owned(), reason.to_owned());
        let (at, outcome) = (turn.story.now, Outcome::Withdrawn);
        let until = if decision.gate == because::SHARED { decision.until } else { parted_at };
        turn.decide(Decision { at, outcome, gate, until, reason, recorded: String::new(), ..decision });
    }
    gone
}

/// A Task that was asked for because of a fact which went over to the other record, while both were of one person, is the other's matter.
fn leave(turn: &mut Turn) {
    for asked in turn.fired_where(|decision| decision.recorded.starts_with("Task/")) {
        let Some((action, _)) = turn.rules.plan(&asked.rule).and_then(|plan| plan.step(&asked.step)) else { continue };
        let facts = asked.facts.iter().filter_map(|fact| turn.story.find(&unversioned(fact)));
        let mut set_off = facts.filter(|fact| action.triggers.iter().any(|trigger| trigger.kind == fact.kind)).peekable();
        let is_theirs = |fact: &Resource| turn.story.parted.persons.iter().any(|(other, _)| *other == fact.person);
        if set_off.peek().is_some() && set_off.all(is_theirs) {
            cancel_task(turn, &asked, because::LEFT, LEFT);
        }
    }
}

/// Whether a double stands for itself again: what stood for both is another's now, and was not done while it did.
fn is_single(turn: &Turn, double: &Decision) -> bool {
    #[cfg(test)]
    if turn.rules.unguarded == because::TWICE {
        return false;
    }
    let is_ours = |task: &str| {
        let known = task.strip_prefix("Task/").and_then(|output| turn.decisions.get(output));
        known.is_some_and(stands)
    };
    !asked_elsewhere(double).iter().any(|task| is_ours(task) || turn.story.find(task).is_some_and(|task| was_done(turn, task)))
}

/// Whether what counts for both is a Task that was not done while they were one.
fn is_undone(turn: &Turn, shared: &Decision) -> bool {
    let tasks = asked_elsewhere(shared);
    tasks.iter().filter_map(|task| turn.story.find(task)).any(|task| !was_done(turn, task))
}

/// Whether a Task was done while they were taken for one. What is done before or after that is done for one of them.
fn was_done(turn: &Turn, task: &Resource) -> bool {
    #[cfg(test)]
    if turn.rules.unguarded == because::SHARED {
        return false;
    }
    let is_done = !task.deleted && text(&task.value, "status") == Some("completed");
    let until = turn.story.parted_at.map_or(i64::MIN, |(until, _)| until);
    is_done && (turn.story.parted.since..=until).contains(&task.learned)
}

/// A call of the calendar comes once: what it asked for twice is due again, while it is worth doing since it was asked for.
fn call_again(turn: &mut Turn, double: &Decision) {
    let Some(plan) = turn.rules.plan(&double.rule) else { return };
    let Some((_, step)) = plan.step(&double.step).filter(|(action, _)| action.call.is_some()) else { return };
    let asked = turn.story.find(&double.recorded).and_then(|task| text(&task.value, "authoredOn"));
    let Some(planned) = asked.and_then(|asked| asked.parse().ok()).map(jiff::Timestamp::as_millisecond) else { return };
    let mut needed = double.facts.iter().filter_map(|fact| fact.split("/_history/").next()).map(str::to_owned);
    let trigger = needed.next().unwrap_or_default();
    let facts = double.facts.iter().filter(|fact| !fact.starts_with("Task/")).cloned().collect();
    let needed = needed.filter(|fact| !fact.starts_with("Task/")).collect();
    let until = planned + step.window();
    let known = turn.story.find(&trigger).or_else(|| person::patient(turn.story).filter(|_| trigger.starts_with("Patient/")));
    let detail = Detail { trigger, needed, planned, until, facts, ..Detail::default() };
    let output = turn.output(plan, &step.id, &double.episode);
    let candidate = Candidate { plan, step, episode: double.episode.clone(), output, trigger: known, fill: None, detail };
    let settled = turn.settled(plan, &step.id, &double.episode).is_some();
    if !settled && until >= turn.story.now {
        let due = turn.due(&candidate, turn.story.now);
        turn.plan(due);
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
    let Some(learned) = candidate.trigger.map(|trigger| trigger.learned).filter(|_| !turn.has_done(&candidate)) else { return };
    candidate.detail.until = candidate.detail.until.min(learned + candidate.step.window());
    if candidate.detail.until >= turn.story.now {
        let due = turn.due(&candidate, turn.story.now);
        turn.plan(due);
    }
}
