//! A relative belongs to the patient's chain, so that a guardian is found with the patient.
//! Follows <https://hl7.org/fhir/R4/relatedperson.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind { name: "RelatedPerson", subject: &["patient"], happened: &["period"], store: &[] };
