//! Who goes on with what waits for a fact that is gone: another diagnosis that is the same to the rule, or another fact about which a
//! rule would have said the same, once.

use super::decide::{because, stands, stop};
use super::detail::{Detail, Planned};
use super::follow::{self, Comes};
use super::gates::diagnosis::{Standing, standing};
use super::gates::reversed::is_meant;
use super::nudge::holds;
use super::offset::Base;
use super::plan::{Action, Anchor, Plan, Step, Subject};
use super::turn::{Candidate, Turn};
use super::{Resource, overdue, supply};
use crate::ledger::{Decision, Due, How, Line, Outcome};

/// Another diagnosis that is current and is the same to the rule.
pub(super) fn same_diagnosis<'a>(turn: &Turn<'a>, action: &Action, fact: &Resource) -> Option<&'a Resource> {
    let story = turn.story;
    story.current("Condition").find(|other| {
        other.id != fact.id
            && action.is_about(&turn.rules.concepts, &turn.rules.products, Subject::new("Condition", &other.value))
            && standing(&other.value) == Standing::Current
    })
}

/// What waits for a diagnosis that is gone goes on with another that is the same to the rule.
pub(super) fn hand_over(turn: &mut Turn, plan: &Plan, action: &Action, fact: &Resource) {
    let Some(heir) = same_diagnosis(turn, action, fact).filter(|heir| holds(turn, heir, &action.conditions)) else { return };
    let reference = fact.reference();
    let waits = |due: &Planned| due.detail().trigger == reference && turn.is_of(&due.rule, plan);
    for due in turn.dues_where(waits) {
        let detail = Detail { trigger: heir.reference(), facts: [heir.versioned()].into(), ..due.detail().clone() };
        turn.plan(Planned::of(Due { detail: detail.write(), ..Due::clone(&due) }, detail));
    }
}

/// Another fact about which a rule says what it says once, and with which it would have begun; of several the one that was learned first.
fn same_once<'a>(turn: &Turn<'a>, plan: &Plan, (action, step): (&Action, &Step), fact: &Resource) -> Option<&'a Resource> {
    let story = turn.story;
    let (concepts, products) = (&turn.rules.concepts, &turn.rules.products);
    if !plan.once || action.call.is_some() || action.is_of_fills() {
        return None;
    }
    let others = story.resources.iter().filter(|other| {
        let subject = Subject::of(&other.kind, &other.value, story);
        let listens = |line| action.listens(concepts, products, line, subject);
        let is_over = || other.kind == "Condition" && standing(&other.value) == Standing::Over;
        let is_there = || is_meant(turn, action, other) || !(supply::is_reversed(other) || is_over());
        (&other.kind, &other.id) != (&fact.kind, &fact.id)
            && !other.deleted
            && (listens(Line::Created) || listens(Line::Updated))
            && other.is_about()
            && other.how != How::Import
            && plan.begins_with(other, story)
            && is_there()
            && holds(turn, other, &action.conditions)
            && holds(turn, other, &step.conditions)
    });
    others.min_by_key(|other| (other.learned, &other.kind, &other.id))
}

/// Who goes on with a step of a rule, by its name, in the place of a fact that is gone.
pub(super) fn of_step<'a>(turn: &Turn<'a>, plan: &Plan, step: &str, fact: &Resource) -> Option<&'a Resource> {
    let (action, step) = plan.step(step)?;
    if plan.once || fact.kind != "Condition" || action.call.is_some() {
        return same_once(turn, plan, (action, step), fact);
    }
    let mut conditions = action.conditions.iter().chain(&step.conditions);
    same_diagnosis(turn, action, fact).filter(|heir| conditions.all(|condition| condition.holds(&turn.ask_of(heir))))
}

/// What is said once, and waits for or was asked for because of a fact that is gone, goes over to another fact; what is held is handed
/// back.
pub(super) fn of_once<'a>(turn: &mut Turn<'a>, fact: &Resource) -> Vec<Candidate<'a>> {
    let reference = fact.reference();
    let mut again = Vec::new();
    for due in turn.dues_where(|due| due.detail().trigger == reference) {
        if takes_over(turn, &due, fact) {
            again.extend(go_on(turn, &due.output));
        }
    }
    let prefix = format!("{reference}/_history/");
    for decision in turn.fired_where(|decision| decision.facts.iter().any(|fact| fact.starts_with(&prefix))) {
        // What was done for one diagnosis was done for each that is the same.
        if turn.rules.plan(&decision.rule).is_some_and(|plan| plan.once) {
            rests_on_another(turn, &decision, fact);
        }
    }
    again
}

/// Whether another fact takes the place of the one that set off what is due.
pub(super) fn takes_over(turn: &mut Turn, due: &Planned, fact: &Resource) -> bool {
    let rules = turn.rules;
    let Some(plan) = rules.plan(&due.rule) else { return false };
    let Some(heir) = of_step(turn, plan, overdue::watched(&due.step), fact) else { return false };
    let heard = if plan.once { heir.learned.min(turn.story.now) } else { due.detail().heard };
    let detail = Detail { trigger: heir.reference(), facts: [heir.versioned()].into(), heard, ..due.detail().clone() };
    turn.plan(Planned::of(Due { detail: detail.write(), ..Due::clone(due) }, detail));
    true
}

/// What another fact goes on with comes when it would have come by that fact alone, and what a diagnosis goes on with as it was; what is
/// held is handed back.
pub(super) fn go_on<'a>(turn: &mut Turn<'a>, output: &str) -> Option<Candidate<'a>> {
    let due = turn.dues.get(output).filter(|due| !overdue::is_watch(due)).cloned()?;
    let mut candidate = turn.candidate(&due)?;
    if !candidate.plan.once {
        return Some(candidate).filter(|candidate| candidate.detail.held);
    }
    let (action, step) = candidate.plan.step(&candidate.step.id)?;
    let heir = candidate.trigger?;
    let is_learned = matches!(step.anchor, Anchor::Start(_)) && !follow::is_told(step.anchor, &heir.value);
    let (base, offset) = match follow::of_fact(turn, candidate.plan, action, step, heir, &candidate.episode) {
        Comes::AtOnce => return Some(candidate),
        Comes::Later => return None,
        Comes::From(_, offset) if is_learned => (Base::Moment(candidate.detail.heard), offset),
        Comes::From(base, offset) => (base, offset),
    };
    // What is held waits for its gate, unless the other fact tells another day.
    if candidate.detail.held && (is_learned || !follow::has_moved(turn, &candidate, base, offset)) {
        return Some(candidate);
    }
    candidate.detail.held = false;
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

/// Whether what was said or asked for because of a fact that is gone rests on another one.
pub(super) fn rests_on_another(turn: &mut Turn, decision: &Decision, fact: &Resource) -> bool {
    let rules = turn.rules;
    let heir = rules.plan(&decision.rule).and_then(|plan| of_step(turn, plan, &decision.step, fact));
    let Some(heir) = heir else { return false };
    let version = heir.versioned();
    if stands(decision) && !decision.facts.contains(&version) {
        let facts = [version].into_iter().chain(decision.facts.iter().cloned()).collect();
        let reason = String::from("What it rested on was taken back; another fact stands that says the same.");
        turn.decide(Decision { facts, gate: because::COPY.to_owned(), reason, ..decision.clone() });
    }
    true
}
