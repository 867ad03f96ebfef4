//! Where in the JSON of a resource an element stands, and how it is taken away.

use serde_json::{Map, Value};

use super::members::{self, Both};
use crate::fhir::definitions::{self, Flavour, Node};
use crate::fhir::path;

/// A step down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// To the value of a key.
    Key(String),
    /// To a position in a list.
    Index(usize),
}

/// The steps down to an element that an expression found in the resource; `None` if it is no part of it.
pub(super) fn of(resource: &Value, node: &path::Node<'_>) -> Option<Vec<Step>> {
    let wanted = node.value().or(node.extra())?;
    let mut steps = Vec::new();
    seek(resource, wanted, &mut steps).then(|| {
        steps.reverse();
        steps
    })
}

/// Looks for a value below another, and tells the steps to it from its end.
fn seek(value: &Value, wanted: &Value, steps: &mut Vec<Step>) -> bool {
    if std::ptr::eq(value, wanted) {
        return true;
    }
    let last = match value {
        Value::Object(map) => map.iter().find(|(_, inner)| seek(inner, wanted, steps)).map(|(key, _)| Step::Key(key.clone())),
        Value::Array(items) => items.iter().position(|inner| seek(inner, wanted, steps)).map(Step::Index),
        _ => None,
    };
    let is_found = last.is_some();
    steps.extend(last);
    is_found
}

/// What stands there.
pub(super) fn value<'v>(root: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    steps.iter().try_fold(root, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(*index),
    })
}

/// The same, to be changed.
pub(super) fn value_mut<'v>(root: &'v mut Value, steps: &[Step]) -> Option<&'v mut Value> {
    steps.iter().try_fold(root, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(*index),
    })
}

/// An element as its holder has it: the steps to the holder, the key, and the position if it is one of a list.
#[derive(Debug)]
pub(super) struct Held<'s> {
    pub(super) holder: &'s [Step],
    /// The key without the underline of a sibling.
    pub(super) key: &'s str,
    pub(super) index: Option<usize>,
}

/// How the element at these steps is held; `None` for the resource itself.
pub(super) fn held(steps: &[Step]) -> Option<Held<'_>> {
    let plain = |key: &'_ str| key.strip_prefix('_').map_or(0, |_| 1);
    match steps {
        [holder @ .., Step::Key(key)] => Some(Held { holder, key: &key[plain(key)..], index: None }),
        [holder @ .., Step::Key(key), Step::Index(index)] => Some(Held { holder, key: &key[plain(key)..], index: Some(*index) }),
        _ => None,
    }
}

/// The type of what stands at these steps.
pub(super) fn node(root: &Value, steps: &[Step]) -> Option<&'static Node> {
    let named = |value: &Value| value.get("resourceType").and_then(Value::as_str).and_then(definitions::node);
    let mut value = root;
    let mut node = named(root)?;
    for step in steps {
        match step {
            Step::Key(key) => {
                node = node.key(key.strip_prefix('_').unwrap_or(key))?.node();
                value = value.get(key)?;
            }
            Step::Index(index) => value = value.get(*index)?,
        }
        if node.flavour == Flavour::Abstract {
            node = named(value).unwrap_or(node);
        }
    }
    Some(node)
}

/// The object that holds an element.
pub(super) fn holder_mut<'v>(root: &'v mut Value, held: &Held<'_>) -> Option<&'v mut Map<String, Value>> {
    value_mut(root, held.holder)?.as_object_mut()
}

/// Takes an element away, and above it what holds nothing any more.
pub(super) fn remove(root: &mut Value, steps: &[Step]) -> Option<()> {
    let held = held(steps)?;
    let map = holder_mut(root, &held)?;
    match held.index {
        Some(index) => {
            let length = members::length(map, held.key);
            let mut both = Both::take(map, held.key, length);
            if index < length {
                both.values.remove(index);
                both.extras.remove(index);
            }
            both.give(map, held.key);
        }
        None => {
            map.shift_remove(held.key);
            map.shift_remove(&format!("_{}", held.key));
        }
    }
    prune(root, held.holder);
    Some(())
}

/// Takes away what holds nothing any more, up to the resource. An id alone says nothing.
fn prune(root: &mut Value, steps: &[Step]) {
    let Some(held) = held(steps) else { return };
    let Some(Value::Object(map)) = value_mut(root, steps) else { return };
    let hollow = map.is_empty() || (map.len() == 1 && map.contains_key("id"));
    if !hollow {
        return;
    }
    // What stands beside a primitive goes alone: the value stays.
    let beside = matches!(steps, [.., Step::Key(key)] | [.., Step::Key(key), Step::Index(_)] if key.starts_with('_'));
    let Some(map) = holder_mut(root, &held) else { return };
    let own = if beside { format!("_{}", held.key) } else { held.key.to_owned() };
    match held.index {
        Some(index) if beside => {
            let length = members::length(map, held.key);
            let mut both = Both::take(map, held.key, length);
            both.extras[index] = Value::Null;
            if both.values[index].is_null() {
                both.values.remove(index);
                both.extras.remove(index);
            }
            both.give(map, held.key);
        }
        Some(index) => {
            let items = map.get_mut(&own).and_then(Value::as_array_mut);
            let left = items.map_or(0, |items| {
                items.remove(index);
                items.len()
            });
            if left == 0 {
                map.shift_remove(&own);
            }
        }
        None => {
            map.shift_remove(&own);
        }
    }
    prune(root, held.holder);
}
