//! Contained resources: they are used, they nest no further, and they have no life of their own.
//! Follows <https://hl7.org/fhir/R4/references.html#contained>.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::findings::Findings;
use super::place::Place;
use crate::fhir::outcome::Issue;
use crate::fhir::path::Context;

/// What is known of the resource that stands by itself while its parts are looked at.
pub(super) struct Scope<'v> {
    root: &'v Value,
    /// The resource at hand: the root, or what is contained in it.
    resource: &'v Value,
    context: Option<Context<'v>>,
    /// The resource types of what is contained, by id.
    contained: HashMap<&'v str, &'v str>,
    /// Ids of contained resources that an address was seen to name.
    referred: HashSet<&'v str>,
}

impl<'v> Scope<'v> {
    /// The scope of a resource that stands by itself.
    pub(super) fn of(root: &'v Value) -> Self {
        let items = contained_in(root)
            .iter()
            .filter_map(|item| Some((word(item, "id")?, word(item, "resourceType").unwrap_or_default())));
        Self { root, resource: root, context: None, contained: items.collect(), referred: HashSet::new() }
    }

    /// Enters a contained resource, or comes back to the one that was left; gives the one that was at hand before.
    pub(super) fn enter(&mut self, resource: &'v Value) -> &'v Value {
        self.context = None;
        std::mem::replace(&mut self.resource, resource)
    }

    /// The names that an invariant may use; made when the first one asks.
    pub(super) fn context(&mut self) -> &Context<'v> {
        let (resource, root) = (self.resource, self.root);
        self.context.get_or_insert_with(|| Context::new().with_resource("resource", resource).with_resource("rootResource", root))
    }

    /// Remembers an address that may name a contained resource.
    pub(super) fn note(&mut self, address: &'v str) {
        if let Some(id) = address.strip_prefix('#').filter(|_| !self.contained.is_empty()) {
            self.referred.insert(id);
        }
    }

    /// The resource type of what is contained under this id.
    pub(super) fn contained_kind(&self, id: &str) -> Option<&'v str> {
        self.contained.get(id).copied()
    }

    /// When the whole resource has been seen: everything contained must be referred to, or refer to what contains it (dom-3), by an id
    /// of its own.
    pub(super) fn finish(self, place: &Place<'_>, findings: &mut Findings) {
        let mut ids = HashSet::new();
        for (index, item) in contained_in(self.root).iter().enumerate() {
            if word(item, "id").is_some_and(|id| !ids.insert(id)) {
                let words = "Another contained resource has this id; give each one of its own.";
                findings.push(Issue::error("duplicate", "contained-id", format!("{place}.contained[{index}].id"), words));
            }
            let is_used = word(item, "id").is_some_and(|id| self.referred.contains(id));
            if !is_used && !refers_out(item) {
                let words = "The contained resource is referred to from nowhere; refer to it by '#' and its id, or leave it out.";
                findings.push(Issue::error("invariant", "dom-3", format!("{place}.contained[{index}]"), words));
            }
        }
    }
}

fn contained_in(resource: &Value) -> &[Value] {
    resource.get("contained").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn word<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
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
