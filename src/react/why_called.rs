//! Why nothing was said where the calendar or an arrival calls: the first thing that would stand against it if it called now, and
//! when it may call next.

use jiff::civil::Time;

use super::decide::because;
use super::detail::Detail;
use super::gates::{self, Verdict};
use super::plan::{Action, Caller, Plan, Step, Subject};
use super::turn::{Candidate, Turn};
use super::why_not::{Against, all_wanted, before, mends, out_of_time};
use super::{Resource, doses, person, supply};

/// When the calendar calls next.
pub(super) fn next(turn: &Turn, plan: &Plan, caller: &Caller) -> Option<i64> {
    let Caller::Calendar(period) = caller else { return None };
    let zone = supply::store(turn.story, &serde_json::Value::Null).zone;
    let first = plan.time.and_then(|time| zone.to_timestamp(time.from?.to_datetime(Time::midnight())).ok());
    let after = first.map_or(turn.story.now, |first| turn.story.now.max(first.as_millisecond() - 1));
    period.next(after, &zone).map(|next| next.at).filter(|next| plan.begins_at(*next, &zone))
}

/// What stands against a step of which nothing was ever decided.
pub(super) fn against(turn: &Turn, plan: &Plan, action: &Action, step: &Step, caller: &Caller) -> Against {
    let next = next(turn, plan, caller);
    let Some(subject) = subject(turn, action, step) else {
        let wanted = all_wanted(action);
        let reason = format!("Nothing is recorded that it is called for; it looks for {wanted}.");
        return Against {
            gate: before::TRIGGER.to_owned(),
            reason,
            change: format!("Such a fact: {wanted}."),
            facts: Vec::new(),
            next,
        };
    };
    let found = |gate: &str, reason: String, change: String| Against {
        gate: gate.to_owned(),
        reason,
        change,
        facts: vec![subject.versioned()],
        next,
    };
    if let Some((reason, change)) = out_of_time(plan, turn) {
        return found(before::PERIOD, reason, change);
    }
    if let Some(broken) = broken(turn, action, step, subject) {
        let reason = format!("A condition of the rule does not hold now: {broken}");
        return found(because::CONDITION, reason, mends(because::CONDITION));
    }
    if action.at_doses
        && doses::of_day(turn.story, &subject.value, doses::today(turn.story, turn.rules), &doses::zone(turn.story, turn.rules))
            .is_empty()
    {
        let reason = String::from("The order says no times of day at which it is taken today, or goes on no longer.");
        return found(because::CONDITION, reason, String::from("An active order with a daily timing or times of day."));
    }
    let now = turn.story.now;
    let detail = Detail {
        trigger: subject.reference(),
        planned: now,
        until: now + step.window(),
        facts: [subject.versioned()].into(),
        ..Detail::default()
    };
    let episode = subject.reference();
    let output = turn.output(plan, &step.id, &episode);
    let candidate = Candidate { plan, step, episode, output, trigger: Some(subject), fill: None, detail };
    match gates::ask(turn, &candidate) {
        (gate, Verdict::Stop(why)) => found(gate, why.into_owned(), mends(gate)),
        // What a gate holds now may be open when it is called; where time alone opens it by then, it is not what keeps it.
        (gate, Verdict::Hold(until, why)) if !(is_of_time(gate) && next.is_some_and(|next| until <= next)) => {
            Against { next: next.or(Some(until)), ..found(gate, why.into_owned(), mends(gate)) }
        }
        (_, Verdict::Hold(..) | Verdict::Pass) => {
            let (reason, change) = match caller {
                Caller::Calendar(_) => {
                    ("Nothing stands against it; its day has not come since the rule runs.", "Time: it is called then.")
                }
                Caller::Stock => (
                    "Nothing stands against it; what it waits for has not arrived.",
                    "A SupplyDelivery of the product to the store.",
                ),
            };
            found(before::CALENDAR, reason.to_owned(), change.to_owned())
        }
    }
}

/// Whether nothing but time opens a gate.
fn is_of_time(gate: &str) -> bool {
    matches!(gate, "quiet" | "caps")
}

/// What it would be called for: of several the one against which the least stands, else the newest.
fn subject<'a>(turn: &Turn<'a>, action: &Action, step: &Step) -> Option<&'a Resource> {
    let suits = |resource: &&Resource| {
        let subject = Subject::of(&resource.kind, &resource.value, turn.story);
        action.is_about(&turn.rules.concepts, &turn.rules.products, subject)
    };
    let story = turn.story;
    let all =
        story.resources.iter().filter(|one| !one.deleted && one.kind != "Patient").chain(person::patient(story)).filter(suits);
    all.max_by_key(|one| (broken(turn, action, step, one).is_none(), one.learned, &one.id))
}

/// The first condition that does not hold.
fn broken<'p>(turn: &Turn, action: &'p Action, step: &'p Step, subject: &Resource) -> Option<&'p str> {
    let ask = turn.ask_of(subject);
    let mut conditions = action.conditions.iter().chain(&step.conditions).chain(&step.starts);
    conditions.find(|condition| !condition.holds(&ask)).map(super::condition::Condition::text)
}
