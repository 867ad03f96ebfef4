//! The ways along an index: which rows lie there, in which order, and where a page of them ends.
//!
//! A way has one or more lanes, each a range of one index in the order of the way; they are read side by side, so many rows
//! deep, and joined. A resource that has several rows on a way counts at one of them only.

use std::cmp::Ordering;

use serde_json::Value as Json;

use super::asker::Asker;
use super::clause::{Sql, amount_range, low_range, pattern};
use super::filter::Filters;
use super::test::{Exact, Form, Test};
use crate::fhir::search::query::{Cursor, Much, When, Word};
use crate::fhir::search::{STRING_MAX, Subject, Value};
use crate::ledger::dialect::Row;
use crate::ledger::resources::{COLUMNS, stored};
use crate::ledger::{Error, Scope, Stored};

/// So many lanes are read side by side; beyond, words are walked one after the other.
pub(super) const LANES_MAX: usize = 16;

/// A way along an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// The rows of a few words or ids, latest resource first.
    Words { test: usize, exact: Exact },
    /// The rows of many words, word by word.
    Many { test: usize, parameter: u32, words: Vec<String> },
    /// The rows of a range of words, by word.
    Range { test: usize, parameter: u32, any: Vec<Word> },
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
    pub(super) tests: &'a [Test],
    pub(super) now: i64,
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
    pub(super) fn cursor(&self, prefix: &str) -> Cursor {
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
            Self::Many { .. } | Self::Range { .. } | Self::Texts { .. } | Self::Ids { .. } => Mark::Text(key.to_owned()),
            _ => Mark::Int(key.parse().ok()?),
        };
        Some(Spot { key, number })
    }

    /// The test that led here, which each row on the way meets.
    pub(super) fn test(&self) -> Option<usize> {
        match self {
            Self::Words { test, .. } => Some(*test),
            _ => None,
        }
    }

    /// Which of two places comes first.
    fn order(&self, one: &Spot, other: &Spot) -> Ordering {
        let (keys, numbers) = (one.key.cmp(&other.key), one.number.cmp(&other.number));
        match self {
            Self::Words { .. } => numbers.reverse(),
            Self::Many { .. } => keys.then(numbers.reverse()),
            Self::Range { .. } => keys.then(numbers),
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

    /// Looks at the next rows, up to `depth` in each lane.
    pub(super) async fn step(
        &self,
        asker: &mut impl Asker,
        ground: &Ground<'_>,
        after: Option<&Spot>,
        depth: usize,
    ) -> Result<Step, Error> {
        let mut sql = Sql::default();
        sql.push("SELECT d.lane, d.number, d.key, COALESCE(r.number, 0), ").push(COLUMNS).push(" FROM (");
        let count = self.write(&mut sql, ground, after, depth);
        if count == 0 {
            return Ok(Step { met: Vec::new(), end: None, examined: 0 });
        }
        sql.push(") d LEFT JOIN resources r ON r.number = d.number AND r.deleted = 0");
        let filters = Filters { tenant: &ground.scope.tenant, now: ground.now };
        filters.add(&mut sql, ground.tests, self.test());
        self.narrow(&mut sql, ground);
        let mut seen: Vec<(usize, Spot)> = vec![(0, Spot { key: Mark::Int(0), number: 0 }); count];
        let mut met: Vec<Met> = Vec::new();
        let mut examined = 0;
        for mut row in asker.rows(&sql.text, &sql.cells()?).await? {
            examined += 1;
            let lane = usize::try_from(row.int()?).unwrap_or_default();
            let number = row.int()?;
            let key = if self.has_text_key() { Mark::Text(row.text()?) } else { Mark::Int(row.int()?) };
            let spot = Spot { key, number };
            if let Some((rows, last)) = seen.get_mut(lane) {
                if *rows == 0 || self.order(last, &spot) == Ordering::Less {
                    *last = spot.clone();
                }
                *rows += 1;
            }
            if row.int()? != 0 {
                met.push(Met { stored: stored(&mut row)?, spot });
            }
        }
        // What lies beyond the nearest end of a lane may have neighbours that were not read yet.
        let ends = seen.into_iter().filter(|(rows, _)| *rows >= depth).map(|(_, last)| last);
        let end = ends.min_by(|one, other| self.order(one, other)).or_else(|| self.beyond(after));
        met.sort_by(|one, other| self.order(&one.spot, &other.spot));
        met.dedup_by(|one, other| one.spot == other.spot);
        met.retain(|one| end.as_ref().is_none_or(|end| self.order(&one.spot, end) != Ordering::Greater));
        met.retain(|one| self.passes(ground, one));
        Ok(Step { met, end, examined })
    }

    /// How many rows lie on it, each lane counted up to a bound.
    pub(super) async fn count(&self, asker: &mut impl Asker, ground: &Ground<'_>, bound: usize) -> Result<usize, Error> {
        let mut sql = Sql::default();
        sql.push("SELECT COUNT(*) FROM (");
        if self.write(&mut sql, ground, None, bound) == 0 {
            return Ok(0);
        }
        sql.push(") d");
        let mut rows = asker.rows(&sql.text, &sql.cells()?).await?;
        let count = rows.first_mut().map_or(Ok(0), Row::int)?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Adds the rows of all lanes after a place: their lane, number and key.
    pub(super) fn write(&self, sql: &mut Sql, ground: &Ground<'_>, after: Option<&Spot>, depth: usize) -> usize {
        let mut lanes = Lanes { sql, ground, after, depth, count: 0 };
        self.lanes(&mut lanes);
        lanes.count
    }

    fn has_text_key(&self) -> bool {
        matches!(self, Self::Many { .. } | Self::Range { .. } | Self::Texts { .. } | Self::Ids { .. })
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

    /// Conditions of the way itself on the rows of its lanes.
    fn narrow(&self, sql: &mut Sql, ground: &Ground<'_>) {
        match self {
            Self::Range { any, .. } if any.iter().any(|word| matches!(word, Word::Ends(_) | Word::Holds(_))) => {
                sql.push(" AND (");
                for (index, word) in any.iter().enumerate() {
                    sql.push(if index > 0 { " OR " } else { "" });
                    match word {
                        Word::Is(word) => sql.push("d.key = ").text(word),
                        Word::Between { low, high } => {
                            sql.push("(d.key >= ").text(low).push(" AND d.key < ").text(high).push(")")
                        }
                        Word::Ends(end) => sql.push("d.key LIKE ").text(&pattern("%", end, "")).push(" ESCAPE '\\'"),
                        Word::Holds(part) => {
                            sql.push("d.key LIKE ").text(&pattern("%", part, "%")).push(" ESCAPE '\\' OR LENGTH(d.key) >= ");
                            sql.int(i64::try_from(STRING_MAX).unwrap_or(i64::MAX))
                        }
                    };
                }
                sql.push(")");
            }
            // Of several dates of one resource the first on the way counts.
            Self::Dates { parameter, whens, descending } => {
                sql.push(" AND NOT EXISTS (SELECT 1 FROM spans e WHERE e.tenant = ").text(&ground.scope.tenant);
                sql.push(" AND e.number = d.number AND e.parameter = ").int(i64::from(*parameter));
                sql.push(if *descending { " AND e.low > d.key" } else { " AND e.low < d.key" });
                in_ranges(sql, "e", whens, ground.now);
                sql.push(")");
            }
            _ => {}
        }
    }

    /// Whether a resource passes what only it shows, and counts at this place of the way.
    fn passes(&self, ground: &Ground<'_>, met: &Met) -> bool {
        let looks = ground.tests.iter().any(|test| matches!(test.form, Form::Look));
        if !looks && !matches!(self, Self::Many { .. } | Self::Range { .. } | Self::Amounts { .. } | Self::Texts { .. }) {
            return true;
        }
        let value: Json = met.stored.value();
        let subject = subject(ground, &met.stored, &value);
        let mut tests = ground.tests.iter().filter(|test| matches!(test.form, Form::Look));
        tests.all(|test| subject.meets(&test.criterion)) && self.counts_here(&subject, &met.spot.key)
    }

    fn counts_here(&self, subject: &Subject<'_>, key: &Mark) -> bool {
        let words = |parameter: u32| {
            subject.values(parameter).into_iter().filter_map(|value| match value {
                Value::Word(word) => Some(word),
                _ => None,
            })
        };
        let first = match (self, key) {
            (Self::Many { parameter, words: any, .. }, _) => {
                words(*parameter).filter(|word| any.binary_search(word).is_ok()).min()
            }
            (Self::Range { parameter, any, .. }, _) => {
                words(*parameter).filter(|found| any.iter().any(|word| word.is(found))).min()
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

    fn lanes(&self, lanes: &mut Lanes<'_, '_>) {
        match self {
            Self::Words { exact, .. } => {
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
            Self::Range { parameter, any, .. } => {
                let whole = any.iter().any(|word| matches!(word, Word::Ends(_) | Word::Holds(_)));
                if whole {
                    return lanes.words(*parameter, None, false);
                }
                for word in any {
                    match word {
                        Word::Between { low, high } => lanes.words(*parameter, Some((low, high)), false),
                        Word::Is(word) => lanes.words(*parameter, Some((word, &format!("{word}\u{1}"))), false),
                        Word::Ends(_) | Word::Holds(_) => {}
                    }
                }
            }
            Self::Texts { parameter, descending } => lanes.words(*parameter, None, *descending),
            Self::Dates { parameter, whens, descending } => {
                for wide in 0..3 {
                    let range = low_ranges(whens, wide, lanes.ground.now);
                    lanes.lows("spans", (*parameter, wide), Some(range), whens, *descending);
                }
            }
            Self::Amounts { parameter, much, descending } => {
                for wide in 0..2 {
                    let range = much.as_ref().map(|much| amount_range(much, wide));
                    lanes.lows("amounts", (*parameter, wide), range, &[], *descending);
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
            Some(amount.low).filter(|low| *low >= from && (*low < to || to == i64::MAX))
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

/// Adds the condition that a span of alias `name` lies where a test on dates looks for it.
fn in_ranges(sql: &mut Sql, name: &str, whens: &[When], now: i64) {
    if whens.is_empty() {
        return;
    }
    sql.push(" AND (");
    for wide in 0..3 {
        let (low, high) = low_ranges(whens, wide, now);
        sql.push(if wide > 0 { " OR (" } else { "(" }).push(name).push(".wide = ").int(wide);
        sql.push(" AND ").push(name).push(".low >= ").int(low).push(" AND ").push(name).push(".low < ").int(high).push(")");
    }
    sql.push(")");
    for when in whens {
        sql.push(" AND ").compare(&format!("{name}.low"), &format!("{name}.high"), when, now);
    }
}

/// Writes the lanes of a way into its statement.
struct Lanes<'s, 'g> {
    sql: &'s mut Sql,
    ground: &'s Ground<'g>,
    after: Option<&'s Spot>,
    depth: usize,
    count: usize,
}

impl Lanes<'_, '_> {
    fn open(&mut self, key: &str, table: &str) {
        let lane = self.count.to_string();
        self.count += 1;
        self.sql.push(if self.count > 1 { " UNION ALL " } else { "" }).push("SELECT * FROM (SELECT ").push(&lane);
        self.sql.push(" AS lane, i.number AS number, ").push(key).push(" AS key FROM ").push(table);
        self.sql.push(" i WHERE i.tenant = ").text(&self.ground.scope.tenant);
    }

    fn close(&mut self, order: &str) {
        self.sql.push(" ORDER BY ").push(order).push(" LIMIT ").int(i64::try_from(self.depth).unwrap_or(i64::MAX)).push(") l");
        let lane = (self.count - 1).to_string();
        self.sql.push(&lane);
    }

    /// One word, latest resource first.
    fn word(&mut self, parameter: u32, word: &str, key: &str, follows: bool) {
        self.open(key, "words");
        self.sql.push(" AND i.parameter = ").int(i64::from(parameter)).push(" AND i.word = ").text(word);
        if let Some(after) = self.after.filter(|_| follows) {
            self.sql.push(" AND i.number < ").int(after.number);
        }
        self.close("i.number DESC");
    }

    /// The resource of one id, among words.
    fn id(&mut self, id: &str) {
        self.open("0", "resources");
        self.sql.push(" AND i.kind = ").text(self.ground.kind).push(" AND i.id = ").text(id);
        if let Some(after) = self.after {
            self.sql.push(" AND i.number < ").int(after.number);
        }
        self.close("i.number DESC");
    }

    /// A range of words, or all of a parameter.
    fn words(&mut self, parameter: u32, range: Option<(&str, &str)>, descending: bool) {
        self.open("i.word", "words");
        self.sql.push(" AND i.parameter = ").int(i64::from(parameter));
        if let Some((low, high)) = range {
            self.sql.push(" AND i.word >= ").text(low).push(" AND i.word < ").text(high);
        }
        self.behind("i.word", descending);
        self.close(if descending { "i.word DESC, i.number DESC" } else { "i.word, i.number" });
    }

    /// One width of spans or amounts, by their lower ends. The range lets in some that begin too early: they fail the comparisons
    /// here, in the index, and are not looked at one by one.
    fn lows(&mut self, table: &str, (parameter, wide): (u32, i64), range: Option<(i64, i64)>, whens: &[When], descending: bool) {
        self.open("i.low", table);
        self.sql.push(" AND i.parameter = ").int(i64::from(parameter)).push(" AND i.wide = ").int(wide);
        if let Some((low, high)) = range {
            // The ends of all numbers are no ends.
            if low != i64::MIN {
                self.sql.push(" AND i.low >= ").int(low);
            }
            if high != i64::MAX {
                self.sql.push(" AND i.low < ").int(high);
            }
        }
        for when in whens {
            self.sql.push(" AND ").compare("i.low", "i.high", when, self.ground.now);
        }
        self.behind("i.low", descending);
        self.close(if descending { "i.low DESC, i.number DESC" } else { "i.low, i.number" });
    }

    fn updated(&mut self, whens: &[When], descending: bool) {
        self.open("i.updated", "resources");
        self.sql.push(" AND i.kind = ").text(self.ground.kind);
        if !whens.is_empty() {
            let (low, high) = low_ranges(whens, 0, self.ground.now);
            self.sql.push(" AND i.updated >= ").int(low).push(" AND i.updated < ").int(high);
        }
        self.behind("i.updated", descending);
        self.close(if descending { "i.updated DESC, i.number DESC" } else { "i.updated, i.number" });
    }

    fn ids(&mut self, ids: &[String], descending: bool) {
        self.open("i.id", "resources");
        self.sql.push(" AND i.kind = ").text(self.ground.kind);
        if !ids.is_empty() {
            self.sql.push(" AND i.id IN (").texts(ids).push(")");
        }
        if let Some(Spot { key: Mark::Text(id), .. }) = self.after {
            self.sql.push(if descending { " AND i.id < " } else { " AND i.id > " }).text(id);
        }
        self.close(if descending { "i.id DESC" } else { "i.id" });
    }

    fn behind(&mut self, key: &str, descending: bool) {
        let Some(after) = self.after else { return };
        self.sql.push(" AND (").push(key).push(", i.number) ").push(if descending { "<" } else { ">" }).push(" (");
        match &after.key {
            Mark::Int(key) => self.sql.int(*key),
            Mark::Text(key) => self.sql.text(key),
        };
        self.sql.push(", ").int(after.number).push(")");
    }
}

/// The range of `low` in which spans of this width can satisfy all of these.
fn low_ranges(whens: &[When], wide: i64, now: i64) -> (i64, i64) {
    whens.iter().fold((i64::MIN, i64::MAX), |(low, high), when| {
        let (from, to) = low_range(when, wide, now);
        (low.max(from), high.min(to))
    })
}
