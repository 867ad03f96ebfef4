//! Which words of a parameter are in use, each with one resource that has it: by skipping from word to word in the index.

use super::dialect::Cell;
use super::resources;
use super::{Error, Ledger, Scope, Stored};

const NEXT: &str =
    "SELECT w.word, r.number, r.kind, r.id, r.version, r.updated, r.deleted, r.person, r.fact, r.source, r.how, r.meta, r.body
    FROM words w JOIN resources r ON r.number = w.number AND r.tenant = w.tenant
    WHERE w.tenant = $1 AND w.parameter = $2 AND w.word > $3 ORDER BY w.word, w.number LIMIT 1";

impl Ledger {
    /// One resource for each word in use of a search parameter, up to so many.
    pub async fn examples(&self, scope: &Scope, parameter: u32, count: usize) -> Result<Vec<Stored>, Error> {
        self.indexed().await?;
        let mut found = Vec::new();
        let mut after = String::new();
        while found.len() < count {
            let cells = [Cell::Text(&scope.tenant), Cell::Int(i64::from(parameter)), Cell::Text(&after)];
            let next = self.reader.each(NEXT, &cells, |row| Ok((row.text()?.into_owned(), resources::stored(row)?))).await?;
            let Some((word, example)) = next.into_iter().next() else { break };
            after = word;
            found.push(example);
        }
        Ok(found)
    }
}
