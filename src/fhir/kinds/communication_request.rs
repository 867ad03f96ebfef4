//! The intention to say something is dated by when it is meant to be said, else by when it was written.
//! Follows <https://hl7.org/fhir/R4/communicationrequest.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "CommunicationRequest",
    // Whose it is says the subject; else to whom it is to be said.
    subject: &["subject", "recipient"],
    happened: &["occurrenceDateTime", "occurrencePeriod", "authoredOn"],
    store: &["sender"],
};
