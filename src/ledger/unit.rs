//! What is handed to [`super::Ledger::record`]: changes that become true together, with the conditions they rest on.

use std::sync::Arc;

use serde_json::Value;

use super::{Basis, Decision, Due, Mark, Person, Scope, Supply};
use crate::fhir::search::query::Query;

/// Changes that are recorded all or not at all.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Whose ledger.
    pub scope: Scope,
    /// How it was learned.
    pub how: How,
    /// Who sent it: the client's name; `signa` for our own.
    pub source: String,
    /// How many reactions led to it: 0 for what came from outside.
    pub depth: u8,
    /// What must still be true inside the batch, else the unit is refused as [`super::Refusal::Stale`].
    pub expects: Vec<Expect>,
    /// What it was decided on.
    pub basis: Basis,
    /// Resources to write, in this order.
    pub changes: Vec<Change>,
    /// Rows of reaction and delivery that become true with them.
    pub marks: Vec<Mark>,
}

/// How something was learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Sent to us as it happened: rules act on it.
    Live,
    /// Learned afterwards: no rule fires for it.
    Import,
    /// Made by Signa itself.
    Derived,
}

impl How {
    /// The word kept in the store.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Import => "import",
            Self::Derived => "derived",
        }
    }

    /// From the word kept in the store.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "import" => Self::Import,
            "derived" => Self::Derived,
            _ => Self::Live,
        }
    }
}

/// A search whose answer a change was built on; it is asked again inside the batch.
#[derive(Debug, Clone)]
pub struct Expect {
    /// What was searched.
    pub query: Query,
    /// So many were asked for.
    pub most: u32,
    /// What was found: ids, at most so many.
    pub found: Vec<String>,
    /// The horizon before it was searched: all that was stamped earlier could be seen then, UTC milliseconds.
    pub since: i64,
}

/// One write of one resource.
#[derive(Debug, Clone)]
pub struct Change {
    /// The resource type.
    pub kind: String,
    /// The resource id.
    pub id: String,
    /// What must be true of the stored one.
    pub when: Precondition,
    /// The resource to be stored; `None` deletes it.
    pub resource: Option<Draft>,
}

/// What must be true of the stored resource for a change to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing: it is created or updated.
    None,
    /// It must never have existed: a create with an id of our own.
    Absent,
    /// Its current version must be this (`If-Match`).
    Version(i64),
}

/// A resource made ready for the store: all that can be computed before the writer's turn.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Members of `meta` as sent, without `versionId` and `lastUpdated`, as JSON text without braces; empty when none.
    pub meta: String,
    /// The resource without `id` and `meta`, as JSON text that begins with `resourceType`.
    pub body: String,
    /// Search rows.
    pub rows: Arc<[super::search::Line]>,
    /// Whose it is.
    pub subject: Subject,
    /// Whether it only names them, and is not about them.
    pub is_only_named: bool,
    /// The resource's own identifiers that have both system and value.
    pub identifiers: Vec<(String, String)>,
    /// Of a Patient: those whom it replaced or was replaced by.
    pub links: Vec<Subject>,
    /// When it happened, UTC milliseconds.
    pub happened: Option<i64>,
    /// The Organization id of the store it happened in.
    pub store: String,
    /// Whether somebody says STOP in it: until that is heard, nothing is written that was decided without it.
    pub is_stop: bool,
    /// The resource as it was parsed, for who hears of it at once; may be left out.
    pub accepted: Option<Arc<Value>>,
}

/// Whose a resource is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Nobody's: it goes on the tenant's own chain.
    Nobody,
    /// It is itself a Patient.
    Itself,
    /// `Patient/123`.
    Literal(String),
    /// A logical reference: system and value.
    Identifier(String, String),
    /// Both were given; either leads to the person.
    Both(String, String, String),
    /// Known already: what Signa itself derives about a person.
    Known(Person),
}

/// What became of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The resource type.
    pub kind: String,
    /// The resource id.
    pub id: String,
    /// The version that is current now.
    pub version: i64,
    /// Its stamp, UTC milliseconds.
    pub updated: i64,
    /// Whether it did not exist (or was deleted) before.
    pub created: bool,
    /// Whether nothing had to be written (the same content again, or a delete of what is not there).
    pub unchanged: bool,
    /// Whose it is.
    pub person: Person,
}

/// What became of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recorded {
    /// One per change, in the same order.
    pub receipts: Vec<Receipt>,
    /// The notices that got a number.
    pub notices: Vec<super::Noticed>,
}

impl Unit {
    /// A unit of one change from outside.
    #[must_use]
    pub fn one(scope: Scope, how: How, source: &str, change: Change) -> Self {
        let (source, changes) = (source.to_owned(), vec![change]);
        Self { scope, how, source, depth: 0, expects: Vec::new(), basis: Basis::default(), changes, marks: Vec::new() }
    }

    /// Rows of reaction alone.
    #[must_use]
    pub fn marks(scope: Scope, marks: Vec<Mark>) -> Self {
        Self {
            scope,
            how: How::Derived,
            source: String::from("signa"),
            depth: 0,
            expects: Vec::new(),
            basis: Basis::default(),
            changes: Vec::new(),
            marks,
        }
    }
}

impl From<Decision> for Mark {
    fn from(decision: Decision) -> Self {
        Self::Decided(decision)
    }
}

impl From<Due> for Mark {
    fn from(due: Due) -> Self {
        Self::Due(due)
    }
}

impl From<Supply> for Mark {
    fn from(supply: Supply) -> Self {
        Self::Supplied(supply)
    }
}
