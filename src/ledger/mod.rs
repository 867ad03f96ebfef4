//! Remembers and finds again: the only room that knows a database.
//!
//! `Ledger::record` is the one door in: resource version, search rows, ledger entry and event become true together.
//! A new table is one migration per database, of the same number and name, and one file here.

mod mark;
pub mod search;
mod stub;
mod unit;

pub use mark::{Decision, Due, Lane, Mark, Outcome, Subscription, Supply};
pub use stub::Ledger;
pub use unit::{Change, Draft, Expect, How, Precondition, Receipt, Subject, Unit};

use std::sync::Arc;

/// Who is asking: every read takes one, so isolation cannot be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The organisation whose ledger it is.
    pub tenant: Arc<str>,
}

/// A chain of the ledger. 0 is the tenant's own chain, for what has no person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Person(pub i64);

impl Person {
    /// What has no person.
    pub const NOBODY: Self = Self(0);
}

/// A resource as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Stays for all versions.
    pub number: i64,
    /// The resource type.
    pub kind: String,
    /// The resource id.
    pub id: String,
    /// The version.
    pub version: i64,
    /// Its stamp, UTC milliseconds.
    pub updated: i64,
    /// Whether this version is a deletion; then there is no body.
    pub deleted: bool,
    /// Whose it is.
    pub person: Person,
    /// Number of the first resource that states the same fact.
    pub fact: i64,
    /// Who sent it.
    pub source: String,
    /// How it was learned.
    pub how: How,
    /// Members of `meta` as sent; see [`Draft::meta`].
    pub meta: String,
    /// See [`Draft::body`].
    pub body: String,
}

/// Something recorded and not yet reacted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number in the queue.
    pub number: i64,
    /// Whose ledger.
    pub scope: Scope,
    /// Whose it is.
    pub person: Person,
    /// The resource type.
    pub kind: String,
    /// The resource id.
    pub id: String,
    /// The version it is about.
    pub version: i64,
    /// created, updated or deleted.
    pub line: Line,
    /// How it was learned.
    pub how: How,
    /// How many reactions led to it.
    pub depth: u8,
    /// When, UTC milliseconds.
    pub learned: i64,
}

/// What an entry of the ledger says of its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// It was new, or came back.
    Created,
    /// It changed.
    Updated,
    /// It was deleted.
    Deleted,
    /// Two persons were united.
    Linked,
}

/// What a caller can do about a failed act.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The unit was refused; nothing of it was written.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// More is queued than is bearable; ask again.
    #[error("the ledger is busy")]
    Busy,
    /// The database failed. Nothing of the unit was written.
    #[error("the database failed: {0}")]
    Broken(String),
}

/// Why a unit was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Another version is current than the precondition named; `None` when it does not exist.
    Version {
        /// Index of the change in its unit.
        change: usize,
        /// The current version.
        current: Option<i64>,
    },
    /// It exists, and was expected not to.
    Exists {
        /// Index of the change in its unit.
        change: usize,
    },
    /// A search has another answer now than the unit was built on: build it again.
    Stale,
}
