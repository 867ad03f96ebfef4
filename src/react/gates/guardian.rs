//! What is said about a minor goes to a guardian, or waits for one to be known.
//! Follows <https://hl7.org/fhir/R4/relatedperson.html>.

use super::{Asked, Gate, Verdict};
use crate::react::person;

pub(super) const GATE: Gate = Gate { name: "guardian", mends: "A RelatedPerson who is the guardian of the minor.", ask };

fn ask(asked: &Asked) -> Verdict {
    // Without a Patient the gate of identity holds; here the recipient is missing only for a minor.
    if asked.speaks() && asked.recipient.is_none() && person::patient(asked.turn.story).is_some() {
        return asked.wait("The person is a minor and no guardian is known.");
    }
    Verdict::Pass
}
