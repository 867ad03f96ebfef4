//! What FHIR adds to FHIRPath: types, extensions, values of primitives, references, narrative.
//! Follows <https://hl7.org/fhir/R4/fhirpath.html#functions>.

use std::borrow::Cow;

use serde_json::Value;

use crate::fhir::definitions;

use super::Error;
use super::evaluate::{Frame, Machine, single};
use super::functions::Function as F;
use super::item::{Collection, Item};
use super::kinds;
use super::node::Node;
use super::tree::Tree;

/// Where the standard's own profiles are named.
const STANDARD: &str = "http://hl7.org/fhir/StructureDefinition/";

/// `is()`, `as()`, `ofType()` and `type()`.
pub(super) fn kind_call<'a>(function: F, input: &[Item<'a>], arguments: &'a [Tree]) -> Result<Collection<'a>, Error> {
    let Some(Tree::Kind(kind)) = arguments.first() else {
        return Ok(input.iter().map(kind_of).collect());
    };
    Ok(match function {
        F::Is => single(input)?.map(|item| Item::Boolean(kinds::matches(item, kind, false))).into_iter().collect(),
        // The standard's own dom-3 asks `as()` of lists, so it keeps what is of the type, as `ofType()` does.
        _ => input.iter().filter(|item| kinds::matches(item, kind, true)).cloned().collect(),
    })
}

fn kind_of<'a>(item: &Item<'a>) -> Item<'a> {
    match item {
        Item::Node(node) if node.kind_name().contains('.') => Item::Kind("FHIR", Cow::Borrowed("BackboneElement")),
        Item::Node(node) => Item::Kind("FHIR", Cow::Borrowed(node.kind_name())),
        other => Item::Kind("System", Cow::Borrowed(other.kind_name())),
    }
}

pub(super) fn call<'a>(
    machine: &Machine<'_, 'a>,
    function: F,
    input: &[Item<'a>],
    arguments: &'a [Tree],
    frame: &Frame<'_, 'a>,
) -> Result<Collection<'a>, Error> {
    let argument = arguments.first().map_or(Ok(None), |argument| machine.text(argument, frame))?;
    Ok(match (function, argument) {
        (F::Extension, Some(url)) => extensions(machine, input, &url)?,
        (F::HasExtension, Some(url)) => vec![Item::Boolean(!extensions(machine, input, &url)?.is_empty())],
        (F::HasValue, _) => vec![Item::Boolean(matches!(input, [item] if has_value(item)))],
        (F::GetValue, _) => match input {
            [item] if has_value(item) => vec![item.plain()],
            _ => Vec::new(),
        },
        (F::Resolve, _) => {
            let mut out = Vec::new();
            for item in input {
                machine.charge(0)?;
                out.extend(resolve(machine, item).map(Item::Node));
            }
            out
        }
        (F::ConformsTo, Some(url)) => match single(input)? {
            Some(item) => vec![Item::Boolean(conforms(item, &url)?)],
            None => Vec::new(),
        },
        // The check of narrative stands in the room that checks; here it is only not in the way.
        (F::HtmlChecks, _) => vec![Item::Boolean(true)],
        _ => Vec::new(),
    })
}

fn extensions<'a>(machine: &Machine<'_, 'a>, input: &[Item<'a>], url: &str) -> Result<Collection<'a>, Error> {
    let mut out = Vec::new();
    for item in input {
        let mut looked_at = 0;
        if let Item::Node(node) = item {
            node.each_child("extension", |extension| {
                looked_at += 1;
                if extension.value().and_then(|value| value.get("url")).and_then(Value::as_str) == Some(url) {
                    out.push(Item::Node(extension));
                }
            });
        }
        machine.charge(looked_at)?;
    }
    Ok(out)
}

fn has_value(item: &Item<'_>) -> bool {
    match item {
        Item::Node(node) => node.is_primitive() && node.value().is_some(),
        _ => true,
    }
}

/// The resource that a reference, canonical or uri names: inside the resource, by the resolver, or only its type.
fn resolve<'a>(machine: &Machine<'_, 'a>, item: &Item<'a>) -> Option<Node<'a>> {
    let (reference, named) = match item {
        Item::Node(node) => match node.value()? {
            Value::String(text) => (Some(text.as_str()), None),
            value => (value.get("reference").and_then(Value::as_str), value.get("type").and_then(Value::as_str)),
        },
        Item::Text(text) => (Some(text.as_ref()), None),
        _ => (None, None),
    };
    let follow = |reference| contained(machine, reference).or_else(|| machine.context.resolve(reference));
    if let Some(found) = reference.and_then(follow) {
        return Some(Node::resource(found));
    }
    if !machine.context.guesses_targets {
        return None;
    }
    reference.and_then(target_kind).or(named).and_then(Node::stub)
}

/// The contained resource that `#id` names; `#` alone is the container.
fn contained<'a>(machine: &Machine<'_, 'a>, reference: &str) -> Option<&'a Value> {
    let id = reference.strip_prefix('#')?;
    let named = machine.context.variable("rootResource");
    let root = match named.as_ref().and_then(|items| items.first()) {
        Some(Item::Node(node)) => node.value()?,
        _ => machine.root.value()?,
    };
    if id.is_empty() {
        return Some(root);
    }
    let all = root.get("contained")?.as_array()?;
    machine.budget.spend(all.len());
    all.iter().find(|inner| inner.get("id").and_then(Value::as_str) == Some(id))
}

/// The resource type that a reference says: `Patient` of `Patient/1`, of `https://…/Patient/1/_history/2`.
pub(super) fn target_kind(reference: &str) -> Option<&str> {
    let bare = reference.split_once("/_history/").map_or(reference, |(bare, _)| bare);
    let (before, id) = bare.rsplit_once('/')?;
    let kind = before.rsplit_once('/').map_or(before, |(_, kind)| kind);
    (!id.is_empty() && definitions::is_resource(kind)).then_some(kind)
}

/// Whether the item is of the standard's type; other profiles are not for an expression to judge.
fn conforms(item: &Item<'_>, url: &str) -> Result<bool, Error> {
    let kind = url.strip_prefix(STANDARD).filter(|kind| definitions::node(kind).is_some());
    match (kind, item) {
        (Some(kind), Item::Node(node)) => Ok(kinds::is_a(node.kind_name(), kind)),
        _ => Err(Error::Unsupported("conformsTo() of a profile")),
    }
}
