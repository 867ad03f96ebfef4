//! Everything but fills: what follows at once, or some days later, from a diagnosis, a report or another fact.

use std::collections::BTreeSet;

use super::begun::Begins;
use super::condition::Condition;
use super::decide::{
    BY_HAND, LEFT, OTHER, WAITING, because, broken, cancel_task, corrected, is_other, mark_said, pointless, stop, withdraw,
    withdraw_task,
};
use super::detail::{Detail, Planned};
use super::episode::{self, CLOSED, done_before};
use super::follow::{self, Comes};
use super::gates::diagnosis::{Standing, has_ended, standing};
use super::gates::reversed::is_meant;
use super::heir::same_diagnosis;
use super::json::text;
use super::offset::Base;
use super::plan::{Action, Anchor, Plan, Step, Subject};
use super::turn::{Candidate, Turn};
use super::{Heard, Resource, back, begun, heir, overdue, person, put_off, refill, supply};
use crate::ledger::{Decision, Due, Line, Outcome};

/// How many reactions may lead to one another.
const DEPTH_MAX: u8 = 3;

/// Takes in one event, and returns what is to be decided at once. `last` is what was heard last of the same resource.
pub(super) fn hear<'a>(turn: &mut Turn<'a>, event: &'a Heard, last: &'a Heard) -> Vec<Candidate<'a>> {
    let newest = &last.resource;
    let (kind, value) = (event.resource.kind.as_str(), event.resource.value.as_ref());
    let subject = Subject::of(kind, value, turn.story);
    let about: Vec<(&Plan, &Action)> = turn.rules.about(subject).filter(|(_, action)| !action.is_of_fills()).collect();
    let standing = (kind == "Condition").then(|| if event.resource.deleted { Standing::Over } else { standing(value) });
    if standing == Some(Standing::Over) {
        for (plan, action) in &about {
            heir::hand_over(turn, plan, action, &event.resource);
        }
    }
    // What went over to somebody else has not ended: it was never theirs.
    if standing == Some(Standing::Over) && event.line != Line::Left {
        // All that ends does so first: what follows from the end itself is no part of it.
        let meant = |action: &Action| event.resource.deleted && action.hears_removal(kind);
        for (plan, action) in about.iter().filter(|(_, action)| !meant(action)) {
            close(turn, plan, action, event);
        }
    }
    // Of a diagnosis that ends while another stands nothing begins, but for what is about its end.
    let stands = |turn: &Turn<'a>, action: &Action| {
        let is_over = standing == Some(Standing::Over) && !is_meant(turn, action, &event.resource);
        is_over && same_diagnosis(turn, action, &event.resource).is_some()
    };
    let mut now = Vec::new();
    let may_begin = refill::acts(event) && event.depth < DEPTH_MAX;
    let is_matter = |(_, action): &(&Plan, &Action)| !stands(turn, action) && holds(turn, &event.resource, &action.conditions);
    let about = about.into_iter().filter(|one| may_begin && is_matter(one)).collect();
    for (plan, action, begins) in begun::beginning(turn, event, about) {
        now.extend(begin(turn, (plan, action), event, newest, (standing, &begins)));
    }
    if supply::is_reversed(newest) {
        now.extend(heir::of_once(turn, newest));
        take_back(turn, last);
    }
    if event.line == Line::Updated && !newest.deleted {
        now.extend(correct(turn, newest));
    }
    now
}

/// Whether conditions hold of a fact, as things are now.
pub(super) fn holds(turn: &Turn, fact: &Resource, conditions: &[Condition]) -> bool {
    let ask = turn.ask_of(fact);
    conditions.iter().all(|condition| condition.holds(&ask))
}

/// An action is set off: its steps are planned, or handed back to be decided at once.
fn begin<'a>(
    turn: &mut Turn<'a>,
    (plan, action): (&'a Plan, &'a Action),
    event: &'a Heard,
    newest: &'a Resource,
    (standing, begins): (Option<Standing>, &Begins),
) -> Vec<Candidate<'a>> {
    let is_removal = event.line == Line::Deleted;
    let episode = match standing {
        _ if plan.once => episode::of_once(turn, plan, action, newest),
        Some(standing) => episode::of_diagnosis(turn, plan, action, newest, is_removal || standing == Standing::Current),
        None => episode::of_fact(turn, plan, action, newest),
    };
    if standing.is_none() && !plan.once && *begins == Begins::All {
        forget_earlier(turn, plan, action, newest, &episode);
    }
    let mut now = Vec::new();
    for step in action.steps.iter().filter(|step| begins.has(&step.id)) {
        // What was said or done of the fact before it was corrected, and was not taken back, is not said again.
        if done_before(turn, plan, &step.id, newest, &episode).is_some() || was_seen_to(turn, plan, step, newest, &episode) {
            continue;
        }
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
            heard: turn.story.now,
            ..Detail::default()
        };
        turn.keep_window(&output, &mut detail);
        let candidate = Candidate { plan, step, episode: episode.clone(), output, trigger: Some(newest), fill: None, detail };
        if holds(turn, &event.resource, &step.conditions) {
            let comes = follow::of_fact(turn, plan, action, step, &event.resource, &episode);
            // Nothing is planned for a diagnosis that is over, and what was taken back with it is so.
            let known = || turn.decided(plan, &step.id, &episode);
            let is_spent = || known().is_some_and(|known| back::is_spent(plan, known));
            if standing == Some(Standing::Over) && !is_removal && (comes != Comes::AtOnce || is_spent()) {
                continue;
            }
            if comes == Comes::Later && matches!(step.anchor, Anchor::End(_)) {
                undated(turn, &candidate, &event.resource);
                continue;
            }
            now.extend(later(turn, candidate, comes));
        }
    }
    now
}

/// Whether somebody ended by hand what waited to be said of this very diagnosis, before it was over.
fn was_seen_to(turn: &Turn, plan: &Plan, step: &Step, fact: &Resource, episode: &str) -> bool {
    let prefix = format!("{}/_history/", fact.reference());
    turn.decided(plan, &step.id, episode)
        .is_some_and(|known| known.reason == BY_HAND && known.facts.iter().any(|fact| fact.starts_with(&prefix)))
}

/// A step hangs on the end of a fact that does not say when that was: it says so, unless it was planned or came before.
fn undated(turn: &mut Turn, candidate: &Candidate, fact: &Resource) {
    if !turn.has_done(candidate) && !turn.dues.has(&candidate.output) {
        stop(turn, candidate, Outcome::Stopped, because::UNDATED, &follow::undated(fact));
    }
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
    let is_held = known.is_some_and(|known| known.outcome == Outcome::Held);
    let was_planned = turn.dues.has(&candidate.output);
    let heard = candidate.trigger.map_or(turn.story.now, |fact| turn.heard_at(fact));
    if turn.has_done(&candidate) || (was_planned && matches!(base, Base::Moment(at) if at == heard)) {
        return None;
    }
    // What is held waits for its gate, unless its fact says another day now.
    let has_moved = |fact: &Resource| follow::is_dated(&fact.value) && follow::has_moved(turn, &candidate, base, offset);
    if is_held && !candidate.trigger.is_some_and(has_moved) {
        return None;
    }
    (candidate.detail.held, candidate.detail.uncertain) = (false, false);
    if !follow::schedule(turn, &mut candidate, base, offset) {
        return None;
    }
    if candidate.detail.until < turn.story.now && !put_off::was_due(turn, &mut candidate) {
        stop(turn, &candidate, Outcome::Stopped, because::TIMELY, "It was too late when it became known.");
        return None;
    }
    let due = turn.due(&candidate, candidate.detail.planned);
    turn.plan(due);
    None
}

/// Why what waits for a diagnosis that was a mistake is taken back.
pub(super) const NEVER_WAS: &str = "The diagnosis does not hold: it was refuted or taken back.";

/// A diagnosis is over: what waits for it is taken back. When one that ended comes back it is a new episode; one that was refuted,
/// entered in error or deleted never was, and is the one it was when it is right after all.
fn close(turn: &mut Turn, plan: &Plan, action: &Action, event: &Heard) {
    let still = same_diagnosis(turn, action, &event.resource).is_some();
    let Some(episode) = episode::running(turn, plan, action).filter(|_| !still) else { return };
    let never_was = event.resource.deleted || !has_ended(&event.resource.value);
    let why = if never_was { NEVER_WAS } else { "The diagnosis is not current any more." };
    let dues = turn.dues_where(|due| due.episode == episode && turn.is_of(&due.rule, plan));
    for due in dues {
        withdraw(turn, &due, Outcome::Withdrawn, "diagnosis", why);
    }
    let of_it = |decision: &&Decision| turn.is_of(&decision.rule, plan);
    let decided: Vec<Decision> = turn.decisions.of_episode(&episode).filter(of_it).cloned().collect();
    if !decided.iter().any(|decision| !decision.recorded.is_empty()) {
        return;
    }
    for decision in decided.iter().filter(|decision| decision.outcome == Outcome::Fired) {
        cancel_task(turn, decision, "diagnosis", why);
    }
    if never_was {
        return;
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

/// A fact is gone, or was never so: what rests on it and was not said is taken back, but for what is about that very thing.
fn take_back(turn: &mut Turn, event: &Heard) {
    let fact = &event.resource;
    let (gate, why) =
        if event.line == Line::Left { (because::LEFT, LEFT) } else { (because::REVERSED, "What it rests on was taken back.") };
    let reference = fact.reference();
    if let Some(patient) = other_patient(turn, event) {
        for due in turn.dues_where(|due| due.detail().trigger == reference) {
            let detail = Detail { trigger: patient.reference(), facts: [patient.versioned()].into(), ..due.detail().clone() };
            turn.plan(Planned::of(Due { detail: detail.write(), ..Due::clone(&due) }, detail));
        }
        return;
    }
    let ours = |due: &Planned| due.detail().trigger == reference && !stays(turn, event, &due.rule, &due.step);
    let dues = turn.dues_where(ours);
    for due in dues {
        withdraw(turn, &due, Outcome::Withdrawn, gate, why);
    }
    let prefix = format!("{reference}/_history/");
    let rests = |decision: &&Decision| {
        decision.facts.iter().any(|fact| fact.starts_with(&prefix)) && !stays(turn, event, &decision.rule, &decision.step)
    };
    let fired = turn.decisions.values().filter(|decision| decision.outcome == Outcome::Fired).filter(rests);
    let fired: Vec<Decision> = fired.cloned().collect();
    for decision in fired {
        cancel_task(turn, &decision, gate, why);
        // What was wished for or ordered was so until it was revoked: what was said then was right.
        if fact.deleted || text(&fact.value, "status") != Some("revoked") {
            mark_said(turn, &decision);
        }
    }
}

/// The Patient that stands for the person, where one of several is gone: what is due is due to the person.
fn other_patient<'a>(turn: &Turn<'a>, event: &Heard) -> Option<&'a Resource> {
    let is_gone = event.resource.kind == "Patient" && event.line != Line::Left;
    person::patient(turn.story).filter(|_| is_gone)
}

/// Whether what a step plans or asks for stays when its fact is gone.
fn stays(turn: &Turn, event: &Heard, rule: &str, step: &str) -> bool {
    let fact = &event.resource;
    let known = turn.rules.plan(rule).and_then(|plan| plan.step(overdue::watched(step)));
    // What hangs on fills is counted anew from all that was handed over, and what an order says of them is asked where it is heard.
    let of_fills = match fact.kind.as_str() {
        "MedicationDispense" => known.is_none_or(|(action, _)| action.is_of_fills()),
        "MedicationRequest" | "Medication" => known.is_some_and(|(action, _)| action.is_of_fills()),
        _ => false,
    };
    // What was done for one diagnosis was done for each that is the same to the rule.
    let is_one = |action| fact.kind == "Condition" && same_diagnosis(turn, action, fact).is_some();
    // So was what is said once, whatever set it off.
    let says_once = || {
        turn.rules.plan(rule).is_some_and(|plan| plan.once && heir::of_step(turn, plan, overdue::watched(step), fact).is_some())
    };
    of_fills
        || known.is_some_and(|(action, _)| is_one(action))
        || says_once()
        || (event.line != Line::Left && known.is_some_and(|(action, _)| is_meant(turn, action, fact)))
}

/// A fact was corrected. What waits because of what it said before, and is not the rule's matter any more, is taken back, and so is
/// what was asked for, whoever is at it; what was said stays as it is, since it may have been true then. What is held, and stands, is
/// handed back: the fact may be certain now.
fn correct<'a>(turn: &mut Turn<'a>, fact: &'a Resource) -> Vec<Candidate<'a>> {
    let reference = fact.reference();
    let prefix = format!("{reference}/_history/");
    let mut again = Vec::new();
    for due in turn.dues_where(|due| due.detail().trigger == reference) {
        let Some(candidate) = turn.candidate(&due) else { continue };
        let candidate = Candidate { trigger: Some(fact), ..candidate };
        if candidate.plan.step(&candidate.step.id).is_none_or(|(action, _)| action.is_of_fills()) {
            continue;
        }
        if let Some(why) = corrected(turn, &candidate) {
            if heir::takes_over(turn, &due, fact) {
                again.extend(heir::go_on(turn, &due.output));
            } else {
                stop(turn, &candidate, Outcome::Withdrawn, because::REVERSED, &why);
            }
        } else if put_off::moves(turn, &candidate, fact) {
            put_off::plan(turn, candidate, fact);
        } else if due.detail().held {
            // What is said of it now rests on what it says now.
            let mut candidate = candidate;
            let rests = candidate.detail.facts.iter();
            let now = rests.map(|known| if known.starts_with(&prefix) { fact.versioned() } else { known.clone() }).collect();
            candidate.detail.facts = now;
            again.push(candidate);
        }
    }
    for decision in turn.fired_where(|decision| decision.facts.iter().any(|fact| fact.starts_with(&prefix))) {
        if let Some(why) = contradicts(turn, fact, &decision) {
            if !decision.spoken && !heir::rests_on_another(turn, &decision, fact) {
                cancel_task(turn, &decision, because::REVERSED, &why);
            }
        } else {
            put_off::hear(turn, &decision, fact);
        }
    }
    again
}

/// What a corrected fact says against what was done because of it. When that was asked is not known: what asks the clock is left out.
fn contradicts(turn: &Turn, fact: &Resource, done: &Decision) -> Option<String> {
    let (action, step) = turn.rules.plan(&done.rule)?.step(&done.step)?;
    let is_set_off = action.triggers.iter().any(|trigger| trigger.kind == fact.kind);
    if is_set_off && is_other(turn, action, fact) {
        return Some(OTHER.to_owned());
    }
    let is_news = is_set_off && !action.is_of_fills() && !done.facts.contains(&fact.versioned());
    let ask = turn.ask_of(fact);
    if is_news { broken(action, step, &ask, None) } else { None }
}

/// Something about the person changed: what gates hold is to be decided again.
pub(super) fn held<'a>(turn: &Turn<'a>) -> Vec<Candidate<'a>> {
    let held = turn.dues.values().filter(|due| due.detail().held);
    held.filter_map(|due| turn.candidate(due)).collect()
}

/// Something was heard that may make what is due pointless, or what was asked for and nobody has taken on.
pub(super) fn drop_pointless(turn: &mut Turn, kinds: &BTreeSet<&str>) {
    let may_be_pointless = |rule: &str, step: &str, trigger: &str| {
        let Some((action, step)) = turn.rules.plan(rule).and_then(|plan| plan.step(step)) else { return false };
        // A stop that reads nothing but the resource itself is asked when that resource was heard.
        let own = || turn.story.find(trigger).is_some_and(|trigger| kinds.contains(trigger.kind.as_str()));
        action.stops.iter().chain(&step.stops).any(|stop| kinds.iter().any(|kind| stop.reads(kind)) || own())
    };
    let dues = turn.dues_where(|due| may_be_pointless(&due.rule, &due.step, &due.detail().trigger));
    let waits = |asked: &Decision| {
        let task = turn.story.find(&asked.recorded).filter(|task| task.kind == "Task" && !task.deleted);
        task.and_then(|task| text(&task.value, "status")).is_some_and(|status| WAITING.contains(&status))
    };
    let asked = turn.fired_where(|asked| waits(asked) && may_be_pointless(&asked.rule, &asked.step, &episode::trigger(asked).0));
    for due in dues {
        let Some(candidate) = turn.candidate(&due) else { continue };
        if let Some(why) = pointless(turn, &candidate) {
            stop(turn, &candidate, Outcome::Withdrawn, because::POINTLESS, &why);
        }
    }
    for asked in asked {
        let Some(candidate) = turn.candidate_of(&asked) else { continue };
        if let Some(why) = pointless(turn, &candidate) {
            withdraw_task(turn, &asked, because::POINTLESS, &why);
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
