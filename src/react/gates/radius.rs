//! A rule that fired far more often than ever speaks no further until a person has said what becomes of it. Rules of clinical
//! priority are no exception: one that is wrong about many harms many, and its Task is the most urgent there is.

use std::borrow::Cow;

use super::{Asked, Gate, Verdict, stop};
use crate::ledger::HaltState;

/// Its name, by which what it holds is kept back.
pub(crate) const NAME: &str = "radius";

pub(super) const GATE: Gate = Gate {
    name: NAME,
    mends: "The Task about the stopped rule, completed with the output go-on; or, once it was said to stay stopped, another version of it.",
    ask,
};

fn ask(asked: &Asked) -> Verdict {
    let rule = asked.candidate.plan.canonical();
    let holds: Vec<HaltState> = asked.turn.story.halts.iter().filter(|halt| halt.holds(&rule)).map(|halt| halt.state).collect();
    if holds.is_empty() {
        return Verdict::Pass;
    }
    // What a person said of this version stands, although another one is asked about.
    if holds.contains(&HaltState::Retired) {
        return stop("The rule would have fired far more often than expected, and a person said that it stays stopped.");
    }
    let why = "The rule would have fired far more often than expected; it waits for a person to say what becomes of it.";
    Verdict::Hold(asked.candidate.detail.until + 1, Cow::Borrowed(why))
}
