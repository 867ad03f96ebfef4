//! What becomes of what a fill set off, when another one takes its place or it turns out to be another one than it was taken for.

use super::Resource;
use super::decide::{because, stands, withdraw, withdraw_task};
use super::decided::dispenses;
use super::detail::Planned;
use super::refill::Arranging;
use super::role::Role;
use super::turn::{Turn, fired};
use crate::ledger::{Decision, Outcome};

/// For how long what was said of a fill is said of the one that comes in its place: a month's supply.
const INSTEAD_MS: i64 = 30 * 86_400_000;
const INSTEAD: &str = "It was said of a fill in whose place another one came.";
const OVERTAKEN: &str = "Another fill became known or was taken back: what the rule demands does not hold of this one any more.";

impl<'a> Arranging<'a, '_> {
    /// What was said of late of a fill in whose place another comes is said of that one, too.
    pub(super) fn say_once(&self, turn: &mut Turn<'a>, roles: &[Role]) {
        for role in roles {
            let Role::Becomes(trigger, _) = role else { continue };
            let Some(version) = turn.fact(trigger).map(Resource::versioned) else { continue };
            let is_heard = |id: &str| self.news.iter().any(|news| news.event.resource.id == id);
            let was_said = |decision: &Decision| {
                let is_fresh = turn.story.now - decision.at < INSTEAD_MS;
                decision.spoken && is_fresh && turn.is_of(&decision.rule, self.plan) && dispenses(&decision.facts).any(is_heard)
            };
            for said in fired(turn.decisions.of_product(self.product), was_said) {
                let facts = said.facts.iter().cloned().chain([version.clone()]).collect();
                let (gate, reason) = (because::COPY.to_owned(), String::from(INSTEAD));
                turn.decide(Decision { gate, reason, facts, ..said });
            }
        }
    }

    /// What is due of fills that are others than they were is due no more.
    pub(super) fn let_go_of(&self, turn: &mut Turn<'a>, roles: &[Role]) {
        let is_overtaken = |due: &Planned| {
            let mut overtaken = (0..roles.len()).filter(|at| matches!(roles[*at], Role::Overtaken));
            turn.carries(&due.rule, self.plan) && overtaken.any(|at| self.is_about(due, at))
        };
        let is_step = |due: &Planned| self.action.steps.iter().any(|step| step.id == due.step);
        for due in turn.dues_where(|due| is_step(due) && is_overtaken(due)) {
            withdraw(turn, &due, Outcome::Withdrawn, because::CONDITION, OVERTAKEN);
        }
    }

    /// What was asked for of a fill since it was taken for another one, and nobody is at, is asked for no more, where it was asked for
    /// before of the one that it was taken for.
    pub(super) fn ask_once(&self, turn: &mut Turn<'a>, roles: &[Role]) {
        for (at, role) in roles.iter().enumerate() {
            let Role::Known(trigger, _) = role else { continue };
            if !self.has_news(turn) || self.meets_demands(turn, trigger, at) {
                continue;
            }
            let is_own = |decision: &Decision| stands(decision) && !decision.spoken && turn.is_of(&decision.rule, self.plan);
            let is_of_other = |decision: &Decision| !dispenses(&decision.facts).any(|id| self.dispensed.is_of(id, at));
            let before = |asked: &Decision| {
                let is_before = |one: &&Decision| is_own(one) && one.step == asked.step && one.at < asked.at;
                turn.decisions.of_product(self.product).filter(is_before).any(is_of_other)
            };
            let asked = turn.decisions.resting_on(self.resting, at, is_own).filter(|asked| before(asked));
            for asked in asked.cloned().collect::<Vec<Decision>>() {
                withdraw_task(turn, &asked, because::CONDITION, OVERTAKEN);
            }
        }
    }
}
