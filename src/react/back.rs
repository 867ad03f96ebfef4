//! What ended for a reason that is gone comes back, as long as it is timely: a later fill was none, a fact that made it pointless was
//! taken back, an order goes on, the person lives. What had been recorded of it stays as it ended; it is asked for again under an id of
//! its own.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::certain;
use super::condition::Condition;
use super::decide::{because, corrected, is_settled, pointless};
use super::episode::{self, CLOSED};
use super::facts::Ask;
use super::follow::{self, Comes};
use super::gates::alive;
use super::gates::diagnosis::{self, Standing};
use super::gates::reversed::is_meant;
use super::gates::therapy;
use super::json::text;
use super::offset::Base;
use super::plan::{Action, Anchor, Plan};
use super::refills::{self, Dispenses};
use super::role::is_matter;
use super::turn::{Candidate, Turn};
use super::{Heard, Resource, doses, person, refill, supply};
use crate::ledger::{Decision, Line, Outcome};

/// Gates by which something ends for a reason that lies outside of it: it is remembered until when it would have been worth doing.
const OUTSIDE: &[&str] = &[because::POINTLESS, alive::GATE.name];

/// Gates by which something may end for such a reason, or for good: of what may come back it is remembered as well.
const PERHAPS: &[&str] = &[because::CONDITION, because::REVERSED];

/// Whether what ended may come back when another fact is taken back.
pub(super) fn may_come_back(decision: &Decision, now: i64) -> bool {
    let may_be_gone = OUTSIDE.contains(&decision.gate.as_str()) || is_remembered(decision);
    is_over(decision) && may_be_gone && decision.until >= now
}

/// Whether a step ended since the same had been said or asked for of something else.
pub(super) fn was_left(decision: &Decision) -> bool {
    decision.gate == because::CONDITION && is_remembered(decision)
}

fn is_remembered(decision: &Decision) -> bool {
    PERHAPS.contains(&decision.gate.as_str()) && decision.until != 0
}

/// Until when what ends by this gate would have been worth doing, where that must be remembered.
pub(super) fn worth_until(gate: &str, until: i64) -> i64 {
    if OUTSIDE.contains(&gate) { until } else { 0 }
}

/// The same of a candidate: also where only what had been said or asked for of something else stood against it, and of what the calendar
/// calls, which is not called again when what it is about is so after all.
pub(super) fn is_worth_until(turn: &Turn, candidate: &Candidate, gate: &str) -> i64 {
    let until = candidate.detail.until;
    let is_called = || candidate.plan.step(&candidate.step.id).is_some_and(|(action, _)| action.call.is_some());
    match gate {
        because::CONDITION if is_left(turn, candidate) => until,
        because::REVERSED if is_called() => until,
        gate => worth_until(gate, until),
    }
}

/// Whether a step begins unless the same was said or asked for of something else, and that was.
fn is_left(turn: &Turn, candidate: &Candidate) -> bool {
    let Some(ask) = turn.ask(candidate) else { return false };
    let mut broken = candidate.step.starts.iter().filter(|condition| !condition.holds(&ask)).peekable();
    broken.peek().is_some() && broken.all(|condition| condition.names("said"))
}

/// Whether the step's own conditions hold, as things are now.
fn may_begin(turn: &Turn, candidate: &Candidate) -> bool {
    let step = candidate.step;
    turn.ask(candidate).is_some_and(|ask| step.conditions.iter().chain(&step.starts).all(|condition| condition.holds(&ask)))
}

/// Until when a Task is to be done.
pub(super) fn end_of(task: &Resource) -> Option<i64> {
    let end = text(task.value.get("restriction")?.get("period")?, "end")?;
    end.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

fn is_over(decision: &Decision) -> bool {
    matches!(decision.outcome, Outcome::Stopped | Outcome::Withdrawn)
}

/// Whether what was recorded of a step has ended for a reason that may be gone: nothing more comes of it, but the step may be done anew.
/// What is counted by fills is derived from them; a diagnosis may be right again in the same episode.
pub(super) fn is_spent(plan: &Plan, decision: &Decision) -> bool {
    let of_fills = || plan.step(&decision.step).is_some_and(|(action, _)| action.is_of_fills());
    let may_be_gone = || match decision.gate.as_str() {
        because::MOVED => true,
        because::REVERSED => of_fills() || is_remembered(decision),
        because::CONDITION => was_left(decision),
        gate => OUTSIDE.contains(&gate) || [therapy::GATE.name, diagnosis::GATE.name].contains(&gate),
    };
    is_over(decision) && !decision.recorded.is_empty() && may_be_gone()
}

/// Whether nothing more may be decided of a step.
pub(super) fn is_done(plan: &Plan, decision: &Decision) -> bool {
    is_settled(decision) && !is_spent(plan, decision)
}

impl Turn<'_> {
    /// Whether nothing more may be decided of what a candidate stands for.
    pub(super) fn has_done(&self, candidate: &Candidate) -> bool {
        let known = self.decided(candidate.plan, &candidate.step.id, &candidate.episode);
        known.is_some_and(|known| is_done(candidate.plan, known))
    }
}

/// Whether the reason is gone for which a step of a fill ended, which the fills as they are now ask for.
pub(super) fn has_returned(turn: &Turn, candidate: &Candidate, known: &Decision) -> bool {
    let trigger = candidate.trigger;
    if !is_set_off(turn, candidate, known) {
        return false;
    }
    match known.gate.as_str() {
        because::MOVED | because::REVERSED => true,
        because::POINTLESS => trigger.is_some() && pointless(turn, candidate).is_none(),
        because::CONDITION => may_come_back(known, turn.story.now) && may_begin(turn, candidate),
        gate if gate == alive::GATE.name => !person::has_died(turn.story),
        gate if gate == therapy::GATE.name => {
            // An order that was ended goes on; one that has no fill left needs another.
            // What else is to be asked of it the gate asks at its time; of several dispenses each may have one.
            let is_on = |dispense: &Resource| {
                let order = Some(dispense).filter(|dispense| !dispense.deleted);
                let order = order.and_then(|dispense| refills::order_of(dispense, turn.story));
                order.is_some_and(|order| !order.deleted && !therapy::has_ended(&order.value))
            };
            let beside = candidate.fill.iter().flat_map(|fill| &fill.dispenses);
            let mut beside = beside.filter_map(|id| turn.fact(&format!("MedicationDispense/{id}")));
            let is_on = trigger.is_some_and(is_on) || beside.any(is_on);
            (is_on && known.reason == therapy::ENDED)
                || refills::goes_on(turn.rules, turn.story, &candidate.detail.product, &Dispenses::default(), "")
        }
        _ => false,
    }
}

/// Whether the rule is still about the dispense that set a step off: it may have been corrected since that was decided.
pub(super) fn is_set_off(turn: &Turn, candidate: &Candidate, known: &Decision) -> bool {
    let is_asked = |dispense: &&Resource| known.gate == because::REVERSED || !known.facts.contains(&dispense.versioned());
    let Some(dispense) = candidate.trigger.filter(is_asked) else { return true };
    let Some((action, _)) = candidate.plan.step(&candidate.step.id) else { return false };
    is_matter(turn, action, dispense, candidate.fill.as_ref())
}

/// Something was heard that may have taken back what made other things pointless, or that the person lives after all.
pub(super) fn hear(turn: &mut Turn, events: &[&Heard]) {
    let takes_back = |event: &&&Heard| event.line != Line::Created || supply::is_reversed(&event.resource);
    let kinds: BTreeSet<&str> = events.iter().filter(takes_back).map(|event| event.resource.kind.as_str()).collect();
    let is_of_patient = events.iter().any(|event| event.resource.kind == "Patient");
    let lives = is_of_patient && !person::has_died(turn.story);
    if kinds.is_empty() && !lives {
        return;
    }
    let now = turn.story.now;
    let mut ended: Vec<Decision> = turn.decisions.all().filter(|known| may_come_back(known, now)).cloned().collect();
    ended.sort_by(|one, other| one.output.cmp(&other.output));
    let mut products = BTreeSet::new();
    for known in ended {
        let Some(candidate) = turn.candidate_of(&known) else { continue };
        let is_back = match known.gate.as_str() {
            because::POINTLESS => {
                candidate.trigger.is_some() && hears(&candidate, &kinds) && pointless(turn, &candidate).is_none()
            }
            because::CONDITION => may_begin(turn, &candidate),
            because::REVERSED => is_called_for(turn, &candidate),
            _ => lives,
        };
        if is_back && candidate.detail.product.is_empty() {
            tell_again(turn, candidate, &known);
        } else if is_back {
            products.insert(candidate.detail.product);
        }
    }
    for product in products {
        refill::look_again(turn, &product);
    }
}

/// Whether what the calendar called for is as it was when it did.
fn is_called_for(turn: &Turn, candidate: &Candidate) -> bool {
    let Some((action, _)) = candidate.plan.step(&candidate.step.id) else { return false };
    let asked = candidate.trigger.filter(|fact| !supply::is_reversed(fact)).and_then(|_| turn.ask(candidate));
    let holds = |ask: &Ask| action.conditions.iter().all(|condition| condition.holds(ask));
    corrected(turn, candidate).is_none() && asked.is_some_and(|ask| holds(&ask))
}

/// Whether what makes a step pointless reads resources of these types; one that reads nothing but the trigger reads that.
fn hears(candidate: &Candidate, kinds: &BTreeSet<&str>) -> bool {
    let Some((action, step)) = candidate.plan.step(&candidate.step.id) else { return false };
    let own = candidate.trigger.is_some_and(|trigger| kinds.contains(trigger.kind.as_str()));
    let reads = |stop: &Condition| kinds.iter().any(|kind| stop.reads(kind));
    own || action.stops.iter().chain(&step.stops).any(reads)
}

/// What ended of any fact but a fill is due again, at its time: now where that is over.
fn tell_again(turn: &mut Turn, mut candidate: Candidate, ended: &Decision) {
    let (plan, now) = (candidate.plan, turn.story.now);
    let Some((action, step)) = plan.step(&candidate.step.id) else { return };
    let Some(fact) = candidate.trigger else { return };
    let known = turn.decided(plan, &step.id, &candidate.episode);
    let is_newest = known.is_some_and(|known| known.output == ended.output);
    if !is_newest || !stands(turn, action, fact) || !goes_on(turn, &candidate, action, fact) {
        return;
    }
    candidate.output = turn.output(plan, &step.id, &candidate.episode);
    if turn.dues.has(&candidate.output) || !time(turn, &mut candidate, action, ended.until) || candidate.detail.until < now {
        return;
    }
    let due = turn.due(&candidate, candidate.detail.planned);
    turn.plan(due);
}

/// Whether a fact still tells what the action is about.
fn stands(turn: &Turn, action: &Action, fact: &Resource) -> bool {
    let is_over = fact.kind == "Condition" && diagnosis::standing(&fact.value) == Standing::Over;
    is_meant(turn, action, fact) || !(supply::is_reversed(fact) || is_over)
}

/// Whether the episode in which something ended is the one that the fact is in now.
fn goes_on(turn: &Turn, candidate: &Candidate, action: &Action, fact: &Resource) -> bool {
    let (plan, of) = (candidate.plan, &candidate.episode);
    if turn.decided(plan, CLOSED, of).is_some() {
        return false;
    }
    match fact.kind.as_str() {
        _ if action.call.is_some() => true,
        _ if plan.once => episode::of_once(turn, plan, action, fact) == *of,
        "Condition" => fact.deleted || episode::running(turn, plan, action).is_none_or(|running| running == *of),
        _ => episode::of_fact(turn, plan, action, fact) == *of,
    }
}

/// Sets when it was to come and until when it is worth doing; `false` where it does not come. Being told again makes nothing younger.
fn time(turn: &Turn, candidate: &mut Candidate, action: &Action, until: i64) -> bool {
    let (step, now) = (candidate.step, turn.story.now);
    let Some(fact) = candidate.trigger else { return false };
    let window = step.window();
    if action.call.is_some() {
        // What lasts as long as its period has no window of its own.
        let lasts = step.anchor == Anchor::AtOnce && step.window_ms.is_none();
        let planned =
            if lasts { doses::moment(turn.story, turn.rules, &candidate.episode).unwrap_or(now) } else { until - window };
        (candidate.detail.planned, candidate.detail.until) = (planned, until);
        return true;
    }
    let heard = fact.learned.min(now);
    candidate.detail.heard = heard;
    // What waits for its fact to become certain waits on, and has its whole time then.
    candidate.detail.uncertain = certain::is_uncertain(turn, candidate);
    let planned = match follow::of_fact(turn, candidate.plan, action, step, fact, &candidate.episode) {
        // What it counted from was taken out meanwhile: it keeps the time that it had.
        Comes::Later => until - window,
        Comes::AtOnce => heard,
        Comes::From(base, offset) => {
            let is_told_now = base == Base::Moment(turn.heard_at(fact));
            let base = if is_told_now { Base::Moment(heard) } else { base };
            if !follow::schedule(turn, candidate, base, offset) {
                return false;
            }
            candidate.detail.planned
        }
    };
    let is_dated = step.anchor != Anchor::AtOnce && follow::is_dated(&fact.value);
    let planned = if is_dated { planned } else { planned.min(until - window) };
    let until = if candidate.detail.uncertain { until } else { planned + window };
    (candidate.detail.planned, candidate.detail.until) = (planned, until);
    true
}
