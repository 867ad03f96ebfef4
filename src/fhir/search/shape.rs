//! How much of a resource is shown: `_summary` and `_elements`.
//! Follows <https://hl7.org/fhir/R4/search.html#summary>.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Map, Value as Json, json};

use super::table::unpack;
use crate::fhir::definitions::{Flavour, Node, node};

/// The code system of [`SUBSETTED`].
const OBSERVATION_VALUE: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
/// The code of the tag that says that a resource is shown in part.
const SUBSETTED: &str = "SUBSETTED";
/// What is never left out: who it is, and what changes the meaning of the rest.
const ALWAYS: [&str; 5] = ["resourceType", "id", "meta", "implicitRules", "modifierExtension"];

/// The elements that belong to a summary, by the path of what holds them.
static SUMMARY: LazyLock<HashMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    let lines = unpack(include_bytes!("../../../profiles/r4/summary.tsv.gz")).lines();
    lines.filter_map(|line| line.split_once('\t')).map(|(path, names)| (path, names.split(' ').collect())).collect()
});

/// How much of each resource is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// All of it.
    Whole,
    /// `_summary=true`: what the definitions mark as summary.
    Summary,
    /// `_summary=text`: the narrative and what must be there.
    Text,
    /// `_summary=data`: all but the narrative.
    Data,
    /// `_elements`: these and what must be there.
    Elements(Vec<String>),
}

impl Shape {
    /// The resource in this shape; one that is not shown whole is tagged so.
    #[must_use]
    pub fn of(&self, resource: Json) -> Json {
        let Json::Object(members) = resource else { return resource };
        if *self == Self::Whole {
            return Json::Object(members);
        }
        let Some(kind) = members.get("resourceType").and_then(Json::as_str).and_then(node) else { return Json::Object(members) };
        let mut shown = self.members(members, kind, true);
        let meta = shown.entry("meta").or_insert_with(|| json!({}));
        if !is_tagged(meta) {
            let tag = json!({"system": OBSERVATION_VALUE, "code": SUBSETTED, "display": "subsetted"});
            match meta.get_mut("tag").and_then(Json::as_array_mut) {
                Some(tags) => tags.push(tag),
                None => {
                    if let Some(meta) = meta.as_object_mut() {
                        meta.insert(String::from("tag"), json!([tag]));
                    }
                }
            }
        }
        Json::Object(shown)
    }

    fn members(&self, members: Map<String, Json>, kind: &'static Node, outermost: bool) -> Map<String, Json> {
        let shown = members.into_iter().filter_map(|(name, value)| {
            if ALWAYS.contains(&name.as_str()) {
                return Some((name, value));
            }
            let key = kind.key(name.strip_prefix('_').unwrap_or(&name))?;
            let element = kind.element_of(key);
            let wanted = element.required || self.wants(kind.name, element.name, outermost);
            wanted.then(|| (name, self.inner(value, key.node())))
        });
        shown.collect()
    }

    fn wants(&self, path: &str, element: &str, outermost: bool) -> bool {
        match self {
            Self::Whole => true,
            Self::Summary => SUMMARY.get(path).is_some_and(|names| names.contains(&element)),
            Self::Text => !outermost || element == "text",
            Self::Data => !outermost || element != "text",
            Self::Elements(names) => !outermost || names.iter().any(|name| name == element),
        }
    }

    /// Inside a summary the elements of a backbone are chosen, too; data types stay whole.
    fn inner(&self, value: Json, kind: &'static Node) -> Json {
        if *self != Self::Summary || kind.flavour != Flavour::Backbone {
            return value;
        }
        match value {
            Json::Array(all) => all.into_iter().map(|one| self.inner(one, kind)).collect(),
            Json::Object(members) => Json::Object(self.members(members, kind, false)),
            other => other,
        }
    }
}

/// Whether a `meta` says that its resource is shown in part.
fn is_tagged(meta: &Json) -> bool {
    let tags = meta.get("tag").and_then(Json::as_array).into_iter().flatten();
    let text = |tag: &Json, key: &str| tag.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    tags.into_iter().any(|tag| text(tag, "code") == SUBSETTED && text(tag, "system") == OBSERVATION_VALUE)
}

/// Whether a resource says that it is only a part of itself, so that to store it would lose the rest.
#[must_use]
pub fn is_subsetted(resource: &Json) -> bool {
    resource.get("meta").is_some_and(is_tagged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observation() -> Json {
        json!({"resourceType": "Observation", "id": "o", "meta": {"tag": [{"code": "x"}]}, "text": {"status": "generated", "div": "<div/>"},
            "status": "final", "code": {"text": "weight"}, "note": [{"text": "n"}], "valueString": "x", "_valueString": {"id": "v"},
            "component": [{"code": {"text": "c"}, "valueInteger": 1, "interpretation": [{"text": "i"}]}]})
    }

    fn keys(shown: &Json) -> Vec<&str> {
        shown.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn a_shape_shows_its_elements_and_what_must_be_there() {
        let elements = Shape::Elements(vec![String::from("value")]);
        for (shape, expected) in [
            (&Shape::Summary, &["resourceType", "id", "meta", "status", "code", "valueString", "_valueString", "component"][..]),
            (&Shape::Text, &["resourceType", "id", "meta", "text", "status", "code"]),
            (&elements, &["resourceType", "id", "meta", "status", "code", "valueString", "_valueString"]),
        ] {
            let shown = shape.of(observation());
            assert_eq!(keys(&shown), expected, "{shape:?}");
            assert!(is_subsetted(&shown) && !is_subsetted(&observation()));
            assert_eq!(shown["meta"]["tag"].as_array().unwrap().len(), 2);
        }
        let data = Shape::Data.of(observation());
        assert_eq!((keys(&data).contains(&"text"), keys(&data).len()), (false, 9));
        let summary = Shape::Summary.of(observation());
        assert_eq!(keys(&summary["component"][0]), ["code", "valueInteger"]);
        assert_eq!(Shape::Whole.of(observation()), observation());
    }
}
