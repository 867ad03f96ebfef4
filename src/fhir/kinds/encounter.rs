//! A visit happened when it began.
//! Follows <https://hl7.org/fhir/R4/encounter.html>.

use super::Kind;

pub(super) const KIND: Kind =
    Kind { name: "Encounter", subject: &["subject"], happened: &["period"], store: &["serviceProvider"] };
