//! What else a fact that is heard may change. A dispense: the fills of its day and those after it, which may be other fills in number,
//! day or length since then, and may carry on what it began when it is taken back. An order: how long the fills of it last.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{Heard, Resource, Rules, Story, days, products, supply};
use crate::ledger::{How, Line, Supply};

/// Dispenses that are read beside one that was heard; of more, the latest.
const BESIDE_MAX: usize = 8;

/// The dispenses beside what was heard, as `Type/id`. What comes in its order has few: nothing was handed over later.
#[must_use]
pub fn beside(rules: &Rules, story: &Story, heard: &[Heard]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for event in heard.iter().filter(|event| event.resource.kind == "MedicationRequest") {
        let order = &event.resource.value;
        let since = supply::day(order, "authoredOn", supply::zone(story, order)).unwrap_or(i64::MIN);
        let may_fill = |row: &&Supply| row.handed >= since && days::may_be_ordered(&row.step);
        add(&mut found, story.supplies.rows().filter(may_fill).collect());
    }
    for event in heard.iter().filter(|event| event.resource.kind == "MedicationDispense") {
        let value = &event.resource.value;
        let known = story.supplies.rows().find(|row| row.dispense == event.resource.id);
        let days = known.map(|row| row.handed).into_iter().chain(supply::handed(value, &supply::store(story, value).zone));
        let Some(from) = days.min() else { continue };
        let is_later = |row: &&Supply| row.handed >= from && row.dispense != event.resource.id;
        if !story.supplies.rows().any(|row| is_later(&row)) {
            continue;
        }
        let told = rules.products.group(&rules.concepts, value, story);
        let products: BTreeSet<&str> = known.map(|row| row.product.as_str()).into_iter().chain(told.as_deref()).collect();
        for product in products {
            add(&mut found, story.supplies.rows_of(product).filter(is_later).collect());
        }
    }
    found.into_iter().collect()
}

fn add(found: &mut BTreeSet<String>, mut beside: Vec<&Supply>) {
    beside.sort_by_key(|row| (Reverse(row.handed), &row.dispense));
    found.extend(beside.into_iter().take(BESIDE_MAX).map(|row| format!("MedicationDispense/{}", row.dispense)));
}

/// The dispenses that last otherwise by an order that was heard: they are told again.
pub(super) fn told_again(rules: &Rules, story: &Story, heard: &[Heard]) -> Vec<Heard> {
    let orders: Vec<String> = heard
        .iter()
        .map(|event| &event.resource)
        .filter(|one| one.kind == "MedicationRequest")
        .map(Resource::reference)
        .collect();
    let is_heard = |dispense: &Resource| heard.iter().any(|event| event.resource.reference() == dispense.reference());
    let lasts_otherwise = |dispense: &Resource| {
        let known = story.supplies.rows().find(|row| row.dispense == dispense.id);
        supply::row(rules, story, dispense)
            .is_ok_and(|row| known.is_some_and(|known| (known.days, &known.step) != (row.days, &row.step)))
    };
    let is_told = |dispense: &&Resource| {
        let is_of_orders = products::needed(&dispense.value).iter().any(|needed| orders.contains(needed));
        is_of_orders && dispense.is_about() && !is_heard(dispense) && lasts_otherwise(dispense)
    };
    let told = story.current("MedicationDispense").filter(|_| !orders.is_empty()).filter(is_told);
    told.map(|fact| Heard { line: Line::Updated, resource: fact.clone(), react: fact.how == How::Live, depth: 0 }).collect()
}

/// What these refer to, as `Type/id`.
#[must_use]
pub fn behind_these(story: &Story, beside: &[String]) -> Vec<String> {
    let found = beside.iter().filter_map(|reference| story.find(reference));
    found.flat_map(|dispense| products::needed(&dispense.value)).collect()
}
