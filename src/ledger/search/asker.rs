//! Who asks: a page reads beside the writer, a conditional interaction inside its batch.

use crate::ledger::Error;
use crate::ledger::dialect::{Cell, Reader, Row, Transaction};

/// Reads for a page or inside a batch. A trait and not an enum, so that a page may be read on any thread although a batch
/// stays on the writer's.
pub(in crate::ledger) trait Asker {
    async fn rows(&mut self, sql: &str, cells: &[Cell<'_>]) -> Result<Vec<Row>, Error>;
}

impl Asker for &Reader {
    async fn rows(&mut self, sql: &str, cells: &[Cell<'_>]) -> Result<Vec<Row>, Error> {
        // A long search lets other requests in between its steps.
        tokio::task::consume_budget().await;
        Reader::rows(self, sql, cells).await
    }
}

impl Asker for Transaction<'_> {
    async fn rows(&mut self, sql: &str, cells: &[Cell<'_>]) -> Result<Vec<Row>, Error> {
        Transaction::rows(self, sql, cells).await
    }
}
