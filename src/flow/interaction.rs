//! One interaction as it is carried along the way: what is asked, and what it is aimed at.
//! Follows <https://hl7.org/fhir/R4/http.html>.

use std::sync::Arc;

use serde_json::Value;

use super::{Flow, Refused};
use crate::check;
use crate::fhir::outcome::Issue;
use crate::fhir::patch::Patch;
use crate::fhir::search::query::Query;
use crate::identify::bundle::is_id;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Make a new one.
    Create,
    /// Put this in its place, or make it.
    Update,
    /// Change what the patch says, and nothing else.
    Patch,
    /// Delete it.
    Delete,
}

/// The search that a conditional interaction rests on.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    /// What they mean in one spelling: what has the same key is the same search.
    pub(super) key: String,
    /// What they mean.
    pub(super) query: Query,
}

/// One wish of a sender, checked and not yet aimed at a resource of the ledger.
#[derive(Debug, Clone)]
pub(super) struct Interaction {
    /// What is to be done.
    pub(super) act: Act,
    /// The resource type.
    pub(super) kind: String,
    /// The id in the address.
    pub(super) id: Option<String>,
    /// The search that a conditional interaction rests on.
    pub(super) condition: Option<Condition>,
    /// The version that must be current.
    pub(super) if_match: Option<i64>,
    /// The resource; `None` for a delete, and for a patch until it was applied.
    pub(super) resource: Option<Value>,
    /// What is to be changed.
    pub(super) patch: Option<Arc<Patch>>,
    /// What should be mended in it.
    pub(super) warnings: Vec<Issue>,
    /// Index of its entry in a transaction, and the fullUrl there.
    pub(super) entry: Option<(usize, Option<String>)>,
}

impl Interaction {
    /// A wish without any condition.
    pub(super) fn new(act: Act, kind: &str) -> Self {
        Self {
            act,
            kind: kind.to_owned(),
            id: None,
            condition: None,
            if_match: None,
            resource: None,
            patch: None,
            warnings: Vec::new(),
            entry: None,
        }
    }

    /// Where the issues of its resource begin: `Bundle.entry[3].resource`, or the type of a resource that came alone.
    pub(super) fn place(&self) -> String {
        self.entry.as_ref().map_or_else(|| self.kind.clone(), |(index, _)| format!("Bundle.entry[{index}].resource"))
    }

    /// The id in the body.
    pub(super) fn body_id(&self) -> Option<&str> {
        self.resource.as_ref()?.get("id")?.as_str()
    }

    /// A refusal that tells which entry it is about.
    pub(super) fn refused(&self, cause: Refused) -> Refused {
        match &self.entry {
            Some((index, _)) => Refused::Entry { index: *index, cause: Box::new(cause) },
            None => cause,
        }
    }
}

impl Flow {
    /// Checks a body and makes a wish of it.
    #[expect(clippy::unused_self, reason = "a wish is made on the way it will go")]
    pub(super) fn wish(&self, act: Act, kind: &str, body: &[u8]) -> Result<Interaction, Refused> {
        let checked = check::resource(body, Some(kind)).map_err(Refused::Issues)?;
        Ok(Interaction { resource: Some(checked.value), warnings: checked.warnings, ..Interaction::new(act, kind) })
    }

    /// Reads the criteria of a conditional interaction.
    pub(super) fn condition(&self, kind: &str, criteria: &str) -> Result<Condition, Refused> {
        let query = super::criteria::read(kind, criteria, &self.base, self.clock.now()).map_err(Refused::Issues)?;
        Ok(Condition { key: super::criteria::key(&query), query })
    }
}

/// The body of an update names the id that the address names.
pub(super) fn same_id(wish: &Interaction, id: &str) -> Result<(), Refused> {
    let place = format!("{}.id", wish.place());
    match wish.body_id() {
        Some(body) if body == id => Ok(()),
        Some(_) => {
            Err(refuse(Issue::error("invalid", "wrong-id", place, "The id of the resource must be the id in the address.")))
        }
        None => Err(refuse(Issue::error("required", "missing-id", place, "An update needs the id in the resource, too."))),
    }
}

/// The id in an address must be one.
pub(super) fn real_id(id: &str) -> Result<(), Refused> {
    if is_id(id) {
        return Ok(());
    }
    Err(refuse(Issue::error("invalid", "invalid-id", "", "An id has 1 to 64 letters, digits, '-' and '.'.")))
}

/// A refusal for one fault of the sender.
pub(super) fn refuse(issue: Issue) -> Refused {
    Refused::Issues(vec![issue])
}
