//! `%adherence`: per product group `product`, its `ingredient`s and the `group`s that list them, and of the last 180 days, or of those
//! since the first fill where that is later: how many they are (`days`), how many were covered (`covered`), and which share that is
//! (`pdc`). After them one for each `class`, a group of ingredients of which several products are known: a day is covered when any of
//! them is in hand, and none shifts another. Counted as `$adherence` counts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Ask, Fact, Tells, ingredients};
use crate::fhir::path::Form;
use crate::react::adherence::{Window, covered_by_any, is_counted};
use crate::react::cover::Fill;

/// How far back adherence is looked at.
const WINDOW_DAYS: i64 = 180;

pub(super) const FACT: Fact = Fact {
    name: "adherence",
    kinds: &[],
    tells: Tells::Parts(&[
        ("product", Form::Text),
        ("ingredient", Form::Text),
        ("group", Form::Text),
        ("class", Form::Text),
        ("days", Form::Number),
        ("covered", Form::Number),
        ("pdc", Form::Number),
    ]),
    value: |ask| ask.supplies.adherence.on(ask.today(), || told(ask)),
};

fn told(ask: &Ask) -> Vec<Value> {
    let mut found = Vec::new();
    let mut classes: BTreeMap<&str, Vec<&[Fill]>> = BTreeMap::new();
    for (product, fills) in ask.by_product() {
        let groups = ask.groups(product);
        let own = json!({"product": product, "ingredient": ingredients(product), "group": groups});
        found.extend(counted(ask, &[fills], own));
        for group in groups {
            classes.entry(group).or_default().push(fills);
        }
    }
    let several = classes.into_iter().filter(|(_, products)| products.len() > 1);
    found.extend(several.filter_map(|(class, products)| counted(ask, &products, json!({"class": class}))));
    found
}

/// What these products together come to. A fill of days that nobody told leaves open what was covered: nothing is said then.
fn counted(ask: &Ask, products: &[&[Fill]], mut found: Value) -> Option<Value> {
    let today = ask.today();
    let first = products.iter().copied().flatten().map(|fill| fill.first).min()?;
    let window = Window { from: first.max(today - WINDOW_DAYS), to: today - 1, away: BTreeSet::new() };
    if window.from > window.to || !products.iter().copied().flatten().all(is_counted) {
        return None;
    }
    let pdc = covered_by_any(products, &window)?;
    (found["days"], found["covered"], found["pdc"]) = (json!(pdc.under), json!(pdc.over), json!(pdc.value()));
    Some(found)
}
