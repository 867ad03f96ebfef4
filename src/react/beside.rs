//! What else a dispense that is heard may change: the fills of its day and those after it, which may be other fills in number, day or
//! length since then, and may carry on what it began when it is taken back; and the one before it, which may be the last fill then.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{Heard, Rules, Story, products, supply};
use crate::ledger::Supply;

/// Dispenses that are read beside one that was heard; of more, the latest.
const BESIDE_MAX: usize = 8;

/// The dispenses beside those that were heard, as `Type/id`. What comes in its order has few: nothing was handed over later.
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
            let mut later: Vec<&Supply> = story.supplies.rows_of(product).filter(is_later).collect();
            later.sort_by_key(|row| (Reverse(row.handed), &row.dispense));
            let of_product = story.supplies.rows_of(product);
            let before =
                of_product.filter(|row| known.is_some() && row.handed < from).max_by_key(|row| (row.handed, &row.dispense));
            let found_here = later.into_iter().take(BESIDE_MAX).chain(before);
            found.extend(found_here.map(|row| format!("MedicationDispense/{}", row.dispense)));
        }
    }
    found.into_iter().collect()
}

/// What these refer to, as `Type/id`.
#[must_use]
pub fn behind_these(story: &Story, beside: &[String]) -> Vec<String> {
    let found = beside.iter().filter_map(|reference| story.find(reference));
    found.flat_map(|dispense| products::needed(&dispense.value)).collect()
}
