//! Everything but fills: what follows at once, or some days later, from a diagnosis, a report or another fact.

use std::collections::BTreeSet;

use super::condition::Condition;
use super::decide::{because, cancel_task, is_settled, mark_said, pointless, stop, withdraw};
use super::detail::{Detail, Planned};
use super::episode::{self, CLOSED};
use super::facts::Ask;
use super::follow::{self, Comes};
use super::gates::diagnosis::{Standing, standing};
use super::offset::Base;
use super::plan::{Action, Plan, Subject};
use super::turn::{Candidate, Turn};
use super::{Heard, Resource, refill, supply};
use crate::ledger::{Decision, Line, Outcome};

/// How many reactions may lead to one another.
const DEPTH_MAX: u8 = 3;

/// Takes in one event, and returns what is to be decided at once. `newest` is the resource as it is after all that was heard with it.
pub(super) fn hear<'a>(turn: &mut Turn<'a>, event: &'a Heard, newest: &'a Resource) -> Vec<Candidate<'a>> {
    let (kind, value) = (event.resource.kind.as_str(), event.resource.value.as_ref());
    let mut now = Vec::new();
    let subject = Subject::of(kind, value, turn.story);
    for (plan, action) in turn.rules.about(subject).filter(|(_, action)| !action.is_of_fills()) {
        let standing = (kind == "Condition").then(|| if event.resource.deleted { Standing::Over } else { standing(value) });
        if standing == Some(Standing::Over) {
            close(turn, plan, action, event);
        }
        if !refill::acts(event) || event.depth >= DEPTH_MAX {
            continue;
        }
        let holds = |turn: &Turn, conditions: &[Condition]| {
            let ask = Ask { story: turn.story, resource: value, fill: None, supplies: &turn.supplies, rules: turn.rules };
            conditions.iter().all(|condition| condition.holds(&ask))
        };
        let listens = action.listens(&turn.rules.concepts, &turn.rules.products, event.line, subject);
        if !listens || !plan.acts_on(event.resource.learned) || !holds(turn, &action.conditions) {
            continue;
        }
        let episode = match standing {
            _ if plan.once => episode::of_once(turn, plan, action, newest),
            Some(standing) => episode::of_diagnosis(turn, plan, action, newest, standing == Standing::Current),
            None => episode::of_fact(turn, plan, action, newest),
        };
        if standing.is_none() && !plan.once {
            forget_earlier(turn, plan, action, newest, &episode);
        }
        for step in &action.steps {
            let output = turn.output(plan, &step.id, &episode);
            // What another version of the rule has planned stays with that version.
            if turn.dues.get(&output).is_some_and(|due| !turn.carries(&due.rule, plan)) {
                continue;
            }
            let mut detail = Detail {
                trigger: event.resource.reference(),
                facts: [event.resource.versioned()].into(),
                planned: turn.story.now,
                until: turn.story.now + step.window(),
                ..Detail::default()
            };
            // What waits keeps its own window: being told again does not make it younger.
            if let Some(known) = turn.dues.get(&output) {
                let known = known.detail();
                (detail.planned, detail.until, detail.held) = (known.planned, known.until, known.held);
            }
            let candidate = Candidate { plan, step, episode: episode.clone(), output, trigger: Some(newest), fill: None, detail };
            if holds(turn, &step.conditions) {
                let comes = follow::of_fact(turn, plan, action, step, &event.resource, &episode);
                // Nothing is planned for a diagnosis that is over.
                if standing == Some(Standing::Over) && comes != Comes::AtOnce {
                    continue;
                }
                now.extend(later(turn, candidate, comes));
            }
        }
    }
    if newest.deleted || supply::is_reversed(newest) {
        take_back(turn, newest);
    } else if event.line == Line::Updated {
        correct(turn, newest);
    }
    now
}

/// What waits of an earlier episode of a fact is taken back when the fact begins a new one: it would be said twice.
fn forget_earlier(turn: &mut Turn, plan: &Plan, action: &Action, fact: &Resource, episode: &str) {
    let reference = fact.reference();
    if episode == reference {
        return;
    }
    let is_earlier = |due: &Planned| due.episode != episode && due.detail().trigger == reference;
    let of_action = |due: &Planned| turn.is_of(&due.rule, plan) && action.steps.iter().any(|step| step.id == due.step);
    for due in turn.dues_where(|due| of_action(due) && is_earlier(due)) {
        withdraw(turn, &due, Outcome::Withdrawn, because::REVERSED, "What it rests on was corrected, and begins anew.");
    }
}

/// Plans a step that has its day later; one without is handed back, to be decided at once.
pub(super) fn later<'a>(turn: &mut Turn<'a>, mut candidate: Candidate<'a>, comes: Comes) -> Option<Candidate<'a>> {
    let (base, offset) = match comes {
        Comes::AtOnce => return Some(candidate),
        Comes::Later => return None,
        Comes::From(base, offset) => (base, offset),
    };
    let known = turn.decided(candidate.plan, &candidate.step.id, &candidate.episode);
    let stays = known.is_some_and(|known| is_settled(known) || known.outcome == Outcome::Held);
    let was_planned = turn.dues.has(&candidate.output);
    let heard = candidate.trigger.map_or(turn.story.now, |fact| turn.heard_at(fact));
    if stays || (was_planned && matches!(base, Base::Moment(at) if at == heard)) {
        return None;
    }
    if !follow::schedule(turn, &mut candidate, base, offset) {
        return None;
    }
    if candidate.detail.until < turn.story.now {
        stop(turn, &candidate, Outcome::Stopped, because::TIMELY, "It was too late when it became known.");
        return None;
    }
    let due = turn.due(&candidate, candidate.detail.planned);
    turn.plan(due);
    None
}

/// A diagnosis is over: what waits for it is taken back, and when it comes back it is a new episode.
fn close(turn: &mut Turn, plan: &Plan, action: &Action, event: &Heard) {
    let still = turn.story.current("Condition").any(|other| {
        other.id != event.resource.id
            && action.is_about(&turn.rules.concepts, &turn.rules.products, Subject::new("Condition", &other.value))
            && standing(&other.value) == Standing::Current
    });
    let Some(episode) = episode::running(turn, plan, action).filter(|_| !still) else { return };
    let dues = turn.dues_where(|due| due.episode == episode && turn.is_of(&due.rule, plan));
    for due in dues {
        withdraw(turn, &due, Outcome::Withdrawn, "diagnosis", "The diagnosis is not current any more.");
    }
    let of_it = |decision: &&Decision| turn.is_of(&decision.rule, plan);
    let decided: Vec<Decision> = turn.decisions.of_episode(&episode).filter(of_it).cloned().collect();
    if !decided.iter().any(|decision| !decision.recorded.is_empty()) {
        return;
    }
    for decision in decided.iter().filter(|decision| decision.outcome == Outcome::Fired) {
        cancel_task(turn, decision, "diagnosis", "The diagnosis is not current any more.");
    }
    let closing = Decision {
        person: turn.one_of_us(Some(event.resource.person)),
        output: turn.output(plan, CLOSED, &episode),
        at: turn.story.now,
        outcome: Outcome::Stopped,
        gate: String::from("diagnosis"),
        until: 0,
        rule: plan.canonical(),
        step: String::from(CLOSED),
        episode,
        priority: plan.priority,
        spoken: false,
        reason: String::from("The diagnosis is over; if it becomes active again, that is a new episode."),
        facts: [event.resource.versioned()].into(),
        recorded: String::new(),
    };
    turn.decide(closing);
}

/// A fact is gone: what rests on it and was not said is taken back.
fn take_back(turn: &mut Turn, fact: &Resource) {
    let reference = fact.reference();
    // What hangs on fills is counted anew from all that was handed over.
    let of_fills = |rule: &str, step: &str| {
        let step = turn.rules.plan(rule).and_then(|plan| plan.step(step));
        fact.kind == "MedicationDispense" && step.is_none_or(|(action, _)| action.is_of_fills())
    };
    let ours = |due: &Planned| due.detail().trigger == reference && !of_fills(&due.rule, &due.step);
    let dues = turn.dues_where(ours);
    for due in dues {
        withdraw(turn, &due, Outcome::Withdrawn, because::REVERSED, "What it rests on was taken back.");
    }
    let prefix = format!("{reference}/_history/");
    let rests = |decision: &&Decision| {
        decision.facts.iter().any(|fact| fact.starts_with(&prefix)) && !of_fills(&decision.rule, &decision.step)
    };
    let fired = turn.decisions.values().filter(|decision| decision.outcome == Outcome::Fired).filter(rests);
    let fired: Vec<Decision> = fired.cloned().collect();
    for decision in fired {
        cancel_task(turn, &decision, because::REVERSED, "What it rests on was taken back.");
        mark_said(turn, &decision);
    }
}

/// A fact was corrected. What was asked for because of what it said before, and is not the rule's matter any more, is taken back,
/// whoever is at it; what was said stays as it is, since it may have been true then. A product that is only referred to and not
/// loaded tells nothing.
fn correct(turn: &mut Turn, fact: &Resource) {
    let (kind, value) = (fact.kind.as_str(), fact.value.as_ref());
    let subject = Subject::of(kind, value, turn.story);
    let prefix = format!("{}/_history/", fact.reference());
    for decision in turn.fired_where(|decision| decision.facts.iter().any(|fact| fact.starts_with(&prefix))) {
        let step = turn.rules.plan(&decision.rule).and_then(|plan| plan.step(&decision.step));
        let Some((action, _)) = step.filter(|(action, _)| action.triggers.iter().any(|trigger| trigger.kind == kind)) else {
            continue;
        };
        if !subject.refers() && !action.is_about(&turn.rules.concepts, &turn.rules.products, subject) {
            let why = "What it rests on was corrected: it is nothing any more that the rule is about.";
            cancel_task(turn, &decision, because::REVERSED, why);
        }
    }
}

/// Something about the person changed: what gates hold is to be decided again.
pub(super) fn held<'a>(turn: &Turn<'a>) -> Vec<Candidate<'a>> {
    let held = turn.dues.values().filter(|due| due.detail().held);
    held.filter_map(|due| turn.candidate(due)).collect()
}

/// Something was heard that may make what is due pointless.
pub(super) fn drop_pointless(turn: &mut Turn, kinds: &BTreeSet<&str>) {
    let may_be_pointless = |due: &Planned| {
        let Some((action, step)) = turn.rules.plan(&due.rule).and_then(|plan| plan.step(&due.step)) else { return false };
        // A stop that reads nothing but the resource itself is asked when that resource was heard.
        let own = || turn.story.find(&due.detail().trigger).is_some_and(|trigger| kinds.contains(trigger.kind.as_str()));
        action.stops.iter().chain(&step.stops).any(|stop| kinds.iter().any(|kind| stop.reads(kind)) || own())
    };
    for due in turn.dues_where(may_be_pointless) {
        let Some(candidate) = turn.candidate(&due) else { continue };
        if let Some(why) = pointless(turn, &candidate) {
            stop(turn, &candidate, Outcome::Withdrawn, because::POINTLESS, &why);
        }
    }
}

/// The person has died: nothing more is said or done.
pub(super) fn end_all(turn: &mut Turn) {
    let why = "The person has died.";
    let dues = turn.dues_where(|_| true);
    for due in dues {
        withdraw(turn, &due, Outcome::Stopped, "alive", why);
    }
    let fired = turn.fired_where(|_| true);
    for decision in fired {
        cancel_task(turn, &decision, "alive", why);
    }
}
