//! `%order`: the MedicationRequest that a dispense fills.
//! Follows <https://hl7.org/fhir/R4/medicationrequest.html>.

use std::borrow::Cow;

use super::{Fact, Tells};
use crate::react::products;

pub(super) const FACT: Fact = Fact {
    name: "order",
    kinds: &[],
    tells: Tells::Resource("MedicationRequest"),
    value: |ask| products::order(ask.resource, ask.story).map(Cow::Borrowed).into_iter().collect(),
};
