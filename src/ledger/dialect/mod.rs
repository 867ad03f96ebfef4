//! The two databases side by side: everything that must differ between SQLite and PostgreSQL, and nothing else.
//!
//! All statements are written once, with `$1 …` in ascending first use (rusqlite binds by first appearance), over columns
//! of `TEXT` and `BIGINT` that are never null; so a cell is a number or a text.

pub(super) mod postgres;
pub(super) mod sqlite;

use std::borrow::Cow;

use super::Error;

/// What is said when a database has a writer already.
const ANOTHER_WRITES: &str = "another process writes to this database; stop it first, or send to it over HTTP";

/// A value bound to a statement.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell<'a> {
    /// `BIGINT`
    Int(i64),
    /// `TEXT`
    Text(&'a str),
}

/// A value that came back.
#[derive(Debug)]
enum Found {
    Int(i64),
    Text(String),
}

/// A row that came back; its cells are taken in the order of the statement's columns.
#[derive(Debug)]
pub(super) struct Row {
    cells: Vec<Found>,
    next: usize,
}

impl Row {
    /// All of a row that is passed.
    pub(super) fn of(passed: &mut Passed<'_>) -> Result<Self, Error> {
        let columns = passed.columns();
        let mut cells = Vec::with_capacity(columns);
        for index in 0..columns {
            cells.push(passed.found(index)?);
        }
        Ok(Self { cells, next: 0 })
    }

    /// The next cell, a number.
    pub(super) fn int(&mut self) -> Result<i64, Error> {
        self.next += 1;
        match self.cells.get(self.next - 1) {
            Some(Found::Int(value)) => Ok(*value),
            other => Err(Error::Broken(format!("column {} is no number: {}", self.next, kind_of(other)))),
        }
    }

    /// The next cell, a text.
    pub(super) fn text(&mut self) -> Result<String, Error> {
        self.next += 1;
        match self.cells.get_mut(self.next - 1) {
            Some(Found::Text(value)) => Ok(std::mem::take(value)),
            other => Err(Error::Broken(format!("column {} is no text: {}", self.next, kind_of(other.as_deref())))),
        }
    }
}

fn kind_of(found: Option<&Found>) -> &'static str {
    match found {
        Some(Found::Int(_)) => "a number",
        Some(Found::Text(_)) => "a text",
        None => "absent",
    }
}

/// A row while it is passed: its cells are taken in the order of the statement's columns, and a text is copied only by who keeps it.
pub(super) struct Passed<'r> {
    row: At<'r>,
    next: usize,
}

/// Where a row stands.
enum At<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r sqlx::postgres::PgRow),
}

impl<'r> Passed<'r> {
    fn at(row: At<'r>) -> Self {
        Self { row, next: 0 }
    }

    fn columns(&self) -> usize {
        match self.row {
            At::Sqlite(row) => sqlite::columns(row),
            At::Postgres(row) => postgres::columns(row),
        }
    }

    fn found(&self, index: usize) -> Result<Found, Error> {
        match self.row {
            At::Sqlite(row) => sqlite::found(row, index),
            At::Postgres(row) => postgres::found(row, index),
        }
    }

    /// The next cell, a number; none is 0.
    pub(super) fn int(&mut self) -> Result<i64, Error> {
        self.next += 1;
        match self.row {
            At::Sqlite(row) => sqlite::int(row, self.next - 1),
            At::Postgres(row) => postgres::int(row, self.next - 1),
        }
    }

    /// The next cell, a text.
    pub(super) fn text(&mut self) -> Result<Cow<'r, str>, Error> {
        self.next += 1;
        match self.row {
            At::Sqlite(row) => sqlite::text(row, self.next - 1),
            At::Postgres(row) => postgres::text(row, self.next - 1),
        }
    }
}

/// Where reads go.
#[derive(Clone)]
pub(super) enum Reader {
    /// A connection per thread, used inline: reads here are key reads and bounded pages.
    Sqlite(sqlite::Reader),
    /// A pool.
    Postgres(sqlx::PgPool),
}

impl Reader {
    /// What is made of each row of a question.
    pub(super) async fn each<T>(
        &self,
        sql: &str,
        cells: &[Cell<'_>],
        make: impl FnMut(&mut Passed<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        check_placeholders(sql);
        match self {
            Self::Sqlite(reader) => reader.with(|connection| sqlite::each(connection, sql, cells, make)),
            // Apart, so that it takes no room where a file is read.
            Self::Postgres(pool) => Box::pin(postgres::each(pool, sql, cells, make)).await,
        }
    }

    /// The rows of a question.
    pub(super) async fn rows(&self, sql: &str, cells: &[Cell<'_>]) -> Result<Vec<Row>, Error> {
        self.each(sql, cells, Row::of).await
    }

    /// The first row of a question.
    pub(super) async fn row(&self, sql: &str, cells: &[Cell<'_>]) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, cells).await?.into_iter().next())
    }

    /// Asks several questions of one state of a file, on one thread: `ask` may wait for nothing but this reader. A server
    /// answers each question for itself.
    pub(super) async fn together<T>(&self, ask: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match self {
            Self::Sqlite(reader) => reader.together(ask),
            Self::Postgres(_) => ask.await,
        }
    }
}

/// An open transaction of the writer.
pub(super) enum Transaction<'c> {
    /// On the writer's own connection.
    Sqlite(&'c rusqlite::Connection),
    /// On a connection of its own.
    Postgres(&'c mut sqlx::PgConnection),
}

impl Transaction<'_> {
    /// What is made of each row of a question, or of a statement with `RETURNING`.
    pub(super) async fn each<T>(
        &mut self,
        sql: &str,
        cells: &[Cell<'_>],
        make: impl FnMut(&mut Passed<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        check_placeholders(sql);
        match self {
            Self::Sqlite(connection) => sqlite::each(connection, sql, cells, make),
            Self::Postgres(connection) => Box::pin(postgres::each(&mut **connection, sql, cells, make)).await,
        }
    }

    /// Its rows.
    pub(super) async fn rows(&mut self, sql: &str, cells: &[Cell<'_>]) -> Result<Vec<Row>, Error> {
        self.each(sql, cells, Row::of).await
    }

    /// The first row of a question.
    pub(super) async fn row(&mut self, sql: &str, cells: &[Cell<'_>]) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, cells).await?.into_iter().next())
    }

    /// Runs a statement.
    pub(super) async fn run(&mut self, sql: &str, cells: &[Cell<'_>]) -> Result<(), Error> {
        check_placeholders(sql);
        match self {
            Self::Sqlite(connection) => sqlite::run(connection, sql, cells),
            Self::Postgres(connection) => postgres::run(connection, sql, cells).await,
        }
    }
}

/// In debug builds, refuses a statement whose placeholders first appear out of order.
fn check_placeholders(sql: &str) {
    if cfg!(debug_assertions) {
        let mut highest = 0_usize;
        for part in sql.split('$').skip(1) {
            let number: usize = part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0);
            debug_assert!(number <= highest + 1 && number > 0, "placeholders out of order in: {sql}");
            highest = highest.max(number);
        }
    }
}
