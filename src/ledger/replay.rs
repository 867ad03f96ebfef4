//! The ledger read again as it was learned: persons page by page, and of each the chain, every entry with the version it tells of.

use super::dialect::{Cell, Reader, Row};
use super::{Entry, Error, Line, Person, Scope, Stored, entries};

const SURVIVORS: &str = "SELECT p.person FROM people p
    WHERE p.tenant = $1 AND p.person > $2 AND p.survivor = p.person ORDER BY p.person LIMIT $3";
// The text of what was derived is not read: whoever tells the ledger again derives it anew.
const CHAIN: &str = "SELECT e.ordinal, e.line, e.happened, e.learned, e.how, e.source, e.store, e.kind, e.id, e.version, e.hash,
    COALESCE(r.number, 0), COALESCE(r.version, 0), COALESCE(r.person, 0),
    CASE WHEN e.how = 'derived' THEN '' WHEN r.version = e.version THEN r.meta ELSE COALESCE(v.meta, '') END,
    CASE WHEN e.how = 'derived' THEN '' WHEN r.version = e.version THEN r.body ELSE COALESCE(v.body, '') END
    FROM entries e LEFT JOIN resources r ON r.tenant = e.tenant AND r.kind = e.kind AND r.id = e.id
    LEFT JOIN versions v ON v.tenant = e.tenant AND v.kind = e.kind AND v.id = e.id AND v.version = e.version
    WHERE e.tenant = $1 AND e.person = $2 AND e.ordinal > $3 ORDER BY e.ordinal LIMIT $4";

/// An entry with the version that it tells of.
#[derive(Debug, Clone)]
pub struct Told {
    /// The entry.
    pub entry: Entry,
    /// The version; without text where it was derived.
    pub stored: Stored,
    /// The version that is current, and whose it is.
    pub current: (i64, Person),
}

/// Persons as they are known, in their order, after one.
pub(super) async fn survivors(reader: &Reader, scope: &Scope, after: Person, count: i64) -> Result<Vec<Person>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Int(after.0), Cell::Int(count)];
    reader.rows(SURVIVORS, &cells).await?.iter_mut().map(|row| row.int().map(Person)).collect()
}

/// A chain after one of its entries, in order.
pub(super) async fn chain(reader: &Reader, scope: &Scope, person: Person, after: i64, count: i64) -> Result<Vec<Told>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Int(person.0), Cell::Int(after), Cell::Int(count)];
    reader.rows(CHAIN, &cells).await?.iter_mut().map(|row| told(row, person)).collect()
}

fn told(row: &mut Row, person: Person) -> Result<Told, Error> {
    let entry = entries::entry(row, person)?;
    let (number, current) = (row.int()?, (row.int()?, Person(row.int()?)));
    let stored = Stored {
        number,
        kind: entry.kind.clone(),
        id: entry.id.clone(),
        version: entry.version,
        updated: entry.learned,
        deleted: entry.line == Line::Deleted,
        person,
        fact: number,
        source: entry.source.clone(),
        how: entry.how,
        meta: row.text()?,
        body: row.text()?,
    };
    Ok(Told { entry, stored, current })
}
