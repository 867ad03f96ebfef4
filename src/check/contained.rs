//! Contained resources: they are used, they nest no further, and they have no life of their own.
//! Follows <https://hl7.org/fhir/R4/references.html#contained>.

use serde_json::{Map, Value};

use super::findings::Findings;
use super::place::Place;
use crate::fhir::outcome::Issue;

/// What is known of the resource that stands by itself while its parts are looked at.
pub(super) struct Scope<'v> {
    contained: &'v [Value],
    /// Addresses seen that begin with `#`.
    referred: Vec<&'v str>,
}

impl<'v> Scope<'v> {
    /// The scope of a resource that stands by itself.
    pub(super) fn of(map: &'v Map<String, Value>) -> Self {
        let contained = match map.get("contained") {
            Some(Value::Array(items)) => items.as_slice(),
            _ => &[],
        };
        Self { contained, referred: Vec::new() }
    }

    /// Remembers an address that may name a contained resource.
    pub(super) fn note(&mut self, address: &'v str) {
        if !self.contained.is_empty() && address.starts_with('#') {
            self.referred.push(address);
        }
    }

    /// The resource type of what is contained under this id.
    pub(super) fn contained_kind(&self, id: &str) -> Option<&'v str> {
        let found = self.contained.iter().find(|item| item.get("id").and_then(Value::as_str) == Some(id))?;
        Some(found.get("resourceType").and_then(Value::as_str).unwrap_or_default())
    }

    /// When the whole resource has been seen: everything contained must be referred to, or refer to what contains it (dom-3).
    pub(super) fn finish(self, map: &Map<String, Value>, place: &Place<'_>, findings: &mut Findings) {
        if !map.contains_key("contained") {
            return;
        }
        for (index, item) in self.contained.iter().enumerate() {
            let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
            let is_used =
                self.referred.iter().any(|address| address.strip_prefix('#').is_some_and(|used| used == id && !id.is_empty()));
            if !is_used && !refers_out(item) {
                let words = "The contained resource is referred to from nowhere; refer to it by '#' and its id, or leave it out.";
                findings.push(Issue::error("invariant", "dom-3", format!("{place}.contained[{index}]"), words));
            }
        }
    }
}

/// Looks at one contained resource, apart from its elements (dom-2, dom-4, dom-5).
pub(super) fn check_one(map: &Map<String, Value>, place: &Place<'_>, findings: &mut Findings) {
    let mut fault = |key, name: &str, words: &str| {
        findings.push(Issue::error("invariant", key, format!("{place}.{name}"), words));
    };
    if map.contains_key("contained") {
        fault(
            "dom-2",
            "contained",
            "A contained resource contains no further ones; put all of them into the outermost resource.",
        );
    }
    let Some(Value::Object(meta)) = map.get("meta") else { return };
    for name in ["versionId", "lastUpdated"] {
        if meta.contains_key(name) {
            fault("dom-4", &format!("meta.{name}"), "A contained resource has no version of its own; leave it out.");
        }
    }
    if meta.contains_key("security") {
        fault("dom-5", "meta.security", "A contained resource has no security label of its own; label the resource around it.");
    }
}

/// Whether some string in it is a bare `#`, by which it refers to the resource around it.
fn refers_out(value: &Value) -> bool {
    match value {
        Value::String(text) => text == "#",
        Value::Array(items) => items.iter().any(refers_out),
        Value::Object(map) => map.values().any(refers_out),
        _ => false,
    }
}
