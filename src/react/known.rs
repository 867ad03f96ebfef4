//! What is known of a step of a fill already: whether it stays as it was decided, or is planned anew.

use std::collections::BTreeSet;

use super::back::{self, may_come_back};
use super::copies;
use super::decide::{WAITING, because, is_on_hold, is_settled, pointless, was_ended_by_hand};
use super::detail::Planned;
use super::episode::CLOSED;
use super::follow::{self, Comes};
use super::json::text;
use super::offset::{Base, Offset};
use super::plan::Step;
use super::refill::{Arranging, Begun, uncounted};
use super::turn::Turn;
use crate::ledger::{Decision, Line, Outcome};

impl<'a> Arranging<'a, '_> {
    /// Whether a step is to be planned, or was decided already.
    pub(super) fn may_plan(&self, turn: &Turn<'a>, step: &'a Step, one: &Begun<'a, '_>, (base, offset): (Base, Offset)) -> bool {
        if turn.decided(self.plan, CLOSED, &one.episode).is_some() {
            return false;
        }
        if let Some(known) = turn.decided(self.plan, &step.id, &one.episode) {
            // What was held goes on waiting for its gate, unless it comes on another day now; what was stopped is looked at again only
            // for new facts, heard just now or while the fill began on another day.
            let waits = || !follow::has_moved(turn, &self.candidate(turn, step, one), base, offset);
            let has_returned = || back::has_returned(turn, &self.candidate(turn, step, one), known);
            let stays = match known.outcome {
                Outcome::Fired => true,
                Outcome::Held => waits(),
                _ if is_settled(known) => !back::is_spent(self.plan, known) || !has_returned(),
                Outcome::Stopped => self.stays_stopped(turn, step, one) && !has_returned(),
                Outcome::Withdrawn => known.gate == because::POINTLESS && self.stays_pointless(turn, step, one),
            };
            // What was corrected meanwhile may be the rule's matter no more, and what was taken back for that is not planned again.
            let is_old = one.fresh.is_none() && known.outcome != Outcome::Fired && !turn.dues.has(&known.output);
            let is_over = || {
                (known.gate == because::REVERSED && known.recorded.is_empty() && self.news.is_empty())
                    || !back::is_set_off(turn, &self.candidate(turn, step, one), known)
            };
            if stays || (is_old && is_over()) {
                return false;
            }
        }
        !self.was_said(turn, step, one) && !self.stays_overtaken(turn, step, one)
    }

    /// Whether a step was taken back since the fill was another one by then, and still is.
    fn stays_overtaken(&self, turn: &Turn<'a>, step: &Step, one: &Begun<'a, '_>) -> bool {
        let of_step = |decision: &Decision| decision.step == step.id && turn.is_of(&decision.rule, self.plan);
        let newest = turn.decisions.resting_on(self.resting, one.at, of_step).max_by_key(|decision| decision.at);
        let was_overtaken = newest.is_some_and(|known| known.outcome == Outcome::Withdrawn && known.gate == because::CONDITION);
        was_overtaken && (one.loaded.is_none() || !self.meets_demands(turn, &one.trigger, one.at))
    }

    /// Whether a step comes at once that ended for a reason which is gone; until when it is worth doing.
    pub(super) fn comes_back(&self, turn: &Turn<'a>, step: &'a Step, one: &Begun<'a, '_>) -> Option<i64> {
        let known = turn.decided(self.plan, &step.id, &one.episode).filter(|known| may_come_back(known, turn.story.now))?;
        let is_closed = turn.decided(self.plan, CLOSED, &one.episode).is_some() || self.was_said(turn, step, one);
        let is_back = !is_closed && back::has_returned(turn, &self.candidate(turn, step, one), known);
        is_back.then_some(known.until)
    }

    /// Whether a step was said or asked for, or somebody has dealt with it: it may have been for one of the fill's dispenses before its
    /// first day moved.
    pub(super) fn was_said(&self, turn: &Turn<'a>, step: &'a Step, one: &Begun<'a, '_>) -> bool {
        let was_done = |decision: &Decision| {
            let is_done = decision.outcome == Outcome::Fired || decision.gate == because::TAKEN;
            let is_step = is_done && decision.step == step.id && turn.is_of(&decision.rule, self.plan);
            is_step && !self.goes_back(turn, step, one, decision)
        };
        // Counted from another day, it is due under another id; the one that waited is taken back below.
        let is_step = |due: &&Planned| due.step == step.id && turn.carries(&due.rule, self.plan) && self.is_about(due, one.at);
        let mut waits = turn.dues.values().filter(is_step).filter(|due| due.episode != one.episode);
        turn.decisions.resting_on(self.resting, one.at, was_done).next().is_some()
            || waits.any(|due| was_ended_by_hand(turn, &due.output) || is_on_hold(turn, &due.output))
    }

    /// Whether a step was stopped for the fill as it is now: a copy of it says nothing new. Where a condition did not hold, what was
    /// heard just now may be what it asks for; where it was not known how long the fill lasts, its order may tell by now; and where it
    /// was too late, the order may have been corrected.
    pub(super) fn stays_stopped(&self, turn: &Turn<'a>, step: &Step, one: &Begun) -> bool {
        turn.decided(self.plan, &step.id, &one.episode).is_some_and(|known| {
            let may_hold = one.fresh.is_some() && known.gate == because::CONDITION;
            let is_counted = known.gate == because::SUPPLY && uncounted(step, one.fill).is_none();
            let orders = |facts: &[String]| -> BTreeSet<String> {
                facts.iter().filter(|fact| fact.starts_with("MedicationRequest/")).cloned().collect()
            };
            let is_late = one.fresh.is_some() && known.gate == because::TIMELY;
            let is_reordered = is_late && orders(&known.facts) != orders(self.facts(turn, one));
            known.outcome == Outcome::Stopped
                && !may_hold
                && !is_counted
                && !is_reordered
                && copies::is_same_fill(turn, self.product, one.fill, known)
        })
    }

    /// Whether what was pointless still is: asked, where what set it off is loaded; else only what was taken back may have changed that.
    fn stays_pointless(&self, turn: &Turn<'a>, step: &'a Step, one: &Begun<'a, '_>) -> bool {
        if one.loaded.is_some() {
            return pointless(turn, &self.candidate(turn, step, one)).is_some();
        }
        self.news.iter().all(|news| news.gone.is_empty() && news.event.line == Line::Created)
    }

    /// Whether what was asked for, and nobody has taken on, is asked for later, since the fill is counted from another day now.
    pub(super) fn goes_back(&self, turn: &Turn<'a>, step: &'a Step, one: &Begun<'a, '_>, asked: &Decision) -> bool {
        let task = turn.story.find(&asked.recorded).filter(|task| task.kind == "Task");
        if !task.and_then(|task| text(&task.value, "status")).is_some_and(|status| WAITING.contains(&status)) {
            return false;
        }
        let mut candidate = self.candidate(turn, step, one);
        match follow::of_fill(turn, self.plan, self.action, step, one.fill, &one.episode) {
            Comes::From(base, offset) => {
                follow::schedule(turn, &mut candidate, base, offset) && candidate.detail.planned > turn.story.now
            }
            Comes::AtOnce | Comes::Later => false,
        }
    }
}
