//! PostgreSQL: how it is reached and how a batch keeps other gateways out.

use std::time::Duration;

use sqlx::postgres::{PgArguments, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, Executor, PgConnection, PgPool, Postgres, Row as _, TypeInfo};

use super::{Cell, Found, Row};
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

/// The rows of a question.
pub(super) async fn rows<'e, X>(executor: X, sql: &str, cells: &[Cell<'_>]) -> Result<Vec<Row>, Error>
where
    X: Executor<'e, Database = Postgres>,
{
    let found = bound(sql, cells).fetch_all(executor).await?;
    found.iter().map(convert).collect()
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

fn convert(row: &PgRow) -> Result<Row, Error> {
    let mut cells = Vec::with_capacity(row.len());
    for (index, column) in row.columns().iter().enumerate() {
        cells.push(match column.type_info().name() {
            "INT8" => Found::Int(row.try_get::<Option<i64>, _>(index)?.unwrap_or(0)),
            "INT4" => Found::Int(i64::from(row.try_get::<Option<i32>, _>(index)?.unwrap_or(0))),
            _ => Found::Text(row.try_get::<Option<String>, _>(index)?.unwrap_or_default()),
        });
    }
    Ok(Row { cells, next: 0 })
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Broken(error.to_string())
    }
}
