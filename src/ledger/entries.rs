//! The unified patient ledger: entries in chains, and a person's story read from them.

use super::chain::{self, Statement};
use super::dialect::{Cell, Reader, Row, Transaction};
use super::people::Head;
use super::resources;
use super::{Entry, Error, How, Line, Person, Scope, Stored};

const ADD: &str =
    "INSERT INTO entries (tenant, person, ordinal, line, happened, learned, how, source, store, kind, id, version, digest, hash)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
const STORY: &str =
    "SELECT e.person, e.ordinal, e.line, e.happened, e.learned, e.how, e.source, e.store, e.kind, e.id, e.version, e.hash
    FROM entries e WHERE e.tenant = $1 AND e.person IN (SELECT p.person FROM people p
    WHERE p.tenant = $1 AND p.survivor = (SELECT q.survivor FROM people q WHERE q.tenant = $1 AND q.person = $2))
    ORDER BY e.happened, e.learned, e.person, e.ordinal LIMIT $3 OFFSET $4";

const AFTER: &str = "SELECT e.ordinal FROM entries e WHERE e.tenant = $1 AND e.person = $2 AND e.ordinal > $3
    AND e.how <> 'derived' AND e.kind IN ($4, $5, $6, $7) LIMIT 1";
/// Types that are looked for at once.
pub(super) const KINDS_MAX: usize = 4;

/// Whether a chain tells, after an entry, of anything of these types that is not ours.
pub(super) async fn are_after(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    (person, ordinal): (Person, i64),
    kinds: &[&str],
) -> Result<bool, Error> {
    // The places that are left ask for nothing.
    let padded = kinds.iter().copied().chain(std::iter::repeat("")).take(KINDS_MAX).map(Cell::Text);
    let cells: Vec<Cell> = [Cell::Text(tenant), Cell::Int(person.0), Cell::Int(ordinal)].into_iter().chain(padded).collect();
    Ok(transaction.row(AFTER, &cells).await?.is_some())
}

/// Adds an entry to the chain that ends in `head`, and moves `head` to it.
pub(super) async fn add(
    transaction: &mut Transaction<'_>,
    head: &mut Head,
    statement: &Statement<'_>,
    digest: &str,
) -> Result<(), Error> {
    let hash = chain::entry_hash(&head.hash, statement, digest);
    let (tenant, person, ordinal) = (Cell::Text(statement.tenant), Cell::Int(statement.person.0), Cell::Int(statement.ordinal));
    let cells = [
        tenant,
        person,
        ordinal,
        Cell::Text(statement.line),
        Cell::Int(statement.happened),
        Cell::Int(statement.learned),
        Cell::Text(statement.how.word()),
        Cell::Text(statement.source),
        Cell::Text(statement.store),
        Cell::Text(statement.kind),
        Cell::Text(statement.id),
        Cell::Int(statement.version),
        Cell::Text(digest),
        Cell::Text(&hash),
    ];
    transaction.run(ADD, &cells).await?;
    *head = Head { ordinal: statement.ordinal, hash };
    Ok(())
}

/// A person's story in the order of happening: entries with the version they tell of.
pub(super) async fn story(
    reader: &Reader,
    scope: &Scope,
    person: Person,
    count: i64,
    skip: i64,
) -> Result<Vec<(Entry, Option<Stored>)>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Int(person.0), Cell::Int(count), Cell::Int(skip)];
    let mut told = Vec::new();
    for mut row in reader.rows(STORY, &cells).await? {
        let person = Person(row.int()?);
        let entry = entry(&mut row, person)?;
        let stored = match resources::read(reader, scope, &entry.kind, &entry.id).await? {
            Some(current) if current.version == entry.version => Some(current),
            Some(_) => resources::version(reader, scope, &entry.kind, &entry.id, entry.version).await?,
            None => None,
        };
        told.push((entry, stored));
    }
    Ok(told)
}

/// A row that begins with the columns of an entry, from its ordinal to its hash.
pub(super) fn entry(row: &mut Row, person: Person) -> Result<Entry, Error> {
    Ok(Entry {
        person,
        ordinal: row.int()?,
        line: Line::of(&row.text()?),
        happened: row.int()?,
        learned: row.int()?,
        how: How::of(&row.text()?),
        source: row.text()?,
        store: row.text()?,
        kind: row.text()?,
        id: row.text()?,
        version: row.int()?,
        hash: row.text()?,
    })
}
