//! Puts values under their names into elements: which JSON key is theirs, as one or in a list, with what stands beside a primitive.
//! Follows <https://hl7.org/fhir/R4/json.html>.

use serde_json::{Map, Value};

use super::parameters::Content;
use crate::fhir::definitions::{Flavour, Key, Node};

/// An element in JSON: its value, and id and extensions where it is a primitive.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) value: Option<Value>,
    pub(super) extra: Option<Value>,
}

/// The key under which content of an element of this name stands in a node: `value` and a Quantity make `valueQuantity`.
pub(super) fn key(node: &'static Node, name: &str, content: &Content) -> Result<&'static Key, &'static str> {
    const UNKNOWN: &str = "The element has no element of this name.";
    const OTHER: &str = "This element takes no value of this type.";
    let name = name.strip_suffix("[x]").unwrap_or(name);
    let Content::Typed { kind, .. } = content else {
        let key = node.key(name).or_else(|| node.choices(name).iter().find(|key| key.node().flavour != Flavour::Primitive));
        return key.ok_or(UNKNOWN);
    };
    match node.key(name) {
        Some(key) if !node.element_of(key).choice => Ok(key),
        Some(key) => Some(key).filter(|key| suffix(node, key) == Some(kind)).ok_or(OTHER),
        None if node.choices(name).is_empty() => Err(UNKNOWN),
        None => node.choices(name).iter().find(|key| suffix(node, key) == Some(kind)).ok_or(OTHER),
    }
}

/// `Quantity` of `valueQuantity`.
fn suffix(node: &'static Node, key: &'static Key) -> Option<&'static str> {
    key.name.strip_prefix(node.element_of(key).name)
}

/// What the content is as an element of this type.
pub(super) fn written(node: &'static Node, content: &Content) -> Result<Written, &'static str> {
    match content {
        Content::Typed { value, extra, .. } => Ok(Written { value: value.clone(), extra: extra.clone() }),
        Content::Resource(resource) => Ok(Written { value: Some(resource.clone()), extra: None }),
        Content::Parts(parts) => {
            let mut map = Map::new();
            for (name, content) in parts {
                put(&mut map, node, name, content)?;
            }
            let map = Some(Value::Object(map));
            if node.flavour == Flavour::Primitive {
                Ok(Written { value: None, extra: map })
            } else {
                Ok(Written { value: map, extra: None })
            }
        }
    }
}

/// Adds content under a name: at the end of a list, or where nothing stands yet.
pub(super) fn put(map: &mut Map<String, Value>, node: &'static Node, name: &str, content: &Content) -> Result<(), &'static str> {
    let key = key(node, name, content)?;
    let element = node.element_of(key);
    let written = written(key.node(), content)?;
    if element.list {
        let length = length(map, key.name);
        return insert(map, key, length, written);
    }
    let beside = |key: &Key| map.contains_key(key.name) || map.contains_key(&format!("_{}", key.name));
    if node.keys_of(element).iter().any(beside) {
        return Err("The element is there already and cannot repeat; replace it instead.");
    }
    set(map, key, written);
    Ok(())
}

/// Sets an element that does not repeat.
pub(super) fn set(map: &mut Map<String, Value>, key: &Key, written: Written) {
    for (name, part) in [(key.name.to_owned(), written.value), (format!("_{}", key.name), written.extra)] {
        match part {
            Some(part) => {
                map.insert(name, part);
            }
            None => {
                map.shift_remove(&name);
            }
        }
    }
}

/// How many values a list has, with those that have only extensions.
pub(super) fn length(map: &Map<String, Value>, name: &str) -> usize {
    let count = |name: &str| map.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    count(name).max(count(&format!("_{name}")))
}

/// Inserts a value into a list; what stands beside its other values moves along.
pub(super) fn insert(map: &mut Map<String, Value>, key: &Key, at: usize, written: Written) -> Result<(), &'static str> {
    let length = length(map, key.name);
    if at > length {
        return Err("The index lies behind the end of the list.");
    }
    let mut both = Both::take(map, key.name, length);
    both.values.insert(at, written.value.unwrap_or(Value::Null));
    both.extras.insert(at, written.extra.unwrap_or(Value::Null));
    both.give(map, key.name);
    Ok(())
}

/// A list as two lists of the same length: the values, and what stands beside each.
pub(super) struct Both {
    pub(super) values: Vec<Value>,
    pub(super) extras: Vec<Value>,
}

impl Both {
    /// Takes both out of an element.
    pub(super) fn take(map: &mut Map<String, Value>, name: &str, length: usize) -> Self {
        let mut list = |name: &str| {
            let mut items = map.get_mut(name).and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
            items.resize(length.max(items.len()), Value::Null);
            items
        };
        Self { values: list(name), extras: list(&format!("_{name}")) }
    }

    /// Puts both back in their places; a list of nothing goes.
    pub(super) fn give(self, map: &mut Map<String, Value>, name: &str) {
        for (name, items) in [(name.to_owned(), self.values), (format!("_{name}"), self.extras)] {
            if items.iter().all(Value::is_null) {
                map.shift_remove(&name);
            } else {
                map.insert(name, Value::Array(items));
            }
        }
    }
}
