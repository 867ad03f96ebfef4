//! A message happened when it was sent, else when it was received.
//! Follows <https://hl7.org/fhir/R4/communication.html>.

use super::Kind;

pub(super) const KIND: Kind =
    Kind { name: "Communication", subject: &["subject"], happened: &["sent", "received"], store: &["sender"] };
