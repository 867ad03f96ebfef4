//! Who asks: a page reads beside the writer, a conditional interaction inside its batch.

use crate::ledger::Error;
use crate::ledger::dialect::{Cell, Passed, Reader, Row, Transaction};

/// Reads for a page or inside a batch. A trait and not an enum, so that a page may be read on any thread although a batch
/// stays on the writer's.
pub(in crate::ledger) trait Asker {
    /// What is made of each row of a question.
    async fn each<T>(
        &mut self,
        sql: &str,
        cells: &[Cell<'_>],
        make: impl FnMut(&mut Passed<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error>;

    /// The rows of a question.
    async fn rows(&mut self, sql: &str, cells: &[Cell<'_>]) -> Result<Vec<Row>, Error> {
        self.each(sql, cells, Row::of).await
    }
}

impl Asker for &Reader {
    async fn each<T>(
        &mut self,
        sql: &str,
        cells: &[Cell<'_>],
        make: impl FnMut(&mut Passed<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        // A long search lets other requests in between its steps.
        tokio::task::consume_budget().await;
        Reader::each(self, sql, cells, make).await
    }
}

impl Asker for Transaction<'_> {
    async fn each<T>(
        &mut self,
        sql: &str,
        cells: &[Cell<'_>],
        make: impl FnMut(&mut Passed<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        Transaction::each(self, sql, cells, make).await
    }
}
