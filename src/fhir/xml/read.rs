//! The library's element as JSON, by our tables: lists where elements may repeat, values apart from their extensions.
//! Follows <https://hl7.org/fhir/R4/json.html>.

use fhirbolt::element::{Primitive as Plain, Value as Held};
use serde_json::{Map, Value};

use super::Element;
use super::guard::ID_IN_DISGUISE;
use crate::fhir::definitions::{Key, Node, Primitive, node};

/// The resource as JSON; `narratives` are those that numbers stand for.
pub(super) fn resource(element: &Element, narratives: &[String]) -> Value {
    let Some(Held::Primitive(Plain::String(kind))) = element.get("resourceType") else { return Value::Null };
    let mut map = Map::with_capacity(element.len() + 1);
    map.insert(String::from("resourceType"), Value::from(kind.as_str()));
    if let Some(node) = node(kind) {
        Reading { narratives }.elements(node, element, &mut map);
    }
    Value::Object(map)
}

struct Reading<'n> {
    narratives: &'n [String],
}

impl Reading<'_> {
    fn elements(&self, node: &'static Node, element: &Element, map: &mut Map<String, Value>) {
        for (name, held) in element {
            // The type of a resource has been said; an element of this name is one that holds elements.
            let is_type = name == "resourceType" && matches!(held, Held::Primitive(_));
            let Some(key) = node.key(name).filter(|_| !is_type) else { continue };
            let is_list = node.element_of(key).list;
            match held {
                Held::Primitive(plain) => {
                    map.insert(name.clone(), text(plain));
                }
                Held::Element(one) => self.values(key, is_list, std::slice::from_ref(one), map),
                Held::Sequence(many) => self.values(key, is_list, many, map),
            }
        }
    }

    /// What stands under one name. Where several stand though one may, they are a list: the check says so.
    fn values(&self, key: &'static Key, is_list: bool, items: &[Element], map: &mut Map<String, Value>) {
        if let Some(primitive) = key.node().primitive {
            let values = items.iter().map(|item| self.value(primitive, item)).collect();
            let extras = items.iter().map(|item| self.extra(item)).collect();
            insert(map, key.name.to_owned(), is_list, values);
            insert(map, format!("_{}", key.name), is_list, extras);
        } else {
            let values = items.iter().map(|item| self.complex(key, item)).collect();
            insert(map, key.name.to_owned(), is_list, values);
        }
    }

    fn complex(&self, key: &'static Key, item: &Element) -> Value {
        if key.kind == "Resource" {
            return resource(item, self.narratives);
        }
        let mut map = Map::with_capacity(item.len());
        self.elements(key.node(), item, &mut map);
        Value::Object(map)
    }

    fn value(&self, primitive: Primitive, item: &Element) -> Value {
        let Some(Held::Primitive(plain)) = item.get("value") else { return Value::Null };
        match (primitive, text(plain)) {
            (Primitive::Xhtml, Value::String(number)) => {
                let number = number.split(['>', '<']).nth(2).and_then(|number| number.parse::<usize>().ok());
                number.and_then(|number| self.narratives.get(number)).map_or(Value::Null, |text| Value::from(text.as_str()))
            }
            (Primitive::Boolean, Value::String(word)) => Value::Bool(word == "true"),
            (
                Primitive::Integer | Primitive::UnsignedInt | Primitive::PositiveInt | Primitive::Decimal,
                Value::String(digits),
            ) => digits.trim_start_matches('+').parse().map_or(Value::String(digits), Value::Number),
            (_, text) => text,
        }
    }

    /// The id and the extensions of a primitive.
    fn extra(&self, item: &Element) -> Value {
        let mut map = Map::new();
        let many = if let Some(Held::Sequence(many)) = item.get("extension") { many.as_slice() } else { &[] };
        let (disguised, many): (Vec<&Element>, Vec<&Element>) = many.iter().partition(|one| is_disguised_id(one));
        if let Some(Held::Primitive(id)) = item.get("id").or_else(|| disguised.first()?.get("id")) {
            map.insert(String::from("id"), text(id));
        }
        if let Some(extension) = node("Extension").filter(|_| !many.is_empty()) {
            let extensions = many.iter().map(|one| {
                let mut map = Map::new();
                self.elements(extension, one, &mut map);
                Value::Object(map)
            });
            map.insert(String::from("extension"), extensions.collect());
        }
        if map.is_empty() { Value::Null } else { Value::Object(map) }
    }
}

/// Whether this is an id that the guard wrote as an extension.
fn is_disguised_id(extension: &Element) -> bool {
    matches!(extension.get("url"), Some(Held::Primitive(Plain::String(url))) if url == ID_IN_DISGUISE)
}

/// Puts values under a key, unless all of them are nothing.
fn insert(map: &mut Map<String, Value>, key: String, is_list: bool, mut values: Vec<Value>) {
    if values.iter().all(Value::is_null) {
        return;
    }
    let value = if is_list || values.len() > 1 { Value::Array(values) } else { values.pop().unwrap_or_default() };
    map.insert(key, value);
}

/// A plain value as it was written.
fn text(plain: &Plain) -> Value {
    match plain {
        Plain::Bool(is_true) => Value::from(is_true.to_string()),
        Plain::Integer(number) => Value::from(number.to_string()),
        Plain::Integer64(number) => Value::from(number.to_string()),
        Plain::Decimal(text) | Plain::String(text) => Value::from(text.as_str()),
    }
}
