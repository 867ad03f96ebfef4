//! `%allergies`: what the person is recorded to be allergic to.
//! Follows <https://hl7.org/fhir/R4/allergyintolerance.html>.

use super::{Fact, Tells, all};

pub(super) const FACT: Fact = Fact {
    name: "allergies",
    kinds: &["AllergyIntolerance"],
    tells: Tells::Resource("AllergyIntolerance"),
    value: |ask| all(ask, "AllergyIntolerance"),
};
