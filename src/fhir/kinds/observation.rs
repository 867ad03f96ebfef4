//! A value is about the time it was taken, else the time it was issued.
//! Follows <https://hl7.org/fhir/R4/observation.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "Observation",
    subject: &["subject"],
    happened: &["effectiveDateTime", "effectivePeriod", "effectiveInstant", "effectiveTiming", "issued"],
    store: &["performer"],
};
