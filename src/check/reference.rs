//! References: whether the target is of a type that may stand there, and whether what is contained is there.
//! Follows <https://hl7.org/fhir/R4/references.html>.

use serde_json::{Map, Value};

use super::contained::Scope;
use super::findings::Findings;
use super::place::{Place, shown};
use super::suggestion::nearest;
use crate::fhir::definitions::{self, Element, Key, Node};
use crate::fhir::outcome::Issue;
use crate::fhir::search::is_id;

/// Looks at a Reference that stands in this element.
pub(super) fn check<'v>(
    element: &'static Element,
    map: &'v Map<String, Value>,
    place: &Place<'_>,
    scope: &mut Scope<'v>,
    findings: &mut Findings,
) {
    let said = map.get("type").and_then(Value::as_str);
    let literal = map.get("reference").and_then(Value::as_str).and_then(|literal| target(literal, place, scope, findings));
    if let Some(kind) = literal {
        must_fit(element, kind, place.element("reference"), findings);
    }
    let Some(said) = said else { return };
    let Some(said) = definitions::node(said).map(|node| node.name).filter(|name| definitions::is_resource(name)) else {
        if !said.contains(':') {
            let words = "Reference.type is the name of a resource type.";
            findings.push(Issue::error("value", "unknown-resource-type", place.element("type").to_string(), words));
        }
        return;
    };
    must_fit(element, said, place.element("type"), findings);
    if literal.is_some_and(|literal| literal != said) {
        let words = "Reference.type names another type than the reference itself.";
        findings.push(Issue::error("value", "reference-type", place.element("type").to_string(), words));
    }
}

/// Looks at all References of a resource. What a Bundle holds is left as it was sent, and was looked at then.
pub(super) fn all(resource: &Value, place: &Place<'_>, findings: &mut Findings) {
    let Some((node, map)) = resource_node(resource) else { return };
    within(node, map, place, &mut Scope::of(resource), findings);
}

fn resource_node(value: &Value) -> Option<(&'static Node, &Map<String, Value>)> {
    let map = value.as_object()?;
    let node = definitions::node(map.get("resourceType")?.as_str()?)?;
    (node.name != "Bundle").then_some((node, map))
}

fn within<'v>(
    node: &'static Node,
    map: &'v Map<String, Value>,
    place: &Place<'_>,
    scope: &mut Scope<'v>,
    findings: &mut Findings,
) {
    for (name, value) in map {
        let Some(key) = node.key(name).filter(|key| key.node().primitive.is_none()) else { continue };
        let (element, inner) = (node.element_of(key), place.element(node.element_of(key).name));
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    one(key, element, item, &inner.item(index), scope, findings);
                }
            }
            value => one(key, element, value, &inner, scope, findings),
        }
    }
}

fn one<'v>(
    key: &'static Key,
    element: &'static Element,
    value: &'v Value,
    place: &Place<'_>,
    scope: &mut Scope<'v>,
    findings: &mut Findings,
) {
    if key.kind == "Resource" && element.name != "contained" {
        return all(value, place, findings);
    }
    let Some(map) = value.as_object() else { return };
    if key.kind == "Reference" {
        check(element, map, place, scope, findings);
    }
    let node = if key.kind == "Resource" { resource_node(value).map(|(node, _)| node) } else { Some(key.node()) };
    if let Some(node) = node {
        within(node, map, place, scope, findings);
    }
}

/// The resource type that a literal reference names, as far as it can be known without looking it up.
fn target<'v>(literal: &'v str, place: &Place<'_>, scope: &mut Scope<'v>, findings: &mut Findings) -> Option<&'static str> {
    if let Some(id) = literal.strip_prefix('#') {
        scope.note(literal);
        let kind = scope.contained_kind(id);
        if kind.is_none() && !(id.is_empty() && place_is_contained(place)) {
            let words =
                "The reference begins with '#', but no contained resource has this id; contain it or refer to it by Type/id.";
            findings.push(Issue::error("invariant", "ref-1", place.element("reference").to_string(), words));
        }
        return kind.and_then(definitions::node).map(|node| node.name);
    }
    let first = literal.split(['/', '?']).next().filter(|first| first.len() < literal.len())?;
    let known = definitions::node(first).map(|node| node.name).filter(|name| definitions::is_resource(name));
    if known.is_none() && is_ours(first, &literal[first.len()..]) {
        unknown(first, place, findings);
    }
    known
}

fn unknown(kind: &str, place: &Place<'_>, findings: &mut Findings) {
    if findings.is_full() {
        return findings.leave_out();
    }
    let hint = nearest(kind, definitions::resource_names()).map_or_else(String::new, |name| format!(" Did you mean '{name}'?"));
    let words = format!("FHIR R4 has no resource type {}, so this leads to nothing.{hint}", shown(kind));
    findings.push(Issue::error("value", "unknown-resource-type", place.element("reference").to_string(), words));
}

/// Whether a reference that begins with this word means something that is kept here: by its id, or by criteria. The word looks like a
/// type, with a capital or but for one; what else is no address of a resource may be a name that others know, as test scripts name their
/// files (`fixtures/patient.json`).
fn is_ours(word: &str, rest: &str) -> bool {
    let is_type = || definitions::resource_names().any(|name| name.eq_ignore_ascii_case(word));
    let is_word = word.bytes().all(|byte| byte.is_ascii_alphabetic())
        && (word.starts_with(|first: char| first.is_ascii_uppercase()) || is_type());
    let id = || rest.strip_prefix('/').map(|rest| rest.split_once("/_history/").map_or(rest, |(id, _)| id));
    is_word && (rest.starts_with('?') || id().and_then(|id| id.split('#').next()).is_some_and(is_id))
}

fn must_fit(element: &'static Element, kind: &str, place: Place<'_>, findings: &mut Findings) {
    if !element.targets.is_empty() && !element.targets.split(' ').any(|target| target == kind) {
        let words = format!("A {kind} cannot stand here; refer to {}.", element.targets.replace(' ', ", "));
        findings.push(Issue::error("value", "wrong-reference-target", place.to_string(), words));
    }
}

/// Inside a contained resource a bare `#` means the resource around it.
fn place_is_contained(place: &Place<'_>) -> bool {
    match place {
        Place::Root(_) => false,
        Place::Element(_, "contained") => true,
        Place::Element(parent, _) | Place::Item(parent, _) => place_is_contained(parent),
    }
}
