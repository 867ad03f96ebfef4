//! Who says that persons are one, and who was taken for one with others for a time.

use std::collections::BTreeMap;

use super::dialect::{Cell, Reader, Row, Transaction};
use super::{Error, Person, Scope};

const OF_PATIENT: &str =
    "SELECT u.person, u.other, u.link, u.said, u.at FROM unions u WHERE u.tenant = $1 AND u.person = $2 AND u.patient = $3";
const AMONG: &str = "SELECT u.person, u.other, u.link, u.said, u.at FROM unions u WHERE u.tenant = $1
    AND u.person IN (SELECT p.person FROM people p WHERE p.tenant = $1 AND p.survivor = $2)";
const SET: &str = "INSERT INTO unions (tenant, person, other, patient, link, said, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (tenant, person, other, patient, link) DO UPDATE SET said = excluded.said, at = excluded.at";
const REMEMBER: &str = "INSERT INTO partings (tenant, person, known_as, since, until) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (tenant, person, known_as, until) DO UPDATE SET
    since = CASE WHEN partings.since < excluded.since THEN partings.since ELSE excluded.since END";
// SQLite keeps the order of a CROSS JOIN: from the person to theirs, never through all who were ever parted. Of two who were parted
// at one moment there are rows in each group that both were in; the first of them says since when they were one.
const PARTED: &str =
    "SELECT q.person, MIN(q.since), q.until FROM people g CROSS JOIN partings p CROSS JOIN partings q CROSS JOIN people o
    WHERE g.tenant = $1 AND g.survivor = (SELECT s.survivor FROM people s WHERE s.tenant = $1 AND s.person = $2)
    AND p.tenant = g.tenant AND p.person = g.person
    AND q.tenant = p.tenant AND q.known_as = p.known_as AND q.until = p.until AND q.person IN (SELECT r.person FROM partings r
    WHERE r.tenant = p.tenant AND r.known_as = p.known_as AND r.until = p.until)
    AND o.tenant = q.tenant AND o.person = q.person AND o.survivor <> g.survivor
    GROUP BY q.until, q.person ORDER BY q.until DESC, q.person DESC LIMIT $3";

/// The most that is told of whom a person was taken for: the latest.
const PARTED_MAX: i64 = 1_000;

/// What a Patient says, or once said, of two persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    /// Of the Patient.
    pub(super) person: Person,
    /// Who is one with it.
    pub(super) other: Person,
    /// Whether a link says so; else an identifier does.
    pub(super) is_link: bool,
    /// Whether it still says so.
    pub(super) stands: bool,
    /// When it was said, UTC milliseconds.
    pub(super) at: i64,
}

/// Somebody who was taken for one with a person, and is not now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parting {
    /// Who.
    pub person: Person,
    /// Since when, UTC milliseconds.
    pub since: i64,
    /// Until when.
    pub until: i64,
}

/// What one Patient says, and once said.
pub(super) async fn of_patient(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    person: Person,
    patient: &str,
) -> Result<Vec<Said>, Error> {
    let cells = [Cell::Text(tenant), Cell::Int(person.0), Cell::Text(patient)];
    transaction.rows(OF_PATIENT, &cells).await?.iter_mut().map(said).collect()
}

/// What is said, and once was, of all who are known as one.
pub(super) async fn among(transaction: &mut Transaction<'_>, tenant: &str, survivor: Person) -> Result<Vec<Said>, Error> {
    transaction.rows(AMONG, &[Cell::Text(tenant), Cell::Int(survivor.0)]).await?.iter_mut().map(said).collect()
}

fn said(row: &mut Row) -> Result<Said, Error> {
    Ok(Said {
        person: Person(row.int()?),
        other: Person(row.int()?),
        is_link: row.int()? != 0,
        stands: row.int()? != 0,
        at: row.int()?,
    })
}

/// Remembers what a Patient says.
pub(super) async fn set(transaction: &mut Transaction<'_>, tenant: &str, patient: &str, said: &Said) -> Result<(), Error> {
    let cells = [
        Cell::Text(tenant),
        Cell::Int(said.person.0),
        Cell::Int(said.other.0),
        Cell::Text(patient),
        Cell::Int(i64::from(said.is_link)),
        Cell::Int(i64::from(said.stands)),
        Cell::Int(said.at),
    ];
    transaction.run(SET, &cells).await
}

/// Remembers that a person was one of a group for a time; at each moment its name tells it from others.
pub(super) async fn remember(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    person: Person,
    group: Person,
    (since, until): (i64, i64),
) -> Result<(), Error> {
    let cells = [Cell::Text(tenant), Cell::Int(person.0), Cell::Int(group.0), Cell::Int(since), Cell::Int(until)];
    transaction.run(REMEMBER, &cells).await
}

/// Who was taken for one with a person (and all who are one with them) and is not now, in the order in which they were parted; of more
/// than are told, the latest.
pub(super) async fn parted(reader: &Reader, scope: &Scope, person: Person) -> Result<Vec<Parting>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Int(person.0), Cell::Int(PARTED_MAX)];
    let parting = |row: &mut Row| Ok(Parting { person: Person(row.int()?), since: row.int()?, until: row.int()? });
    let mut found: Vec<Parting> = reader.rows(PARTED, &cells).await?.iter_mut().map(parting).collect::<Result<_, Error>>()?;
    found.reverse();
    Ok(found)
}

/// For each of these persons, the first of all who are one by what is said.
///
/// A link that was taken back says nothing. An identifier that a Patient does not name any more still does, since senders leave
/// out what they do not know; but not of two persons of whom a link was taken back.
pub(super) fn firsts(persons: &[Person], said: &[Said]) -> BTreeMap<Person, Person> {
    let is_pair = |one: &Said, other: &Said| {
        (one.person, one.other) == (other.person, other.other) || (one.person, one.other) == (other.other, other.person)
    };
    let is_taken_back = |one: &Said| said.iter().any(|other| other.is_link && !other.stands && is_pair(one, other));
    let holds = |one: &&Said| one.stands || (!one.is_link && !is_taken_back(one));
    let mut first: BTreeMap<Person, Person> = persons.iter().map(|person| (*person, *person)).collect();
    for one in said.iter().filter(holds) {
        let (Some(a), Some(b)) = (first.get(&one.person).copied(), first.get(&one.other).copied()) else { continue };
        for known in first.values_mut().filter(|known| **known == a.max(b)) {
            *known = a.min(b);
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(person: i64, other: i64, is_link: bool, stands: bool) -> Said {
        Said { person: Person(person), other: Person(other), is_link, stands, at: 0 }
    }

    fn groups(said: &[Said]) -> Vec<i64> {
        let persons = [1, 2, 3, 4].map(Person);
        firsts(&persons, said).into_values().map(|first| first.0).collect()
    }

    #[test]
    fn who_is_one_follows_from_what_is_still_said() {
        assert_eq!(groups(&[]), [1, 2, 3, 4]);
        assert_eq!(groups(&[said(3, 2, true, true), said(4, 3, true, true)]), [1, 2, 2, 2]);
        assert_eq!(groups(&[said(3, 2, true, false), said(4, 3, true, true)]), [1, 2, 3, 3]);
        assert_eq!(groups(&[said(2, 1, true, false), said(1, 2, true, true)]), [1, 1, 3, 4], "the other still says so");
        assert_eq!(groups(&[said(9, 1, true, true)]), [1, 2, 3, 4], "who is not among them joins nobody");
    }

    #[test]
    fn an_identifier_that_is_left_out_counts_until_a_link_is_taken_back() {
        assert_eq!(groups(&[said(2, 1, false, false)]), [1, 1, 3, 4]);
        assert_eq!(groups(&[said(2, 1, false, false), said(1, 2, true, false)]), [1, 2, 3, 4]);
        assert_eq!(groups(&[said(2, 1, false, true), said(1, 2, true, false)]), [1, 1, 3, 4]);
        assert_eq!(groups(&[said(2, 1, false, false), said(3, 1, true, false)]), [1, 1, 3, 4], "of another pair");
    }
}
