//! PostgreSQL: how it is reached and how a batch keeps other gateways out.

use std::borrow::Cow;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, Executor, PgConnection, PgPool, Postgres, Row as _, TypeInfo};

use super::{At, Cell, Found, Passed};
use crate::ledger::Error;

const CONNECTIONS_MAX: u32 = 16;
/// Key of the advisory lock under which a batch is decided and written.
const BATCH_LOCK: i64 = 0x0053_4947_4e41;

/// Opens a pool.
pub(in crate::ledger) async fn open(url: &str) -> Result<PgPool, Error> {
    let pool =
        PgPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(Duration::from_secs(10)).connect(url).await?;
    Ok(pool)
}

/// What is made of each row of a question.
pub(super) async fn each<'e, X, T>(
    executor: X,
    sql: &str,
    cells: &[Cell<'_>],
    mut make: impl FnMut(&mut Passed<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error>
where
    X: Executor<'e, Database = Postgres>,
{
    let found = bound(sql, cells).fetch_all(executor).await?;
    found.iter().map(|row| make(&mut Passed::at(At::Postgres(row)))).collect()
}

/// Runs a statement.
pub(super) async fn run(connection: &mut PgConnection, sql: &str, cells: &[Cell<'_>]) -> Result<(), Error> {
    bound(sql, cells).execute(connection).await?;
    Ok(())
}

/// Runs several statements without parameters.
pub(in crate::ledger) async fn script(connection: &mut PgConnection, sql: &str) -> Result<(), Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?;
    Ok(())
}

/// Begins a batch: one batch at a time over all gateways, so that what it decides holds until it is committed.
pub(in crate::ledger) async fn begin(connection: &mut PgConnection) -> Result<(), Error> {
    connection.execute("BEGIN").await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(BATCH_LOCK).execute(connection).await?;
    Ok(())
}

/// Begins a transaction that sees one moment of the database.
pub(in crate::ledger) async fn begin_reading(connection: &mut PgConnection) -> Result<(), Error> {
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    Ok(())
}

/// Ends a batch.
pub(in crate::ledger) async fn end(connection: &mut PgConnection, commit: bool) -> Result<(), Error> {
    connection.execute(if commit { "COMMIT" } else { "ROLLBACK" }).await?;
    Ok(())
}

fn bound<'q>(sql: &str, cells: &[Cell<'_>]) -> Query<'q, Postgres, PgArguments> {
    let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    for cell in cells {
        query = match cell {
            Cell::Int(value) => query.bind(*value),
            Cell::Text(value) => query.bind((*value).to_owned()),
        };
    }
    query
}

/// How many cells a row has.
pub(super) fn columns(row: &PgRow) -> usize {
    row.len()
}

/// A cell of a row, whatever it is.
pub(super) fn found(row: &PgRow, index: usize) -> Result<Found, Error> {
    match row.try_column(index)?.type_info().name() {
        "INT8" | "INT4" => int(row, index).map(Found::Int),
        _ => Ok(Found::Text(row.try_get::<Option<String>, _>(index)?.unwrap_or_default())),
    }
}

/// A number; none is 0.
pub(super) fn int(row: &PgRow, index: usize) -> Result<i64, Error> {
    match row.try_column(index)?.type_info().name() {
        "INT4" => Ok(i64::from(row.try_get::<Option<i32>, _>(index)?.unwrap_or(0))),
        _ => Ok(row.try_get::<Option<i64>, _>(index)?.unwrap_or(0)),
    }
}

/// A text.
pub(super) fn text(row: &PgRow, index: usize) -> Result<Cow<'_, str>, Error> {
    Ok(Cow::Borrowed(row.try_get::<Option<&str>, _>(index)?.unwrap_or_default()))
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Broken(error.to_string())
    }
}
