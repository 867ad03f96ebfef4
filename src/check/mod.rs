//! Says whether a resource is well-formed and true to the standard: every fault at once, each with its place.
//! Follows <https://hl7.org/fhir/R4/validation.html>.
//!
//! Two stations: the guard makes one JSON value of the bytes, the shape holds it against the tables of R4.

mod bundle;
pub mod canon;
mod coded;
mod contained;
mod findings;
pub mod guard;
mod invariants;
mod json;
pub mod moves;
mod place;
mod primitive;
pub mod profile;
mod reference;
mod shape;
mod suggestion;
pub mod thorough;
mod xhtml;

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::fhir::definitions::{self, Flavour};
use crate::fhir::outcome::Issue;
use findings::Findings;
use place::Place;
use shape::Walker;

pub use bundle::{Bundle, ENTRIES_MAX, Entry, bundle};
pub use findings::ISSUES_MAX;
pub use invariants::unchecked;
pub use json::DEPTH_MAX;

/// A resource that may enter, and what should be mended in it nevertheless.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The resource.
    pub value: Value,
    /// Remarks that do not refuse it.
    pub warnings: Vec<Issue>,
}

/// Checks the body of a single resource; `expected` is the type that the address names.
pub fn resource(bytes: &[u8], expected: Option<&str>) -> Result<Checked, Vec<Issue>> {
    sized_resource(bytes, guard::BODY_BYTES_MAX, expected)
}

/// Checks a body as [`resource`] does, with another bound on its size.
pub fn sized_resource(bytes: &[u8], bytes_max: usize, expected: Option<&str>) -> Result<Checked, Vec<Issue>> {
    let mut findings = Findings::default();
    let document = guard::read(bytes, bytes_max, None, &mut findings);
    if let Some(document) = &document {
        walk(&document.value, expected, &root(&document.value), &mut findings);
    }
    let issues = findings.into_issues();
    match document {
        Some(document) if !issues.iter().any(Issue::refuses) => Ok(Checked { value: document.value, warnings: issues }),
        _ => Err(issues),
    }
}

/// Everything that is found in a body, whether it refuses or not, and its value as far as it could be read.
#[must_use]
pub fn examined(bytes: &[u8], bytes_max: usize) -> (Option<Value>, Vec<Issue>) {
    let mut findings = Findings::default();
    let document = guard::read(bytes, bytes_max, None, &mut findings);
    if let Some(document) = &document {
        walk(&document.value, None, &root(&document.value), &mut findings);
    }
    (document.map(|document| document.value), findings.into_issues())
}

/// Checks a resource that is already a value; places begin with `prefix`, or with the resource type if it is empty.
#[must_use]
pub fn value(value: &Value, expected: Option<&str>, prefix: &str) -> Vec<Issue> {
    let mut findings = Findings::default();
    let place = if prefix.is_empty() { root(value) } else { Place::Root(prefix) };
    if is_deeper(value, DEPTH_MAX) {
        let words = format!("The elements are nested deeper than {DEPTH_MAX} levels; send a flatter resource.");
        return vec![Issue::error("structure", "too-deep", place.to_string(), words)];
    }
    walk(value, expected, &place, &mut findings);
    findings.into_issues()
}

/// Looks at what the references of a resource lead to, and at nothing else: for one that was checked before they were turned into ours.
/// Places begin with `prefix`.
#[must_use]
pub fn references(value: &Value, prefix: &str) -> Vec<Issue> {
    let mut findings = Findings::default();
    reference::all(value, &Place::Root(prefix), &mut findings);
    findings.into_issues()
}

fn walk(value: &Value, expected: Option<&str>, place: &Place<'_>, findings: &mut Findings) {
    Walker { findings, skips_entries: false }.resource(value, expected, place);
}

fn root(value: &Value) -> Place<'static> {
    Place::Root(type_name(value))
}

/// The resource type by which places in this value are named.
fn type_name(value: &Value) -> &'static str {
    let name = value.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    definitions::node(name).filter(|node| node.flavour == Flavour::Resource).map_or("Resource", |node| node.name)
}

/// Whether arrays and objects stand deeper in each other than this; it looks no deeper itself.
fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| is_deeper(item, levels - 1)),
        Value::Object(map) => levels == 0 || map.values().any(|item| is_deeper(item, levels - 1)),
        _ => false,
    }
}
