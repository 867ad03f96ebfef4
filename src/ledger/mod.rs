//! Remembers and finds again: the only room that knows a database.
//!
//! `Ledger::record` is the one door in: resource version, ledger entry and event become true together, and whoever searches finds
//! what they can read.
//! A new table is one migration per database, of the same number and name, and one file here.

mod arms;
mod basis;
mod bonds;
mod chain;
pub mod changes;
mod checkpoints;
mod compartment;
mod dialect;
mod durable;
mod entries;
mod events;
mod fresh;
mod labels;
mod mark;
mod migrations;
mod numbers;
mod open;
mod pen;
mod people;
mod radius;
mod reaction;
mod record;
mod replay;
mod resources;
#[cfg(test)]
mod sample;
pub mod search;
mod stamps;
mod stored;
mod subscriptions;
mod turns;
mod unions;
mod unit;
mod verify;
pub mod versions;
mod whose;
mod writer;

pub use arms::Arm;
pub use basis::Basis;
pub use bonds::{Bond, Former, part};
pub use compartment::Place;
pub use fresh::Fresh;
pub use mark::{Decision, Due, Lane, Mark, Outcome, Secret, Secrets, Subscription, Supply};
pub use open::{Ledger, Settings};
pub use people::Chains;
pub use radius::{Beyond, Bound, Firing, HISTORY_DAYS, Halt, HaltState, KNOWN_DAYS};
pub use replay::Told;
pub use search::Page;
pub use stored::{DeadLetter, Entry, Event, Line, Notice, Noticed, Stored, Undelivered};
pub use turns::{Asked, Turn};
pub use unions::Parting;
pub use unit::{Change, Draft, Expect, How, Precondition, Receipt, Recorded, Subject, Unit};
pub use verify::Verdict;

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

/// What a caller can do about a failed act.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The unit was refused; nothing of it was written.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// More is queued than is bearable; ask again.
    #[error("the ledger is busy")]
    Busy,
    /// More would have to be looked at than is bearable: ask for less, as the sentence says.
    #[error("too costly: {0}")]
    TooCostly(&'static str),
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
    /// A rule would have fired more often than it may, or was stopped.
    Beyond(Beyond),
    /// It is named by an earlier change of its unit too: both would be written over the same version.
    Twice {
        /// Index of the change in its unit.
        change: usize,
    },
    /// A search has another answer now than the unit was built on: build it again.
    Stale,
}
