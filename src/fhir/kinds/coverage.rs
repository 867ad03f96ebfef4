//! Insurance is about the one who is covered, not the one who pays; it happens when it begins.
//! Follows <https://hl7.org/fhir/R4/coverage.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind { name: "Coverage", subject: &["beneficiary"], happened: &["period"], store: &[] };
