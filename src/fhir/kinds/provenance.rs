//! Where something came from belongs to the patient only when the patient is a target.
//! Follows <https://hl7.org/fhir/R4/provenance.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "Provenance",
    subject: &["target"],
    happened: &["occurredDateTime", "occurredPeriod", "recorded"],
    store: &["agent.onBehalfOf", "agent.who"],
};
