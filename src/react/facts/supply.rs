//! `%supply`: the fill a dispense belongs to: `handed`, `first`, `last`, `days`, the `step` that told the days,
//! its `product` group, and its `number` among the fills of that group.

use std::borrow::Cow;

use serde_json::json;

use super::{Fact, Tells};
use crate::fhir::path::Form;
use crate::react::supply::written;

pub(super) const FACT: Fact = Fact {
    name: "supply",
    kinds: &[],
    tells: Tells::Parts(&[
        ("handed", Form::Text),
        ("first", Form::Text),
        ("last", Form::Text),
        ("days", Form::Number),
        ("step", Form::Text),
        ("product", Form::Text),
        ("number", Form::Number),
    ]),
    value: |ask| {
        let Some(fill) = ask.fill else { return Vec::new() };
        let mut value = json!({"handed": written(fill.handed), "first": written(fill.first), "step": fill.step});
        let found = ask.by_product().find_map(|(product, fills)| {
            let at = fills.iter().position(|known| known.dispenses == fill.dispenses && known.first == fill.first);
            at.map(|at| (product, at + 1))
        });
        if let Some((product, number)) = found {
            value["product"] = json!(product);
            value["number"] = json!(number);
        }
        if let Some(last) = fill.last {
            value["last"] = json!(written(last));
            value["days"] = json!(fill.days);
        }
        vec![Cow::Owned(value)]
    },
};
