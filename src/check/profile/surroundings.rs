//! What stands around the value at hand, in which references are followed: what is contained, the other entries of a Bundle.
//! Follows <https://hl7.org/fhir/R4/references.html>.

use serde_json::Value;

use crate::fhir::definitions;
use crate::fhir::path::{Budget, Resolve};

/// A resource that lies beside the one at hand: its full address, if it has one, and itself.
pub type Neighbour<'v> = (Option<&'v str>, &'v Value);

/// Where references may lead to.
pub(super) struct Surroundings<'v> {
    /// The resource that stands by itself.
    pub(super) root: &'v Value,
    /// The resource at hand: the root, or what is contained in it.
    pub(super) resource: &'v Value,
    /// What came together with it.
    pub(super) beside: &'v [Neighbour<'v>],
    /// What is left of the work that the constraints of all profiles may do for the whole.
    pub(super) work: &'v Budget,
}

impl<'v> Surroundings<'v> {
    /// The same around another resource: one that is contained, or an entry with contained ones of its own.
    pub(super) fn entering(&self, resource: &'v Value) -> Self {
        let mut contained = self.root.get("contained").and_then(Value::as_array).into_iter().flatten();
        let is_inside = contained.any(|inner| std::ptr::eq(inner, resource));
        Self { root: if is_inside { self.root } else { resource }, resource, ..*self }
    }

    /// The resource that a Reference leads to, if it can be seen from here.
    pub(super) fn resolve(&self, reference: &Value) -> Option<&'v Value> {
        self.follow(reference.get("reference").and_then(Value::as_str)?)
    }

    /// The resource type that a Reference leads to, as far as it can be known.
    pub(super) fn kind_of(&self, reference: &Value) -> Option<&'static str> {
        let found = self.resolve(reference).and_then(|found| found.get("resourceType")).and_then(Value::as_str);
        let named = || {
            let literal = reference.get("reference").and_then(Value::as_str)?;
            let bare = literal.split_once("/_history/").map_or(literal, |(bare, _)| bare);
            let bare = bare.split('?').next()?;
            match bare.rsplit_once('/') {
                Some((before, _)) => before.rsplit('/').next(),
                None => Some(bare).filter(|_| literal.contains('?')),
            }
        };
        let said = || reference.get("type").and_then(Value::as_str);
        let kind = found.or_else(|| named().filter(|kind| definitions::is_resource(kind))).or_else(said)?;
        definitions::node(kind).map(|node| node.name)
    }

    fn follow(&self, literal: &str) -> Option<&'v Value> {
        let is = |value: &Value, key: &str, word: &str| value.get(key).and_then(Value::as_str) == Some(word);
        if let Some(id) = literal.strip_prefix('#') {
            if id.is_empty() {
                return Some(self.root);
            }
            let mut all = self.root.get("contained").and_then(Value::as_array).into_iter().flatten();
            return all.find(|inner| is(inner, "id", id));
        }
        let bare = literal.split_once("/_history/").map_or(literal, |(bare, _)| bare);
        let own = self.beside.iter().find(|(address, _)| *address == Some(bare));
        let (_, found) = own.or_else(|| {
            let (kind, id) = bare.split_once('/').filter(|(kind, _)| definitions::is_resource(kind))?;
            let is_it = |(address, value): &&Neighbour<'_>| {
                let ends = address.and_then(|address| address.strip_suffix(bare)).is_some_and(|base| base.ends_with('/'));
                ends || (is(value, "resourceType", kind) && is(value, "id", id))
            };
            self.beside.iter().find(is_it)
        })?;
        Some(found)
    }
}

impl Resolve for Surroundings<'_> {
    fn resolve(&self, reference: &str) -> Option<&Value> {
        self.follow(reference)
    }
}
