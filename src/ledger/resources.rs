//! The current version of every resource and what it was before.

use super::dialect::{Cell, Passed, Reader, Transaction};
use super::{Error, How, Person, Scope, Stored};

/// The columns of [`stored`], in its order; of the table or alias `r`.
pub(super) const COLUMNS: &str =
    "r.number, r.kind, r.id, r.version, r.updated, r.deleted, r.person, r.fact, r.source, r.how, r.meta, r.body";

const READ: &str =
    "SELECT r.number, r.kind, r.id, r.version, r.updated, r.deleted, r.person, r.fact, r.source, r.how, r.meta, r.body
    FROM resources r WHERE r.tenant = $1 AND r.kind = $2 AND r.id = $3";
const VERSION: &str =
    "SELECT r.number, v.kind, v.id, v.version, v.updated, v.deleted, r.person, r.fact, v.source, v.how, v.meta, v.body
    FROM versions v JOIN resources r ON r.tenant = v.tenant AND r.kind = v.kind AND r.id = v.id
    WHERE v.tenant = $1 AND v.kind = $2 AND v.id = $3 AND v.version = $4";
const HISTORY: &str =
    "SELECT r.number, v.kind, v.id, v.version, v.updated, v.deleted, r.person, r.fact, v.source, v.how, v.meta, v.body
    FROM versions v JOIN resources r ON r.tenant = v.tenant AND r.kind = v.kind AND r.id = v.id
    WHERE v.tenant = $1 AND v.kind = $2 AND v.id = $3 ORDER BY v.version DESC LIMIT $4";
const ACTING: &str =
    "SELECT r.number, v.kind, v.id, v.version, v.updated, v.deleted, r.person, r.fact, v.source, v.how, v.meta, v.body
    FROM versions v JOIN resources r ON r.tenant = v.tenant AND r.kind = v.kind AND r.id = v.id
    WHERE v.tenant = $1 AND v.kind = $2 AND v.id = $3 AND v.how <> 'import' ORDER BY v.version DESC LIMIT $4";
const HELD: &str =
    "SELECT r.number, r.kind, r.id, r.version, r.updated, r.deleted, r.person, r.fact, r.source, r.how, r.meta, r.body
    FROM resources r WHERE r.tenant = $1 AND r.person IN (SELECT p.person FROM people p
    WHERE p.tenant = $1 AND p.survivor = (SELECT q.survivor FROM people q WHERE q.tenant = $1 AND q.person = $2))
    AND r.kind = $3 AND r.deleted = 0 ORDER BY r.number DESC LIMIT $4";
const CHANGED: &str =
    "SELECT r.number, r.kind, r.id, r.version, r.updated, r.deleted, r.person, r.fact, r.source, r.how, r.meta, r.body
    FROM resources r WHERE r.tenant = $1 AND r.kind = $2 AND (r.updated, r.number) > ($3, $4)
    ORDER BY r.updated, r.number LIMIT $5";
const TENANT: &str = "SELECT r.tenant FROM resources r WHERE r.tenant > $1 ORDER BY r.tenant LIMIT 1";
const KEPT: &str =
    "SELECT r.number, r.kind, r.id, r.version, r.updated, r.deleted, r.person, r.fact, r.source, r.how, r.meta, r.body
    FROM resources r WHERE r.tenant = $1 AND r.kind = $2 AND r.id > $3 ORDER BY r.id LIMIT $4";
const DELETED: &str =
    "SELECT r.number, r.kind, r.id, r.version, r.updated, r.deleted, r.person, r.fact, r.source, r.how, r.meta, r.body
    FROM resources r WHERE r.tenant = $1 AND r.kind = $2 AND r.id > $3 AND r.deleted = 1 ORDER BY r.id LIMIT $4";
const ADD: &str =
    "INSERT INTO resources (number, tenant, kind, id, version, updated, deleted, person, store, fact, source, how, salt, meta, body)
    VALUES ($1, $2, $3, $4, 1, $5, 0, $6, $7, $8, $9, $10, $11, $12, $13)";
const SUPERSEDE: &str = "INSERT INTO versions (tenant, kind, id, version, updated, deleted, source, how, salt, meta, body)
    SELECT tenant, kind, id, version, updated, deleted, source, how, salt, meta, body FROM resources WHERE number = $1";
const CHANGE: &str =
    "UPDATE resources SET version = $1, updated = $2, deleted = $3, person = $4, store = $5, fact = $6, source = $7,
    how = $8, salt = $9, meta = $10, body = $11 WHERE number = $12";

/// What is written of a resource.
pub(super) struct Written<'a> {
    pub(super) number: i64,
    pub(super) version: i64,
    pub(super) updated: i64,
    pub(super) deleted: bool,
    pub(super) person: Person,
    pub(super) store: &'a str,
    pub(super) fact: i64,
    pub(super) source: &'a str,
    pub(super) how: How,
    pub(super) salt: &'a str,
    pub(super) meta: &'a str,
    pub(super) body: &'a str,
}

/// The tenant whose name follows this one.
pub(super) async fn tenant_after(reader: &Reader, tenant: &str) -> Result<Option<String>, Error> {
    reader.row(TENANT, &[Cell::Text(tenant)]).await?.map(|mut row| row.text()).transpose()
}

/// The current versions of a type in the order of their ids, deletions too.
pub(super) async fn kept(reader: &Reader, scope: &Scope, kind: &str, after: &str, count: i64) -> Result<Vec<Stored>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Text(kind), Cell::Text(after), Cell::Int(count)];
    reader.each(KEPT, &cells, stored).await
}

/// What was deleted of a type, in the order of its ids.
pub(super) async fn deleted(reader: &Reader, scope: &Scope, kind: &str, after: &str, count: i64) -> Result<Vec<Stored>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Text(kind), Cell::Text(after), Cell::Int(count)];
    reader.each(DELETED, &cells, stored).await
}

/// A row of [`COLUMNS`].
pub(super) fn stored(row: &mut Passed<'_>) -> Result<Stored, Error> {
    let number = row.int()?;
    numbered(number, row)
}

/// A row of [`COLUMNS`] that was joined; `None` where there was nothing to be joined.
pub(super) fn joined(row: &mut Passed<'_>) -> Result<Option<Stored>, Error> {
    let number = row.int()?;
    (number != 0).then(|| numbered(number, row)).transpose()
}

fn numbered(number: i64, row: &mut Passed<'_>) -> Result<Stored, Error> {
    Ok(Stored {
        number,
        kind: row.text()?.into_owned(),
        id: row.text()?.into_owned(),
        version: row.int()?,
        updated: row.int()?,
        deleted: row.int()? != 0,
        person: Person(row.int()?),
        fact: row.int()?,
        source: row.text()?.into_owned(),
        how: How::of(&row.text()?),
        meta: row.text()?.into_owned(),
        body: row.text()?.into_owned(),
    })
}

/// The current version, a deletion too.
pub(super) async fn read(reader: &Reader, scope: &Scope, kind: &str, id: &str) -> Result<Option<Stored>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Text(kind), Cell::Text(id)];
    Ok(reader.each(READ, &cells, stored).await?.pop())
}

/// The current version as the writer sees it.
pub(super) async fn current(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    kind: &str,
    id: &str,
) -> Result<Option<Stored>, Error> {
    Ok(transaction.each(READ, &[Cell::Text(tenant), Cell::Text(kind), Cell::Text(id)], stored).await?.pop())
}

/// A past version.
pub(super) async fn version(reader: &Reader, scope: &Scope, kind: &str, id: &str, version: i64) -> Result<Option<Stored>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Text(kind), Cell::Text(id), Cell::Int(version)];
    Ok(reader.each(VERSION, &cells, stored).await?.pop())
}

/// Past versions, newest first.
pub(super) async fn history(reader: &Reader, scope: &Scope, kind: &str, id: &str, count: i64) -> Result<Vec<Stored>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Text(kind), Cell::Text(id), Cell::Int(count)];
    reader.each(HISTORY, &cells, stored).await
}

/// Past versions that were not imported, newest first.
pub(super) async fn acting(reader: &Reader, scope: &Scope, kind: &str, id: &str, count: i64) -> Result<Vec<Stored>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Text(kind), Cell::Text(id), Cell::Int(count)];
    reader.each(ACTING, &cells, stored).await
}

/// What a person (and all who were united with them) has of one type, latest first.
pub(super) async fn held(reader: &Reader, scope: &Scope, person: Person, kind: &str, count: i64) -> Result<Vec<Stored>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Int(person.0), Cell::Text(kind), Cell::Int(count)];
    reader.each(HELD, &cells, stored).await
}

/// What changed of one type from a stamp on, deletions too, in the order of change; `after` is the number of the last one seen.
pub(super) async fn changed(
    reader: &Reader,
    scope: &Scope,
    kind: &str,
    (since, after): (i64, i64),
    count: i64,
) -> Result<Vec<Stored>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Text(kind), Cell::Int(since), Cell::Int(after), Cell::Int(count)];
    reader.each(CHANGED, &cells, stored).await
}

/// Adds a first version.
pub(super) async fn add(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    kind: &str,
    id: &str,
    written: &Written<'_>,
) -> Result<(), Error> {
    let cells = [
        Cell::Int(written.number),
        Cell::Text(tenant),
        Cell::Text(kind),
        Cell::Text(id),
        Cell::Int(written.updated),
        Cell::Int(written.person.0),
        Cell::Text(written.store),
        Cell::Int(written.fact),
        Cell::Text(written.source),
        Cell::Text(written.how.word()),
        Cell::Text(written.salt),
        Cell::Text(written.meta),
        Cell::Text(written.body),
    ];
    transaction.run(ADD, &cells).await
}

/// Puts a new version in the place of the current one, which stays readable as a past version.
pub(super) async fn change(transaction: &mut Transaction<'_>, written: &Written<'_>) -> Result<(), Error> {
    transaction.run(SUPERSEDE, &[Cell::Int(written.number)]).await?;
    let cells = [
        Cell::Int(written.version),
        Cell::Int(written.updated),
        Cell::Int(i64::from(written.deleted)),
        Cell::Int(written.person.0),
        Cell::Text(written.store),
        Cell::Int(written.fact),
        Cell::Text(written.source),
        Cell::Text(written.how.word()),
        Cell::Text(written.salt),
        Cell::Text(written.meta),
        Cell::Text(written.body),
        Cell::Int(written.number),
    ];
    transaction.run(CHANGE, &cells).await
}
