//! Nothing is said to or about the dead.

use super::{Gate, Verdict, stop};
use crate::react::person;

pub(crate) const GATE: Gate = Gate {
    name: "alive",
    mends: "A corrected Patient.deceased, if the record is wrong; who has died is not written to.",
    ask: |asked| if person::has_died(asked.turn.story) { stop("The person has died.") } else { Verdict::Pass },
};
