//! `%conditions`: the diagnoses of the person, whatever their status.
//! Follows <https://hl7.org/fhir/R4/condition.html>.

use super::{Fact, Tells, all};

pub(super) const FACT: Fact =
    Fact { name: "conditions", kinds: &["Condition"], tells: Tells::Resource("Condition"), value: |ask| all(ask, "Condition") };
