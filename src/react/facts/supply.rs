//! `%supply`: the fill a dispense belongs to: `handed`, `first`, `last`, `days` and the `step` that told the days.

use std::borrow::Cow;

use serde_json::json;

use super::Fact;
use crate::react::supply::written;

pub(super) const FACT: Fact = Fact {
    name: "supply",
    kinds: &[],
    value: |ask| {
        let Some(fill) = ask.fill else { return Vec::new() };
        let mut value = json!({"handed": written(fill.handed), "first": written(fill.first), "step": fill.step});
        if let Some(last) = fill.last {
            value["last"] = json!(written(last));
            value["days"] = json!(fill.days);
        }
        vec![Cow::Owned(value)]
    },
};
