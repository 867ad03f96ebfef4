//! There is an address to which a message could go.

use super::{Asked, Gate, Verdict, stop};

pub(super) const GATE: Gate = Gate {
    name: "reachable",
    mends: "A telephone number or an e-mail address in Patient.telecom, not of use old, nor of a time that is over.",
    ask,
};

fn ask(asked: &Asked) -> Verdict {
    if asked.speaks() && asked.recipient.is_some_and(|recipient| !recipient.is_reachable(asked.turn.story.now)) {
        return stop("No telephone number or address of the recipient is known.");
    }
    Verdict::Pass
}
