//! `%adherence`: per product group `product`, its `ingredient`s and the `group`s that list them, and of the last 180 days, or of those since the first fill where
//! that is later: how many they are (`days`), how many were covered (`covered`), and which share that is (`pdc`).

use std::borrow::Cow;

use serde_json::json;

use super::{Fact, ingredients};

/// How far back adherence is looked at.
const WINDOW_DAYS: i64 = 180;

pub(super) const FACT: Fact = Fact {
    name: "adherence",
    kinds: &[],
    value: |ask| {
        let today = ask.today();
        let mut groups = Vec::new();
        for (product, fills) in ask.by_product() {
            let Some(first) = fills.first().map(|fill| fill.first.max(today - WINDOW_DAYS)) else { continue };
            // A fill of unknown days leaves open what was covered: nothing is said of such a group.
            if first >= today || fills.iter().any(|fill| fill.last.is_none()) {
                continue;
            }
            let reaches = |day: i64| fills.iter().any(|fill| fill.first <= day && fill.last.is_some_and(|last| day <= last));
            let covered = (first..today).filter(|day| reaches(*day)).count();
            let days = today - first;
            #[expect(clippy::cast_precision_loss, reason = "at most half a year of days")]
            let share = covered as f64 / days as f64;
            let value = json!({"product": product, "ingredient": ingredients(product), "group": ask.groups(product), "days": days, "covered": covered, "pdc": share});
            groups.push(Cow::Owned(value));
        }
        groups
    },
};
