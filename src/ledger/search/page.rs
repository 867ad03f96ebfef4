//! Runs a search: chooses the index that drives it, and reads one bounded page after a cursor.
//!
//! Every plan walks one index in the order of the answer; the other criteria are asked per row by their own keys.

use super::clause::{Sql, low_range};
use super::exact::{Test, tests};
use crate::fhir::search::query::{Cursor, Query, Sort, When};
use crate::ledger::dialect::{Cell, Reader, Row, Transaction};
use crate::ledger::resources::{COLUMNS, stored};
use crate::ledger::{Error, Scope, Stored};

/// Up to this many candidates are sorted; beyond, the index of the sort order is walked.
const SORTED_MAX: i64 = 4_096;

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

struct Ask<'a> {
    scope: &'a Scope,
    query: &'a Query,
    tests: &'a [Test<'a>],
    limit: i64,
    now: i64,
}

impl Ask<'_> {
    /// The index of the word criterion with the fewest candidates, if there is one.
    async fn driver(&self, asker: &mut impl Asker) -> Result<Option<usize>, Error> {
        let words: Vec<usize> = self
            .tests
            .iter()
            .enumerate()
            .filter(|(_, test)| matches!(test, Test::Words { .. }))
            .map(|(index, _)| index)
            .collect();
        if words.len() < 2 {
            return Ok(words.first().copied());
        }
        let mut best: Option<(i64, usize)> = None;
        for index in words {
            let candidates = self.candidates(asker, index, 256).await?;
            if best.is_none_or(|(fewest, _)| candidates < fewest) {
                best = Some((candidates, index));
            }
        }
        Ok(best.map(|(_, index)| index))
    }

    /// How many rows a word criterion has, counted up to a bound.
    async fn candidates(&self, asker: &mut impl Asker, index: usize, bound: i64) -> Result<i64, Error> {
        let mut sql = Sql::default();
        sql.push("SELECT COUNT(*) FROM (SELECT 1 FROM words d WHERE ");
        self.word_is(&mut sql, index);
        sql.push(" LIMIT ").int(bound).push(") c");
        let mut rows = asker.rows(&sql.text, &sql.cells()).await?;
        rows.first_mut().map_or(Ok(0), Row::int)
    }

    async fn few(&self, asker: &mut impl Asker, index: usize) -> Result<bool, Error> {
        Ok(self.candidates(asker, index, SORTED_MAX).await? < SORTED_MAX)
    }

    fn names_update(&self) -> bool {
        self.tests.iter().any(|test| matches!(test, Test::Updated(_)))
    }

    fn word_is(&self, sql: &mut Sql, index: usize) {
        if let Some(Test::Words { parameter, words }) = self.tests.get(index) {
            sql.push("d.tenant = ").text(&self.scope.tenant).push(" AND d.parameter = ").int(i64::from(*parameter));
            sql.push(" AND d.word IN (").texts(words).push(")");
        }
    }

    fn of_kind(&self, sql: &mut Sql) {
        sql.push("d.tenant = ").text(&self.scope.tenant).push(" AND d.kind = ").text(&self.query.kind).push(" AND d.deleted = 0");
    }

    /// Every criterion but the driver, each asked by its own key for the row `d`.
    fn filters(&self, sql: &mut Sql, driver: Option<usize>) {
        for (index, test) in self.tests.iter().enumerate() {
            if driver != Some(index) {
                sql.push(" AND ");
                self.filter(sql, test);
            }
        }
    }

    fn filter(&self, sql: &mut Sql, test: &Test<'_>) {
        let tenant = self.scope.tenant.as_ref();
        match test {
            Test::Id(ids) => {
                sql.push("EXISTS (SELECT 1 FROM resources u WHERE u.number = d.number AND u.id IN (").texts(ids).push("))");
            }
            Test::Updated(any) => {
                sql.push("EXISTS (SELECT 1 FROM resources u WHERE u.number = d.number AND (");
                self.any_of(sql, any, "u.updated", "(u.updated + 1)");
                sql.push("))");
            }
            Test::Words { parameter, words } => {
                sql.push("EXISTS (SELECT 1 FROM words w WHERE w.tenant = ").text(tenant).push(" AND w.parameter = ");
                sql.int(i64::from(*parameter)).push(" AND w.word IN (").texts(words).push(") AND w.number = d.number)");
            }
            Test::Ranges { parameter, ranges } => {
                sql.push("d.number IN (SELECT w.number FROM words w WHERE w.tenant = ").text(tenant).push(" AND w.parameter = ");
                sql.int(i64::from(*parameter)).push(" AND (");
                for (index, (low, high)) in ranges.iter().enumerate() {
                    sql.push(if index > 0 { " OR " } else { "" });
                    sql.push("(w.word >= ").text(low).push(" AND w.word < ").text(high).push(")");
                }
                sql.push("))");
            }
            Test::Dates { parameter, any } => {
                sql.push("EXISTS (SELECT 1 FROM spans s WHERE s.tenant = ").text(tenant).push(" AND s.number = d.number");
                sql.push(" AND s.parameter = ").int(i64::from(*parameter)).push(" AND (");
                self.any_of(sql, any, "s.low", "s.high");
                sql.push("))");
            }
            Test::Missing { parameter, dates, missing } => {
                sql.push(if *missing { "d.number NOT IN (" } else { "d.number IN (" });
                sql.push(if *dates { "SELECT m.number FROM spans m" } else { "SELECT m.number FROM words m" });
                sql.push(" WHERE m.tenant = ").text(tenant).push(" AND m.parameter = ").int(i64::from(*parameter)).push(")");
            }
        }
    }

    fn any_of(&self, sql: &mut Sql, any: &[When], low: &str, high: &str) {
        for (index, when) in any.iter().enumerate() {
            sql.push(if index > 0 { " OR " } else { "" }).compare(low, high, when, self.now);
        }
    }

    /// Latest resource first, along the rows of one word; of several words, their walks are joined.
    async fn by_word(&self, asker: &mut impl Asker, driver: usize) -> Result<Vec<(Stored, String)>, Error> {
        let Some(Test::Words { parameter, words }) = self.tests.get(driver) else { return Ok(Vec::new()) };
        if words.len() == 1 {
            return self.by_one_word(asker, driver).await;
        }
        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(", 0 FROM (");
        for (index, word) in words.iter().enumerate() {
            sql.push(if index > 0 { " UNION " } else { "" });
            sql.push("SELECT number FROM (SELECT d.number AS number FROM words d WHERE d.tenant = ").text(&self.scope.tenant);
            sql.push(" AND d.parameter = ").int(i64::from(*parameter)).push(" AND d.word = ").text(word);
            if let Some(after) = &self.query.after {
                sql.push(" AND d.number < ").int(after.number);
            }
            self.filters(&mut sql, Some(driver));
            sql.push(" ORDER BY d.number DESC LIMIT ").int(self.limit).push(") b");
            sql.push(&index.to_string());
        }
        sql.push(") x JOIN resources r ON r.number = x.number ORDER BY r.number DESC LIMIT ").int(self.limit);
        collect(asker, &sql).await
    }

    /// The walk along one word needs no joining, and nothing is gathered before the page is full.
    async fn by_one_word(&self, asker: &mut impl Asker, driver: usize) -> Result<Vec<(Stored, String)>, Error> {
        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(", 0 FROM words d JOIN resources r ON r.number = d.number WHERE ");
        self.word_is(&mut sql, driver);
        if let Some(after) = &self.query.after {
            sql.push(" AND d.number < ").int(after.number);
        }
        self.filters(&mut sql, Some(driver));
        sql.push(" ORDER BY d.number DESC LIMIT ").int(self.limit);
        collect(asker, &sql).await
    }

    /// `DISTINCT ` where several words may lead to one resource.
    fn distinct(&self, driver: usize) -> &'static str {
        match self.tests.get(driver) {
            Some(Test::Words { words, .. }) if words.len() == 1 => "",
            _ => "DISTINCT ",
        }
    }

    /// Few candidates of one criterion, sorted by a date parameter; those without the date come last.
    async fn sorted(
        &self,
        asker: &mut impl Asker,
        driver: usize,
        parameter: u32,
        descending: bool,
    ) -> Result<Vec<(Stored, String)>, Error> {
        let (end, last) = if descending { ("MAX", i64::MIN) } else { ("MIN", i64::MAX) };
        let mut sql = Sql::default();
        sql.push("SELECT ")
            .push(COLUMNS)
            .push(", x.key FROM (SELECT ")
            .push(self.distinct(driver))
            .push("d.number AS number, COALESCE((SELECT ");
        sql.push(end).push("(s.low) FROM spans s WHERE s.tenant = ").text(&self.scope.tenant);
        sql.push(" AND s.number = d.number AND s.parameter = ").int(i64::from(parameter)).push("), ").int(last);
        sql.push(") AS key FROM words d WHERE ");
        self.word_is(&mut sql, driver);
        self.filters(&mut sql, Some(driver));
        sql.push(") x JOIN resources r ON r.number = x.number");
        self.after(&mut sql, " WHERE ", "x.key", "x.number", descending);
        self.order(&mut sql, "x.key", "x.number", descending);
        collect(asker, &sql).await
    }

    async fn sorted_by_update(
        &self,
        asker: &mut impl Asker,
        driver: usize,
        descending: bool,
    ) -> Result<Vec<(Stored, String)>, Error> {
        let mut sql = Sql::default();
        sql.push("SELECT ")
            .push(COLUMNS)
            .push(", r.updated FROM (SELECT ")
            .push(self.distinct(driver))
            .push("d.number AS number FROM words d WHERE ");
        self.word_is(&mut sql, driver);
        self.filters(&mut sql, Some(driver));
        sql.push(") x JOIN resources r ON r.number = x.number");
        self.after(&mut sql, " WHERE ", "r.updated", "r.number", descending);
        self.order(&mut sql, "r.updated", "r.number", descending);
        collect(asker, &sql).await
    }

    /// Along the index of a date parameter; when it ends, those without the date follow, latest resource first.
    async fn by_date(&self, asker: &mut impl Asker, parameter: u32, descending: bool) -> Result<Vec<(Stored, String)>, Error> {
        let mut found = Vec::new();
        if self.query.after.as_ref().is_none_or(|after| !after.key.is_empty()) {
            let mut sql = Sql::default();
            sql.push("SELECT ").push(COLUMNS).push(", x.key FROM (");
            for wide in 0..3_i64 {
                sql.push(if wide > 0 { " UNION " } else { "" });
                sql.push("SELECT number, key FROM (SELECT d.number AS number, d.low AS key FROM spans d WHERE d.tenant = ");
                sql.text(&self.scope.tenant)
                    .push(" AND d.parameter = ")
                    .int(i64::from(parameter))
                    .push(" AND d.wide = ")
                    .int(wide);
                if let Some(Test::Dates { any: [when], .. }) = self.date_test(parameter) {
                    let (low, high) = low_range(when, wide, self.now);
                    sql.push(" AND d.low >= ").int(low).push(" AND d.low < ").int(high);
                }
                self.filters(&mut sql, None);
                self.after(&mut sql, " AND ", "d.low", "d.number", descending);
                self.order(&mut sql, "d.low", "d.number", descending);
                sql.push(") b").push(&wide.to_string());
            }
            sql.push(") x JOIN resources r ON r.number = x.number");
            self.order(&mut sql, "x.key", "x.number", descending);
            found = collect(asker, &sql).await?;
        }
        let missing = self.limit - i64::try_from(found.len()).unwrap_or(i64::MAX);
        if missing > 0 && self.date_test(parameter).is_none() {
            found.extend(self.without_date(asker, parameter, missing).await?);
        }
        Ok(found)
    }

    fn date_test(&self, parameter: u32) -> Option<&Test<'_>> {
        self.tests.iter().find(|test| matches!(test, Test::Dates { parameter: of, .. } if *of == parameter))
    }

    async fn without_date(&self, asker: &mut impl Asker, parameter: u32, limit: i64) -> Result<Vec<(Stored, String)>, Error> {
        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(", 0 FROM resources d JOIN resources r ON r.number = d.number WHERE ");
        self.of_kind(&mut sql);
        sql.push(" AND NOT EXISTS (SELECT 1 FROM spans m WHERE m.tenant = ").text(&self.scope.tenant);
        sql.push(" AND m.number = d.number AND m.parameter = ").int(i64::from(parameter)).push(")");
        self.filters(&mut sql, None);
        if let Some(after) = self.query.after.as_ref().filter(|after| after.key.is_empty()) {
            sql.push(" AND d.number < ").int(after.number);
        }
        sql.push(" ORDER BY d.number DESC LIMIT ").int(limit);
        let found = collect(asker, &sql).await?;
        Ok(found.into_iter().map(|(stored, _)| (stored, String::new())).collect())
    }

    /// Along the index of `_lastUpdated`.
    async fn by_update(&self, asker: &mut impl Asker, descending: bool) -> Result<Vec<(Stored, String)>, Error> {
        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(", r.updated FROM resources d JOIN resources r ON r.number = d.number WHERE ");
        self.of_kind(&mut sql);
        for test in self.tests {
            if let Test::Updated([when]) = test {
                let (low, high) = low_range(when, 0, self.now);
                sql.push(" AND d.updated >= ").int(low).push(" AND d.updated < ").int(high);
            }
        }
        self.filters(&mut sql, None);
        self.after(&mut sql, " AND ", "d.updated", "d.number", descending);
        self.order(&mut sql, "d.updated", "d.number", descending);
        collect(asker, &sql).await
    }

    /// By id, along the key of the table.
    async fn by_id(&self, asker: &mut impl Asker, descending: bool) -> Result<Vec<(Stored, String)>, Error> {
        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(", 0 FROM resources d JOIN resources r ON r.number = d.number WHERE ");
        self.of_kind(&mut sql);
        for test in self.tests {
            sql.push(" AND ");
            match test {
                Test::Id(ids) => {
                    sql.push("d.id IN (").texts(ids).push(")");
                }
                other => self.filter(&mut sql, other),
            }
        }
        if let Some(after) = &self.query.after {
            sql.push(if descending { " AND d.id < " } else { " AND d.id > " }).text(&after.key);
        }
        sql.push(if descending { " ORDER BY d.id DESC LIMIT " } else { " ORDER BY d.id LIMIT " }).int(self.limit);
        let found = collect(asker, &sql).await?;
        Ok(found.into_iter().map(|(stored, _)| (stored.clone(), stored.id)).collect())
    }

    fn after(&self, sql: &mut Sql, lead: &str, key: &str, number: &str, descending: bool) {
        if let Some(after) = &self.query.after {
            let value = after.key.parse().unwrap_or(0);
            sql.push(lead).push("(").push(key).push(", ").push(number).push(if descending { ") < (" } else { ") > (" });
            sql.int(value).push(", ").int(after.number).push(")");
        }
    }

    fn order(&self, sql: &mut Sql, key: &str, number: &str, descending: bool) {
        let way = if descending { " DESC" } else { "" };
        sql.push(" ORDER BY ").push(key).push(way).push(", ").push(number).push(way).push(" LIMIT ").int(self.limit);
    }
}

async fn collect(asker: &mut impl Asker, sql: &Sql) -> Result<Vec<(Stored, String)>, Error> {
    let mut found = Vec::new();
    for mut row in asker.rows(&sql.text, &sql.cells()).await? {
        let stored = stored(&mut row)?;
        found.push((stored, row.int()?.to_string()));
    }
    Ok(found)
}
