//! `%doses`: the times at which what the resource is about is taken today, where the order still goes on and says so: `time`.
//! Follows <https://hl7.org/fhir/R4/datatypes.html#Timing>.

use std::borrow::Cow;

use serde_json::json;

use super::Fact;
use crate::react::{doses, zones};

pub(super) const FACT: Fact = Fact {
    name: "doses",
    kinds: &["MedicationRequest"],
    value: |ask| {
        let times = doses::of_day(ask.story, ask.resource, zones::date(ask.today()));
        times.into_iter().map(|time| Cow::Owned(json!({"time": time.strftime("%H:%M").to_string()}))).collect()
    },
};
