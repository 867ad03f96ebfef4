//! Runs a search: one bounded page after a cursor, along the way with the fewest rows or along the order that is asked for.
//!
//! A page never looks at more than a bound of rows. When it ends there, it may be short, and the next one goes on from that
//! place: nothing is lost and nothing comes twice.

use std::borrow::Cow;
use std::fmt;

use super::asker::Asker;
use super::chain::Looks;
use super::test::{Form, Test, ready};
use super::walk::{Ground, Met, Spot, Way};
use super::way::{Name, again, choose, is_chained, lasting, name, updated};
use super::{chain, order, united};
use crate::fhir::search::query::{Compare, Criterion, Cursor, Query, Sort, When};
use crate::fhir::time::Span;
use crate::ledger::{Error, Expect, Scope, Stored};

/// Rows that one page looks at, at most.
pub(super) const EXAMINED_MAX: usize = 10_000;
/// Rows that are looked at, at most, for what must be known whole: all matches, to sort or to count them, all that chains come
/// to from their end, or all that one candidate's chains lead to.
pub(super) const LOOKS_MAX: usize = 50_000;
/// Rows that a conditional interaction looks at, at most: it must know, so beyond them it is refused.
const SURE_MAX: usize = 100_000;
/// Rows that it looks at once more while it is written, and all other writes wait: beyond them, only at what changed meanwhile.
const SURE_WRITING_MAX: usize = 2_000;
const TOO_MANY: Error = Error::TooCostly(
    "To answer these criteria too many resources would have to be looked at; name an identifier, or a subject with few.",
);
/// Rows that one statement reads, at most.
const DEPTH_MAX: usize = 2_048;
/// And at least, where some of them may fail.
const DEPTH_MIN: usize = 32;

/// A page of an answer.
#[derive(Debug, Clone)]
pub struct Page {
    /// The matches, in order.
    pub found: Vec<Stored>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Cursor>,
    /// The number of all matches, if asked for and within reach.
    pub total: Option<i64>,
    /// A poller that asks for `_lastUpdated=ge` this moment next time misses nothing (UTC milliseconds).
    pub horizon: i64,
}

/// What a walk found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) rows: Vec<Met>,
    /// In which parts of the answer the rows stand: how many of them in each, one part behind the other.
    parts: Vec<(Prefix, usize)>,
    /// Where it stopped before it was at its end.
    pub(super) stopped: Option<Cursor>,
}

impl Found {
    /// Adds rows of one part.
    pub(super) fn add(&mut self, prefix: Prefix, rows: Vec<Met>) {
        match self.parts.last_mut() {
            Some((last, count)) if *last == prefix => *count += rows.len(),
            _ => self.parts.push((prefix, rows.len())),
        }
        if self.rows.is_empty() {
            self.rows = rows;
        } else {
            self.rows.extend(rows);
        }
    }

    /// The place of a row.
    fn cursor(&self, at: usize) -> Option<Cursor> {
        let mut end = 0;
        let is_behind = |(_, count): &&(Prefix, usize)| {
            end += count;
            at < end
        };
        let (prefix, _) = self.parts.iter().find(is_behind)?;
        Some(self.rows.get(at)?.spot.cursor(*prefix))
    }
}

/// What the places in a part of the answer begin with in a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    /// Along the way of this name.
    Way(Name),
    /// In the order of one key, by its value.
    Valued,
    /// Behind it, what has no value for the key.
    Missing,
    /// In the order of several keys.
    Keys,
}

impl fmt::Display for Prefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Way(name) => write!(out, "n{name}:"),
            Self::Valued => out.write_str("v:"),
            Self::Missing => out.write_str("m:"),
            Self::Keys => out.write_str("k:"),
        }
    }
}

/// One part of a way through the answer, in the order of the answer.
pub(super) struct Stage<'a> {
    pub(super) way: Way,
    pub(super) prefix: Prefix,
    /// A test that holds in this part only.
    pub(super) extra: Option<Test<'a>>,
}

/// At most so many ids that match, as conditional interactions need them.
pub(in crate::ledger) async fn find(
    asker: &mut impl Asker,
    scope: &Scope,
    query: &Query,
    most: u32,
    now: i64,
) -> Result<Vec<String>, Error> {
    sure(asker, scope, query, most, SURE_MAX, now).await?.ok_or(TOO_MANY)
}

/// Whether a search would still find what it found; runs inside the batch. Where that takes too many looks, what was found is
/// looked at once more, and what was stamped since: nothing else can have changed.
pub(in crate::ledger) async fn still(asker: &mut impl Asker, scope: &Scope, expect: &Expect, now: i64) -> Result<bool, Error> {
    let Expect { query, most, found, since } = expect;
    if let Some(again) = sure(asker, scope, query, *most, SURE_WRITING_MAX, now).await? {
        return Ok(again == *found);
    }
    if query.criteria.iter().any(is_chained) {
        // What a chain finds may change without its first resource.
        return Err(TOO_MANY);
    }
    let and = |more: Criterion| Query { criteria: query.criteria.iter().cloned().chain([more]).collect(), ..query.clone() };
    if !found.is_empty() {
        let again = sure(asker, scope, &and(Criterion::Id(found.clone())), *most, SURE_WRITING_MAX, now).await?;
        if again.is_none_or(|again| again.len() != found.len()) {
            return Ok(false);
        }
    }
    let newer = When { compare: Compare::Equal, span: Span { low: *since, high: i64::MAX } };
    let newer = and(Criterion::Updated(vec![newer]));
    let Some(tests) = prepare(asker, (scope, &query.kind), &newer.criteria, false).await? else {
        return Ok(true);
    };
    let ground = Ground { scope, kind: &query.kind, tests: &tests, now, is_united: false };
    let way = Way::Updated { whens: updated(&ground), descending: false };
    let stage = Stage { way, prefix: Prefix::Valued, extra: None };
    let newer = through(asker, &ground, vec![stage], None, found.len() + 1, SURE_WRITING_MAX).await?;
    if newer.stopped.is_some() {
        return Err(TOO_MANY);
    }
    Ok(newer.rows.iter().all(|met| found.contains(&met.stored.id)))
}

/// At most so many ids that match; `None` when that would take more looks than are allowed.
async fn sure(
    asker: &mut impl Asker,
    scope: &Scope,
    query: &Query,
    most: u32,
    examined_max: usize,
    now: i64,
) -> Result<Option<Vec<String>>, Error> {
    let wanted = usize::try_from(most).unwrap_or(usize::MAX);
    let query = Query { after: None, count: most, total: false, sort: Sort::Natural, ..query.clone() };
    let found = run(asker, scope, &query, wanted, examined_max, (now, false)).await?;
    Ok(found.stopped.is_none().then(|| found.rows.into_iter().map(|met| met.stored.id).collect()))
}

/// One page. Where nobody is one with another, `is_united` may be `false`: then nobody is asked after.
pub(in crate::ledger) async fn page(
    asker: &mut impl Asker,
    scope: &Scope,
    query: &Query,
    (now, horizon): (i64, i64),
    is_united: bool,
) -> Result<Page, Error> {
    let widened: Query;
    let query = if is_united {
        let criteria = Box::pin(united::widened(asker, scope, &query.kind, &query.criteria)).await?;
        widened = Query { criteria, ..query.clone() };
        &widened
    } else {
        query
    };
    let count = usize::try_from(query.count).unwrap_or(usize::MAX).max(1);
    let mut found = run(asker, scope, query, count + 1, EXAMINED_MAX, (now, is_united)).await?;
    let next = if found.rows.len() > count { found.cursor(count - 1) } else { found.stopped.take() };
    found.rows.truncate(count);
    let total = if query.total { Box::pin(super::count::total(asker, scope, query, now)).await? } else { None };
    Ok(Page { found: found.rows.into_iter().map(|met| met.stored).collect(), next, total, horizon })
}

/// All criteria of a search made ready; `None` when nothing can match.
pub(super) async fn prepare<'q>(
    asker: &mut impl Asker,
    (scope, kind): (&Scope, &str),
    criteria: &'q [Criterion],
    later: bool,
) -> Result<Option<Vec<Test<'q>>>, Error> {
    let mut tests = Vec::with_capacity(criteria.len());
    for criterion in criteria {
        let test = ready(asker, (scope, kind), criterion, later).await?;
        let nothing = match &test.form {
            Form::Words(exact) => exact.len() == 0,
            Form::Id(ids) => ids.is_empty(),
            _ => false,
        };
        if nothing {
            return Ok(None);
        }
        tests.push(test);
    }
    Ok(Some(tests))
}

async fn run(
    asker: &mut impl Asker,
    scope: &Scope,
    query: &Query,
    limit: usize,
    examined_max: usize,
    (now, is_united): (i64, bool),
) -> Result<Found, Error> {
    let resolved: Cow<'_, [Criterion]> = if query.criteria.iter().any(is_chained) {
        Box::pin(chain::resolve(asker, scope, query, (now, is_united))).await?
    } else {
        Cow::Borrowed(&query.criteria)
    };
    let criteria = &*resolved;
    let later = query.after.is_some();
    let Some(tests) = prepare(asker, (scope, &query.kind), criteria, later).await? else { return Ok(Found::default()) };
    let ground = Ground { scope, kind: &query.kind, tests: &tests, now, is_united };
    match &query.sort {
        Sort::Natural => {
            let named = match &query.after {
                None => lasting(&ground, choose(asker, &ground).await?, &query.criteria),
                Some(after) => name(after)
                    .and_then(|name| again(&ground, name))
                    .ok_or(Error::TooCostly("This page link does not fit the search any more; begin again."))?,
            };
            let stage = Stage { way: named.way, prefix: Prefix::Way(named.name), extra: None };
            through(asker, &ground, vec![stage], query.after.as_ref(), limit, examined_max).await
        }
        Sort::Keys(keys) => Box::pin(order::sorted(asker, &ground, keys, query.after.as_ref(), limit)).await,
    }
}

/// Goes through the stages from a cursor on until so many matches are found.
pub(super) async fn through(
    asker: &mut impl Asker,
    ground: &Ground<'_>,
    stages: Vec<Stage<'_>>,
    after: Option<&Cursor>,
    limit: usize,
    examined_max: usize,
) -> Result<Found, Error> {
    let part = |after: &Cursor| stages.iter().position(|stage| after.key.starts_with(&stage.prefix.to_string()));
    let start = after.and_then(part).unwrap_or(0);
    let (mut found, mut looks) = (Found::default(), Looks::new(examined_max));
    for (index, stage) in stages.into_iter().enumerate().skip(start) {
        let spot = after
            .filter(|_| index == start)
            .and_then(|after| stage.way.spot(after.key.strip_prefix(&stage.prefix.to_string())?, after.number));
        let narrower: Vec<Test<'_>>;
        let tests = if stage.extra.is_some() {
            narrower = ground.tests.iter().cloned().chain(stage.extra.clone()).collect();
            &narrower
        } else {
            ground.tests
        };
        let ground = Ground { tests, ..*ground };
        let (rows, stop) = along(asker, &ground, &stage.way, spot, limit - found.rows.len(), &mut looks).await?;
        found.add(stage.prefix, rows);
        if let Some(stop) = stop {
            found.stopped = Some(stop.cursor(stage.prefix));
            return Ok(found);
        }
        if found.rows.len() >= limit {
            return Ok(found);
        }
    }
    Ok(found)
}

/// Goes along one way until so many are found; tells where it stopped because it had looked at enough.
async fn along(
    asker: &mut impl Asker,
    ground: &Ground<'_>,
    way: &Way,
    mut spot: Option<Spot>,
    limit: usize,
    looks: &mut Looks,
) -> Result<(Vec<Met>, Option<Spot>), Error> {
    // A single test that leads the way needs no row more than the page has.
    let is_plain = ground.tests.len() <= 1 && !ground.tests.iter().any(|test| matches!(test.form, Form::Look | Form::Chains(_)));
    let is_chained = ground.tests.iter().any(|test| matches!(test.form, Form::Chains(_)));
    let depth_max = if is_chained { chain::AT_ONCE_MAX } else { DEPTH_MAX };
    let mut depth = if is_plain { limit } else { (limit * 2).clamp(DEPTH_MIN, DEPTH_MAX) };
    let (mut rows, mut looked) = (Vec::new(), 0);
    while rows.len() < limit {
        let step = way.step(asker, ground, spot.as_ref(), depth.min(looks.left.max(1))).await?;
        looks.take(step.examined.max(1));
        looked += step.examined;
        let mut met = step.met;
        if is_chained {
            let kept = Box::pin(chain::keep(asker, ground, spot.as_ref(), met, looks)).await?;
            if kept.stopped.is_some() && rows.len() + kept.met.len() < limit {
                rows.extend(kept.met);
                return Ok((rows, kept.stopped));
            }
            met = kept.met;
        }
        met.truncate(limit - rows.len());
        if rows.is_empty() {
            rows = met;
        } else {
            rows.extend(met);
        }
        match step.end {
            None => return Ok((rows, None)),
            end => spot = end,
        }
        if looks.left == 0 && rows.len() < limit {
            return Ok((rows, spot));
        }
        // As many as are likely to hold what the page still lacks, and a few for luck.
        let likely = (limit - rows.len()) * looked / rows.len().max(1) + DEPTH_MIN;
        depth = likely.min(depth * 4).min(depth_max);
    }
    Ok((rows, None))
}
