//! Answers in an order that is asked for: few candidates are gathered and sorted, many are walked along the index of the order.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Value as Json, json};

use super::asker::Asker;
use super::chain::{self, Looks};
use super::clause::Sql;
use super::filter::Filters;
use super::page::{EXAMINED_MAX, Found, LOOKS_MAX, Prefix, Stage, through};
use super::test::{Form, Test};
use super::walk::{Ground, Mark, Met, Spot, Way, lows, subject};
use super::way::{all_whens, choose, is_narrow, updated};
use crate::fhir::search::query::{By, Criterion, Cursor, Key};
use crate::fhir::search::{Subject, Value, numbered};
use crate::ledger::Error;
use crate::ledger::dialect::Passed;
use crate::ledger::resources::{COLUMNS, stored};

/// Up to so many candidates are sorted; beyond, the index of the order is walked.
const SORTED_MAX: usize = 4_096;
/// The same for the later pages of an order by several keys, which must go on although others wrote meanwhile.
const SORTED_LATER_MAX: usize = 10_000;
/// Up to so many candidates of one person are sorted by the statement that counts them.
const SORTED_AT_ONCE: usize = 256;
/// Rows that are read at once when candidates are gathered.
const GATHERED_AT_ONCE: usize = 1_024;

const TOO_MANY: Error =
    Error::TooCostly("Too much would have to be looked at to sort what matches: narrow the search, or leave the order out.");

/// The matches after a cursor, in the order of the keys.
pub(super) async fn sorted(
    asker: &mut impl Asker,
    ground: &Ground<'_>,
    keys: &[Key],
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Found, Error> {
    let named = choose(asker, ground).await?;
    let is_whole = matches!(&named.way, Way::Ids { ids, .. } if ids.is_empty());
    let one = if let [key] = keys { Some(*key) } else { None };
    // The whole type in the order of one key is walked at once, and so is a range of the very index that gives the order.
    let walks = one.is_some_and(|key| is_whole || goes_by(ground, &named.way, key));
    let most = if one.is_none() && after.is_some() { SORTED_LATER_MAX } else { SORTED_MAX };
    let few = match one {
        Some(key) if !walks && is_quick(ground, &named.way, key) => Some(Few { ground, way: &named.way, key, after, limit }),
        _ => None,
    };
    let mut begun = None;
    if let Some(few) = few.as_ref().filter(|_| is_narrow(ground, &named.way)) {
        let (found, count) = few.dated(asker, SORTED_AT_ONCE).await?;
        if let Some(count) = count.filter(|count| *count < SORTED_AT_ONCE) {
            return few.whole(asker, found, count).await;
        }
        // All of them, unless there are too many: others may delete some before they are counted again.
        begun = count.is_none().then_some(found);
    }
    let count = if walks { most } else { named.way.count(asker, ground, most).await? };
    match (one, few) {
        (_, Some(few)) if count < most => {
            let found = match begun {
                Some(found) if count < SORTED_AT_ONCE => found,
                _ => few.dated(asker, SORTED_MAX).await?.0,
            };
            few.whole(asker, found, count).await
        }
        _ if count < most => gathered(asker, ground, &named.way, keys, after, limit).await,
        (Some(key), _) => through(asker, ground, stages(ground, key), after, limit, EXAMINED_MAX).await,
        (None, _) => {
            Err(Error::TooCostly("Too many resources match to be sorted by several keys: narrow the search, or sort by one key."))
        }
    }
}

/// Whether a way is a range of the index that gives the order.
fn goes_by(ground: &Ground<'_>, way: &Way, key: Key) -> bool {
    match (way, key.by) {
        (Way::Updated { .. }, By::Updated) => true,
        (Way::Dates { parameter, .. }, By::Date(of)) => *parameter == of && !sorting_whens(ground, of).is_empty(),
        _ => false,
    }
}

/// The index of the order, and after it what has no value for the key.
fn stages<'a>(ground: &Ground<'_>, key: Key) -> Vec<Stage<'a>> {
    let Key { by, descending } = key;
    let (way, parameter) = match by {
        By::Updated => (Way::Updated { whens: updated(ground), descending }, None),
        By::Id => (Way::Ids { ids: Vec::new(), descending }, None),
        By::Date(parameter) => (Way::Dates { parameter, whens: sorting_whens(ground, parameter), descending }, Some(parameter)),
        By::Word(parameter) => (Way::Texts { parameter, descending }, Some(parameter)),
        By::Amount(parameter) => (Way::Amounts { parameter, much: None, descending }, Some(parameter)),
    };
    let mut stages = vec![Stage { way, prefix: Prefix::Valued, extra: None }];
    // What must meet a test on the key's own parameter has a value.
    let asked = |parameter: u32| {
        ground.tests.iter().any(|test| matches!(&test.form, Form::Dates { parameter: of, .. } if *of == parameter))
    };
    if let Some(parameter) = parameter.filter(|parameter| !asked(*parameter)) {
        stages.push(missing(ground.kind, parameter));
    }
    stages
}

fn missing<'a>(kind: &str, parameter: u32) -> Stage<'a> {
    let form = super::test::missing(kind, parameter, true);
    let extra = Some(Test { criterion: Cow::Owned(Criterion::Missing { parameter, missing: true }), form });
    Stage { way: Way::Ids { ids: Vec::new(), descending: false }, prefix: Prefix::Missing, extra }
}

/// Tests narrow the walk along a date only where a resource has one date: of several, another than the tested one may be
/// the one that it is sorted by.
fn sorting_whens(ground: &Ground<'_>, parameter: u32) -> Vec<crate::fhir::search::query::When> {
    let single = numbered(ground.kind, parameter).is_some_and(|parameter| parameter.is_single);
    if single { all_whens(ground, parameter) } else { Vec::new() }
}

/// Whether the database alone can sort what lies on this way.
fn is_quick(ground: &Ground<'_>, way: &Way, key: Key) -> bool {
    let plain = ground.tests.iter().all(|test| !matches!(test.form, Form::Look | Form::Chains(_)));
    plain && matches!(way, Way::Words { .. }) && matches!(key.by, By::Date(_) | By::Updated)
}

/// Few candidates of exact words, sorted by the database in the order of one key.
struct Few<'a> {
    ground: &'a Ground<'a>,
    way: &'a Way,
    key: Key,
    after: Option<&'a Cursor>,
    limit: usize,
}

impl Few<'_> {
    /// The candidates that have the date, of the first so many; with how many candidates there are of those, if a row tells it.
    async fn dated(&self, asker: &mut impl Asker, most: usize) -> Result<(Found, Option<usize>), Error> {
        let Self { ground, way, key, .. } = *self;
        let (mut found, mut count) = (Found::default(), None);
        if self.after.is_some_and(|after| !after.key.starts_with("v:")) {
            return Ok((found, count));
        }
        let mut sql = Sql::default();
        sql.push("SELECT (SELECT COUNT(*) FROM (");
        way.write(&mut sql, ground, None, most);
        let is_dated = matches!(key.by, By::Date(_));
        sql.push(") c), ").push(if is_dated { "d.key, " } else { "r.updated, " }).push(COLUMNS).push(" FROM (");
        if let By::Date(parameter) = key.by {
            let asks_nothing_else = way.asked(ground.tests).is_empty();
            if asks_nothing_else {
                sql.push("SELECT e.number AS number, e.key AS key FROM (");
            }
            self.keyed(&mut sql, parameter, most);
            if asks_nothing_else {
                // What is not on the page is left out before any resource is read.
                sql.push(") e");
                self.cut(&mut sql, ("e.key", "e.number"));
            }
        } else {
            sql.push("SELECT DISTINCT l.number AS number FROM (");
            way.write(&mut sql, ground, None, most);
            sql.push(") l");
        }
        sql.push(") d JOIN resources r ON r.number = d.number AND r.deleted = 0");
        Filters { tenant: &ground.scope.tenant, now: ground.now }.add(&mut sql, &way.asked(ground.tests));
        self.cut(&mut sql, (if is_dated { "d.key" } else { "r.updated" }, "d.number"));
        let met = |row: &mut Passed<'_>| {
            count = usize::try_from(row.int()?).ok();
            let key = Mark::Int(row.int()?);
            let stored = stored(row)?;
            Ok(Met { spot: Spot { key, number: stored.number }, stored })
        };
        found.add(Prefix::Valued, asker.each(&sql.text, &sql.cells()?, met).await?);
        Ok((found, count))
    }

    /// The candidates that have the date, each with the one that it is sorted by. An open start is a key like any other.
    fn keyed<'s>(&'s self, sql: &mut Sql<'s>, parameter: u32, most: usize) {
        let Self { ground, way, key, .. } = *self;
        let is_once = way.exact(ground.tests).is_some_and(|exact| exact.len() == 1)
            && numbered(ground.kind, parameter).is_some_and(|parameter| parameter.is_single);
        sql.push(match (is_once, key.descending) {
            (true, _) => "SELECT l.number AS number, s.low AS key FROM (",
            (_, true) => "SELECT l.number AS number, MAX(s.low) AS key FROM (",
            (_, false) => "SELECT l.number AS number, MIN(s.low) AS key FROM (",
        });
        way.write(sql, ground, None, most);
        sql.push(") l JOIN spans s ON s.tenant = ").text(&ground.scope.tenant);
        sql.push(" AND s.number = l.number AND s.parameter = ").int(i64::from(parameter));
        if !is_once {
            sql.push(" GROUP BY l.number");
        }
    }

    /// The rows behind a place, in order, so many.
    fn cut(&self, sql: &mut Sql<'_>, (column, number): (&str, &str)) {
        let is_descending = self.key.descending;
        if let Some(after) = self.after {
            sql.push(" WHERE (").push(column).push(", ").push(number).push(if is_descending { ") < (" } else { ") > (" });
            sql.int(after.key.get(2..).and_then(|key| key.parse().ok()).unwrap_or(0)).push(", ").int(after.number).push(")");
        }
        let turn = if is_descending { " DESC" } else { "" };
        sql.push(" ORDER BY ").push(column).push(turn).push(", ").push(number).push(turn).push(" LIMIT ");
        sql.int(i64::try_from(self.limit).unwrap_or(i64::MAX));
    }

    /// What has the date, of so many candidates, and behind it what lacks it. Where all have it, none is looked for.
    async fn whole(&self, asker: &mut impl Asker, mut found: Found, count: usize) -> Result<Found, Error> {
        let is_all = self.after.is_none() && found.rows.len() == count;
        if let By::Date(parameter) = self.key.by
            && !is_all
            && found.rows.len() < self.limit
            && all_whens(self.ground, parameter).is_empty()
        {
            let after = self.after.filter(|after| after.key.starts_with("m:"));
            let extra = missing(self.ground.kind, parameter).extra;
            let tests: Vec<Test<'_>> = self.ground.tests.iter().cloned().chain(extra).collect();
            let ground = Ground { tests: &tests, ..*self.ground };
            let rest = gathered(asker, &ground, self.way, &[self.key], after, self.limit - found.rows.len()).await?;
            found.add(Prefix::Missing, rest.rows);
        }
        Ok(found)
    }
}

/// A candidate with its place in the order.
struct Placed {
    met: Met,
    keys: Vec<Option<Mark>>,
}

/// Few candidates, sorted here.
async fn gathered(
    asker: &mut impl Asker,
    ground: &Ground<'_>,
    way: &Way,
    keys: &[Key],
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Found, Error> {
    let mut all: Vec<Placed> = Vec::new();
    let (mut spot, mut looks) = (None, Looks::new(LOOKS_MAX));
    loop {
        let step = way.step(asker, ground, spot.as_ref(), GATHERED_AT_ONCE).await?;
        looks.take(step.examined.max(1));
        let kept = chain::keep(asker, ground, spot.as_ref(), step.met, &mut looks).await?;
        if kept.stopped.is_some() {
            return Err(TOO_MANY);
        }
        for met in kept.met {
            let value = met.stored.value();
            let subject = subject(ground, &met.stored, &value);
            let keys = keys.iter().map(|key| mark(&subject, *key)).collect();
            all.push(Placed { met, keys });
        }
        match step.end {
            Some(_) if looks.left == 0 => return Err(TOO_MANY),
            Some(end) => spot = Some(end),
            None => break,
        }
    }
    let after = after.and_then(|after| place(after, keys));
    all.sort_by(|one, other| order(keys, one.place(), other.place()));
    let is_behind = |one: &Placed| {
        after.as_ref().is_none_or(|(marks, id, number)| order(keys, one.place(), (marks, id, *number)) == Ordering::Greater)
    };
    let mut found = Found::default();
    for one in all.into_iter().filter(is_behind).take(limit) {
        let (prefix, met) = one.sorted(keys);
        found.add(prefix, vec![met]);
    }
    Ok(found)
}

impl Placed {
    fn place(&self) -> Place<'_> {
        (&self.keys, &self.met.stored.id, self.met.stored.number)
    }

    /// With the place that it has in the order.
    fn sorted(self, keys: &[Key]) -> (Prefix, Met) {
        let (stored, mut marks) = (self.met.stored, self.keys);
        let (prefix, key) = match (keys, marks.as_mut_slice()) {
            ([_], [None]) => (Prefix::Missing, Mark::Text(stored.id.clone())),
            ([_], [only]) => (Prefix::Valued, only.take().unwrap_or(Mark::Int(0))),
            (_, all) => {
                let plain = |key: &Option<Mark>| match key {
                    None => Json::Null,
                    Some(Mark::Int(key)) => json!(key),
                    Some(Mark::Text(key)) => json!(key),
                };
                (Prefix::Keys, Mark::Text(Json::from(all.iter().map(plain).collect::<Vec<_>>()).to_string()))
            }
        };
        (prefix, Met { spot: Spot { key, number: stored.number }, stored })
    }
}

/// The value of a resource for a key.
fn mark(subject: &Subject<'_>, key: Key) -> Option<Mark> {
    let end = |marks: &mut dyn Iterator<Item = Mark>| if key.descending { marks.max() } else { marks.min() };
    match key.by {
        By::Updated => subject.updated.map(Mark::Int),
        By::Id => Some(Mark::Text(subject.id.to_owned())),
        By::Date(parameter) => end(&mut subject.values(parameter).into_iter().filter_map(|value| match value {
            Value::Span { low, .. } => Some(Mark::Int(low)),
            _ => None,
        })),
        By::Word(parameter) => end(&mut subject.values(parameter).into_iter().filter_map(|value| match value {
            Value::Word(word) => Some(Mark::Text(word)),
            _ => None,
        })),
        By::Amount(parameter) => lows(subject, parameter, None, key.descending).map(Mark::Int),
    }
}

type Place<'a> = (&'a Vec<Option<Mark>>, &'a str, i64);

/// Key by key, what has none last; then by number. A single key keeps the order of its index.
fn order(keys: &[Key], one: Place<'_>, other: Place<'_>) -> Ordering {
    for (key, (left, right)) in keys.iter().zip(one.0.iter().zip(other.0)) {
        let order = match (left, right) {
            (Some(left), Some(right)) if key.descending => right.cmp(left),
            (Some(left), Some(right)) => left.cmp(right),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    match (keys, one.0.first()) {
        ([_], Some(None)) => one.1.cmp(other.1),
        ([key], _) if key.descending => other.2.cmp(&one.2),
        _ => one.2.cmp(&other.2),
    }
}

/// A place from its cursor: its keys, its id where only that tells, its number.
fn place(cursor: &Cursor, keys: &[Key]) -> Option<(Vec<Option<Mark>>, String, i64)> {
    let (sort, text) = cursor.key.split_once(':')?;
    let marks = match (sort, keys) {
        ("m", [_]) => return Some((vec![None], text.to_owned(), cursor.number)),
        ("v", [Key { by: By::Id | By::Word(_), .. }]) => vec![Some(Mark::Text(text.to_owned()))],
        ("v", [_]) => vec![Some(Mark::Int(text.parse().ok()?))],
        _ => {
            let plain = |key: Json| match key {
                Json::String(key) => Some(Mark::Text(key)),
                Json::Number(key) => key.as_i64().map(Mark::Int),
                _ => None,
            };
            serde_json::from_str::<Vec<Json>>(text).ok()?.into_iter().map(plain).collect()
        }
    };
    Some((marks, String::new(), cursor.number))
}
