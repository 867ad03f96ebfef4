//! From a candidate to what becomes of it: the gates are asked, the outcome is recorded with its reason.

use std::sync::Arc;

use super::activity::Act;
use super::condition::Answers;
use super::detail::Planned;
use super::facts::Ask;
use super::follow::follow;
use super::gates::{self, Verdict};
use super::json::text;
use super::plan::{Action, Edge, Step, Subject};
use super::turn::{Candidate, Turn};
use super::{Resource, back, certain, holdout, merged, outputs, overdue};
use crate::ledger::{Decision, Mark, Outcome};

/// The gate named where rule or facts, and no safety gate, ended a candidate.
pub(crate) mod because {
    /// A later fill continues the supply.
    pub(crate) const MOVED: &str = "moved";
    /// The facts were taken back.
    pub(crate) const REVERSED: &str = "reversed";
    /// A condition of the rule does not hold.
    pub(crate) const CONDITION: &str = "condition";
    /// The supply cannot be counted.
    pub(crate) const SUPPLY: &str = "supply";
    /// The rule runs no longer.
    pub(crate) const RULE: &str = "rule";
    /// Somebody else has dealt with it.
    pub(crate) const TAKEN: &str = "taken";
    /// Somebody put its request on hold.
    pub(crate) const ON_HOLD: &str = "on-hold";
    /// The window of a planned step was over before it was planned.
    pub(crate) const TIMELY: &str = "timely";
    /// The fact does not say the day from which the step is counted.
    pub(crate) const UNDATED: &str = "undated";
    /// What makes it pointless has happened.
    pub(crate) const POINTLESS: &str = "pointless";
    /// The lot left the person out.
    pub(crate) const HELD_OUT: &str = "held-out";
    /// It was asked for already, for somebody who turned out to be the same person.
    pub(crate) const TWICE: &str = "twice";
    /// It was held for somebody who was taken for the same person.
    pub(crate) const PARTED: &str = "parted";
    /// What it rests on was corrected, and is not the person's any more.
    pub(crate) const LEFT: &str = "left";
    /// What it rested on was cleared away, and a copy of it stands.
    pub(crate) const COPY: &str = "copy";
    /// It was said or done while the person was taken for one with somebody else.
    pub(crate) const SHARED: &str = "shared";
}

/// Why what rests on a fact that went over to somebody else is taken back.
pub(crate) const LEFT: &str = "What it rests on was corrected: it is not about this person.";

/// Why what somebody ended by hand is not said.
pub(crate) const BY_HAND: &str = "Somebody else has dealt with it.";

/// Whether a decision says nothing of what is decided later, for the person or for whoever is one with them: what went over to somebody
/// else may come back, or turn out to be about the same person.
pub(crate) fn is_void(decision: &Decision) -> bool {
    matches!(decision.gate.as_str(), because::PARTED | because::LEFT)
}

/// Whether what was said or asked for is as it was.
pub(crate) fn stands(decision: &Decision) -> bool {
    decision.outcome == Outcome::Fired && matches!(decision.gate.as_str(), "" | because::COPY)
}

/// Whether nothing more may be decided of this: it was said, or something of it was recorded and ended, or it was said of another record.
pub(crate) fn is_settled(decision: &Decision) -> bool {
    match decision.outcome {
        Outcome::Fired => true,
        Outcome::Held => false,
        Outcome::Stopped | Outcome::Withdrawn => !decision.recorded.is_empty() || decision.gate == because::TWICE,
    }
}

/// Decides a candidate whose time has come.
pub(crate) fn decide<'a>(turn: &mut Turn<'a>, candidate: &Candidate<'a>) {
    let freed = turn.freed(candidate);
    let candidate = freed.as_ref();
    // What was said stays said, whatever became of it for another record of the person.
    if turn.decisions.get(&candidate.output).is_some_and(|known| !is_void(known) && is_settled(known)) {
        return turn.drop_due(&candidate.output);
    }
    // What was held for one record of a person waits no longer when it was said, or taken back, for another.
    if let Some(known) = turn.settled(candidate.plan, &candidate.step.id, &candidate.episode) {
        let why = "It was decided already: two records were of one person.";
        let mut double = candidate.clone();
        double.detail.facts = candidate.detail.facts.iter().cloned().chain(merged::standing(turn, known)).collect();
        return stop(turn, &double, Outcome::Withdrawn, because::TWICE, why);
    }
    let timed = certain::timed(turn, candidate);
    let candidate = timed.as_ref();
    let (gate, verdict) = gates::ask(turn, candidate);
    if let Verdict::Stop(why) = verdict {
        return stop(turn, candidate, Outcome::Stopped, gate, &why);
    }
    if let Some((gate, why)) = objection(turn, candidate) {
        return stop(turn, candidate, Outcome::Stopped, gate, &why);
    }
    match verdict {
        Verdict::Hold(until, why) => hold(turn, candidate, gate, until, &why),
        _ if is_put_off(turn, candidate) => {
            // At last when it is just timely, and then to find that it was not.
            let (now, last) = (turn.story.now, candidate.detail.until);
            let until = if now < last { last.min(now + ON_HOLD_MS) } else { last + 1 };
            hold(turn, candidate, because::ON_HOLD, until, "Its request was put on hold.");
        }
        _ if holdout::is_held_out(turn, candidate) => {
            stop(turn, candidate, Outcome::Stopped, because::HELD_OUT, holdout::WHY);
        }
        _ => fire(turn, candidate),
    }
}

/// What the rule itself has against a candidate whose time has come.
fn objection(turn: &Turn, candidate: &Candidate) -> Option<(&'static str, String)> {
    if let Some(why) = corrected(turn, candidate) {
        return Some((because::REVERSED, why));
    }
    if let Some(why) = pointless(turn, candidate) {
        return Some((because::POINTLESS, why));
    }
    let ask = turn.ask(candidate)?;
    let broken = candidate.step.starts.iter().find(|condition| !condition.holds(&ask))?;
    Some((because::CONDITION, format!("The step's condition does not hold: {}", broken.text())))
}

/// What speaks against a candidate since what set it off was corrected. Fills are told apart by their product.
pub(crate) fn corrected(turn: &Turn, candidate: &Candidate) -> Option<String> {
    // Of what was removed nothing is at hand but that it was.
    let trigger = candidate.trigger.filter(|trigger| candidate.fill.is_none() && !trigger.deleted)?;
    let (action, step) = candidate.plan.step(&candidate.step.id)?;
    if is_other(turn, action, trigger) {
        return Some(OTHER.to_owned());
    }
    let is_news = !candidate.detail.facts.contains(&trigger.versioned());
    let heard = Some(candidate.detail.heard).filter(|heard| *heard > 0);
    turn.ask(candidate).filter(|_| is_news).and_then(|ask| broken(action, step, &ask, heard))
}

/// The reason why nothing follows from what was corrected into something else.
pub(crate) const OTHER: &str = "What it rests on was corrected: it is nothing any more that the rule is about.";

/// Whether a fact was corrected into something that the rule is not about. A product that is only referred to and not loaded tells
/// nothing.
pub(crate) fn is_other(turn: &Turn, action: &Action, fact: &Resource) -> bool {
    let subject = Subject::of(&fact.kind, &fact.value, turn.story);
    !subject.refers() && !action.is_about(&turn.rules.concepts, &turn.rules.products, subject)
}

/// The condition that a corrected fact does not meet any more, as it was asked `then`. What the rule asks of other facts, and what only
/// time has changed, is no matter of the correction.
pub(crate) fn broken(action: &Action, step: &Step, ask: &Ask, then: Option<i64>) -> Option<String> {
    let text = action.conditions.iter().chain(&step.conditions).find_map(|condition| condition.broken(ask, then))?;
    Some(format!("What it rests on was corrected: the rule's condition does not hold any more: {text}"))
}

/// What makes a candidate pointless, if that has happened.
pub(crate) fn pointless(turn: &Turn, candidate: &Candidate) -> Option<String> {
    let (action, step) = candidate.plan.step(&candidate.step.id)?;
    let ask = turn.ask(candidate)?;
    let answers = Answers::to(&ask);
    let met = action.stops.iter().chain(&step.stops).find(|condition| condition.holds_by(&answers))?;
    Some(format!("What makes it pointless has happened: {}", met.text()))
}

fn fire(turn: &mut Turn, candidate: &Candidate) {
    let recorded = match candidate.step.activity.act {
        Act::Speak => {
            // Somebody may have ended by hand what was held, for whichever record of the person.
            let held = turn.held(candidate.plan, &candidate.step.id, &candidate.episode);
            if has_ended(turn, &candidate.output) || held.iter().any(|output| was_ended_by_hand(turn, output)) {
                end_recorded(turn, &candidate.output, WAITING, because::TAKEN, BY_HAND);
                let decision = turn.decision(candidate, Outcome::Stopped, because::TAKEN, BY_HAND);
                turn.decide(decision);
                return turn.drop_due(&candidate.output);
            }
            let message = outputs::message(turn, candidate, "completed");
            request(turn, candidate, "completed");
            turn.record("Communication", message);
            format!("Communication/{}", candidate.output)
        }
        Act::Work => {
            let task = outputs::task(turn, candidate);
            turn.record("Task", task);
            overdue::watch(turn, candidate, outputs::end(turn, candidate));
            format!("Task/{}", candidate.output)
        }
    };
    let mut decision = turn.decision(candidate, Outcome::Fired, "", "Every gate was open.");
    decision.spoken = candidate.step.activity.act == Act::Speak;
    let edges: &[Edge] = if decision.spoken { &[Edge::Start, Edge::End] } else { &[Edge::Start] };
    decision.recorded = recorded;
    turn.decide(decision);
    turn.reaction.marks.push(Mark::Fired(candidate.plan.firing(&turn.story.settings.radius)));
    turn.drop_due(&candidate.output);
    follow(turn, candidate, edges);
}

/// Records what is intended; where somebody else asked for it, their own request says so.
fn request(turn: &mut Turn, candidate: &Candidate, status: &str) {
    if !candidate.step.activity.relays {
        let request = outputs::request(turn, candidate, status);
        turn.record("CommunicationRequest", request);
    }
}

fn hold(turn: &mut Turn, candidate: &Candidate, gate: &str, until: i64, why: &str) {
    let mut held = candidate.clone();
    held.detail.held = true;
    let due = turn.due(&held, until);
    turn.plan(due);
    if gate == gates::radius::NAME {
        let person = turn.dues.get(&candidate.output).map_or(turn.story.person, |due| due.person);
        let withheld = Mark::Withheld { person, rule: candidate.plan.canonical(), output: candidate.output.clone() };
        turn.reaction.marks.push(withheld);
    }
    let mut decision = turn.decision(candidate, Outcome::Held, gate, why);
    decision.until = until;
    let known = turn.decisions.get(&candidate.output).filter(|known| known.outcome == Outcome::Held);
    if known.is_some_and(|known| known.gate == decision.gate && (known.until == until || gate == because::ON_HOLD)) {
        return;
    }
    // Of whom the lot leaves out, nothing is said: also not that something would be.
    if candidate.step.activity.act == Act::Speak && decision.recorded.is_empty() && !holdout::leaves_out(turn, candidate) {
        prepare(turn, candidate);
        decision.recorded = format!("Communication/{}", candidate.output);
    }
    turn.decide(decision);
}

/// Records a message that waits, and what is intended by it.
pub(crate) fn prepare(turn: &mut Turn, candidate: &Candidate) {
    request(turn, candidate, "active");
    let message = outputs::message(turn, candidate, "preparation");
    turn.record("Communication", message);
}

/// Whether the message of what is held is not waiting any more, by no doing of ours.
pub(crate) fn was_ended_by_hand(turn: &Turn, output: &str) -> bool {
    let is_held = turn.decisions.get(output).is_some_and(|known| known.outcome == Outcome::Held && !known.recorded.is_empty());
    is_held && has_ended(turn, output)
}

/// After how long a message whose request is on hold is looked at again: an hour.
const ON_HOLD_MS: i64 = 3_600_000;

/// Whether somebody put off what is to be said, for whichever record of the person.
fn is_put_off(turn: &Turn, candidate: &Candidate) -> bool {
    let held = || turn.held(candidate.plan, &candidate.step.id, &candidate.episode);
    is_on_hold(turn, &candidate.output) || held().iter().any(|output| is_on_hold(turn, output))
}

/// Whether somebody put off the request of a message that waits.
pub(crate) fn is_on_hold(turn: &Turn, output: &str) -> bool {
    let request = requested(turn, output).filter(|request| !request.deleted);
    request.is_some_and(|request| text(&request.value, "status") == Some("on-hold"))
}

fn requested<'s>(turn: &Turn<'s>, output: &str) -> Option<&'s Resource> {
    turn.story.find(&format!("CommunicationRequest/{}", super::episode::companion(output, "request")))
}

/// Whether a message that was recorded waits no more, or is wanted no more: its request was ended.
fn has_ended(turn: &Turn, output: &str) -> bool {
    let is_not =
        |one: &Resource, waits: &[&str]| one.deleted || text(&one.value, "status").is_none_or(|status| !waits.contains(&status));
    let message = turn.story.find(&format!("Communication/{output}"));
    message.is_some_and(|message| is_not(message, &["preparation"]))
        || requested(turn, output).is_some_and(|request| is_not(request, ASKING))
}

/// Ends a candidate: what was recorded of it is ended with the reason, else only the decision says so.
pub(crate) fn stop(turn: &mut Turn, candidate: &Candidate, outcome: Outcome, gate: &str, why: &str) {
    // What somebody ended by hand, or put off, while it was held does not come back with what ends it now; what is somebody else's was no matter of
    // this person, and of a diagnosis that is over it was no matter of another one.
    let is_put_off = || gate != because::TIMELY && is_on_hold(turn, &candidate.output);
    let is_by_hand =
        ![because::LEFT, because::PARTED].contains(&gate) && (was_ended_by_hand(turn, &candidate.output) || is_put_off());
    let (gate, why) = match gate {
        "diagnosis" if is_by_hand => (gate, BY_HAND),
        _ if is_by_hand => (because::TAKEN, BY_HAND),
        _ => (gate, why),
    };
    end_recorded(turn, &candidate.output, WAITING, gate, why);
    let mut decision = turn.decision(candidate, outcome, gate, why);
    decision.until = back::is_worth_until(turn, candidate, gate);
    let known = turn.decisions.get(&candidate.output);
    let known = known.or_else(|| turn.decided(candidate.plan, &candidate.step.id, &candidate.episode));
    let same = known.is_some_and(|known| known.outcome == outcome && known.gate == gate && known.facts == decision.facts);
    if !same {
        turn.decide(decision);
    }
    turn.drop_due(&candidate.output);
}

/// Takes back what is due: withdrawn with the reason.
pub(crate) fn withdraw(turn: &mut Turn, due: &Planned, outcome: Outcome, gate: &str, why: &str) {
    if overdue::is_watch(due) {
        return turn.drop_due(&due.output);
    }
    if let Some(candidate) = turn.candidate(due) {
        return stop(turn, &candidate, outcome, gate, why);
    }
    end_recorded(turn, &due.output, WAITING, gate, why);
    let decision = Decision {
        person: due.person,
        output: due.output.clone(),
        at: turn.story.now,
        outcome,
        gate: gate.to_owned(),
        until: 0,
        rule: due.rule.clone(),
        step: due.step.clone(),
        episode: due.episode.clone(),
        priority: due.priority,
        spoken: false,
        reason: why.to_owned(),
        facts: Arc::clone(&due.detail().facts),
        recorded: turn.recorded(&due.output),
    };
    turn.decide(decision);
    turn.drop_due(&due.output);
}

/// Takes back a Task that nobody has taken on yet; one in work stays, as does a message that was said: whoever is at it may
/// know more than we do.
pub(crate) fn withdraw_task(turn: &mut Turn, decision: &Decision, gate: &str, why: &str) {
    if end_recorded(turn, &decision.output, WAITING, gate, why) {
        let taken_back = Decision {
            at: turn.story.now,
            outcome: Outcome::Withdrawn,
            gate: gate.to_owned(),
            until: until(turn, decision, gate),
            reason: why.to_owned(),
            ..decision.clone()
        };
        turn.decide(taken_back);
    }
}

/// Takes back a Task whoever is at it: there is nothing left to be done.
pub(crate) fn cancel_task(turn: &mut Turn, decision: &Decision, gate: &str, why: &str) {
    if end_recorded(turn, &decision.output, OPEN, gate, why) {
        let cancelled = Decision {
            at: turn.story.now,
            outcome: Outcome::Withdrawn,
            gate: gate.to_owned(),
            until: until(turn, decision, gate),
            reason: why.to_owned(),
            ..decision.clone()
        };
        turn.decide(cancelled);
    }
}

/// Until when a Task that is taken back would have been worth doing.
fn until(turn: &Turn, decision: &Decision, gate: &str) -> i64 {
    back::worth_until(gate, turn.story.find(&decision.recorded).and_then(back::end_of).unwrap_or_default())
}

/// Marks what was said before the facts it rests on were taken back.
pub(crate) fn mark_said(turn: &mut Turn, decision: &Decision) {
    if decision.spoken && stands(decision) {
        let reason = String::from("It was said before what it rests on was taken back.");
        turn.decide(Decision { gate: because::REVERSED.to_owned(), reason, ..decision.clone() });
    }
}

/// States of a Task that nobody has taken on.
pub(crate) const WAITING: &[&str] = &["requested", "received"];

/// States of a request that was not ended.
const ASKING: &[&str] = &["active", "on-hold"];

/// States of a Task that is not over.
pub(crate) const OPEN: &[&str] = &["requested", "received", "accepted", "ready", "in-progress", "on-hold"];

/// Ends the resources of an output that wait to be said, or a Task in one of these states; whether there was one.
fn end_recorded(turn: &mut Turn, output: &str, tasks: &[&str], gate: &str, why: &str) -> bool {
    let story = turn.story;
    // Most stories hold nothing that waits: then no names are made to look for it.
    let find = |kind: &str, id: &dyn Fn() -> String| {
        story.resources.iter().any(|one| one.kind == kind).then(|| story.find(&format!("{kind}/{}", id())))?
    };
    let request = find("CommunicationRequest", &|| super::episode::companion(output, "request"));
    let message = find("Communication", &|| output.to_owned());
    let task = find("Task", &|| output.to_owned());
    let waiting = [
        ("CommunicationRequest", request, ASKING, "revoked"),
        ("Communication", message, &["preparation"][..], "not-done"),
        ("Task", task, tasks, "cancelled"),
    ];
    let mut any = false;
    for (kind, stored, from, to) in waiting {
        let waits =
            |stored: &&Resource| !stored.deleted && text(&stored.value, "status").is_some_and(|status| from.contains(&status));
        if let Some(stored) = stored.filter(waits) {
            any = true;
            let ended = outputs::ended(&stored.value, to, gate, why, story.now);
            turn.record(kind, ended);
        }
    }
    if any {
        overdue::let_go(turn, output);
    }
    any
}
