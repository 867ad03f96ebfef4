//! A vaccination happened when it was given, else when it was recorded.
//! Follows <https://hl7.org/fhir/R4/immunization.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "Immunization",
    subject: &["patient"],
    happened: &["occurrenceDateTime", "recorded"],
    store: &["performer.actor"],
};
