//! An allergy is known from its onset, else from the day it was recorded or last seen.
//! Follows <https://hl7.org/fhir/R4/allergyintolerance.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "AllergyIntolerance",
    subject: &["patient"],
    happened: &["onsetDateTime", "onsetPeriod", "recordedDate", "lastOccurrence"],
    store: &[],
};
