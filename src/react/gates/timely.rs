//! What is too late is not said at all.

use super::{Gate, Verdict, stop};

pub(super) const GATE: Gate = Gate {
    name: "timely",
    mends: "Nothing for this time; the next episode has a window of its own.",
    ask: |asked| {
        if asked.turn.story.now > asked.candidate.detail.until { stop("It is too late.") } else { Verdict::Pass }
    },
};
