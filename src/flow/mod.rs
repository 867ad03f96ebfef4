//! A stand-in of the way, until the real one is merged: it keeps what it is given in memory and checks nothing.

mod bundle;
mod memory;

pub use bundle::{Answer, Reader, Wanted};
pub use memory::Ledger;

use std::sync::Arc;

use crate::clock::Clock;
use crate::fhir::outcome::Issue;
use crate::ledger::{self, Receipt, Scope, Stored};

/// The way into memory. A clone leads to the same ledger.
#[derive(Clone)]
pub struct Flow {
    /// Where it is remembered.
    pub ledger: Ledger,
    /// What time it is.
    pub clock: Clock,
    /// Our own address.
    pub base: Arc<str>,
}

/// Who hands something in.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Whose ledger it goes to.
    pub scope: Scope,
    /// The client's name.
    pub source: String,
    /// How it was learned.
    pub how: ledger::How,
}

/// What became of one interaction that was not refused.
#[derive(Debug, Clone)]
pub struct Done {
    /// What the ledger says of it.
    pub receipt: Receipt,
    /// The resource as it is kept now; `None` after a delete.
    pub stored: Option<Stored>,
    /// What should be mended although it was accepted.
    pub issues: Vec<Issue>,
}

/// Why an interaction was refused, by what its sender can do about it.
#[derive(Debug, Clone)]
pub enum Refused {
    /// The text or the address has faults: mend all of these.
    Issues(Vec<Issue>),
    /// It is well-formed, but breaks a rule of ours (a move of a Task, an endpoint that may not be called).
    Rule(Vec<Issue>),
    /// It does not exist.
    NotFound,
    /// It was deleted.
    Gone,
    /// Another version is current: read it and try again.
    VersionConflict {
        /// The current version; `None` when it does not exist.
        current: Option<i64>,
    },
    /// It exists already, and was to be made new.
    Exists,
    /// The criteria find several: be more precise.
    MultipleMatches,
    /// What a conditional reference of a transaction names is not there exactly once.
    Unresolved(Vec<Issue>),
    /// This interaction is not offered here.
    NotSupported(String),
    /// Larger than a named bound.
    TooLarge(String),
    /// More is asked than is bearable now: come again.
    Busy,
    /// The fault is ours. The words are for the log, never for the sender.
    Broken(String),
    /// One entry of a transaction was refused, and so the whole.
    Entry {
        /// Which, from 0.
        index: usize,
        /// Why.
        cause: Box<Refused>,
    },
}

impl Flow {
    /// A way into this ledger.
    #[must_use]
    pub fn new(ledger: Ledger, clock: Clock) -> Self {
        Self { ledger, clock, base: Arc::from("") }
    }

    /// `POST [type]`
    pub async fn create(&self, _sender: &Sender, kind: &str, body: &[u8], _if_none_exist: Option<&str>) -> Result<Done, Refused> {
        let id = uuid::Uuid::now_v7().to_string();
        self.ledger.put(kind, &id, body, self.clock.now(), None)
    }

    /// `PUT [type]/[id]`
    pub async fn update(&self, _: &Sender, kind: &str, id: &str, body: &[u8], if_match: Option<i64>) -> Result<Done, Refused> {
        self.ledger.put(kind, id, body, self.clock.now(), if_match)
    }

    /// `PUT [type]?criteria`
    pub async fn update_where(&self, _: &Sender, _: &str, _: &str, _: &[u8], _: Option<i64>) -> Result<Done, Refused> {
        Err(Refused::MultipleMatches)
    }

    /// `DELETE [type]/[id]`
    pub async fn delete(&self, _: &Sender, kind: &str, id: &str, if_match: Option<i64>) -> Result<Done, Refused> {
        self.ledger.remove(kind, id, self.clock.now(), if_match)
    }

    /// `DELETE [type]?criteria`
    pub async fn delete_where(&self, _: &Sender, _: &str, _: &str) -> Result<Done, Refused> {
        Err(Refused::MultipleMatches)
    }

    /// `POST [base]`
    pub async fn bundle<R: Reader>(&self, _: &Sender, _: &[u8], reader: &R) -> Result<String, Refused> {
        let answer = reader.read(Wanted { method: "GET", url: "Patient/1", if_none_match: None, if_modified_since: None }).await;
        let _ = (reader.base(), reader.refusal(&Refused::NotFound));
        Ok(answer.status)
    }
}
