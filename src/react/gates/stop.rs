//! STOP binds the address it came from, for all who share it.

use super::{Asked, Gate, Verdict, stop};

pub(super) const GATE: Gate = Gate { name: "stop", ask };

fn ask(asked: &Asked) -> Verdict {
    let Some(recipient) = asked.recipient else { return Verdict::Pass };
    let stopped = &asked.turn.stopped;
    if recipient.addresses().iter().any(|address| stopped.contains(address)) {
        return stop("Somebody said STOP for an address of the recipient.");
    }
    Verdict::Pass
}
