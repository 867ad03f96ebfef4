//! A supply begins when it is handed over; most senders write only one of the two times.
//! Follows <https://hl7.org/fhir/R4/medicationdispense.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "MedicationDispense",
    subject: &["subject"],
    happened: &["whenHandedOver", "whenPrepared"],
    store: &["performer.actor"],
};
