//! What rests on a fact that is not certain yet waits until it is, longer than it would be worth doing; then its whole time begins.

use std::borrow::Cow;

use super::follow;
use super::gates::{diagnosis, reversed};
use super::plan::Anchor;
use super::supply;
use super::turn::{Candidate, Turn};

/// So long a step waits for a fact to become certain: ninety days.
const UNCERTAIN_MS_MAX: i64 = 90 * 86_400_000;

/// The candidate with the time that it has as its fact stands now.
pub(super) fn timed<'c, 'a>(turn: &Turn, candidate: &'c Candidate<'a>) -> Cow<'c, Candidate<'a>> {
    let waits = is_uncertain(turn, candidate) && may_wait(candidate);
    if candidate.trigger.is_none() || waits == candidate.detail.uncertain {
        return Cow::Borrowed(candidate);
    }
    let mut timed = candidate.clone();
    let detail = &mut timed.detail;
    detail.uncertain = waits;
    if waits {
        detail.until = detail.until.max(detail.planned + UNCERTAIN_MS_MAX);
    } else {
        (detail.planned, detail.until) = (turn.story.now, turn.story.now + candidate.step.window());
    }
    Cow::Owned(timed)
}

/// Whether what set it off is told of as not certain yet, and the rule is not about just that.
pub(super) fn is_uncertain(turn: &Turn, candidate: &Candidate) -> bool {
    let Some(fact) = candidate.trigger.filter(|_| candidate.fill.is_none()) else { return false };
    let is_open =
        supply::is_open(fact) || (fact.kind == "Condition" && diagnosis::standing(&fact.value) == diagnosis::Standing::Open);
    let action = candidate.plan.step(&candidate.step.id).map(|(action, _)| action);
    is_open && action.is_some_and(|action| !reversed::is_meant(turn, action, fact))
}

/// Whether it is as good later: what the calendar calls comes again, and what is counted from a day that the fact names has that day.
fn may_wait(candidate: &Candidate) -> bool {
    let is_called = candidate.plan.step(&candidate.step.id).is_none_or(|(action, _)| action.call.is_some());
    let is_dated = candidate.step.anchor != Anchor::AtOnce && candidate.trigger.is_some_and(|fact| follow::is_dated(&fact.value));
    !is_called && !is_dated
}
