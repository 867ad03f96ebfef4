//! A consent happened when it was given.
//! Follows <https://hl7.org/fhir/R4/consent.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind { name: "Consent", subject: &["patient"], happened: &["dateTime"], store: &["organization"] };
