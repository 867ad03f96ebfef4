//! The rules that run: read from PlanDefinitions once, indexed by what they listen to.
//! Follows <https://hl7.org/fhir/R4/plandefinition.html>.

use serde_json::Value;

use super::{Concern, Occasion, Wants};
use crate::fhir::outcome::Issue;
use crate::ledger::Line;

/// All rules of the house, with the concept groups, products and zones they rest on.
#[derive(Debug, Default)]
pub struct Rules {}

impl Rules {
    /// Reads artefacts; later ones replace earlier ones of the same url. All faults are returned; a plan with a fault does not run.
    #[must_use]
    pub fn read(artefacts: &[Value]) -> (Self, Vec<Issue>) {
        let _ = artefacts;
        (Self::default(), Vec::new())
    }

    /// Whether an event about this resource needs a story.
    #[must_use]
    pub fn concerns(&self, kind: &str, line: Line, value: &Value) -> Concern {
        let _ = (kind, line, value);
        Concern::Nothing
    }

    /// What must be loaded to react to it.
    #[must_use]
    pub fn wants(&self, occasion: &Occasion) -> Wants {
        let _ = occasion;
        Wants::default()
    }
}
