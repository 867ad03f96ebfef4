//! `%orders`: the MedicationRequests of the person, whatever their status.
//! Follows <https://hl7.org/fhir/R4/medicationrequest.html>.

use super::{Fact, Tells, all};

pub(super) const FACT: Fact = Fact {
    name: "orders",
    kinds: &["MedicationRequest"],
    tells: Tells::Resource("MedicationRequest"),
    value: |ask| all(ask, "MedicationRequest"),
};
