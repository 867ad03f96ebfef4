//! An action is called for a person: which of their resources it is about now, and what follows from that.
//! Follows <https://hl7.org/fhir/R4/plandefinition-definitions.html#PlanDefinition.action.trigger>.

use std::borrow::Cow;

use jiff::civil::DateTime;
use serde_json::{Value, json};

use super::condition::all_hold;
use super::decided::Decided;
use super::detail::Detail;
use super::facts::Ask;
use super::follow::Comes;
use super::json::text;
use super::offset::Base;
use super::plan::{Action, Anchor, Caller, Plan, Step, Subject};
use super::turn::{Candidate, Turn};
use super::{Call, Resource, Rules, Story, doses, nudge, person, products, stock, supply};
use crate::ledger::Outcome;

const DAY_MS: i64 = 86_400_000;

/// A call as it is kept: what arrived is named.
#[must_use]
pub fn kept_call(call: &Call) -> String {
    let event = call.event.as_ref().map(Resource::reference);
    let Call { rule, action, name, at, ends, subjects, .. } = call;
    json!({"rule": rule, "action": action, "name": name, "at": at, "ends": ends, "subjects": subjects, "event": event})
        .to_string()
}

/// A call that was kept, and `Type/id` of what arrived.
#[must_use]
pub fn called_for(kept: &str) -> Option<(Call, Option<String>)> {
    let value: Value = serde_json::from_str(kept).ok()?;
    let word = |name: &str| text(&value, name).map(str::to_owned);
    let subjects = value.get("subjects")?.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let (at, ends) = (value.get("at")?.as_i64()?, value.get("ends").and_then(Value::as_i64));
    let call = Call {
        rule: word("rule")?,
        action: word("action")?,
        name: word("name")?,
        at,
        ends,
        subjects,
        event: None,
        told: Vec::new(),
    };
    Some((call, word("event")))
}

/// Takes in a call, and returns what is to be decided at once.
pub(super) fn call<'a>(turn: &mut Turn<'a>, call: &Call) -> Vec<Candidate<'a>> {
    let Some((plan, action)) = turn.rules.called(&call.rule, &call.action) else { return Vec::new() };
    if !plan.begins_at(call.at, supply::zone(turn.story, &Value::Null)) {
        return Vec::new();
    }
    let then = as_of(turn.story, call.at);
    let mut now = Vec::new();
    for resource in subjects(turn.story, call) {
        if !is_about(turn.rules, action, &then, resource, call) {
            continue;
        }
        for (at, episode) in episodes(turn, plan, action, resource, call) {
            for step in &action.steps {
                let Some(candidate) = candidate(turn, plan, step, resource, call, (at, &episode)) else { continue };
                let ask = Ask {
                    story: &then,
                    resource: &resource.value,
                    fill: None,
                    supplies: &turn.supplies,
                    decisions: &turn.decisions,
                    rules: turn.rules,
                };
                if all_hold(&step.conditions, &ask) {
                    now.extend(place(turn, candidate, at));
                }
            }
        }
    }
    now
}

/// The story as of the moment of the call: one that comes late asks what it would have asked in time.
fn as_of(story: &Story, at: i64) -> Cow<'_, Story> {
    if story.now == at { Cow::Borrowed(story) } else { Cow::Owned(Story { now: at, ..story.clone() }) }
}

/// What it is called for. Of a person with several Patients it is the one that stands for them.
fn subjects<'a>(story: &'a Story, call: &Call) -> Vec<&'a Resource> {
    let mut found: Vec<&Resource> = Vec::new();
    for reference in &call.subjects {
        let subject = if reference.starts_with("Patient/") { person::patient(story) } else { story.find(reference) };
        found.extend(subject.filter(|one| !one.deleted && !found.iter().any(|known| known.reference() == one.reference())));
    }
    found
}

/// Whether an action that is called is about this resource, and its conditions hold.
pub(super) fn is_about(rules: &Rules, action: &Action, story: &Story, resource: &Resource, call: &Call) -> bool {
    let decisions = Decided::of(&story.decisions);
    let ask = Ask { story, resource: &resource.value, fill: None, supplies: &story.supplies, decisions: &decisions, rules };
    suits(rules, action, resource, call)
        && call.event.as_ref().is_none_or(|event| stock::is_there(story, &resource.value, &event.value))
        && all_hold(&action.conditions, &ask)
}

/// Whether what this resource tells itself lets an action be about it: what does not pass costs no story.
pub(super) fn may_be_about(rules: &Rules, action: &Action, story: &Story, resource: &Resource) -> bool {
    let decisions = Decided::of(&story.decisions);
    let ask = Ask { story, resource: &resource.value, fill: None, supplies: &story.supplies, decisions: &decisions, rules };
    all_hold(action.conditions.iter().filter(|condition| condition.is_of_one(&resource.kind)), &ask)
}

/// Whether a call is about such a resource, conditions aside.
pub(super) fn suits(rules: &Rules, action: &Action, resource: &Resource, call: &Call) -> bool {
    let subject = Subject::new(&resource.kind, &resource.value);
    let of_what_arrived =
        || call.event.as_ref().is_some_and(|event| stock::is_of(&rules.concepts, &resource.value, &event.value));
    resource.is_about()
        && action.is_about(&rules.concepts, &rules.products, subject)
        && (action.call != Some(Caller::Stock) || of_what_arrived())
}

/// The episodes that a call opens for a resource, each with when its steps come: one for a period or for a wait, and one for each
/// time at which a dose is taken.
fn episodes(turn: &Turn, plan: &Plan, action: &Action, resource: &Resource, call: &Call) -> Vec<(i64, String)> {
    if plan.once {
        return vec![(call.at, format!("{}|once", action.id))];
    }
    // It is told once that what was waited for is there, however often it arrives.
    if call.event.is_some() {
        return vec![(call.at, resource.reference())];
    }
    if !action.at_doses {
        let of_person = resource.kind == "Patient";
        return vec![(call.at, if of_person { call.name.clone() } else { format!("{}|{}", call.name, resource.reference()) })];
    }
    let zone = doses::zone(turn.story, turn.rules);
    let times = doses::between(turn.story, &resource.value, (call.at, next(turn.story, action, call.at)), &zone);
    let named = |local: DateTime| format!("{}|{}", local.strftime("%Y-%m-%dT%H:%M"), resource.reference());
    times.into_iter().map(|(at, local)| (at, named(local))).collect()
}

/// When it is called next; a day later where the calendar does not tell.
fn next(story: &Story, action: &Action, at: i64) -> i64 {
    let zone = supply::zone(story, &Value::Null);
    let next = if let Some(Caller::Calendar(period)) = &action.call { period.next(at, zone) } else { None };
    next.map_or(at + DAY_MS, |next| next.at)
}

fn candidate<'a>(
    turn: &Turn<'a>,
    plan: &'a Plan,
    step: &'a Step,
    resource: &'a Resource,
    call: &Call,
    (at, episode): (i64, &str),
) -> Option<Candidate<'a>> {
    let output = turn.output(plan, &step.id, episode);
    // What another version of the rule has planned stays with that version.
    if turn.dues.get(&output).is_some_and(|due| !turn.carries(&due.rule, plan)) {
        return None;
    }
    let until = call.ends.filter(|_| step.window_ms.is_none()).unwrap_or(at + step.window());
    let facts = [Some(resource), call.event.as_ref()].into_iter().flatten().map(Resource::versioned).collect();
    let mut needed = products::needed(&resource.value);
    needed.extend(doses::orders(&resource.value));
    let mut detail =
        Detail { trigger: resource.reference(), needed, facts, planned: at, until, heard: call.at, ..Detail::default() };
    turn.keep_window(&output, &mut detail);
    Some(Candidate { plan, step, episode: episode.to_owned(), output, trigger: Some(resource), fill: None, detail })
}

/// Plans a step that comes later; one that comes now is handed back, to be decided at once.
fn place<'a>(turn: &mut Turn<'a>, candidate: Candidate<'a>, at: i64) -> Option<Candidate<'a>> {
    match candidate.step.anchor {
        Anchor::AtOnce if at <= turn.story.now => Some(candidate),
        Anchor::AtOnce => {
            let known = turn.decided(candidate.plan, &candidate.step.id, &candidate.episode);
            if !turn.has_done(&candidate) && known.is_none_or(|known| known.outcome != Outcome::Held) {
                let due = turn.due(&candidate, at);
                turn.plan(due);
            }
            None
        }
        Anchor::Start(offset) => nudge::later(turn, candidate, Comes::From(Base::Moment(at), offset)),
        // Those come when the step came that they hang on.
        Anchor::Step(..) | Anchor::End(_) => None,
    }
}
