//! Makes search rows, when the ledger is opened, for what was stored before the program knew of them, and for what was created just
//! before an earlier process fell.

use futures_util::FutureExt;
use sqlx::PgConnection;

use super::{add, late, lines_of};
use crate::ledger::Error;
use crate::ledger::dialect::{Cell, Transaction, postgres};
use crate::ledger::resources::{COLUMNS, stored};

/// Which extraction this program does. To be raised when a parameter has rows that it did not have before; rows that it shall
/// not have any more are deleted by a migration.
const EXTRACTION: i64 = 4;
/// Resources of one transaction.
const AT_ONCE: i64 = 1_000;

const KNOWN: &str = "SELECT COALESCE(MAX(number), 0) FROM extractions";
const DONE: &str = "INSERT INTO extractions (number) VALUES ($1) ON CONFLICT DO NOTHING";

/// Behind which number to begin; `None` when there is nothing to be done.
async fn start(transaction: &mut Transaction<'_>) -> Result<Option<i64>, Error> {
    let known = transaction.row(KNOWN, &[]).await?.map_or(Ok(0), |mut row| row.int())?;
    if known < EXTRACTION { Ok(Some(0)) } else { late::indexed(transaction).await }
}

/// One step after a number; `None` when there is nothing left to be done.
async fn step(transaction: &mut Transaction<'_>, after: i64) -> Result<Option<i64>, Error> {
    let sql = format!("SELECT r.tenant, {COLUMNS} FROM resources r WHERE r.number > $1 ORDER BY r.number LIMIT $2");
    let mut last = None;
    let cells = [Cell::Int(after), Cell::Int(AT_ONCE)];
    for (tenant, stored) in transaction.each(&sql, &cells, |row| Ok((row.text()?.into_owned(), stored(row)?))).await? {
        add(transaction, &tenant, stored.number, lines_of(&stored).iter()).await?;
        last = Some(stored.number);
    }
    if last.is_none() {
        transaction.run(DONE, &[Cell::Int(EXTRACTION)]).await?;
        late::set_indexed(transaction, after).await?;
    }
    Ok(last)
}

/// Brings the rows of a SQLite file up to date.
pub(in crate::ledger) fn sqlite(connection: &rusqlite::Connection) -> Result<(), Error> {
    let mut transaction = Transaction::Sqlite(connection);
    let mut after = at_once(start(&mut transaction))?;
    while let Some(number) = after {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        after = at_once(step(&mut transaction, number))?;
        connection.execute_batch("COMMIT")?;
    }
    Ok(())
}

/// On SQLite nothing waits: one poll is the whole of it.
fn at_once<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    work.now_or_never().unwrap_or_else(|| Err(Error::Broken(String::from("a SQLite transaction waited"))))
}

/// Brings the rows of a PostgreSQL database up to date.
pub(in crate::ledger) async fn postgres(connection: &mut PgConnection) -> Result<(), Error> {
    let mut after = start(&mut Transaction::Postgres(connection)).await?;
    while let Some(number) = after {
        postgres::begin(connection).await?;
        after = step(&mut Transaction::Postgres(connection), number).await?;
        postgres::end(connection, true).await?;
    }
    Ok(())
}
