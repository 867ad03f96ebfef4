//! STOP binds the addresses of the person, for all who share them, and whatever address becomes known of the person later.

use super::{Asked, Gate, Verdict, stop};
use crate::react::person;

pub(super) const GATE: Gate = Gate { name: "stop", mends: "The person's own START for the address.", ask };

fn ask(asked: &Asked) -> Verdict {
    if asked.candidate.step.activity.inward {
        return Verdict::Pass;
    }
    let (stopped, story) = (&asked.turn.stopped, asked.turn.story);
    let addresses = asked.recipient.map(|recipient| recipient.addresses()).unwrap_or_default();
    if addresses.iter().any(|address| stopped.contains(address)) {
        return stop("Somebody said STOP for an address of the recipient.");
    }
    if story.united.iter().chain([&story.person]).any(|known| stopped.contains(&person::key(*known))) {
        return stop("Somebody said STOP for the person.");
    }
    Verdict::Pass
}
