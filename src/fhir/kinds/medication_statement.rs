//! What somebody takes, from when they take it, else since when it is known.
//! Follows <https://hl7.org/fhir/R4/medicationstatement.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "MedicationStatement",
    subject: &["subject"],
    happened: &["effectiveDateTime", "effectivePeriod", "dateAsserted"],
    store: &["informationSource"],
};
