//! Sweeps: what calls a rule for everybody, the calendar or an arrival, walks those whom it may be about page by page. Where it
//! stands is a due of nobody, so that a crash loses nothing and the cost of a write does not grow with it.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::json::local;
use super::period::{Occurrence, Period};
use super::plan::{Action, Caller, Filter, Plan};
use super::retold::{MEDICATION, names, naming};
use super::{Call, Resource, Rules, Store, Story, called, episode, stock};
use crate::fhir::search::parse::parse;
use crate::fhir::search::query::{Cursor, Query};
use crate::ledger::{Due, How, Line, Mark, Person};

/// Resources on a page of a sweep.
pub(crate) const PAGE: u32 = 256;

const DAY_MS: i64 = 86_400_000;

/// A sweep that failed is looked at again after as long as it failed already, but not before this and not later than that.
const AGAIN_MS: std::ops::RangeInclusive<i64> = 60_000..=3_600_000;

/// When what names a Medication is swept: before all else.
const FIRST_MS: i64 = 0;

/// What the output ids of sweeps end with; no step is called so.
const SWEEP: &str = "sweep";

/// What to read next, and for what.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// The call, without its subjects.
    pub call: Call,
    /// Of which type it is about.
    pub kind: String,
    /// After which row it goes on.
    after: Option<Cursor>,
}

/// What a sweep comes to when its time has come.
#[derive(Debug, Clone)]
pub enum Next {
    /// A page is to be looked at.
    Look(Sweep),
    /// Nothing is to be looked at now: it is over, or moved on to what is still timely.
    Moved(Mark),
}

/// The engine's own part of a sweep's due.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Row {
    /// The period as the rule's author wrote it; empty for an arrival.
    written: String,
    /// When the period ends; 0 for a moment.
    ends: i64,
    /// `Type/id` of what arrived; empty for the calendar.
    event: String,
    /// The last row that was looked at.
    cursor: Option<Cursor>,
    /// When the call was to be made, where the row was put off since; 0 where it is due at that time.
    at: i64,
}

/// The same as it is kept: a place and a time are left out where there is none.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    written: String,
    ends: i64,
    event: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
}

impl Row {
    fn read(text: &str) -> Self {
        let Kept { written, ends, event, key, number, at } = serde_json::from_str(text).unwrap_or_default();
        let cursor = key.map(|key| Cursor { key, number: number.unwrap_or_default() });
        Self { written, ends, event, cursor, at: at.unwrap_or_default() }
    }

    fn write(&self) -> String {
        let Self { written, ends, event, cursor, at } = self.clone();
        let (key, number) = cursor.map(|cursor| (cursor.key, cursor.number)).unzip();
        let row = Kept { written, ends, event, key, number, at: (at > 0).then_some(at) };
        serde_json::to_string(&row).unwrap_or_default()
    }

    /// When the call of this due was to be made.
    fn called(&self, due: &Due) -> i64 {
        if self.at > 0 { self.at } else { due.due }
    }
}

/// The rows of the calendar, as they must be for the rules that run: what is kept already stays where it is, unless the rule says
/// another time now. A rule that is new begins with the first call after its activation, and not before `first`; one that came with the
/// program, with the first after `now`.
#[must_use]
pub fn calendar(rules: &Rules, tenant: &str, kept: &[Due], (first, now): (i64, i64), zone: &TimeZone) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut wanted: Vec<String> = Vec::new();
    for (plan, action, caller) in rules.callers() {
        let Caller::Calendar(period) = caller else { continue };
        let output = episode::output(&plan.url, tenant, Person::NOBODY, &action.id, SWEEP);
        wanted.push(output.clone());
        if kept.iter().any(|due| due.output == output && Row::read(&due.detail).written == period.written) {
            continue;
        }
        let since = if plan.since > 0 { plan.since.max(first) } else { now };
        if let Some(next) = period.next(since - 1, zone) {
            marks.push(Mark::Due(row(plan, action, output, period, &next)));
        }
    }
    let is_over = |due: &&Due| !Row::read(&due.detail).written.is_empty() && !wanted.contains(&due.output);
    marks.extend(kept.iter().filter(is_over).map(gone));
    marks
}

fn row(plan: &Plan, action: &Action, output: String, period: &Period, one: &Occurrence) -> Due {
    let row = Row { written: period.written.clone(), ends: one.ends.unwrap_or(0), ..Row::default() };
    due(plan, action, output, &one.name, one.at, &row)
}

fn due(plan: &Plan, action: &Action, output: String, name: &str, at: i64, row: &Row) -> Due {
    Due {
        person: Person::NOBODY,
        output,
        due: at,
        priority: plan.priority,
        rule: plan.url.clone(),
        step: action.id.clone(),
        episode: name.to_owned(),
        detail: row.write(),
    }
}

fn gone(due: &Due) -> Mark {
    Mark::DueGone { person: due.person, output: due.output.clone() }
}

/// The row that leads to all of a type that names a Medication, since this became known or is another product by now.
#[must_use]
pub fn renamed(tenant: &str, kind: &str, medication: &Resource) -> Mark {
    let name = medication.reference();
    let output = episode::output(MEDICATION, tenant, Person::NOBODY, &format!("{kind}|{name}"), SWEEP);
    Mark::Due(Due {
        person: Person::NOBODY,
        output,
        due: FIRST_MS,
        priority: 1,
        rule: MEDICATION.to_owned(),
        step: kind.to_owned(),
        episode: name.clone(),
        detail: Row { event: name, at: medication.learned, ..Row::default() }.write(),
    })
}

/// Whether a sweep is for what names a Medication: until it is walked, nothing that is due is looked at, which would be decided on half of
/// what is known.
#[must_use]
pub fn is_of_medication(due: &Due) -> bool {
    due.rule == MEDICATION
}

/// The rows that an event of nobody's leads to: something has arrived. What was imported calls for nothing.
#[must_use]
pub fn arrived(rules: &Rules, tenant: &str, line: Line, resource: &Resource) -> Vec<Mark> {
    let is_arrival = resource.kind == stock::DELIVERY && !line.is_gone() && stock::has_arrived(&resource.value);
    if !is_arrival || resource.how == How::Import {
        return Vec::new();
    }
    let of_stock = |(plan, _, caller): &(&Plan, &Action, &Caller)| **caller == Caller::Stock && plan.acts_on(resource.learned);
    let called = rules.callers().filter(of_stock).map(|(plan, action, _)| {
        let name = resource.reference();
        let output = episode::output(&plan.url, tenant, Person::NOBODY, &format!("{}|{name}", action.id), SWEEP);
        let row = Row { event: name.clone(), ..Row::default() };
        Mark::Due(due(plan, action, output, &name, resource.learned, &row))
    });
    called.collect()
}

/// Type and id of what arrived, where a sweep is about an arrival.
#[must_use]
pub fn event_of(due: &Due) -> Option<(String, String)> {
    let event = local(&Row::read(&due.detail).event)?;
    event.split_once('/').map(|(kind, id)| (kind.to_owned(), id.to_owned()))
}

/// What a sweep has to look at now; `event` is what arrived, if it still stands.
#[must_use]
pub fn sweep(rules: &Rules, due: &Due, now: i64, zone: &TimeZone, event: Option<Resource>) -> Next {
    let row = Row::read(&due.detail);
    if is_of_medication(due) {
        // Of one that was deleted meanwhile nothing is known any more than was.
        return event.map_or_else(|| Next::Moved(gone(due)), |event| Next::Look(Sweep::naming(due, row, event)));
    }
    let Some((plan, action)) = rules.called(&due.rule, &due.step) else { return Next::Moved(gone(due)) };
    let stands = event.as_ref().is_some_and(|event| stock::has_arrived(&event.value));
    let is_late = now > latest(action, due, &row);
    match &action.call {
        Some(Caller::Stock) if stands && !is_late => {}
        Some(Caller::Calendar(period)) if is_late => {
            return Next::Moved(moved(plan, action, due, period, timely(period, action, now, zone)));
        }
        Some(Caller::Calendar(period)) if !plan.begins_at(row.called(due), zone) => {
            return Next::Moved(moved(plan, action, due, period, period.next(row.called(due), zone)));
        }
        Some(Caller::Calendar(_)) => {}
        _ => return Next::Moved(gone(due)),
    }
    let ends = (row.ends > 0).then_some(row.ends);
    let (rule, name, at) = (plan.url.clone(), due.episode.clone(), row.called(due));
    let call = Call { rule, action: action.id.clone(), name, at, ends, subjects: Vec::new(), event, told: Vec::new() };
    Next::Look(Sweep { call, kind: kind_of(action).to_owned(), after: row.cursor })
}

/// Until when a call is worth making.
fn latest(action: &Action, due: &Due, row: &Row) -> i64 {
    if row.ends > 0 { row.ends - 1 } else { row.called(due) + patience(action) }
}

/// The first call that is worth making now or later. The last one of a season may be near and the season over: it is stepped over,
/// or a row would move to where it stands.
fn timely(period: &Period, action: &Action, now: i64, zone: &TimeZone) -> Option<Occurrence> {
    let mut found = period.next(now - patience(action) - 1, zone)?;
    while let Some(ends) = found.ends.filter(|ends| *ends <= now) {
        found = period.next(ends - 1, zone)?;
    }
    Some(found)
}

fn patience(action: &Action) -> i64 {
    let of_steps = action.steps.iter().map(super::plan::Step::window).max().unwrap_or_default();
    // The doses of a day come in the course of it.
    if action.at_doses { of_steps.max(DAY_MS) } else { of_steps }
}

fn moved(plan: &Plan, action: &Action, due: &Due, period: &Period, next: Option<Occurrence>) -> Mark {
    next.map_or_else(|| gone(due), |next| Mark::Due(row(plan, action, due.output.clone(), period, &next)))
}

/// A page was looked at: the sweep goes on after it, or, after the last one, to its next time.
#[must_use]
pub fn swept(rules: &Rules, due: &Due, next: Option<Cursor>, now: i64, zone: &TimeZone) -> Mark {
    let row = Row::read(&due.detail);
    let called = rules.called(&due.rule, &due.step);
    if next.is_some() && (called.is_some() || is_of_medication(due)) {
        return Mark::Due(Due { detail: Row { cursor: next, ..row }.write(), ..due.clone() });
    }
    let Some((plan, action)) = called else { return gone(due) };
    let Some(Caller::Calendar(period)) = &action.call else { return gone(due) };
    // Of what lasts a late call has asked for all that came before.
    let after = if row.ends > 0 { now.max(row.called(due)) } else { row.called(due) };
    moved(plan, action, due, period, period.next(after, zone))
}

/// The sweep failed: it goes on later where it stood, and its call is as it was.
#[must_use]
pub fn swept_again(due: &Due, now: i64) -> Mark {
    let row = Row::read(&due.detail);
    let at = row.called(due);
    let later = now + (now - at).clamp(*AGAIN_MS.start(), *AGAIN_MS.end());
    Mark::Due(Due { due: later, detail: Row { at, ..row }.write(), ..due.clone() })
}

/// The sweep begins its walk again.
#[must_use]
pub fn swept_from_start(due: &Due) -> Mark {
    let row = Row { cursor: None, ..Row::read(&due.detail) };
    Mark::Due(Due { detail: row.write(), ..due.clone() })
}

/// Whom a call may be about: a search that the index answers, as far as the codes of the input are its words.
fn population(action: &Action, event: Option<&Resource>) -> Query {
    let trigger = action.triggers.first();
    let listed = |filter: &&Filter| filter.group.is_none() && !filter.codes.is_empty();
    let filters = trigger.into_iter().flat_map(|trigger| &trigger.filters).filter(listed);
    let words = |codes: &mut dyn Iterator<Item = &str>| codes.map(escaped).collect::<Vec<_>>().join(",");
    let mut pairs: Vec<(String, String)> =
        filters.map(|filter| (filter.path.clone(), words(&mut filter.codes.iter().map(|(_, code)| code.as_str())))).collect();
    if let Some(event) = event {
        pairs.push((String::from("code"), words(&mut stock::codes(&event.value).into_iter().map(|(_, code)| code))));
    }
    // What is no search parameter of the type is left to be seen in the resource itself.
    Query { count: PAGE, ..parse(kind_of(action), &pairs, 0).query }
}

/// Of which type an action that is called is about.
fn kind_of(action: &Action) -> &str {
    action.triggers.first().map_or("Patient", |trigger| trigger.kind.as_str())
}

/// A code as it stands in a search.
fn escaped(code: &str) -> String {
    let special = |letter: char| matches!(letter, ',' | '|' | '$' | '\\');
    code.chars().flat_map(|letter| special(letter).then_some('\\').into_iter().chain([letter])).collect()
}

impl Sweep {
    /// The sweep of what names a Medication.
    fn naming(due: &Due, row: Row, medication: Resource) -> Self {
        let call = Call {
            rule: due.rule.clone(),
            action: due.step.clone(),
            name: due.episode.clone(),
            at: row.called(due),
            ends: None,
            subjects: Vec::new(),
            event: Some(medication),
            told: Vec::new(),
        };
        Self { call, kind: due.step.clone(), after: row.cursor }
    }

    /// The page of resources that it may be about; `None` when there is no such rule any more.
    #[must_use]
    pub fn query(&self, rules: &Rules) -> Option<Query> {
        if self.call.is_of_medication() {
            return Some(Query { after: self.after.clone(), ..naming(&self.kind, &self.call.name, PAGE) });
        }
        let (_, action) = rules.called(&self.call.rule, &self.call.action)?;
        Some(Query { after: self.after.clone(), ..population(action, self.call.event.as_ref()) })
    }

    /// Whether the call may come to anything for a resource of the page: who does not pass costs no story.
    #[must_use]
    pub fn may_call(&self, rules: &Rules, resource: &Resource, alone: &mut Alone) -> bool {
        if resource.kind != self.kind || resource.deleted {
            return false;
        }
        if self.call.is_of_medication() {
            return names(resource, &self.call.name);
        }
        let Some((_, action)) = rules.called(&self.call.rule, &self.call.action) else { return false };
        called::suits(rules, action, resource, &self.call)
            && called::may_be_about(rules, action, alone.telling(resource, self.call.at), resource)
    }

    /// The call for these.
    #[must_use]
    pub fn call_for(&self, found: Vec<Resource>) -> Call {
        self.call.clone().telling(found)
    }
}

/// A story of one resource and nothing else, made once for all of which it is asked whether a call may be about them.
#[derive(Debug)]
pub struct Alone(Story);

impl Alone {
    /// A story that tells of nothing yet, where days begin in this zone.
    #[must_use]
    pub fn new(tenant: &Arc<str>, zone: &TimeZone) -> Self {
        Self(Story::bare(tenant, Person::NOBODY, 0, Store::unknown(zone)))
    }

    /// Whether days begin in this zone.
    pub(super) fn is_in(&self, zone: &TimeZone) -> bool {
        self.0.stores.iter().all(|store| store.zone == *zone)
    }

    /// The story as it tells of this resource, at this time.
    fn telling(&mut self, resource: &Resource, at: i64) -> &Story {
        (self.0.person, self.0.now) = (resource.person, at);
        if !matches!(self.0.resources.as_slice(), [known] if known.is_same(resource)) {
            self.0.resources = vec![resource.clone()];
        }
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_and_written_as_other_gateways_do() {
        let begun = Row { written: String::from("1 d"), ends: 7, event: String::new(), cursor: None, at: 0 };
        let cursor = Some(Cursor { key: String::from("k"), number: 3 });
        for (row, known) in [
            (begun.clone(), r#"{"written":"1 d","ends":7,"event":""}"#),
            (Row { cursor, at: 9, ..begun }, r#"{"written":"1 d","ends":7,"event":"","key":"k","number":3,"at":9}"#),
        ] {
            assert_eq!((row.write().as_str(), Row::read(known)), (known, row));
        }
        assert_eq!(Row::read("no json"), Row::default());
    }
}
