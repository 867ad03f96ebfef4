//! A task is for a patient, and happened when it was asked for; its owner is the store until somebody claims
//! it; a pharmacist's own names the store beside them.
//! Follows <https://hl7.org/fhir/R4/task.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "Task",
    subject: &["for"],
    happened: &["authoredOn", "executionPeriod"],
    store: &["owner", "restriction.recipient"],
};
