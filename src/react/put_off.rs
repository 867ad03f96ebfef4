//! A fact that tells another time than it did: what was asked for too early, and nobody has taken on, is asked for at its time, and what
//! is due comes then.

use super::Resource;
use super::decide::{WAITING, because, withdraw, withdraw_task};
use super::episode::is_of_step;
use super::follow::{self, Comes};
use super::json::text;
use super::nudge::later;
use super::plan::{Anchor, Edge};
use super::turn::{Candidate, Turn};
use crate::ledger::{Decision, Outcome};

/// Why something that was asked for is taken back.
const WHY: &str = "What it rests on happened at another time than was told; the step moves with it.";

/// When a step comes that hangs on a time which the fact itself tells; nothing of any other.
fn told(turn: &Turn, candidate: &Candidate, fact: &Resource) -> Option<Comes> {
    let (action, step) = candidate.plan.step(&candidate.step.id)?;
    let is_told = action.call.is_none()
        && !action.is_of_fills()
        && candidate.detail.trigger == fact.reference()
        && follow::is_told(step.anchor, &fact.value);
    is_told.then(|| follow::of_fact(turn, candidate.plan, action, step, fact, &candidate.episode))
}

/// When it would come, as the fact tells now.
pub(super) fn planned(turn: &Turn, candidate: &Candidate, fact: &Resource) -> Option<i64> {
    let Comes::From(base, offset) = told(turn, candidate, fact)? else { return None };
    let mut anew = candidate.clone();
    follow::schedule(turn, &mut anew, base, offset).then_some(anew.detail.planned)
}

/// Whether what is due comes at another time, as its fact tells now.
pub(super) fn moves(turn: &Turn, due: &Candidate, fact: &Resource) -> bool {
    let is_held = || due.detail.held;
    let moved = planned(turn, due, fact).is_some_and(|planned| planned != due.detail.planned);
    moved && (!is_held() || has_moved(turn, due, fact))
}

/// Whether what a gate holds comes on another day.
fn has_moved(turn: &Turn, held: &Candidate, fact: &Resource) -> bool {
    matches!(told(turn, held, fact), Some(Comes::From(base, offset)) if follow::has_moved(turn, held, base, offset))
}

/// Plans a step at the time that its fact tells now, on which it rests from then on.
pub(super) fn plan<'a>(turn: &mut Turn<'a>, mut candidate: Candidate<'a>, fact: &'a Resource) {
    let Some(comes) = told(turn, &candidate, fact) else { return };
    let prefix = format!("{}/_history/", fact.reference());
    let rests = candidate.detail.facts.iter();
    candidate.detail.facts =
        rests.map(|known| if known.starts_with(&prefix) { fact.versioned() } else { known.clone() }).collect();
    candidate.trigger = Some(fact);
    later(turn, candidate, comes);
}

/// What was asked for because of a fact that was corrected: where it is still to come, as the fact tells now, it is taken back and
/// planned anew.
pub(super) fn hear<'a>(turn: &mut Turn<'a>, asked: &Decision, fact: &'a Resource) {
    if !waits(turn, asked) {
        return;
    }
    let Some(candidate) = turn.candidate_of(asked) else { return };
    if planned(turn, &candidate, fact).is_none_or(|planned| planned <= turn.story.now) {
        return;
    }
    take_back(turn, asked);
    let output = turn.output(candidate.plan, &candidate.step.id, &candidate.episode);
    plan(turn, Candidate { output, ..candidate }, fact);
}

/// Whether nobody has taken on a Task that was asked for.
fn waits(turn: &Turn, asked: &Decision) -> bool {
    let task = turn.story.find(&asked.recorded).filter(|task| task.kind == "Task" && !task.deleted);
    task.and_then(|task| text(&task.value, "status")).is_some_and(|status| WAITING.contains(&status))
}

/// Takes back what was asked for too early, with what hangs on it and was not said.
fn take_back(turn: &mut Turn, asked: &Decision) {
    withdraw_task(turn, asked, because::MOVED, WHY);
    let_go(turn, asked, Edge::Start, (because::MOVED, WHY));
}

/// Takes back what hangs on an end of a step that came, unless it was said or somebody is at it.
pub(super) fn let_go(turn: &mut Turn, came: &Decision, edge: Edge, (gate, why): (&str, &str)) {
    let rules = turn.rules;
    let Some((action, _)) = rules.plan(&came.rule).and_then(|plan| plan.step(&came.step)) else { return };
    for step in &action.steps {
        let Anchor::Step(at, of, _) = step.anchor else { continue };
        if of != edge || action.steps.get(at).is_none_or(|known| known.id != came.step) {
            continue;
        }
        let is_it = |rule: &str, known: &str, episode: &str| is_of_step((rule, known, episode), came, &step.id);
        for due in turn.dues_where(|due| is_it(&due.rule, &due.step, &due.episode)) {
            withdraw(turn, &due, Outcome::Withdrawn, gate, why);
        }
        for hangs in turn.fired_where(|known| is_it(&known.rule, &known.step, &known.episode) && waits(turn, known)) {
            withdraw_task(turn, &hangs, gate, why);
            let_go(turn, &hangs, Edge::Start, (gate, why));
        }
    }
}

/// Whether a step that comes too late now was asked for in its time, and was taken back just now, since its fact was a mistake, or told
/// a later time, for a while: then it is asked for now.
pub(super) fn was_due(turn: &Turn, candidate: &mut Candidate) -> bool {
    let prefix = format!("{}/_history/", candidate.detail.trigger);
    let mut taken_back = turn.decisions.all().filter(|known| {
        let is_task = known.outcome == Outcome::Withdrawn && known.recorded.starts_with("Task/");
        let is_it = known.step == candidate.step.id && turn.is_of(&known.rule, candidate.plan);
        let is_timely = candidate.detail.planned <= known.at && known.at + candidate.step.window() >= turn.story.now;
        is_task && is_it && is_timely && [because::MOVED, because::REVERSED].contains(&known.gate.as_str())
    });
    let was_asked = taken_back.any(|known| known.facts.iter().any(|fact| fact.starts_with(&prefix)));
    if was_asked {
        let now = turn.story.now;
        (candidate.detail.planned, candidate.detail.until) = (now, now + candidate.step.window());
    }
    was_asked
}
