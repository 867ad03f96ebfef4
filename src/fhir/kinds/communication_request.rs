//! The intention to say something is dated by when it is meant to be said, else by when it was written.
//! Follows <https://hl7.org/fhir/R4/communicationrequest.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "CommunicationRequest",
    subject: &["subject"],
    happened: &["occurrenceDateTime", "occurrencePeriod", "authoredOn"],
    store: &["sender"],
};
