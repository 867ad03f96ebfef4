//! PostgreSQL: how it is reached, and how its one writer keeps all others out.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Executor, PgConnection, PgPool, Postgres, Row as _, TypeInfo};
use tokio::time::timeout;

use super::{ANOTHER_WRITES, At, Cell, Found, Passed, Transaction};
use crate::ledger::Error;

/// Connections of those who read.
const CONNECTIONS_MAX: u32 = 16;
/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long a client waits for an answer. The server gives a statement up before that (`SESSION`): who waits longer waits for a server
/// that is gone, which does not say so.
const ANSWER_MAX: Duration = Duration::from_secs(75);
/// What each session asks for: that a client that is gone is found out within half a minute, and that no statement runs for ever.
const SESSION: &str = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;
    SET statement_timeout = '60s'";
/// What the writer's session asks for, too: that a batch whose gateway stands still is given up, so that another may write.
const WRITING: &str = "SET idle_in_transaction_session_timeout = '60s'; SET lock_timeout = '5s'";
/// The writer has the lock: from then on it waits for nobody.
const LOCKED: &str = "SET lock_timeout = 0";
/// Key of the advisory lock that the writer of a database holds as long as its connection lives.
const WRITER_LOCK: i64 = 0x0053_4947_4e41;
/// Counts one more writer.
const ENTER: &str = "UPDATE writers SET number = number + 1 RETURNING number";
/// The last one.
const LAST: &str = "SELECT number FROM writers";
/// What PostgreSQL says when a lock is not given in time.
const NOT_AVAILABLE: &str = "55P03";

/// Opens a pool for those who read.
pub(in crate::ledger) async fn open(url: &str) -> Result<PgPool, Error> {
    let options = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(CONNECT_MAX);
    let options = options.after_connect(|connection, _| Box::pin(async move { connection.execute(SESSION).await.map(drop) }));
    Ok(options.connect(url).await?)
}

/// The hand that writes: a connection of its own, and with it the lock that no other writer has. What is committed over it was decided
/// while nobody else wrote.
pub(in crate::ledger) struct Hand {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
    /// Of the writers of this database; 0 before it is told.
    number: i64,
    /// Whether another process is known to have written since.
    is_overtaken: Arc<AtomicBool>,
}

impl Hand {
    /// Takes a database in hand; refuses while another process writes to it.
    pub(in crate::ledger) async fn open(url: &str, is_overtaken: Arc<AtomicBool>) -> Result<Self, Error> {
        let options: PgConnectOptions = url.parse()?;
        let connection = Some(connect(&options, ANSWER_MAX).await?);
        Ok(Self { options, connection, number: 0, is_overtaken })
    }

    /// Counts itself among the writers, once the database has the shape for it.
    pub(in crate::ledger) async fn enter(&mut self) -> Result<(), Error> {
        let mut connection = self.take().await?;
        self.number = one(&mut connection, ENTER).await?;
        self.keep(connection);
        Ok(())
    }

    /// Begins a batch over its connection, or over a new one where that was lost.
    pub(in crate::ledger) async fn begin(&mut self) -> Result<PgConnection, Error> {
        if let Some(mut connection) = self.connection.take()
            && begin(&mut connection).await.is_ok()
        {
            return Ok(connection);
        }
        let mut connection = self.take().await?;
        begin(&mut connection).await?;
        Ok(connection)
    }

    /// Its connection, or a new one where that was lost. It is given back by [`Self::keep`] once it is known to be sound. An error when
    /// another process wrote since: what this one remembers is not true any more.
    pub(in crate::ledger) async fn take(&mut self) -> Result<PgConnection, Error> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let mut connection = connect(&self.options, ANSWER_MAX).await?;
        let is_overtaken = one(&mut connection, LAST).await? != self.number;
        self.is_overtaken.store(is_overtaken, Ordering::SeqCst);
        if is_overtaken {
            return Err(Error::Broken(String::from("another process wrote to this database since; start this one again")));
        }
        Ok(connection)
    }

    /// Takes the connection back.
    pub(in crate::ledger) fn keep(&mut self, connection: PgConnection) {
        self.connection = Some(connection);
    }
}

/// A connection that holds the lock of the writer; what it asks for is answered before so long.
async fn connect(options: &PgConnectOptions, answer_max: Duration) -> Result<PgConnection, Error> {
    let connection = timeout(CONNECT_MAX, options.connect()).await.map_err(|_| silent())??;
    timeout(answer_max, locked(connection)).await.map_err(|_| silent())?
}

async fn locked(mut connection: PgConnection) -> Result<PgConnection, Error> {
    for settings in [SESSION, WRITING] {
        script(&mut connection, settings).await?;
    }
    let lock = sqlx::query("SELECT pg_advisory_lock($1)").bind(WRITER_LOCK).execute(&mut connection);
    match lock.await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NOT_AVAILABLE) => {
            return Err(Error::Broken(ANOTHER_WRITES.to_owned()));
        }
        locked => locked?,
    };
    script(&mut connection, LOCKED).await?;
    Ok(connection)
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
    let found = answered(bound(sql, cells).fetch_all(executor)).await?;
    found.iter().map(|row| make(&mut Passed::at(At::Postgres(row)))).collect()
}

/// Runs a statement.
pub(super) async fn run(connection: &mut PgConnection, sql: &str, cells: &[Cell<'_>]) -> Result<(), Error> {
    answered(bound(sql, cells).execute(connection)).await?;
    Ok(())
}

/// What the server answers, if it does.
async fn answered<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
    Ok(timeout(ANSWER_MAX, answer).await.map_err(|_| silent())??)
}

fn silent() -> Error {
    Error::Broken(String::from("the database does not answer"))
}

/// The number that a question is about.
async fn one(connection: &mut PgConnection, sql: &str) -> Result<i64, Error> {
    let found = Transaction::Postgres(connection).row(sql, &[]).await?;
    found.ok_or_else(|| Error::Broken(String::from("the database answered nothing")))?.int()
}

/// Runs several statements without parameters, which may take as long as they take.
pub(in crate::ledger) async fn script(connection: &mut PgConnection, sql: &str) -> Result<(), Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?;
    Ok(())
}

/// Begins a batch.
pub(in crate::ledger) async fn begin(connection: &mut PgConnection) -> Result<(), Error> {
    answered(connection.execute("BEGIN")).await?;
    Ok(())
}

/// Begins a transaction that sees one moment of the database.
pub(in crate::ledger) async fn begin_reading(connection: &mut PgConnection) -> Result<(), Error> {
    answered(connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await?;
    Ok(())
}

/// Ends a batch.
pub(in crate::ledger) async fn end(connection: &mut PgConnection, commit: bool) -> Result<(), Error> {
    answered(connection.execute(if commit { "COMMIT" } else { "ROLLBACK" })).await?;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::connect;

    /// What a server sends that lets in whoever comes, and waits for a question.
    const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(10);

    /// A server that falls silent after the handshake does not hold up for ever who connects.
    #[tokio::test]
    async fn a_server_that_falls_silent_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://signa@{}/signa?sslmode=disable", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1_024];
            let _start_up = client.read(&mut asked).await.unwrap();
            client.write_all(WELCOME).await.unwrap();
            while client.read(&mut asked).await.unwrap() > 0 {}
        });
        let connected = timeout(LONG, connect(&url.parse().unwrap(), SHORT)).await;
        let given_up = connected.expect("it waits for ever").map(|_| ()).unwrap_err();
        assert_eq!(given_up.to_string(), super::silent().to_string());
        serving.abort();
    }
}
