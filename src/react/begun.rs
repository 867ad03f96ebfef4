//! What a rule began with a fact and gave up, since the fact was a mistake for a while: when it is right after all, the rule goes on with
//! it, also outside of its own time, in another version's, or where it listens to new facts alone. It counts when the fact was first
//! learned.

use super::decide::because;
use super::episode;
use super::gates::diagnosis::{self, Standing};
use super::gates::reversed::is_meant;
use super::plan::{Action, Plan, Subject};
use super::put_off;
use super::turn::Turn;
use super::{Heard, Resource, nudge, supply};
use crate::ledger::{Decision, Line, Outcome};

/// What of an action begins with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Begins<'a> {
    /// All its steps.
    All,
    /// Those that were given up.
    Again(Vec<&'a str>),
}

impl Begins<'_> {
    /// Whether this step does.
    pub(super) fn has(&self, step: &str) -> bool {
        match self {
            Self::All => true,
            Self::Again(steps) => steps.contains(&step),
        }
    }
}

/// The actions of which something begins with an event, of all that are about it and hold. What one version of a rule gave up begins
/// with no other one.
pub(super) fn beginning<'a>(
    turn: &Turn<'a>,
    event: &Heard,
    about: Vec<(&'a Plan, &'a Action)>,
) -> Vec<(&'a Plan, &'a Action, Begins<'a>)> {
    let fact = &event.resource;
    let subject = Subject::of(&fact.kind, &fact.value, turn.story);
    let reference = fact.reference();
    let prefix = format!("{reference}/_history/");
    let rests = |decision: &&Decision| decision.facts.iter().any(|fact| fact.starts_with(&prefix));
    let known: Vec<&Decision> = if about.is_empty() { Vec::new() } else { turn.decisions.all().filter(rests).collect() };
    let all: Vec<_> =
        about.into_iter().map(|(plan, action)| (plan, action, given_up(turn, (plan, action), fact, &known))).collect();
    // Of what is a mistake now, a version begins nothing where another one has begun with it.
    let carried = |plan: &Plan, rule: &str| turn.is_of(rule, plan) && !turn.carries(rule, plan);
    let has_begun = |plan: &Plan| {
        let mut due = turn.dues.values().filter(|due| due.detail().trigger == reference).map(|due| &due.rule);
        known.iter().map(|one| &one.rule).any(|rule| carried(plan, rule)) || due.any(|rule| carried(plan, rule))
    };
    let is_of_another = |plan: &Plan, action: &Action| {
        let is_mistake = || supply::is_reversed(fact) && !is_meant(turn, action, fact);
        let mut others = all.iter().filter(|(other, ..)| other.url == plan.url && !std::ptr::eq(*other, plan));
        others.any(|(_, other, steps)| other.id == action.id && !steps.is_empty()) || (is_mistake() && has_begun(plan))
    };
    let begins = all.iter().filter_map(|(plan, action, steps)| {
        let listens = action.listens(&turn.rules.concepts, &turn.rules.products, event.line, subject);
        let all = listens && plan.begins_with(fact, turn.story);
        let begins = match steps {
            _ if all && (!steps.is_empty() || !is_of_another(plan, action)) => Begins::All,
            steps if !steps.is_empty() => Begins::Again(steps.clone()),
            _ => return None,
        };
        Some((*plan, *action, begins))
    });
    begins.collect()
}

/// The steps of an action that were given up with a fact, which stands now, and are neither due nor decided otherwise since.
fn given_up<'a>(turn: &Turn, (plan, action): (&'a Plan, &'a Action), fact: &Resource, known: &[&Decision]) -> Vec<&'a str> {
    if known.is_empty() || !stands(turn, plan, action, fact) {
        return Vec::new();
    }
    let reference = fact.reference();
    let steps = action.steps.iter().filter(|step| {
        let of_step = known.iter().filter(|one| one.step == step.id && turn.is_of(&one.rule, plan));
        let newest = of_step.max_by_key(|one| (one.at, !is_given_up(turn, one, fact), &one.output));
        let mut dues = turn.dues.values();
        newest.is_some_and(|newest| turn.carries(&newest.rule, plan) && is_given_up(turn, newest, fact))
            && !dues.any(|due| due.step == step.id && turn.is_of(&due.rule, plan) && due.detail().trigger == reference)
    });
    steps.map(|step| step.id.as_str()).collect()
}

/// Whether a fact is there, and tells of what the action is about.
fn stands(turn: &Turn, plan: &Plan, action: &Action, fact: &Resource) -> bool {
    let (concepts, products) = (&turn.rules.concepts, &turn.rules.products);
    let subject = Subject::of(&fact.kind, &fact.value, turn.story);
    let listens = |line| action.listens(concepts, products, line, subject);
    let is_there = !supply::is_reversed(fact) || (!fact.deleted && is_meant(turn, action, fact));
    // A diagnosis that had ended is another episode.
    let goes_on = || {
        let is_current = diagnosis::standing(&fact.value) != Standing::Over;
        fact.kind != "Condition" || (is_current && (plan.once || episode::running(turn, plan, action).is_some()))
    };
    is_there && (listens(Line::Created) || listens(Line::Updated)) && goes_on()
}

/// Whether a step ended since its fact was a mistake, or told a wrong time, for a while.
fn is_given_up(turn: &Turn, decision: &Decision, fact: &Resource) -> bool {
    let comes_in_time = || {
        let candidate = turn.candidate_of(decision)?;
        Some(put_off::planned(turn, &candidate, fact)? + candidate.step.window() >= turn.story.now)
    };
    let is_over = matches!(decision.outcome, Outcome::Stopped | Outcome::Withdrawn);
    let is_mistake = match decision.gate.as_str() {
        because::REVERSED | because::LEFT => true,
        because::TIMELY | because::UNDATED => decision.outcome == Outcome::Stopped && comes_in_time() == Some(true),
        _ => decision.reason == nudge::NEVER_WAS && fact.kind == "Condition",
    };
    is_over && is_mistake
}
