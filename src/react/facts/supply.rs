//! `%supply`: the fill a dispense belongs to: `handed`, `first`, `last`, `days`, the `step` that told the days,
//! its `product` group, and its `number` among the fills of that group.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{Fact, Tells};
use crate::fhir::path::Form;
use crate::react::supply::written;

const PARTS: &[(&str, Form)] = &[
    ("handed", Form::Text),
    ("first", Form::Text),
    ("last", Form::Text),
    ("days", Form::Number),
    ("step", Form::Text),
    ("product", Form::Text),
    ("number", Form::Number),
];

pub(super) const FACT: Fact = Fact {
    name: "supply",
    kinds: &[],
    tells: Tells::Parts(PARTS),
    value: |ask| {
        let Some(fill) = ask.fill else { return Vec::new() };
        let mut told = Map::with_capacity(PARTS.len());
        let mut tell = |name: &str, value: Value| told.insert(name.to_owned(), value);
        tell("handed", json!(written(fill.handed)));
        tell("first", json!(written(fill.first)));
        tell("step", json!(fill.step));
        let found = ask.by_product().find_map(|(product, fills)| {
            let at = fills.iter().position(|known| known.dispenses == fill.dispenses && known.first == fill.first);
            at.map(|at| (product, at + 1))
        });
        if let Some((product, number)) = found {
            tell("product", json!(product));
            tell("number", json!(number));
        }
        if let Some(last) = fill.last {
            tell("last", json!(written(last)));
            tell("days", json!(fill.days));
        }
        vec![Cow::Owned(Value::Object(told))]
    },
};
