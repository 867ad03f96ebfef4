//! `%allergies`: what the person is recorded to be allergic to.
//! Follows <https://hl7.org/fhir/R4/allergyintolerance.html>.

use super::{Fact, all};

pub(super) const FACT: Fact =
    Fact { name: "allergies", kinds: &["AllergyIntolerance"], value: |ask| all(ask, "AllergyIntolerance") };
