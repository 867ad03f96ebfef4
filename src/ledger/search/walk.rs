//! The ways along an index: which rows lie there, in which order, and where a page of them ends.
//!
//! A way has one or more lanes, each a range of one index in the order of the way; they are read side by side, so many rows
//! deep, and of all of them together the first so many are looked at. A resource that has several rows on a way counts at one
//! of them only.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value as Json;

use super::WIDTHS;
use super::asker::Asker;
use super::clause::{Sql, amount_range};
use super::filter::Filters;
use super::lane::{Lanes, in_ranges, low_ranges};
use super::page::Prefix;
use super::scan::sought;
use super::test::{Exact, Form, Test};
use crate::fhir::search::query::{Cursor, Much, When, Word};
use crate::fhir::search::{Subject, Value, coarse, numbered};
use crate::ledger::dialect::{Passed, Row};
use crate::ledger::resources::{COLUMNS, joined};
use crate::ledger::{Error, Scope, Stored};

/// So many lanes are read side by side; beyond, words are walked one after the other.
pub(super) const LANES_MAX: usize = 16;
/// Resources that there is room for when a step begins; more make room as they come.
const ROWS_AT_ONCE: usize = 24;
/// So many words are looked at by one statement when rows are counted.
const COUNTED_AT_ONCE: usize = 1_024;

/// A way along an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// The rows of a few words or ids, latest resource first: those of this test.
    Words { test: usize },
    /// The rows of many words, word by word.
    Many { test: usize, parameter: u32, words: Vec<String> },
    /// The rows of a range of words, by word.
    Range { test: usize, parameter: u32, any: Vec<Word> },
    /// The rows of words that only a look at each word tells, by word; with the stretches of them that a step found.
    Scan { test: usize, parameter: u32, any: Vec<Word>, stretches: Vec<(String, String)> },
    /// By a date parameter; only what can satisfy all of these.
    Dates { parameter: u32, whens: Vec<When>, descending: bool },
    /// By a number or quantity parameter.
    Amounts { parameter: u32, much: Option<Much>, descending: bool },
    /// By all words of a parameter.
    Texts { parameter: u32, descending: bool },
    /// By the stamp.
    Updated { whens: Vec<When>, descending: bool },
    /// By the id.
    Ids { ids: Vec<String>, descending: bool },
}

/// What a step along a way needs to know.
pub(super) struct Ground<'a> {
    pub(super) scope: &'a Scope,
    pub(super) kind: &'a str,
    pub(super) tests: &'a [Test<'a>],
    pub(super) now: i64,
    /// Whether chains lead over all records of a person.
    pub(super) is_united: bool,
}

/// A place on a way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) key: Mark,
    pub(super) number: i64,
}

/// The sort value of a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Int(i64),
    Text(String),
}

/// A resource that was met and passes all tests but chains.
pub(super) struct Met {
    pub(super) stored: Stored,
    pub(super) spot: Spot,
}

/// What one step met.
pub(super) struct Step {
    pub(super) met: Vec<Met>,
    /// Up to where all was looked at; `None` when the way is at its end.
    pub(super) end: Option<Spot>,
    /// How many rows were looked at.
    pub(super) examined: usize,
}

impl Spot {
    /// As it stands in a cursor.
    pub(super) fn cursor(&self, prefix: Prefix) -> Cursor {
        let key = match &self.key {
            Mark::Int(key) => format!("{prefix}{key}"),
            Mark::Text(key) => format!("{prefix}{key}"),
        };
        Cursor { key, number: self.number }
    }
}

impl Way {
    /// A place on this way, from its text.
    pub(super) fn spot(&self, key: &str, number: i64) -> Option<Spot> {
        let key = match self {
            _ if self.has_text_key() => Mark::Text(key.to_owned()),
            _ => Mark::Int(key.parse().ok()?),
        };
        Some(Spot { key, number })
    }

    /// What must still be asked of a row on the way: all but what led here, which each row meets.
    pub(super) fn asked<'t>(&self, tests: &'t [Test<'_>]) -> Vec<&'t Form> {
        let is_met = |(index, test): (usize, &Test<'_>)| match (self, &test.form) {
            (Self::Words { test } | Self::Many { test, .. }, _) => *test == index,
            (Self::Ids { ids, .. }, Form::Id(of)) => ids == of,
            (Self::Dates { parameter, whens, .. }, Form::Dates { parameter: of, any }) => {
                parameter == of && matches!(any.as_slice(), [when] if whens.contains(when))
            }
            _ => false,
        };
        tests.iter().enumerate().filter(|one| !is_met(*one)).map(|(_, test)| &test.form).collect()
    }

    /// The words and ids that it is of, where it is of few.
    pub(super) fn exact<'t>(&self, tests: &'t [Test<'_>]) -> Option<&'t Exact> {
        let Self::Words { test } = self else { return None };
        tests.get(*test).and_then(|test| if let Form::Words(exact) = &test.form { Some(exact) } else { None })
    }

    /// Which of two places comes first.
    fn order(&self, one: &Spot, other: &Spot) -> Ordering {
        let (keys, numbers) = (one.key.cmp(&other.key), one.number.cmp(&other.number));
        match self {
            Self::Words { .. } => numbers.reverse(),
            Self::Many { .. } => keys.then(numbers.reverse()),
            Self::Range { .. } | Self::Scan { .. } => keys.then(numbers),
            Self::Dates { descending, .. }
            | Self::Amounts { descending, .. }
            | Self::Texts { descending, .. }
            | Self::Updated { descending, .. }
            | Self::Ids { descending, .. } => {
                let order = keys.then(numbers);
                if *descending { order.reverse() } else { order }
            }
        }
    }

    /// The same order for the rows `u` of its lanes.
    fn order_by(&self) -> &'static str {
        match self {
            Self::Words { .. } => "u.number DESC",
            Self::Many { .. } => "u.key, u.number DESC",
            Self::Range { .. } | Self::Scan { .. } => "u.key, u.number",
            Self::Dates { descending, .. }
            | Self::Amounts { descending, .. }
            | Self::Texts { descending, .. }
            | Self::Updated { descending, .. }
            | Self::Ids { descending, .. } => {
                if *descending {
                    "u.key DESC, u.number DESC"
                } else {
                    "u.key, u.number"
                }
            }
        }
    }

    /// Looks at the next rows, up to `depth`.
    pub(super) async fn step(
        &self,
        asker: &mut impl Asker,
        ground: &Ground<'_>,
        after: Option<&Spot>,
        depth: usize,
    ) -> Result<Step, Error> {
        let Self::Scan { test, parameter, any, .. } = self else { return self.read(asker, ground, after, depth).await };
        let sought = sought(asker, ground, *parameter, any, after, depth).await?;
        let found = Self::Scan { test: *test, parameter: *parameter, any: any.clone(), stretches: sought.stretches };
        let mut step = found.read(asker, ground, after, depth).await?;
        step.examined += sought.examined;
        step.end = step.end.or(sought.end);
        Ok(step)
    }

    /// Looks at the next rows of the lanes.
    async fn read(&self, asker: &mut impl Asker, ground: &Ground<'_>, after: Option<&Spot>, depth: usize) -> Result<Step, Error> {
        let mut sql = Sql::default();
        sql.push("SELECT d.number, d.key, ").push(COLUMNS).push(" FROM (");
        if !self.merge(&mut sql, ground, after, depth) {
            return Ok(Step { met: Vec::new(), end: None, examined: 0 });
        }
        sql.push(") d");
        let filters = Filters { tenant: &ground.scope.tenant, now: ground.now };
        filters.join(&mut sql, &self.asked(ground.tests), |sql| self.narrow(sql, ground));
        let mut met: Vec<Met> = Vec::with_capacity(depth.min(ROWS_AT_ONCE));
        let mut last: Option<Spot> = None;
        let mut examined = 0;
        let each = |row: &mut Passed<'_>| {
            examined += 1;
            let number = row.int()?;
            let key = if self.has_text_key() { Mark::Text(row.text()?.into_owned()) } else { Mark::Int(row.int()?) };
            let spot = Spot { key, number };
            let is_further = last.as_ref().is_none_or(|last| self.order(last, &spot) == Ordering::Less);
            if let Some(stored) = joined(row)? {
                met.push(Met { stored, spot: spot.clone() });
            }
            if is_further {
                last = Some(spot);
            }
            Ok(())
        };
        asker.each(&sql.text, &sql.cells()?, each).await?;
        let end = last.filter(|_| examined >= depth).or_else(|| self.beyond(after));
        met.sort_by(|one, other| self.order(&one.spot, &other.spot));
        met.dedup_by(|one, other| one.spot == other.spot);
        met.retain(|one| self.passes(ground, one));
        Ok(Step { met, end, examined })
    }

    /// How many rows lie on it, counted up to a bound. Words that are looked at one by one count as rows.
    pub(super) async fn count(&self, asker: &mut impl Asker, ground: &Ground<'_>, bound: usize) -> Result<usize, Error> {
        let Self::Scan { test, parameter, any, .. } = self else { return self.count_lanes(asker, ground, bound).await };
        let (mut count, mut examined, mut after) = (0, 0, None);
        while count < bound {
            let sought = sought(asker, ground, *parameter, any, after.as_ref(), bound.min(COUNTED_AT_ONCE)).await?;
            let found = Self::Scan { test: *test, parameter: *parameter, any: any.clone(), stretches: sought.stretches };
            count += found.count_lanes(asker, ground, bound).await?;
            examined += sought.examined;
            match sought.end {
                Some(_) if examined >= bound => return Ok(bound),
                Some(end) => after = Some(end),
                None => break,
            }
        }
        Ok(count)
    }

    async fn count_lanes(&self, asker: &mut impl Asker, ground: &Ground<'_>, bound: usize) -> Result<usize, Error> {
        let mut sql = Sql::default();
        sql.push("SELECT COUNT(*) FROM (");
        let start = sql.text.len();
        match self.write(&mut sql, ground, None, bound) {
            0 => return Ok(0),
            1 => {}
            // All lanes together are counted no further than one.
            _ => {
                sql.text.insert_str(start, "SELECT d.number FROM (");
                sql.push(") d LIMIT ").int(i64::try_from(bound).unwrap_or(i64::MAX));
            }
        }
        sql.push(") x");
        let mut rows = asker.rows(&sql.text, &sql.cells()?).await?;
        let count = rows.first_mut().map_or(Ok(0), Row::int)?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Adds the first rows of all lanes together after a place; tells whether there is any lane.
    fn merge<'s>(&'s self, sql: &mut Sql<'s>, ground: &'s Ground<'_>, after: Option<&'s Spot>, depth: usize) -> bool {
        let start = sql.text.len();
        let count = self.write(sql, ground, after, depth);
        if count > 1 {
            let end = if matches!(self, Self::Dates { .. }) { ", u.high" } else { "" };
            sql.text.insert_str(start, &format!("SELECT u.number, u.key{end} FROM ("));
            sql.push(") u ORDER BY ").push(self.order_by()).push(" LIMIT ").int(i64::try_from(depth).unwrap_or(i64::MAX));
        }
        count > 0
    }

    /// Adds the rows of all lanes after a place: their number and key; tells how many lanes there are.
    pub(super) fn write<'s>(&'s self, sql: &mut Sql<'s>, ground: &'s Ground<'_>, after: Option<&'s Spot>, depth: usize) -> usize {
        let mut lanes = Lanes { sql, ground, after, depth, count: 0 };
        self.lanes(&mut lanes);
        lanes.count
    }

    fn has_text_key(&self) -> bool {
        matches!(self, Self::Many { .. } | Self::Range { .. } | Self::Scan { .. } | Self::Texts { .. } | Self::Ids { .. })
    }

    /// Where many words go on after these lanes.
    fn beyond(&self, after: Option<&Spot>) -> Option<Spot> {
        let Self::Many { words, .. } = self else { return None };
        let from = first_word(words, after);
        let next = from + LANES_MAX;
        (next < words.len())
            .then(|| words.get(next - 1))
            .flatten()
            .map(|word| Spot { key: Mark::Text(word.clone()), number: i64::MIN })
    }

    /// The condition of the way itself on the rows of its lanes: that they are what is asked for, and of several dates of one
    /// resource the first on the way.
    fn narrow<'s>(&self, sql: &mut Sql<'s>, ground: &'s Ground<'_>) {
        let Self::Dates { parameter, whens, descending } = self else { return };
        if numbered(ground.kind, *parameter).is_some_and(|parameter| parameter.is_single) {
            for when in whens {
                sql.push(" AND ").compare("d.key", "d.high", when, ground.now);
            }
            return;
        }
        let mut some = |lead: &str, compare: &str| {
            sql.push(lead).push(" (SELECT 1 FROM spans e WHERE e.tenant = ").text(&ground.scope.tenant);
            sql.push(" AND e.number = d.number AND e.parameter = ").int(i64::from(*parameter));
            sql.push(" AND e.low ").push(compare).push(" d.key");
            in_ranges(sql, "e", whens, ground.now);
            sql.push(")");
        };
        // Of two that begin alike one may be asked for and the other not: a place on the way is that of both.
        some(" AND EXISTS", "=");
        some(" AND NOT EXISTS", if *descending { ">" } else { "<" });
    }

    /// Whether a resource passes what only it shows, and counts at this place of the way.
    fn passes(&self, ground: &Ground<'_>, met: &Met) -> bool {
        let looks = ground.tests.iter().any(|test| matches!(test.form, Form::Look));
        let is_at_one = matches!(self, Self::Words { .. } | Self::Dates { .. } | Self::Updated { .. } | Self::Ids { .. });
        if !looks && is_at_one {
            return true;
        }
        let value: Json = met.stored.value();
        let subject = subject(ground, &met.stored, &value);
        let mut tests = ground.tests.iter().filter(|test| matches!(test.form, Form::Look));
        tests.all(|test| subject.meets(&test.criterion)) && self.counts_here(&subject, &met.spot.key)
    }

    fn counts_here(&self, subject: &Subject<'_>, key: &Mark) -> bool {
        let word = |value| if let Value::Word(word) = value { Some(word) } else { None };
        let words = |parameter: u32| subject.values(parameter).into_iter().filter_map(word);
        let kept = |parameter: u32| subject.kept(parameter).into_iter().filter_map(word);
        let first = match (self, key) {
            (Self::Many { parameter, words: any, .. }, _) => {
                words(*parameter).filter(|word| any.binary_search(word).is_ok()).min()
            }
            (Self::Range { parameter, any, .. } | Self::Scan { parameter, any, .. }, _) => {
                kept(*parameter).filter(|found| any.iter().any(|word| word.is(found))).min()
            }
            (Self::Texts { parameter, descending: false }, _) => words(*parameter).min(),
            (Self::Texts { parameter, descending: true }, _) => words(*parameter).max(),
            (Self::Amounts { parameter, much, descending }, Mark::Int(at)) => {
                return lows(subject, *parameter, much.as_ref(), *descending) == Some(*at);
            }
            _ => return true,
        };
        first.is_some_and(|first| *key == Mark::Text(first))
    }

    fn lanes<'s>(&'s self, lanes: &mut Lanes<'_, 's>) {
        match self {
            Self::Words { .. } => {
                let Some(exact) = self.exact(lanes.ground.tests) else { return };
                for (parameter, words) in &exact.words {
                    for word in words {
                        lanes.word(*parameter, word, "0", true);
                    }
                }
                for id in &exact.ids {
                    lanes.id(id);
                }
            }
            Self::Many { parameter, words, .. } => {
                let from = first_word(words, lanes.after);
                for word in words.iter().skip(from).take(LANES_MAX) {
                    let is_after = lanes.after.is_some_and(|after| after.key == Mark::Text(word.clone()));
                    lanes.word(*parameter, word, "i.word", is_after);
                }
            }
            Self::Scan { parameter, stretches, .. } => {
                for (first, last) in stretches {
                    lanes.words(*parameter, Some((first, Cow::Owned(format!("{last}\u{1}")))), false);
                }
            }
            Self::Range { parameter, any, .. } => {
                for word in any {
                    match word {
                        Word::Between { low, high } => lanes.words(*parameter, Some((low, Cow::Borrowed(high))), false),
                        Word::Is(word) => lanes.words(*parameter, Some((word, Cow::Owned(format!("{word}\u{1}")))), false),
                        Word::Ends(_) | Word::Holds(_) => {}
                    }
                }
            }
            Self::Texts { parameter, descending } => lanes.words(*parameter, None, *descending),
            Self::Dates { parameter, whens, descending } => {
                for (wide, slack) in WIDTHS {
                    let range = low_ranges(whens, slack, lanes.ground.now);
                    lanes.lows("spans", (*parameter, wide), Some(range), *descending);
                }
            }
            Self::Amounts { parameter, much, descending } => {
                for wide in 0..2 {
                    let range = much.as_ref().map(|much| amount_range(much, wide));
                    lanes.lows("amounts", (*parameter, wide), range, *descending);
                }
            }
            Self::Updated { whens, descending } => lanes.updated(whens, *descending),
            Self::Ids { ids, descending } => lanes.ids(ids, *descending),
        }
    }
}

/// A resource as criteria see it.
pub(super) fn subject<'a>(ground: &Ground<'a>, stored: &'a Stored, value: &'a Json) -> Subject<'a> {
    Subject { kind: ground.kind, id: &stored.id, updated: Some(stored.updated), value, now: ground.now }
}

/// The lower end, of the amounts that can satisfy the comparison, at which a resource counts.
pub(super) fn lows(subject: &Subject<'_>, parameter: u32, much: Option<&Much>, descending: bool) -> Option<i64> {
    let low = |value: Value| match value {
        Value::Amount(amount) => {
            let (from, to) = much.map_or((i64::MIN, i64::MAX), |much| amount_range(much, super::amount_width(&amount)));
            Some(coarse(amount.low)).filter(|low| *low >= from && (*low < to || to == i64::MAX))
        }
        _ => None,
    };
    let lows = subject.values(parameter).into_iter().filter_map(low);
    if descending { lows.max() } else { lows.min() }
}

/// The first of many words that is not wholly behind a place.
fn first_word(words: &[String], after: Option<&Spot>) -> usize {
    match after {
        Some(Spot { key: Mark::Text(word), number }) => {
            words.partition_point(|known| if *number == i64::MIN { known <= word } else { known < word })
        }
        _ => 0,
    }
}
