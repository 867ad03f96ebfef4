//! The whole way on one page: bytes are checked, identified, recorded, answered. Nothing is decided here, and nothing waits.
//! Follows <https://hl7.org/fhir/R4/http.html>.
//!
//! Conditional interactions hold no transaction: they search first, hand the search and its answer in with the unit, and
//! build again from scratch when the writer finds another answer ([`REBUILDS_MAX`] times, then [`Refused::Busy`]).

mod admit;
mod again;
mod aim;
mod bundle;
mod criteria;
mod derived;
mod everything;
mod import;
mod interaction;
mod library;
mod patch;
mod profiles;
mod radius;
mod rehearse;
mod rules;
mod secret;
mod settle;
mod story;

#[cfg(test)]
mod tests;

pub use again::Again;
pub use bundle::{Answer, Reader, Telling, Wanted};
pub use criteria::listened;
pub use derived::{Derived, Output};
pub use everything::{At, Everything, Found, OTHERS_MAX, Range, Shelf};
pub use library::LOOK_EVERY;
pub use patch::Sent;
pub use rehearse::{Order, PERSON_ENTRIES_MAX, Rehearser, Stage};
pub use story::{Seen, Teller, fresh, resource};

use std::sync::Arc;

use serde_json::Value;

use interaction::{Act, Interaction, real_id, same_id};
use settle::broken;

use crate::clock::Clock;
use crate::fhir::outcome::Issue;
use crate::ledger::{self, Ledger, Receipt, Scope, Stored};
use crate::react::Live;
use crate::speak;

/// A conditional interaction is built so often before its sender is asked to come again.
///
/// So many senders may change one resource at once without naming a version: of those who lose a turn, each is one turn nearer.
pub const REBUILDS_MAX: usize = 64;

/// The way into memory. A clone leads to the same ledger.
#[derive(Clone)]
pub struct Flow {
    /// Where it is remembered.
    pub ledger: Ledger,
    /// What time it is.
    pub clock: Clock,
    /// Our own address, as senders write it into references (`https://host/fhir`, without a slash at its end); may be empty.
    pub base: Arc<str>,
    /// Where Subscriptions may have us call.
    pub speak: Arc<speak::Settings>,
    /// What was learned of profiles and terms.
    library: library::Library,
    /// The rules of all tenants, which a PlanDefinition must fit.
    pub rules: Arc<Live>,
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
    /// The resource as it is kept now; `None` after a delete. Its number is not known here (0).
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
    /// A rule would have fired more often than it may, or was stopped: decide again.
    Beyond(ledger::Beyond),
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
        Self {
            ledger,
            clock,
            base: Arc::from(""),
            speak: Arc::default(),
            library: library::Library::default(),
            rules: Arc::default(),
        }
    }

    /// The same way, known to its senders under this address.
    #[must_use]
    pub fn at(self, base: &str) -> Self {
        Self { base: Arc::from(base.trim_end_matches('/')), ..self }
    }

    /// The same way, with these limits to where Subscriptions may have us call.
    #[must_use]
    pub fn speaking(self, settings: speak::Settings) -> Self {
        Self { speak: Arc::new(settings), ..self }
    }

    /// The same way, on which everybody knows these definitions from the start.
    #[must_use]
    pub fn knowing(self, resources: &[Value]) -> Self {
        Self { library: library::Library::of(resources), ..self }
    }

    /// The same way, with these rules.
    #[must_use]
    pub fn deciding(self, rules: Live) -> Self {
        Self { rules: Arc::new(rules), ..self }
    }

    /// `POST [type]`: always a new resource, unless `if_none_exist` finds one.
    /// Follows <https://hl7.org/fhir/R4/http.html#create>.
    pub async fn create(&self, sender: &Sender, kind: &str, body: &[u8], if_none_exist: Option<&str>) -> Result<Done, Refused> {
        let build = || {
            let condition = if_none_exist.map(|criteria| self.condition(kind, criteria)).transpose()?;
            Ok(vec![Interaction { condition, ..self.wish(Act::Create, kind, body)? }])
        };
        one(self.settle(sender, build).await)
    }

    /// `PUT [type]/[id]`: a new version, or a new resource under the sender's id.
    /// Follows <https://hl7.org/fhir/R4/http.html#update>.
    pub async fn update(
        &self,
        sender: &Sender,
        kind: &str,
        id: &str,
        body: &[u8],
        if_match: Option<i64>,
    ) -> Result<Done, Refused> {
        let build = || {
            real_id(id)?;
            let wish = Interaction { id: Some(id.to_owned()), if_match, ..self.wish(Act::Update, kind, body)? };
            same_id(&wish, id)?;
            Ok(vec![wish])
        };
        one(self.settle(sender, build).await)
    }

    /// `PUT [type]?criteria`. Follows <https://hl7.org/fhir/R4/http.html#cond-update>.
    pub async fn update_where(
        &self,
        sender: &Sender,
        kind: &str,
        criteria: &str,
        body: &[u8],
        if_match: Option<i64>,
    ) -> Result<Done, Refused> {
        let build = || {
            let condition = Some(self.condition(kind, criteria)?);
            Ok(vec![Interaction { condition, if_match, ..self.wish(Act::Update, kind, body)? }])
        };
        one(self.settle(sender, build).await)
    }

    /// `DELETE [type]/[id]`; what is not there is deleted already. Follows <https://hl7.org/fhir/R4/http.html#delete>.
    pub async fn delete(&self, sender: &Sender, kind: &str, id: &str, if_match: Option<i64>) -> Result<Done, Refused> {
        let build = || {
            real_id(id)?;
            Ok(vec![Interaction { id: Some(id.to_owned()), if_match, ..Interaction::new(Act::Delete, kind) }])
        };
        one(self.settle(sender, build).await)
    }

    /// `DELETE [type]?criteria`: at most one. Follows <https://hl7.org/fhir/R4/http.html#3.1.0.7.1>.
    pub async fn delete_where(
        &self,
        sender: &Sender,
        kind: &str,
        criteria: &str,
        if_match: Option<i64>,
    ) -> Result<Done, Refused> {
        let build = || {
            let condition = Some(self.condition(kind, criteria)?);
            Ok(vec![Interaction { condition, if_match, ..Interaction::new(Act::Delete, kind) }])
        };
        one(self.settle(sender, build).await)
    }
}

fn one(done: Result<Vec<Done>, Refused>) -> Result<Done, Refused> {
    done?.pop().ok_or_else(|| Refused::Broken(String::from("an interaction came to nothing")))
}
