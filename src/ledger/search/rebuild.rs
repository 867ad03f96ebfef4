//! Makes search rows for what was stored before the program knew of them, when the ledger is opened.

use futures_util::FutureExt;
use sqlx::PgPool;

use super::{add, lines_of};
use crate::ledger::Error;
use crate::ledger::dialect::{Cell, Transaction, postgres};
use crate::ledger::resources::{COLUMNS, stored};

/// Which extraction this program does. To be raised when a parameter has rows that it did not have before; rows that it shall
/// not have any more are deleted by a migration.
const EXTRACTION: i64 = 2;
/// Resources of one transaction.
const AT_ONCE: i64 = 1_000;

const KNOWN: &str = "SELECT COALESCE(MAX(number), 0) FROM extractions";
const DONE: &str = "INSERT INTO extractions (number) VALUES ($1) ON CONFLICT DO NOTHING";

/// One step after a number; `None` when there is nothing left to be done.
async fn step(transaction: &mut Transaction<'_>, after: i64) -> Result<Option<i64>, Error> {
    let known = transaction.row(KNOWN, &[]).await?.map_or(Ok(0), |mut row| row.int())?;
    if known >= EXTRACTION {
        return Ok(None);
    }
    let sql = format!("SELECT r.tenant, {COLUMNS} FROM resources r WHERE r.number > $1 ORDER BY r.number LIMIT $2");
    let mut last = None;
    let cells = [Cell::Int(after), Cell::Int(AT_ONCE)];
    for (tenant, stored) in transaction.each(&sql, &cells, |row| Ok((row.text()?.into_owned(), stored(row)?))).await? {
        add(transaction, &tenant, stored.number, lines_of(&stored).iter()).await?;
        last = Some(stored.number);
    }
    if last.is_none() {
        transaction.run(DONE, &[Cell::Int(EXTRACTION)]).await?;
    }
    Ok(last)
}

/// Brings the rows of a SQLite file up to date.
pub(in crate::ledger) fn sqlite(connection: &rusqlite::Connection) -> Result<(), Error> {
    let mut after = Some(0);
    while let Some(number) = after {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut transaction = Transaction::Sqlite(connection);
        // On SQLite nothing in it waits: one poll is the whole of it.
        let work = step(&mut transaction, number).now_or_never();
        after = work.unwrap_or_else(|| Err(Error::Broken(String::from("a SQLite transaction waited"))))?;
        connection.execute_batch("COMMIT")?;
    }
    Ok(())
}

/// Brings the rows of a PostgreSQL database up to date.
pub(in crate::ledger) async fn postgres(pool: &PgPool) -> Result<(), Error> {
    let mut connection = pool.acquire().await?;
    let mut after = Some(0);
    while let Some(number) = after {
        postgres::begin(&mut connection).await?;
        after = step(&mut Transaction::Postgres(&mut connection), number).await?;
        postgres::end(&mut connection, true).await?;
    }
    Ok(())
}
