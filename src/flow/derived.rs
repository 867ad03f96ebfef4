//! What Signa itself makes goes into memory by the same call as what arrives.

use serde_json::Value;

use crate::ledger::{Expect, Mark, Person, Precondition, Scope};

/// What one reaction came to: resources and rows that become true together.
#[derive(Debug, Clone)]
pub struct Derived {
    /// Whose ledger.
    pub scope: Scope,
    /// About whom; every output is on this person's chain.
    pub person: Person,
    /// How many reactions led to it.
    pub depth: u8,
    /// Resources, each with its `resourceType` and `id`.
    pub outputs: Vec<Output>,
    /// Rows of reaction and delivery.
    pub marks: Vec<Mark>,
    /// What must still be true when it is written.
    pub expects: Vec<Expect>,
}

/// One resource made by Signa.
#[derive(Debug, Clone)]
pub struct Output {
    /// The resource.
    pub resource: Value,
    /// What must be true of the stored one: `Absent` for what must not be made twice.
    pub when: Precondition,
}
