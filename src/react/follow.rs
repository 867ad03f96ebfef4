//! When a step comes, and the steps that hang on another one: planned when that one came.
//! Follows <https://hl7.org/fhir/R4/plandefinition-definitions.html#PlanDefinition.action.relatedAction>.

use serde_json::Value;

use super::activity::Act;
use super::cover::Fill;
use super::decide::{because, stop};
use super::detail::{Detail, Planned};
use super::episode::done_before;
use super::json::text;
use super::offset::{Base, Offset, When};
use super::plan::{Action, Anchor, Edge, Plan, Step};
use super::refill::uncounted;
use super::turn::{Candidate, Turn};
use super::{Resource, outputs, zones};
use crate::fhir::time::Moment;
use crate::ledger::{Decision, Outcome};

/// When a step comes, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comes {
    /// As soon as it is known.
    AtOnce,
    /// So far from there.
    From(Base, Offset),
    /// When something else has come that has not come yet.
    Later,
}

/// When a step of a fill comes.
pub(super) fn of_fill(turn: &Turn, plan: &Plan, action: &Action, step: &Step, fill: &Fill, episode: &str) -> Comes {
    match step.anchor {
        Anchor::AtOnce => Comes::AtOnce,
        Anchor::Start(offset) => Comes::From(Base::Day(fill.handed), offset),
        Anchor::End(offset) => fill.last.map_or(Comes::Later, |last| Comes::From(Base::Day(last), offset)),
        Anchor::Step(at, edge, offset) => {
            of_step(turn, plan, action, (at, edge), None, episode).map_or(Comes::Later, |at| Comes::From(at, offset))
        }
    }
}

/// When a step of any other fact comes.
pub(super) fn of_fact(turn: &Turn, plan: &Plan, action: &Action, step: &Step, fact: &Resource, episode: &str) -> Comes {
    match step.anchor {
        Anchor::AtOnce => Comes::AtOnce,
        Anchor::Start(offset) => match edges(&fact.value).0 {
            Some(start) => Comes::From(start, offset),
            // It counts from when we learned it.
            None if offset == Offset::NONE => Comes::AtOnce,
            None => Comes::From(Base::Moment(turn.heard_at(fact)), offset),
        },
        Anchor::End(offset) => edges(&fact.value).1.map_or(Comes::Later, |end| Comes::From(end, offset)),
        Anchor::Step(at, edge, offset) => {
            of_step(turn, plan, action, (at, edge), Some(fact), episode).map_or(Comes::Later, |at| Comes::From(at, offset))
        }
    }
}

/// When another step came, if it did: also in an earlier episode of the same fact, in which it was not taken back.
fn of_step(
    turn: &Turn,
    plan: &Plan,
    action: &Action,
    (at, edge): (usize, Edge),
    fact: Option<&Resource>,
    episode: &str,
) -> Option<Base> {
    let step = action.steps.get(at)?;
    let decision = turn.decided(plan, &step.id, episode).filter(|decision| decision.outcome == Outcome::Fired);
    let decision = decision.or_else(|| done_before(turn, plan, &step.id, fact?, episode))?;
    if edge == Edge::Start || step.activity.act == Act::Speak {
        return Some(Base::Moment(decision.at));
    }
    let task = turn.story.find(&decision.recorded).filter(|task| text(&task.value, "status") == Some("completed"))?;
    text(&task.value, "lastModified").and_then(moment)
}

/// When what a resource tells of began and ended. A diagnosis or a report counts from when we learned it, and has no end.
fn edges(value: &Value) -> (Option<Base>, Option<Base>) {
    let at = |name: &str| text(value, name).and_then(moment);
    let of = |name: &str, edge: &str| value.get(name).and_then(|period| text(period, edge)).and_then(moment);
    match text(value, "resourceType") {
        Some("Procedure") => {
            let whole = at("performedDateTime");
            (whole.or_else(|| of("performedPeriod", "start")), whole.or_else(|| of("performedPeriod", "end")))
        }
        Some("CommunicationRequest") => (at("occurrenceDateTime").or_else(|| of("occurrencePeriod", "start")), None),
        Some("Encounter") => (of("period", "start"), of("period", "end")),
        Some("Appointment") => (at("start"), at("end").or_else(|| at("start"))),
        // One that is not handed over yet waits from when it was made ready.
        Some("MedicationDispense") => (at("whenPrepared"), None),
        Some("Immunization") => (at("occurrenceDateTime"), None),
        _ => (None, None),
    }
}

/// Whether a resource tells itself when what it is about began or ended.
pub(super) fn is_dated(value: &Value) -> bool {
    edges(value) != (None, None)
}

/// Whether a step hangs on a time that the resource itself tells.
pub(super) fn is_told(anchor: Anchor, value: &Value) -> bool {
    match anchor {
        Anchor::Start(_) => edges(value).0.is_some(),
        Anchor::End(_) => edges(value).1.is_some(),
        Anchor::AtOnce | Anchor::Step(..) => false,
    }
}

/// Whether a resource tells when what it is about ended.
pub(super) fn has_end(value: &Value) -> bool {
    edges(value).1.is_some()
}

/// The reason why nothing follows from the end of such a fact.
pub(super) fn undated(fact: &Resource) -> String {
    format!("The {} does not say the day on which it ended.", fact.kind)
}

/// A day, or a moment where more is written; a month or a year alone is neither.
fn moment(written: &str) -> Option<Base> {
    let moment = Moment::parse(written)?;
    match moment.offset {
        Some(offset) => Some(Base::Moment(offset.to_timestamp(moment.civil).ok()?.as_millisecond())),
        None if moment.precision >= crate::fhir::time::Precision::Day => Some(Base::Day(zones::number(moment.day()))),
        None => None,
    }
}

/// Sets when a candidate is to come and until when it is worth doing; `false` beyond the calendar.
pub(super) fn schedule(turn: &Turn, candidate: &mut Candidate, base: Base, offset: Offset) -> bool {
    let store = outputs::store(turn, candidate);
    let Some(when) = offset.from(base, &store.zone) else { return false };
    candidate.detail.planned = match when {
        When::Day(day) => outputs::opening(turn, candidate.step.activity.act == Act::Speak, day, &store),
        When::Moment(at) => at,
    };
    candidate.detail.until = candidate.detail.planned + candidate.step.window();
    let was_held = |known: &Planned| known.detail().held || known.detail().prepared;
    candidate.detail.prepared = turn.dues.get(&candidate.output).is_some_and(was_held);
    true
}

/// Whether what a gate holds comes at another time by now, since what it rests on was corrected: later, or on another day. What was
/// planned anew since it was held waits for its time like any other.
pub(super) fn has_moved(turn: &Turn, candidate: &Candidate, base: Base, offset: Offset) -> bool {
    let Some(known) = turn.dues.get(&candidate.output).map(Planned::detail) else { return false };
    let mut anew = candidate.clone();
    if !known.held || !schedule(turn, &mut anew, base, offset) {
        return !known.held;
    }
    let zone = outputs::store(turn, candidate).zone;
    let (before, now) = (known.planned, anew.detail.planned);
    now != before && (now > turn.story.now || zones::day(now, &zone) != zones::day(before, &zone))
}

/// A step came: the steps that hang on it are planned.
pub(super) fn follow(turn: &mut Turn, candidate: &Candidate, edges: &[Edge]) {
    let Some((action, _)) = candidate.plan.step(&candidate.step.id) else { return };
    for step in &action.steps {
        let Anchor::Step(at, edge, offset) = step.anchor else { continue };
        let hangs = edges.contains(&edge) && action.steps.get(at).is_some_and(|known| known.id == candidate.step.id);
        if !hangs {
            continue;
        }
        let output = turn.output(candidate.plan, &step.id, &candidate.episode);
        let detail = Detail { held: false, prepared: false, ..candidate.detail.clone() };
        let mut next = Candidate { step, output, detail, ..candidate.clone() };
        // What came of the fact before it was corrected is not done again.
        let is_done = |fact| done_before(turn, next.plan, &step.id, fact, &next.episode).is_some();
        if turn.has_done(&next) || turn.dues.has(&next.output) || next.trigger.is_some_and(is_done) {
            continue;
        }
        if let Some((gate, why)) = hindrance(turn, &next) {
            stop(turn, &next, Outcome::Stopped, gate, &why);
            continue;
        }
        if schedule(turn, &mut next, Base::Moment(turn.story.now), offset) {
            let due = turn.due(&next, next.detail.planned);
            turn.plan(due);
        }
    }
}

/// Why a step that hangs on another one cannot be planned, though that one came.
fn hindrance(turn: &Turn, candidate: &Candidate) -> Option<(&'static str, String)> {
    if let Some(why) = candidate.fill.as_ref().and_then(|fill| uncounted(candidate.step, fill)) {
        return Some((because::SUPPLY, why.to_owned()));
    }
    let ask = turn.ask(candidate)?;
    let broken = candidate.step.conditions.iter().find(|condition| !condition.holds(&ask))?;
    Some((because::CONDITION, format!("The step's condition does not hold: {}", broken.text())))
}

/// A Task was done: the steps that hang on its end are planned.
pub(super) fn follow_task(turn: &mut Turn, decision: &Decision) {
    if let Some(candidate) = turn.candidate_of(decision) {
        follow(turn, &candidate, &[Edge::End]);
    }
}
