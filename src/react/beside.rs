//! What else a dispense that is heard may change: the fills of its day and those after it, which may be other fills in number, day or
//! length since then, and may carry on what it began when it is taken back; and the one before it, which may be the last fill then. An
//! order that is heard may change the fills of it.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{Heard, Resource, Rules, Story, products, renewal, supply};
use crate::ledger::Supply;

/// Dispenses that are read beside one that was heard; of more, the latest.
const BESIDE_MAX: usize = 8;

/// Medications that are read beside orders that were heard; of more, those of the latest fills.
pub(super) const MEDICATIONS_MAX: usize = 32;

/// The dispenses beside what was heard, as `Type/id`. What comes in its order has few: nothing was handed over later.
#[must_use]
pub fn beside(rules: &Rules, story: &Story, heard: &[Heard]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for event in heard.iter().filter(|event| event.resource.kind == "MedicationDispense") {
        let value = &event.resource.value;
        let known = story.supplies.rows().find(|row| row.dispense == event.resource.id);
        let days = known.map(|row| row.handed).into_iter().chain(supply::handed(value, &supply::store(story, value).zone));
        let Some(from) = days.min() else { continue };
        let is_later = |row: &&Supply| row.handed >= from && row.dispense != event.resource.id;
        if known.is_none() && !story.supplies.rows().any(|row| is_later(&row)) {
            continue;
        }
        let told = rules.products.group(&rules.concepts, value, story);
        let products: BTreeSet<&str> = known.map(|row| row.product.as_str()).into_iter().chain(told.as_deref()).collect();
        for product in products {
            let of_product = || story.supplies.rows_of(product);
            found.extend(latest(of_product().filter(is_later)));
            if known.is_some() {
                found.extend(latest(of_product().filter(|row| row.handed < from)).next());
            }
        }
    }
    found.into_iter().collect()
}

/// The latest of these, latest first, as `Type/id`.
fn latest<'s>(rows: impl Iterator<Item = &'s Supply>) -> impl Iterator<Item = String> {
    let mut rows: Vec<&Supply> = rows.collect();
    rows.sort_by_key(|row| (Reverse(row.handed), &row.dispense));
    rows.into_iter().take(BESIDE_MAX).map(|row| format!("MedicationDispense/{}", row.dispense))
}

/// What the orders are about that those which were heard and those beside fill, and what was handed over on the orders that were heard, as
/// `Type/id`.
#[must_use]
pub fn ordered(story: &Story, heard: &[Heard], beside: &[String]) -> Vec<String> {
    let told = heard.iter().map(|event| &event.resource).filter(|one| one.kind == "MedicationDispense");
    let beside = beside.iter().filter_map(|reference| story.find(reference));
    // The dose of an order is that of the same product only.
    let of_dispenses = told.chain(beside).filter_map(|dispense| products::ordered(&dispense.value, story));
    of_dispenses.chain(filled(story, heard)).collect()
}

/// What fills these orders, `Type/id`, the latest first.
fn fills<'s>(story: &'s Story, orders: &[String]) -> Vec<&'s Resource> {
    let is_fill = |one: &&Resource| products::needed(&one.value).iter().any(|needed| orders.contains(needed));
    let mut fills: Vec<&Resource> = story.current("MedicationDispense").filter(is_fill).collect();
    fills.sort_by_key(|one| Reverse(one.learned));
    fills
}

/// The Medications, `Type/id`, by which alone it is known how long what fills these orders lasts.
pub(super) fn lasting(story: &Story, orders: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for medication in fills(story, orders).into_iter().filter_map(|one| products::ordered(&one.value, story)) {
        if !found.contains(&medication) {
            found.push(medication);
        }
    }
    found
}

/// What was handed over on the orders that were heard, and what these are about.
fn filled(story: &Story, heard: &[Heard]) -> Vec<String> {
    let orders = renewal::orders(story, heard);
    if orders.is_empty() {
        return Vec::new();
    }
    let names: Vec<String> = orders.iter().map(|order| order.reference()).collect();
    let about = orders.into_iter().chain(fills(story, &names)).filter_map(|one| products::medication(&one.value));
    let mut found = Vec::new();
    for medication in lasting(story, &names).into_iter().chain(about) {
        if !found.contains(&medication) && story.find(&medication).is_none() {
            found.push(medication);
        }
    }
    found.truncate(MEDICATIONS_MAX);
    found
}

/// What these refer to, as `Type/id`.
#[must_use]
pub fn behind_these(story: &Story, beside: &[String]) -> Vec<String> {
    let found = beside.iter().filter_map(|reference| story.find(reference));
    found.flat_map(|dispense| products::needed(&dispense.value)).collect()
}
