//! `%doses`: the times at which what the resource is about is taken today, where the order still goes on and says so: `time`. It is
//! the day of the one who is reminded, not that of the store.
//! Follows <https://hl7.org/fhir/R4/datatypes.html#Timing>.

use std::borrow::Cow;

use serde_json::json;

use super::{Fact, Tells};
use crate::fhir::path::Form;
use crate::react::doses;

pub(super) const FACT: Fact = Fact {
    name: "doses",
    kinds: &["MedicationRequest"],
    tells: Tells::Parts(&[("time", Form::Text)]),
    value: |ask| {
        let (story, rules) = (ask.story, ask.rules);
        let times = doses::of_day(story, ask.resource, doses::today(story, rules), &doses::zone(story, rules));
        times.into_iter().map(|time| Cow::Owned(json!({"time": time.strftime("%H:%M").to_string()}))).collect()
    },
};
