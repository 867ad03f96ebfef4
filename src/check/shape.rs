//! Holds a resource against the tables of R4: elements, cardinality, choices, JSON types, formats, codes, references.
//! Follows <https://hl7.org/fhir/R4/json.html> and <https://hl7.org/fhir/R4/conformance-rules.html>.
//!
//! The walker never stops at a fault: what can still be understood is still looked at.

use serde_json::{Map, Value};

use super::contained::{self, Scope};
use super::findings::Findings;
use super::place::{Place, shown};
use super::{coded, invariants, primitive, reference, suggestion};
use crate::fhir::definitions::{self, Element, Flavour, Key, Node, Primitive};
use crate::fhir::outcome::Issue;

/// Walks one resource and what stands in it.
pub(super) struct Walker<'f> {
    /// Where the faults go.
    pub(super) findings: &'f mut Findings,
    /// Whether the resources of a Bundle's entries are looked at apart, each by itself.
    pub(super) skips_entries: bool,
}

type Object = Map<String, Value>;

impl Walker<'_> {
    /// Looks at a resource that stands by itself; `expected` is the type that the address names.
    pub(super) fn resource(&mut self, value: &Value, expected: Option<&str>, place: &Place<'_>) {
        let Some((node, map)) = self.resource_node(value, expected, place) else { return };
        let mut scope = Scope::of(value);
        self.object(node, map, place, &mut scope);
        invariants::hold(&node.invariants, value, node, place, &mut scope, self.findings);
        scope.finish(place, self.findings);
    }

    fn resource_node<'v>(
        &mut self,
        value: &'v Value,
        expected: Option<&str>,
        place: &Place<'_>,
    ) -> Option<(&'static Node, &'v Object)> {
        let Value::Object(map) = value else {
            self.fault("structure", "wrong-json-type", place, "A resource is an object with a resourceType.");
            return None;
        };
        let Some(name) = map.get("resourceType") else {
            self.fault("required", "no-resource-type", place, "Say with resourceType which type of resource this is.");
            return None;
        };
        let node = name.as_str().and_then(definitions::node).filter(|node| node.flavour == Flavour::Resource);
        let Some(node) = node else {
            self.fault("value", "unknown-resource-type", place, "The resourceType is none of R4; names are case-sensitive.");
            return None;
        };
        if let Some(expected) = expected.filter(|expected| *expected != node.name) {
            let words = format!("This is a {}; the address takes a {}.", node.name, shown(expected));
            self.fault("invalid", "wrong-resource-type", place, &words);
        }
        Some((node, map))
    }

    /// Looks at an object of a known type.
    fn object<'v>(&mut self, node: &'static Node, map: &'v Object, place: &Place<'_>, scope: &mut Scope<'v>) {
        let is_resource = node.flavour == Flavour::Resource;
        if map.is_empty() || (!is_resource && map.len() == 1 && map.contains_key("id")) {
            self.fault(
                "structure",
                "empty-value",
                place,
                "An element needs a value or elements of its own; leave it out if there is none.",
            );
            return;
        }
        let has_siblings = map.keys().any(|key| key.starts_with('_'));
        let mut seen = 0_u128;
        for (name, value) in map {
            if is_resource && name == "resourceType" {
                continue;
            }
            let (plain, is_sibling) = name.strip_prefix('_').map_or((name.as_str(), false), |plain| (plain, true));
            let known = node.key(plain).filter(|key| !is_sibling || key.node().primitive.is_some());
            let Some(key) = known else {
                self.unknown(node, name, place);
                continue;
            };
            let element = node.element_of(key);
            let bit = 1_u128 << key.element;
            if element.choice && seen & bit != 0 {
                self.second_choice(node, element, map, place);
            }
            seen |= bit;
            let inner = place.element(element.name);
            if is_sibling {
                self.sibling(key, element, value, map.get(plain), &inner, scope);
            } else {
                let beside = if has_siblings && key.node().primitive.is_some() { map.get(&format!("_{plain}")) } else { None };
                self.values(key, element, value, beside, &inner, scope);
            }
        }
        self.missing(node, seen, place);
    }

    fn unknown(&mut self, node: &'static Node, name: &str, place: &Place<'_>) {
        if self.findings.is_full() {
            return self.findings.leave_out();
        }
        let nearest = suggestion::nearest(name, node.keys.iter().map(|key| key.name));
        let hint = nearest.map_or_else(String::new, |nearest| format!(" Did you mean '{nearest}'?"));
        let words = format!("{} has no element '{}'.{hint}", node.name, shown(name));
        self.fault("structure", "unknown-element", &place.element(name), &words);
    }

    fn second_choice(&mut self, node: &'static Node, element: &'static Element, map: &Object, place: &Place<'_>) {
        let keys = node.keys_of(element).iter().map(|key| key.name);
        let given: Vec<_> = keys.filter(|key| map.contains_key(*key) || map.contains_key(&format!("_{key}"))).collect();
        if given.len() > 1 {
            let words = format!("Only one of {} may be given.", given.join(", "));
            self.fault("structure", "choice-given-twice", &place.element(element.name), &words);
        }
    }

    fn missing(&mut self, node: &'static Node, seen: u128, place: &Place<'_>) {
        let mut missing = node.required & !seen;
        while missing != 0 {
            let element = &node.elements[missing.trailing_zeros() as usize];
            let keys: Vec<_> = node.keys_of(element).iter().take(KEYS_NAMED_MAX).map(|key| key.name).collect();
            let words = format!("{} needs the element {}.", node.name, keys.join(" or "));
            self.fault("required", "missing-element", &place.element(element.name), &words);
            missing &= missing - 1;
        }
    }

    /// Looks at what stands under a key: one value, or an array where the element may repeat.
    fn values<'v>(
        &mut self,
        key: &'static Key,
        element: &'static Element,
        value: &'v Value,
        beside: Option<&Value>,
        place: &Place<'_>,
        scope: &mut Scope<'v>,
    ) {
        let Value::Array(items) = value else {
            if element.list && !value.is_null() {
                self.fault("structure", "not-a-list", place, "The element may repeat; write an array, also for one value.");
            }
            return self.one(key, element, value, place, scope);
        };
        if items.is_empty() {
            return self.fault("structure", "empty-value", place, "An empty array says nothing; leave the element out.");
        }
        if !element.list {
            self.fault("structure", "not-single", place, "The element does not repeat; write its one value without an array.");
        }
        for (index, item) in items.iter().enumerate() {
            if item.is_null() && sibling_at(beside, index).is_some_and(Value::is_object) {
                continue;
            }
            self.one(key, element, item, &place.item(index), scope);
        }
    }

    /// Looks at one value.
    fn one<'v>(
        &mut self,
        key: &'static Key,
        element: &'static Element,
        value: &'v Value,
        place: &Place<'_>,
        scope: &mut Scope<'v>,
    ) {
        if value.is_null() {
            let words =
                "A null stands only in the array of a primitive element, where its place beside '_' is filled; leave it out.";
            return self.fault("structure", "misplaced-null", place, words);
        }
        let node = key.node();
        if let Some(kind) = node.primitive {
            self.primitive(kind, element, value, place, scope);
            return invariants::hold(&element.invariants, value, node, place, scope, self.findings);
        }
        if key.kind == "Resource" {
            return self.inner_resource(element, value, place, scope);
        }
        let Value::Object(map) = value else {
            let words = format!("The element is a {}; write an object.", node.name);
            return self.fault("structure", "wrong-json-type", place, &words);
        };
        self.object(node, map, place, scope);
        match key.kind {
            "Reference" => reference::check(element, map, place, scope, self.findings),
            "CodeableConcept" => coded::concept(element, map, place, self.findings),
            "Extension" => self.extension(map, place),
            _ => {}
        }
        invariants::hold(&node.invariants, value, node, place, scope, self.findings);
        invariants::hold(&element.invariants, value, node, place, scope, self.findings);
    }

    fn primitive<'v>(
        &mut self,
        kind: Primitive,
        element: &'static Element,
        value: &'v Value,
        place: &Place<'_>,
        scope: &mut Scope<'v>,
    ) {
        if let Err(fault) = primitive::check(kind, value) {
            return self.fault(fault.code, fault.key, place, fault.words);
        }
        match (kind, value) {
            (Primitive::Code, Value::String(code)) => coded::code(element, code, place, self.findings),
            (Primitive::Uri | Primitive::Url | Primitive::Canonical, Value::String(address)) => scope.note(address),
            _ => {}
        }
    }

    fn inner_resource<'v>(&mut self, element: &'static Element, value: &'v Value, place: &Place<'_>, scope: &mut Scope<'v>) {
        if element.name != "contained" {
            let is_entry = matches!(place, Place::Element(Place::Item(Place::Element(Place::Root(_), "entry"), _), _));
            if !(self.skips_entries && is_entry) {
                self.resource(value, None, place);
            }
            return;
        }
        if let Some((node, map)) = self.resource_node(value, None, place) {
            let around = scope.enter(value);
            contained::check_one(map, place, self.findings);
            self.object(node, map, place, scope);
            invariants::hold(&node.invariants, value, node, place, scope, self.findings);
            scope.enter(around);
        }
    }

    /// What stands under `_key`: the id and the extensions of a primitive value.
    fn sibling<'v>(
        &mut self,
        key: &'static Key,
        element: &'static Element,
        value: &'v Value,
        beside: Option<&Value>,
        place: &Place<'_>,
        scope: &mut Scope<'v>,
    ) {
        let Value::Array(items) = value else {
            if element.list {
                self.fault("structure", "not-a-list", place, "The element may repeat; write an array also under '_'.");
            }
            return self.sibling_object(key, value, beside.is_some(), place, scope);
        };
        if !element.list {
            return self.fault("structure", "not-single", place, "The element does not repeat; write one object under '_'.");
        }
        if items.is_empty() {
            return self.fault("structure", "empty-value", place, "An empty array says nothing; leave the element out.");
        }
        let values =
            beside.and_then(Value::as_array).filter(|values| filled(values) > items.len() || filled(items) > values.len());
        if values.is_some() {
            let words = "The array under '_' has another length than the array of values; fill the gaps with null.";
            self.fault("structure", "misaligned-siblings", place, words);
        }
        for (index, item) in items.iter().enumerate() {
            let has_value = sibling_at(beside, index).is_some_and(|value| !value.is_null());
            let is_padding = item.is_null() && (has_value || beside.is_some() && index >= filled(items));
            if !is_padding {
                self.sibling_object(key, item, has_value, &place.item(index), scope);
            }
        }
    }

    fn sibling_object<'v>(
        &mut self,
        key: &'static Key,
        value: &'v Value,
        has_value: bool,
        place: &Place<'_>,
        scope: &mut Scope<'v>,
    ) {
        match value {
            Value::Object(map) if has_value && map.len() == 1 && map.contains_key("id") => {
                if primitive::check(Primitive::String, &map["id"]).is_err() {
                    self.fault("structure", "wrong-json-type", &place.element("id"), "Write a string in double quotes.");
                }
            }
            Value::Object(map) => self.object(key.node(), map, place, scope),
            Value::Null => self.fault(
                "structure",
                "misplaced-null",
                place,
                "Where '_' is null there must be a value beside it; leave both out.",
            ),
            _ => self.fault("structure", "wrong-json-type", place, "Under '_' stands an object with an id or extensions."),
        }
    }

    fn extension(&mut self, map: &Object, place: &Place<'_>) {
        let has_value = map.keys().any(|key| key.starts_with("value") || key.starts_with("_value"));
        let words = match (has_value, map.contains_key("extension")) {
            (true, true) => "An extension has a value or extensions of its own, not both.",
            (false, false) => "An extension needs a value or extensions of its own.",
            _ => return,
        };
        self.fault("invariant", "ext-1", place, words);
    }

    fn fault(&mut self, code: &'static str, key: &'static str, place: &Place<'_>, words: &str) {
        if self.findings.is_full() {
            return self.findings.leave_out();
        }
        self.findings.push(Issue::error(code, key, place.to_string(), words));
    }
}

/// A missing choice names so many of its keys.
const KEYS_NAMED_MAX: usize = 4;

/// How long an array is without the nulls at its end, with which some senders pad.
fn filled(items: &[Value]) -> usize {
    items.iter().rposition(|item| !item.is_null()).map_or(0, |last| last + 1)
}

fn sibling_at(beside: Option<&Value>, index: usize) -> Option<&Value> {
    match beside {
        Some(Value::Array(items)) => items.get(index),
        _ => None,
    }
}
