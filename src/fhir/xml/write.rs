//! JSON as the library's element, by our tables. It is built here and not read by the library, which stumbles over the
//! order of keys and over empty lists.
//! Follows <https://hl7.org/fhir/R4/xml.html>.

use fhirbolt::element::{Primitive as Plain, Value as Held};
use serde_json::{Map, Value};

use super::{Element, narrative};
use crate::fhir::definitions::{Flavour, Key, Node, Primitive, node};

/// The resource as an element, with a number in the place of each narrative; `None` if R4 does not know it.
pub(super) fn resource(value: &Value) -> Option<(Element, Vec<String>)> {
    let mut writing = Writing { narratives: Vec::new() };
    let element = writing.resource(value.as_object()?)?;
    Some((element, writing.narratives))
}

struct Writing {
    narratives: Vec<String>,
}

impl Writing {
    fn resource(&mut self, map: &Map<String, Value>) -> Option<Element> {
        let kind = map.get("resourceType")?.as_str()?;
        let node = node(kind).filter(|node| node.flavour == Flavour::Resource)?;
        let mut element = Element::with_capacity(map.len());
        element.insert(String::from("resourceType"), string(kind));
        self.elements(node, map, &mut element)?;
        Some(element)
    }

    /// Everything of this node, in the order of the standard. `None` if something is not of R4.
    fn elements(&mut self, node: &'static Node, map: &Map<String, Value>, element: &mut Element) -> Option<()> {
        let is_resource = node.flavour == Flavour::Resource;
        let is_known =
            |name: &String| node.key(name.strip_prefix('_').unwrap_or(name)).is_some() || (is_resource && name == "resourceType");
        if !map.keys().all(is_known) {
            return None;
        }
        for key in &node.keys {
            let value = map.get(key.name).unwrap_or(&Value::Null);
            let is_attribute = (key.name == "id" && !is_resource) || (key.name == "url" && node.name == "Extension");
            if is_attribute {
                if let Some(text) = value.as_str() {
                    element.insert(key.name.to_owned(), string(text));
                }
                continue;
            }
            let extra = match key.node().primitive {
                Some(_) => map.get(&format!("_{}", key.name)).unwrap_or(&Value::Null),
                None => &Value::Null,
            };
            if value.is_null() && extra.is_null() {
                continue;
            }
            let held = if value.is_array() || extra.is_array() {
                let nothing = Vec::new();
                let (values, extras) = (value.as_array().unwrap_or(&nothing), extra.as_array().unwrap_or(&nothing));
                let item = |index: usize| (values.get(index).unwrap_or(&Value::Null), extras.get(index).unwrap_or(&Value::Null));
                // Nulls at the end, with which some senders pad, are nothing: an element would say that there is something.
                let is_there = |index: &usize| item(*index) != (&Value::Null, &Value::Null);
                let count = (0..values.len().max(extras.len())).rfind(is_there).map_or(0, |last| last + 1);
                Held::Sequence((0..count).map(|index| self.one(key, item(index))).collect::<Option<Vec<_>>>()?)
            } else {
                Held::Element(self.one(key, (value, extra))?)
            };
            element.insert(key.name.to_owned(), held);
        }
        Some(())
    }

    fn one(&mut self, key: &'static Key, (value, extra): (&Value, &Value)) -> Option<Element> {
        let node = key.node();
        if let Some(primitive) = node.primitive {
            return self.primitive(node, primitive, value, extra);
        }
        let map = value.as_object()?;
        if key.kind == "Resource" {
            return self.resource(map);
        }
        let mut element = Element::with_capacity(map.len());
        self.elements(node, map, &mut element)?;
        Some(element)
    }

    fn primitive(&mut self, node: &'static Node, primitive: Primitive, value: &Value, extra: &Value) -> Option<Element> {
        let mut element = Element::new();
        if let Some(map) = extra.as_object() {
            self.elements(node, map, &mut element)?;
        }
        let text = match value {
            Value::Null => return Some(element),
            Value::String(text) if primitive == Primitive::Xhtml => {
                self.narratives.push(narrative::to_xml(text));
                format!("<div>{}</div>", self.narratives.len() - 1)
            }
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(is_true) => is_true.to_string(),
            Value::Array(_) | Value::Object(_) => return None,
        };
        element.insert(String::from("value"), string(&text));
        Some(element)
    }
}

fn string(text: &str) -> Held<{ fhirbolt::FhirReleases::R4 }> {
    Held::Primitive(Plain::String(text.to_owned()))
}
