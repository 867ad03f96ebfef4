//! Extensions that are known: where they may stand, and what they may hold.
//! Follows <https://hl7.org/fhir/R4/extensibility.html> and <https://hl7.org/fhir/R4/defining-extensions.html#context>.

use std::cell::Cell;

use serde_json::Value;

use super::compile::STANDARD;
use super::say_spent;
use super::surroundings::Surroundings;
use super::walk::{Inspector, LOOKS_A_VALUE, VALUES_MAX};
use crate::check::canon::Canon;
use crate::check::findings::Findings;
use crate::check::json::DEPTH_MAX;
use crate::check::place::Place;
use crate::fhir::definitions::{self, Flavour};
use crate::fhir::outcome::Issue;
use crate::fhir::path::Node;

/// Where the walk stands: the path of elements from the resource on, and the extension around, if there is one.
#[derive(Clone, Copy)]
struct Standing<'s> {
    path: &'s str,
    /// The type of the parent and the name of the element in it: `HumanName.given`.
    typed: &'s str,
    around: Option<&'s str>,
    depth: usize,
}

/// Holds every extension in a resource whose definition is known against it.
pub(super) fn all<'v>(canon: &Canon, around: &Surroundings<'v>, node: Node<'v>, place: &Place<'_>, findings: &mut Findings) {
    let standing = Standing { path: node.kind_name(), typed: node.kind_name(), around: None, depth: 0 };
    walk(canon, around, node, standing, place, findings);
}

fn walk<'v>(
    canon: &Canon,
    around: &Surroundings<'v>,
    node: Node<'v>,
    standing: Standing<'_>,
    place: &Place<'_>,
    findings: &mut Findings,
) {
    let Some(kind) = node.definition().filter(|_| standing.depth <= DEPTH_MAX) else { return };
    for element in &kind.elements {
        let mut nodes = Vec::new();
        node.each_child(element.name, |inner| nodes.push(inner));
        if nodes.is_empty() || element.name == "contained" {
            continue;
        }
        let list = place.element(element.name);
        let is_extension = matches!(element.name, "extension" | "modifierExtension");
        let path = format!("{}.{}", standing.path, element.name);
        let typed = format!("{}.{}", kind.name, element.name);
        for (index, inner) in nodes.into_iter().enumerate() {
            let item = list.item(index);
            let item = if element.list { &item } else { &list };
            if is_extension {
                one(canon, around, (node, standing), inner, item, findings);
                continue;
            }
            let is_resource = inner.definition().is_some_and(|kind| kind.flavour == Flavour::Resource);
            if !is_resource {
                let inside = Standing { path: &path, typed: &typed, around: None, depth: standing.depth + 1 };
                walk(canon, around, inner, inside, item, findings);
            }
        }
    }
}

/// One extension, and those inside it.
fn one<'v>(
    canon: &Canon,
    around: &Surroundings<'v>,
    (parent, standing): (Node<'v>, Standing<'_>),
    node: Node<'v>,
    place: &Place<'_>,
    findings: &mut Findings,
) {
    let url = node.value().and_then(|value| value.get("url")).and_then(Value::as_str).unwrap_or_default();
    if let Some(profile) = canon.profile(url).filter(|profile| profile.kind == "Extension") {
        let left = Cell::new(VALUES_MAX * LOOKS_A_VALUE);
        let inspector = Inspector { canon, around, profile, nested: 0, left: &left };
        inspector.inspect(node, place, findings);
        if left.get() == 0 || around.work.is_spent() {
            say_spent(url, place, findings);
        }
        let fits = |(sort, expression): &(String, String)| may_stand(sort, expression, parent, standing);
        if !profile.contexts.is_empty() && !profile.contexts.iter().any(fits) {
            let named: Vec<&str> = profile.contexts.iter().map(|(_, expression)| expression.as_str()).collect();
            let words = format!("The extension cannot stand here; it belongs to {}.", named.join(", "));
            if url.starts_with(STANDARD) {
                // The standard breaks this itself, in hundreds of its own definitions: only a remark.
                findings.push_each(Issue::warning("invariant", "extension-context", place.to_string(), words));
            } else {
                inspector.fault("invariant", "extension-context", place, &words, findings);
            }
        }
    }
    let inside = Standing { around: Some(url), depth: standing.depth + 1, ..standing };
    let mut inner = Vec::new();
    node.each_child("extension", |extension| inner.push(extension));
    let list = place.element("extension");
    for (index, extension) in inner.into_iter().enumerate().filter(|_| inside.depth <= DEPTH_MAX) {
        one(canon, around, (node, inside), extension, &list.item(index), findings);
    }
}

fn may_stand(sort: &str, expression: &str, parent: Node<'_>, standing: Standing<'_>) -> bool {
    match sort {
        "extension" => standing.around.is_some_and(|url| url == expression || expression.ends_with(&format!("#{url}"))),
        "element" => {
            let kind = parent.kind_name();
            let is_resource = definitions::is_resource(kind);
            match expression {
                "Element" => true,
                "Resource" | "DomainResource" => is_resource,
                "BackboneElement" => kind.contains('.'),
                // A path of the standard, a type, or an element of a type; a slice or a whole address is not looked into.
                _ => {
                    expression == standing.path
                        || expression == kind
                        || expression == standing.typed
                        || expression.contains([':', '/', '#'])
                        || expression.trim_end_matches("[x]") == standing.path
                        || is_below_backbone(expression, standing.path, kind)
                }
            }
        }
        // What only an expression tells is left to the author of the definition.
        _ => true,
    }
}

/// A backbone element that is defined once and used again stands under its own name, too: `Questionnaire.item`.
fn is_below_backbone(expression: &str, path: &str, kind: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or_default();
    kind.contains('.') && expression == format!("{kind}.{last}")
}
