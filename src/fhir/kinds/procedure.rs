//! A procedure happened when it was performed.
//! Follows <https://hl7.org/fhir/R4/procedure.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "Procedure",
    subject: &["subject"],
    happened: &["performedDateTime", "performedPeriod"],
    store: &["performer.onBehalfOf", "performer.actor"],
};
