//! Patches: small changes of a resource, as RFC 6902 writes them in JSON or as FHIR writes them in Parameters.
//! Follows <https://hl7.org/fhir/R4/http.html#patch> and <https://hl7.org/fhir/R4/fhirpatch.html>.
//!
//! A patch is read once and applied to the version that is current then. It gives a new resource or the issues for which it
//! gives none; whether that resource is a good one is for `check`.

mod json;
mod members;
mod narrative;
mod parameters;
mod path;
mod place;
mod pointer;
mod vacated;
mod weight;

#[cfg(test)]
mod tests;

pub use narrative::settle as settle_narrative;

use serde_json::Value;

use super::outcome::Issue;

/// A patch may have so many operations.
pub const OPERATIONS_MAX: usize = 500;
/// What a patch makes may have so many bytes, and what it copies and moves on the way may have as many.
pub const RESULT_BYTES_MAX: usize = 16 << 20;
/// Arrays and objects of the result may stand in each other so deep, as in every body.
pub const DEPTH_MAX: usize = 64;

/// A patch, read.
#[derive(Debug, Clone)]
pub struct Patch(Sort);

#[derive(Debug, Clone)]
enum Sort {
    Json(Vec<json::Operation>),
    Path(Vec<parameters::Operation>),
}

impl Patch {
    /// Reads a JSON Patch (RFC 6902).
    pub fn of_json(document: Value) -> Result<Self, Vec<Issue>> {
        json::read(document).map(|operations| Self(Sort::Json(operations)))
    }

    /// Reads a FHIRPath Patch from a Parameters resource that was found to be well-formed.
    pub fn of_parameters(parameters: &Value) -> Result<Self, Vec<Issue>> {
        parameters::read(parameters).map(|operations| Self(Sort::Path(operations)))
    }

    /// What the patch makes of a resource, all operations in their order or none.
    pub fn apply(&self, resource: &Value) -> Result<Value, Issue> {
        let mut patched = resource.clone();
        match &self.0 {
            Sort::Json(operations) => json::apply(operations, &mut patched)?,
            Sort::Path(operations) => path::apply(operations, &mut patched)?,
        }
        let weight = weight::of(&patched);
        if weight.bytes > RESULT_BYTES_MAX || weight.depth > DEPTH_MAX {
            return Err(too_large(""));
        }
        Ok(patched)
    }
}

/// What does not fit. The same words wherever it is noticed.
fn too_large(place: &str) -> Issue {
    let words = format!(
        "What the patch makes is larger than {RESULT_BYTES_MAX} bytes or nested deeper than {DEPTH_MAX} levels; send a smaller one."
    );
    Issue::error("too-long", "patch-too-large", place, words)
}

/// Refuses a patch of more operations than are taken.
fn bounded(count: usize, place: &str) -> Result<(), Vec<Issue>> {
    if count <= OPERATIONS_MAX {
        return Ok(());
    }
    let words = format!("The patch has {count} operations; at most {OPERATIONS_MAX} are taken.");
    Err(vec![Issue::error("too-long", "too-many-operations", place, words)])
}
