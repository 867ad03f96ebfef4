//! Who is who: persons, the identifiers that lead to them, and how two persons are found to be one.

use std::collections::BTreeMap;

use super::dialect::{Cell, Reader, Transaction};
use super::{Error, Person, Scope};

/// System under which a literal reference such as `Patient/123` stands among the identifiers.
pub(super) const LITERAL: &str = "";

/// What a reference to a Patient of ours begins with.
pub(super) const PATIENT: &str = "Patient/";

const BY_IDENTIFIER: &str = "SELECT p.survivor FROM identifiers i JOIN people p ON p.tenant = i.tenant AND p.person = i.person
    WHERE i.tenant = $1 AND i.system = $2 AND i.value = $3";
const NAMED: &str = "SELECT person FROM identifiers WHERE tenant = $1 AND system = $2 AND value = $3";
const NAME: &str = "SELECT i.value FROM identifiers i WHERE i.tenant = $1 AND i.person = $2 AND i.system = '' AND i.value >= $3
    ORDER BY i.value LIMIT 1";
const KNOWN_AS: &str = "SELECT survivor FROM people WHERE tenant = $1 AND person = $2";
const KNOW_AS: &str = "UPDATE people SET survivor = $1 WHERE tenant = $2 AND person = $3";
const ALL_KNOWN_AS: &str = "SELECT person FROM people WHERE tenant = $1 AND survivor = $2 ORDER BY person LIMIT $3";
const HEADS: &str = "SELECT p.person, p.ordinal FROM people p WHERE p.tenant = $1
    AND p.person IN (SELECT s.person FROM people s WHERE s.tenant = $1 AND s.survivor = $2) ORDER BY p.person LIMIT $3";
const KNOWS_SYSTEM: &str = "SELECT person FROM identifiers WHERE tenant = $1 AND system = $2 LIMIT 1";
const KEEP_IDENTIFIER: &str =
    "INSERT INTO identifiers (tenant, system, value, person) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const ADD: &str = "INSERT INTO people (tenant, person, survivor, created, ordinal, head, sealed_ordinal, sealed_head)
    VALUES ($1, $2, $3, $4, 0, '', 0, '') ON CONFLICT DO NOTHING";
const HEAD: &str = "SELECT ordinal, head FROM people WHERE tenant = $1 AND person = $2";
const SET_HEAD: &str = "UPDATE people SET ordinal = $1, head = $2 WHERE tenant = $3 AND person = $4";
const UNITED: &str = "SELECT p.person FROM people p WHERE p.tenant = $1
    AND p.survivor = (SELECT q.survivor FROM people q WHERE q.tenant = $1 AND q.person = $2) ORDER BY p.person LIMIT $3";
const CHAINS: &str = "SELECT p.person, p.ordinal,
    (SELECT COUNT(*) FROM partings g WHERE g.tenant = p.tenant AND g.person = p.person) FROM people p WHERE p.tenant = $1
    AND p.person IN (SELECT s.person FROM people s WHERE s.tenant = $1
    AND s.survivor = (SELECT q.survivor FROM people q WHERE q.tenant = $1 AND q.person = $2)) ORDER BY p.person LIMIT $3";
const SURVIVORS: &str =
    "SELECT p.person, p.survivor FROM people p WHERE p.tenant = $1 AND p.person IN ($2, $3, $4, $5, $6, $7, $8, $9,
    $10, $11, $12, $13, $14, $15, $16, $17)";
const UNITE: &str = "UPDATE people SET survivor = $1 WHERE tenant = $2
    AND person IN (SELECT s.person FROM people s WHERE s.tenant = $2 AND s.survivor = $3)";

/// The last entry of a chain.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) ordinal: i64,
    pub(super) hash: String,
}

/// The person an identifier leads to, whoever that person is one with: what names them is filed there, so that a union can be
/// taken back.
pub(super) async fn named(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    system: &str,
    value: &str,
) -> Result<Option<Person>, Error> {
    let row = transaction.row(NAMED, &[Cell::Text(tenant), Cell::Text(system), Cell::Text(value)]).await?;
    row.map(|mut row| Ok(Person(row.int()?))).transpose()
}

/// Whether a person is known as a Patient of ours, or is to be.
pub(super) async fn has_name(transaction: &mut Transaction<'_>, tenant: &str, person: Person) -> Result<bool, Error> {
    let row = transaction.row(NAME, &[Cell::Text(tenant), Cell::Int(person.0), Cell::Text(PATIENT)]).await?;
    row.map_or(Ok(false), |mut row| row.text().map(|name| name.starts_with(PATIENT)))
}

/// As whom a person is known, after all unions.
pub(super) async fn known_as(transaction: &mut Transaction<'_>, tenant: &str, person: Person) -> Result<Person, Error> {
    let row = transaction.row(KNOWN_AS, &[Cell::Text(tenant), Cell::Int(person.0)]).await?;
    row.map_or(Ok(person), |mut row| row.int().map(Person))
}

/// From now on one person alone is known as `survivor`.
pub(super) async fn know_as(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    person: Person,
    survivor: Person,
) -> Result<(), Error> {
    transaction.run(KNOW_AS, &[Cell::Int(survivor.0), Cell::Text(tenant), Cell::Int(person.0)]).await
}

/// All who are known as this one, in their order; `None` where they are too many.
pub(super) async fn all_known_as(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    survivor: Person,
) -> Result<Option<Vec<Person>>, Error> {
    let cells = [Cell::Text(tenant), Cell::Int(survivor.0), Cell::Int(UNITED_MAX + 1)];
    let mut rows = transaction.rows(ALL_KNOWN_AS, &cells).await?;
    let found: Vec<Person> = rows.iter_mut().map(|row| row.int().map(Person)).collect::<Result<_, _>>()?;
    Ok((i64::try_from(found.len()).is_ok_and(|count| count <= UNITED_MAX)).then_some(found))
}

/// Those who are known as this one, as many as a story tells of, each with the last entry of their chain that is written.
pub(super) async fn heads(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    survivor: Person,
) -> Result<Vec<(Person, i64)>, Error> {
    let cells = [Cell::Text(tenant), Cell::Int(survivor.0), Cell::Int(UNITED_MAX)];
    let mut rows = transaction.rows(HEADS, &cells).await?;
    rows.iter_mut().map(|row| Ok((Person(row.int()?), row.int()?))).collect()
}

/// The person an identifier leads to, after all unions.
pub(super) async fn identified(reader: &Reader, scope: &Scope, system: &str, value: &str) -> Result<Option<Person>, Error> {
    let row = reader.row(BY_IDENTIFIER, &[Cell::Text(&scope.tenant), Cell::Text(system), Cell::Text(value)]).await?;
    row.map(|mut row| Ok(Person(row.int()?))).transpose()
}

/// Whether anybody has an identifier of this system.
pub(super) async fn knows_system(reader: &Reader, scope: &Scope, system: &str) -> Result<bool, Error> {
    Ok(reader.row(KNOWS_SYSTEM, &[Cell::Text(&scope.tenant), Cell::Text(system)]).await?.is_some())
}

/// Lets an identifier lead to a person from now on; what it led to before stays.
pub(super) async fn keep_identifier(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    (system, value): (&str, &str),
    person: Person,
) -> Result<(), Error> {
    transaction.run(KEEP_IDENTIFIER, &[Cell::Text(tenant), Cell::Text(system), Cell::Text(value), Cell::Int(person.0)]).await
}

/// Adds a person.
pub(super) async fn add(transaction: &mut Transaction<'_>, tenant: &str, person: Person, at: i64) -> Result<(), Error> {
    transaction.run(ADD, &[Cell::Text(tenant), Cell::Int(person.0), Cell::Int(person.0), Cell::Int(at)]).await
}

/// The last entry of a person's chain; `None` when there is no such person.
pub(super) async fn head(transaction: &mut Transaction<'_>, tenant: &str, person: Person) -> Result<Option<Head>, Error> {
    let row = transaction.row(HEAD, &[Cell::Text(tenant), Cell::Int(person.0)]).await?;
    row.map(|mut row| Ok(Head { ordinal: row.int()?, hash: row.text()? })).transpose()
}

/// Remembers the last entry of a person's chain.
pub(super) async fn set_head(transaction: &mut Transaction<'_>, tenant: &str, person: Person, head: &Head) -> Result<(), Error> {
    transaction.run(SET_HEAD, &[Cell::Int(head.ordinal), Cell::Text(&head.hash), Cell::Text(tenant), Cell::Int(person.0)]).await
}

/// All who are one with a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chains {
    /// Each with the last entry of their chain, the one they are known as first.
    pub last: Vec<(Person, i64)>,
    /// Whether any of them was ever parted from somebody.
    pub were_parted: bool,
}

/// Persons that are looked up in one statement.
const SURVIVORS_AT_ONCE: usize = 16;

/// The most persons that are known to be one.
const UNITED_MAX: i64 = 1_000;

/// All who are one with a person, the survivor first: it is always the oldest.
pub(super) async fn united(reader: &Reader, scope: &Scope, person: Person) -> Result<Vec<Person>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Int(person.0), Cell::Int(UNITED_MAX)];
    reader.rows(UNITED, &cells).await?.iter_mut().map(|row| row.int().map(Person)).collect()
}

/// The same, each with the last entry of their chain.
pub(super) async fn chains(reader: &Reader, scope: &Scope, person: Person) -> Result<Chains, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Int(person.0), Cell::Int(UNITED_MAX)];
    let mut chains = Chains::default();
    for mut row in reader.rows(CHAINS, &cells).await? {
        chains.last.push((Person(row.int()?), row.int()?));
        chains.were_parted |= row.int()? > 0;
    }
    Ok(chains)
}

/// As whom these persons are known, after all unions; somebody of whom nothing is known, as themselves.
pub(super) async fn survivors(reader: &Reader, scope: &Scope, persons: &[Person]) -> Result<BTreeMap<Person, Person>, Error> {
    let mut known: BTreeMap<Person, Person> = persons.iter().map(|person| (*person, *person)).collect();
    for some in persons.chunks(SURVIVORS_AT_ONCE) {
        // What is left of the places is nobody's.
        let padded = some.iter().copied().chain(std::iter::repeat(Person::NOBODY)).take(SURVIVORS_AT_ONCE);
        let cells: Vec<Cell> = std::iter::once(Cell::Text(&scope.tenant)).chain(padded.map(|one| Cell::Int(one.0))).collect();
        for mut row in reader.rows(SURVIVORS, &cells).await? {
            known.insert(Person(row.int()?), Person(row.int()?));
        }
    }
    Ok(known)
}

/// Whether any person is known as another.
pub(super) async fn are_united(reader: &Reader) -> Result<bool, Error> {
    Ok(reader.row("SELECT person FROM people WHERE survivor <> person LIMIT 1", &[]).await?.is_some())
}

/// From now on `other` (and all who were united with it) is known as `survivor`; nothing is rewritten.
pub(super) async fn unite(transaction: &mut Transaction<'_>, tenant: &str, survivor: Person, other: Person) -> Result<(), Error> {
    transaction.run(UNITE, &[Cell::Int(survivor.0), Cell::Text(tenant), Cell::Int(other.0)]).await
}
