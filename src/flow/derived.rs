//! What Signa itself makes goes into memory by the same call as what arrives.

use serde_json::Value;

use super::{Flow, Refused, broken};
use crate::check;
use crate::fhir::kinds;
use crate::fhir::outcome::Issue;
use crate::identify;
use crate::ledger::{
    self, Basis, Change, Draft, Expect, How, Mark, Person, Precondition, Recorded, Refusal, Scope, Subject, Unit,
};

/// What one reaction came to: resources and rows that become true together.
#[derive(Debug, Clone)]
pub struct Derived {
    /// Whose ledger.
    pub scope: Scope,
    /// About whom: what names no Patient is on this person's chain.
    pub person: Person,
    /// How many reactions led to it.
    pub depth: u8,
    /// Resources, each with its `resourceType` and `id`.
    pub outputs: Vec<Output>,
    /// Rows of reaction and delivery.
    pub marks: Vec<Mark>,
    /// What must still be true when it is written.
    pub expects: Vec<Expect>,
    /// What it was derived from, which must be so when it is written.
    pub basis: Basis,
}

/// One resource made by Signa.
#[derive(Debug, Clone)]
pub struct Output {
    /// The resource.
    pub resource: Value,
    /// What must be true of the stored one: `Absent` for what must not be made twice.
    pub when: Precondition,
}

impl Flow {
    /// What the beat hands in. `VersionConflict` and `Exists` say that somebody was faster, `Busy` that what it was built on
    /// has changed or that the ledger is full, `Beyond` that a rule may not fire so often: then it is derived again. `Rule` says that what we made has faults of its own.
    pub async fn record_derived(&self, derived: Derived) -> Result<Recorded, Refused> {
        let changes = derived.outputs.iter().map(|output| change(output, derived.person)).collect::<Result<Vec<_>, _>>()?;
        let unit = Unit {
            scope: derived.scope,
            how: How::Derived,
            source: String::from("signa"),
            depth: derived.depth,
            expects: derived.expects,
            basis: derived.basis,
            changes,
            marks: derived.marks,
        };
        self.ledger.record_all(unit).await.map_err(|error| match error {
            ledger::Error::Refused(Refusal::Stale) => Refused::Busy,
            ledger::Error::Refused(Refusal::Version { current, .. }) => Refused::VersionConflict { current },
            ledger::Error::Refused(Refusal::Exists { .. }) => Refused::Exists,
            ledger::Error::Refused(Refusal::Beyond(beyond)) => Refused::Beyond(beyond),
            ledger::Error::Refused(Refusal::Twice { .. }) => {
                let words = "A reaction says two things of one resource.";
                Refused::Rule(vec![Issue::error("business-rule", "same-resource-twice", "", words)])
            }
            error => broken(error),
        })
    }
}

/// What we make is checked as strictly as what others send; a fault in it is ours.
fn change(output: &Output, person: Person) -> Result<Change, Refused> {
    let text = |name: &str| output.resource.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, id) = (text("resourceType"), text("id"));
    let faults: Vec<Issue> = check::value(&output.resource, None, "").into_iter().filter(Issue::refuses).collect();
    if !faults.is_empty() {
        return Err(Refused::Rule(faults));
    }
    let draft = identify::draft(&output.resource);
    let is_about = draft.subject != Subject::Itself && kinds::is_about(&kind, &output.resource);
    // Of several records that are one, it is filed under the one that it is about.
    let subject = if is_about || person == Person::NOBODY { draft.subject } else { Subject::Known(person) };
    Ok(Change { kind, id, when: output.when, resource: Some(Draft { subject, is_only_named: false, ..draft }) })
}
