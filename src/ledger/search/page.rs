//! Runs a search: chooses the index that drives it, and reads one bounded page after a cursor.
//!
//! Every plan walks one index in the order of the answer; the other criteria are asked per row by their own keys.

use super::clause::Sql;
use super::walks::Ask;
use crate::fhir::search::query::{Criterion, Cursor, Query, Sort, When, Word};
use crate::ledger::dialect::{Cell, Reader, Row, Transaction};
use crate::ledger::{Error, Scope, Stored};

/// The most words that one alternative with a prefix is spread into.
pub(in crate::ledger) const WORDS_MAX: usize = 64;
/// Up to this many candidates are sorted; beyond, the index of the sort order is walked.
pub(super) const SORTED_MAX: i64 = 4_096;

/// A page of an answer.
#[derive(Debug, Clone)]
pub struct Page {
    /// The matches, in order.
    pub found: Vec<Stored>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Cursor>,
    /// The number of all matches, if asked for.
    pub total: Option<i64>,
    /// A poller that asks for `_lastUpdated=ge` this moment next time misses nothing (UTC milliseconds).
    pub horizon: i64,
}

/// Reads for a page or inside a batch. A trait and not an enum, so that a page may be read on any thread although a batch
/// stays on the writer's.
pub(super) trait Asker {
    async fn rows(&mut self, sql: &str, cells: &[Cell<'_>]) -> Result<Vec<Row>, Error>;
}

impl Asker for &Reader {
    async fn rows(&mut self, sql: &str, cells: &[Cell<'_>]) -> Result<Vec<Row>, Error> {
        Reader::rows(self, sql, cells).await
    }
}

impl Asker for Transaction<'_> {
    async fn rows(&mut self, sql: &str, cells: &[Cell<'_>]) -> Result<Vec<Row>, Error> {
        Transaction::rows(self, sql, cells).await
    }
}

/// A criterion with its prefixes spread into words.
pub(super) enum Test<'q> {
    Id(&'q [String]),
    Updated(&'q [When]),
    Words { parameter: u32, words: Vec<String> },
    Ranges { parameter: u32, ranges: Vec<(String, String)> },
    Dates { parameter: u32, any: &'q [When] },
    Missing { parameter: u32, dates: bool, missing: bool },
}

/// At most two ids that match, as conditional interactions need them; runs inside the batch.
pub(in crate::ledger) async fn find(
    transaction: &mut Transaction<'_>,
    scope: &Scope,
    query: &Query,
) -> Result<Vec<String>, Error> {
    let found = run(transaction, scope, query, 2, 0).await?;
    Ok(found.into_iter().map(|(stored, _)| stored.id).collect())
}

/// One page.
pub(in crate::ledger) async fn page(
    reader: &Reader,
    scope: &Scope,
    query: &Query,
    now: i64,
    horizon: i64,
) -> Result<Page, Error> {
    let mut asker = reader;
    let count = usize::try_from(query.count).unwrap_or(usize::MAX).max(1);
    let mut rows = run(&mut asker, scope, query, count + 1, now).await?;
    let more = rows.len() > count;
    rows.truncate(count);
    let next = if more { rows.last().map(|(stored, key)| Cursor { key: key.clone(), number: stored.number }) } else { None };
    let total = if query.total { Some(total(&mut asker, scope, query, now).await?) } else { None };
    Ok(Page { found: rows.into_iter().map(|(stored, _)| stored).collect(), next, total, horizon })
}

async fn run(
    asker: &mut impl Asker,
    scope: &Scope,
    query: &Query,
    limit: usize,
    now: i64,
) -> Result<Vec<(Stored, String)>, Error> {
    let Some(tests) = tests(asker, scope, query).await? else { return Ok(Vec::new()) };
    let ask = Ask { scope, query, tests: &tests, limit: i64::try_from(limit).unwrap_or(i64::MAX), now };
    let driver = ask.driver(asker).await?;
    match (&query.sort, driver) {
        (Sort::Natural, Some(driver)) => ask.by_word(asker, driver).await,
        (Sort::Date { parameter, descending }, Some(driver)) if ask.few(asker, driver).await? => {
            ask.sorted(asker, driver, *parameter, *descending).await
        }
        (Sort::Date { parameter, descending }, _) => ask.by_date(asker, *parameter, *descending).await,
        (Sort::Updated { descending }, Some(driver)) if ask.few(asker, driver).await? => {
            ask.sorted_by_update(asker, driver, *descending).await
        }
        (Sort::Updated { descending }, _) => ask.by_update(asker, *descending).await,
        (Sort::Natural, None) if ask.names_update() => ask.by_update(asker, false).await,
        (Sort::Natural, None) => ask.by_id(asker, false).await,
        (Sort::Id { descending }, _) => ask.by_id(asker, *descending).await,
    }
}

async fn total(asker: &mut impl Asker, scope: &Scope, query: &Query, now: i64) -> Result<i64, Error> {
    let Some(tests) = tests(asker, scope, query).await? else { return Ok(0) };
    let ask = Ask { scope, query, tests: &tests, limit: 0, now };
    let driver = ask.driver(asker).await?;
    let mut sql = Sql::default();
    match driver {
        Some(driver) => {
            sql.push("SELECT COUNT(DISTINCT d.number) FROM words d WHERE ");
            ask.word_is(&mut sql, driver);
            ask.filters(&mut sql, Some(driver));
        }
        None => {
            sql.push("SELECT COUNT(*) FROM resources d WHERE ");
            ask.of_kind(&mut sql);
            ask.filters(&mut sql, None);
        }
    }
    let mut rows = asker.rows(&sql.text, &sql.cells()).await?;
    rows.first_mut().map_or(Ok(0), Row::int)
}

/// Spreads prefixes into words; `None` when nothing can match.
async fn tests<'q>(asker: &mut impl Asker, scope: &Scope, query: &'q Query) -> Result<Option<Vec<Test<'q>>>, Error> {
    let mut tests = Vec::with_capacity(query.criteria.len());
    for criterion in &query.criteria {
        tests.push(match criterion {
            Criterion::Id(ids) => Test::Id(ids),
            Criterion::Updated(any) => Test::Updated(any),
            Criterion::Date { parameter, any } => Test::Dates { parameter: *parameter, any },
            Criterion::Missing { parameter, dates, missing } => {
                Test::Missing { parameter: *parameter, dates: *dates, missing: *missing }
            }
            Criterion::Word { parameter, any } => match spread(asker, scope, *parameter, any).await? {
                Some(words) if words.is_empty() => return Ok(None),
                Some(words) => Test::Words { parameter: *parameter, words },
                None => Test::Ranges { parameter: *parameter, ranges: any.iter().map(range_of).collect() },
            },
        });
    }
    Ok(Some(tests))
}

fn range_of(word: &Word) -> (String, String) {
    match word {
        Word::Is(word) => (word.clone(), format!("{word}\0")),
        Word::Between { low, high } => (low.clone(), high.clone()),
    }
}

/// The words that really occur for these alternatives, by one seek each; `None` when they are too many.
async fn spread(asker: &mut impl Asker, scope: &Scope, parameter: u32, any: &[Word]) -> Result<Option<Vec<String>>, Error> {
    const NEXT: &str =
        "SELECT word FROM words WHERE tenant = $1 AND parameter = $2 AND word >= $3 AND word < $4 ORDER BY word LIMIT 1";
    const AFTER: &str =
        "SELECT word FROM words WHERE tenant = $1 AND parameter = $2 AND word > $3 AND word < $4 ORDER BY word LIMIT 1";
    let mut words: Vec<String> = Vec::new();
    for word in any {
        let (low, high) = match word {
            Word::Is(word) => {
                words.push(word.clone());
                continue;
            }
            Word::Between { low, high } => (low, high),
        };
        let (mut sql, mut from) = (NEXT, low.clone());
        loop {
            let cells = [Cell::Text(&scope.tenant), Cell::Int(i64::from(parameter)), Cell::Text(&from), Cell::Text(high)];
            let Some(row) = asker.rows(sql, &cells).await?.pop() else { break };
            from = { row }.text()?;
            words.push(from.clone());
            sql = AFTER;
            if words.len() > WORDS_MAX {
                return Ok(None);
            }
        }
    }
    words.sort_unstable();
    words.dedup();
    Ok(Some(words))
}
