//! An order happened when it was written; the store is the pharmacy that is asked to dispense.
//! Follows <https://hl7.org/fhir/R4/medicationrequest.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "MedicationRequest",
    subject: &["subject"],
    happened: &["authoredOn"],
    store: &["dispenseRequest.performer", "performer"],
};
