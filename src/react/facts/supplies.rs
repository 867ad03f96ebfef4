//! `%supplies`: per product group `product`, its `ingredient`s and the `group`s that list them, the days on which it was `first` and `last` handed over, how many
//! `fills` there are, and the last day that is covered, `until`, where it is known.

use serde_json::{Value, json};

use super::{Ask, Fact, Tells, ingredients};
use crate::fhir::path::Form;
use crate::react::supply::written;

pub(super) const FACT: Fact = Fact {
    name: "supplies",
    kinds: &[],
    tells: Tells::Parts(&[
        ("product", Form::Text),
        ("ingredient", Form::Text),
        ("group", Form::Text),
        ("first", Form::Text),
        ("last", Form::Text),
        ("fills", Form::Number),
        ("until", Form::Text),
    ]),
    // The day of the question changes nothing in it.
    value: |ask| ask.supplies.supplies.on(0, || told(ask)),
};

fn told(ask: &Ask) -> Vec<Value> {
    let mut groups = Vec::new();
    for (product, fills) in ask.by_product() {
        let (Some(first), Some(last)) = (fills.first(), fills.last()) else { continue };
        let mut value = json!({
            "product": product, "ingredient": ingredients(product), "group": ask.groups(product), "first": written(first.handed),
            "last": written(last.handed), "fills": fills.len(),
        });
        if let Some(until) = fills.iter().filter_map(|fill| fill.last).max().filter(|_| last.last.is_some()) {
            value["until"] = json!(written(until));
        }
        groups.push(value);
    }
    groups
}
