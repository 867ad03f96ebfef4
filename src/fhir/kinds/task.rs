//! A task is for a patient, and happened when it was asked for; its owner is the store until somebody claims it.
//! Follows <https://hl7.org/fhir/R4/task.html>.

use super::Kind;

pub(super) const KIND: Kind =
    Kind { name: "Task", subject: &["for"], happened: &["authoredOn", "executionPeriod"], store: &["owner"] };
