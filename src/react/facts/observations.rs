//! `%observations`: what was measured of the person and is loaded, whatever its status.
//! Follows <https://hl7.org/fhir/R4/observation.html>.

use super::{Fact, Tells, all};

pub(super) const FACT: Fact = Fact {
    name: "observations",
    kinds: &["Observation"],
    tells: Tells::Resource("Observation"),
    value: |ask| all(ask, "Observation"),
};
