//! `%lastDispense`: the newest dispense of the person that is loaded.
//! Follows <https://hl7.org/fhir/R4/medicationdispense.html>.

use std::borrow::Cow;

use super::{Fact, Tells};
use crate::react::json::text;

pub(super) const FACT: Fact = Fact {
    name: "lastDispense",
    kinds: &["MedicationDispense"],
    tells: Tells::Resource("MedicationDispense"),
    value: |ask| {
        let newest = ask.story.current("MedicationDispense").max_by_key(|dispense| text(&dispense.value, "whenHandedOver"));
        newest.map(|dispense| Cow::Borrowed(dispense.value.as_ref())).into_iter().collect()
    },
};
