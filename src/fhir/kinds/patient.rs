//! A patient is its own subject and did not happen at one time; the store is who keeps the record.
//! Follows <https://hl7.org/fhir/R4/patient.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind { name: "Patient", subject: &[], happened: &[], store: &["managingOrganization"] };
