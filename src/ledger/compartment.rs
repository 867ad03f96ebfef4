//! All that belongs to a person, or to any person, in a fixed order and in pieces, however much it is.

use super::dialect::{Cell, Reader};
use super::resources;
use super::{Error, Person, Scope, Stored};

const OF_PERSON: &str =
    "SELECT r.number, r.kind, r.id, r.version, r.updated, r.deleted, r.person, r.fact, r.source, r.how, r.meta, r.body
    FROM resources r WHERE r.tenant = $1 AND r.person = $2 AND (r.kind, r.number) > ($3, $4) AND r.deleted = 0
    ORDER BY r.kind, r.number LIMIT $5";
const OF_ALL: &str =
    "SELECT r.number, r.kind, r.id, r.version, r.updated, r.deleted, r.person, r.fact, r.source, r.how, r.meta, r.body
    FROM resources r WHERE r.tenant = $1 AND (r.person, r.kind, r.number) > ($2, $3, $4) AND r.deleted = 0
    ORDER BY r.person, r.kind, r.number LIMIT $5";

/// A place in the order of person, type and number; what comes next lies after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The person.
    pub person: Person,
    /// The resource type; empty before all of the person.
    pub kind: String,
    /// The resource's number.
    pub number: i64,
}

impl Place {
    /// Before all that belongs to a person.
    #[must_use]
    pub fn before(person: Person) -> Self {
        Self { person, kind: String::new(), number: 0 }
    }

    /// The place of a resource.
    #[must_use]
    pub fn of(stored: &Stored) -> Self {
        Self { person: stored.person, kind: stored.kind.clone(), number: stored.number }
    }
}

/// What a person has after a place, deletions left out.
pub(super) async fn of_person(reader: &Reader, scope: &Scope, after: &Place, count: i64) -> Result<Vec<Stored>, Error> {
    page(reader, OF_PERSON, scope, after, count).await
}

/// What all persons have after a place, deletions left out.
pub(super) async fn of_all(reader: &Reader, scope: &Scope, after: &Place, count: i64) -> Result<Vec<Stored>, Error> {
    page(reader, OF_ALL, scope, after, count).await
}

async fn page(reader: &Reader, statement: &'static str, scope: &Scope, after: &Place, count: i64) -> Result<Vec<Stored>, Error> {
    let cells = [
        Cell::Text(&scope.tenant),
        Cell::Int(after.person.0),
        Cell::Text(&after.kind),
        Cell::Int(after.number),
        Cell::Int(count),
    ];
    reader.each(statement, &cells, resources::stored).await
}
