//! For tests: a resource that holds one value of a parameter, made from the parameter's own definition, with what finds it
//! and what does not.

use serde_json::{Value as Json, json};

use super::leaf::Leaf;
use super::table::{Plan, parameter};
use super::{Parameter, ParameterKind};
use crate::fhir::path::Route;

/// A resource with one value, and queries that find it and do not.
pub(crate) struct Sample {
    pub(crate) resource: Json,
    pub(crate) hit: String,
    pub(crate) miss: String,
}

/// The sample of a parameter; `None` where only the engine reads its expression and no sample is written down here.
pub(crate) fn sample(kind: &str, of: &Parameter) -> Option<Sample> {
    if of.kind == ParameterKind::Composite {
        return composite(kind, of);
    }
    let (value, hit, miss) = match &of.plan {
        Plan::None => return None,
        Plan::Routes(routes) => {
            let (route, leaf) = routes.first()?;
            placed(route, *leaf, of)?
        }
        Plan::Engine(_) => by_hand(kind, of.code)?,
    };
    Some(Sample { resource: whole(kind, value), hit, miss })
}

fn whole(kind: &str, mut value: Json) -> Json {
    value["resourceType"] = kind.into();
    value["id"] = "hit".into();
    value
}

/// A value at the end of a route, and how it is asked for.
fn placed(route: &Route, leaf: Leaf, of: &Parameter) -> Option<(Json, String, String)> {
    let target = route.target().or_else(|| of.targets.first().copied()).unwrap_or("Patient");
    let (value, hit, miss) = match (leaf, of.kind) {
        (Leaf::Extension, ParameterKind::String) => extension("valueString", value(Leaf::Text, "string", target)?),
        (Leaf::Extension, ParameterKind::Token) => extension("valueCoding", value(Leaf::Coding, "Coding", target)?),
        (Leaf::Extension, ParameterKind::Reference) => extension("valueReference", value(Leaf::Reference, "Reference", target)?),
        _ => value(leaf, route.kind().name, target)?,
    };
    Some((route.build(value), hit, miss))
}

fn extension(key: &str, (value, hit, miss): (Json, String, String)) -> (Json, String, String) {
    (json!({ (key): value }), hit, miss)
}

fn value(leaf: Leaf, kind: &str, target: &str) -> Option<(Json, String, String)> {
    let coding = json!({"system": "urn:s", "code": "alpha"});
    let (value, hit, miss) = match leaf {
        Leaf::Code => (json!("alpha"), "alpha", "omega"),
        Leaf::Boolean => (json!(true), "true", "false"),
        Leaf::Coding => (coding, "urn:s|alpha", "urn:s|omega"),
        Leaf::Concept => (json!({"coding": [coding]}), "urn:s|alpha", "urn:other|alpha"),
        Leaf::Identifier => (json!({"system": "urn:s", "value": "alpha"}), "urn:s|alpha", "urn:s|alph"),
        Leaf::Contact => (json!({"value": "alpha"}), "alpha", "omega"),
        Leaf::Reference => {
            let (hit, miss) = (format!("{target}/r1"), format!("{target}/r2"));
            return Some((json!({"reference": hit}), hit, miss));
        }
        Leaf::Canonical | Leaf::Uri => (json!("http://x.example/alpha"), "http://x.example/alpha", "http://x.example/omega"),
        Leaf::Text => (json!("Alpha word"), "alpha", "word"),
        Leaf::Name => (json!({"family": "Alpha"}), "alph", "omega"),
        Leaf::Address => (json!({"city": "Alpha"}), "alph", "omega"),
        Leaf::Words => (json!({"text": "Alpha"}), "alph", "omega"),
        Leaf::Moment => match kind {
            "instant" => (json!("2026-01-02T03:04:05Z"), "2026-01-02", "2026-01-03"),
            _ => (json!("2026-01-02"), "2026-01-02", "ne2026-01-02"),
        },
        Leaf::Period => (json!({"start": "2026-01-02", "end": "2026-01-03"}), "2026-01", "2025"),
        Leaf::Timing => (json!({"event": ["2026-01-02"]}), "2026-01-02", "gt2027"),
        Leaf::Number => (json!(5), "5", "6"),
        Leaf::Quantity => (json!({"value": 5.0, "code": "mg", "system": "urn:u"}), "5|urn:u|mg", "5|urn:u|g"),
        Leaf::Money => (json!({"value": 5.0, "currency": "EUR"}), "5", "gt5"),
        Leaf::Range => (json!({"low": {"value": 5}, "high": {"value": 6}}), "gt5", "lt5"),
        Leaf::Inner | Leaf::Extension => return None,
    };
    Some((value, hit.to_owned(), miss.to_owned()))
}

/// Samples of what is more than steps.
fn by_hand(kind: &str, code: &str) -> Option<(Json, String, String)> {
    let (value, hit, miss) = match (kind, code) {
        ("Patient", "deceased") => (json!({"deceasedDateTime": "2026-01-02"}), "true", "false"),
        _ => return None,
    };
    Some((value, hit.to_owned(), miss.to_owned()))
}

fn composite(kind: &str, of: &Parameter) -> Option<Sample> {
    let Plan::Engine(joint) = &of.plan else { return None };
    let joint = joint.routes(kind)?.into_iter().next()?;
    let (mut element, mut hits, mut misses) = (json!({}), Vec::new(), Vec::new());
    for component in &of.components {
        let own = parameter(kind, component.code)?;
        let route = component.expression.as_ref()?.routes(joint.kind().name)?.into_iter().next()?;
        let (value, hit, miss) = placed(&route, Leaf::of(own.kind, route.kind().name)?, own)?;
        element.as_object_mut()?.extend(value.as_object()?.clone());
        misses.push(if misses.is_empty() { hit.clone() } else { miss });
        hits.push(hit);
    }
    Some(Sample { resource: whole(kind, joint.build(element)), hit: hits.join("$"), miss: misses.join("$") })
}
