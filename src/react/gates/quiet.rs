//! Messages go out between eight and nine in the evening, wherever the recipient may be.

use std::borrow::Cow;

use super::{Asked, Gate, Verdict};
use crate::react::zones;

pub(super) const GATE: Gate = Gate {
    name: "quiet",
    mends: "Time: it is day again at the time named; or an address that says where the recipient lives.",
    ask,
};

fn ask(asked: &Asked) -> Verdict {
    let Some(recipient) = asked.recipient.filter(|_| asked.speaks()) else { return Verdict::Pass };
    let now = asked.turn.story.now;
    match zones::open(now, &recipient.zones(asked.turn.rules, &asked.store.zone, asked.turn.story.now)) {
        Some(open) if open <= now => Verdict::Pass,
        Some(open) => Verdict::Hold(open, Cow::Borrowed("It is night where the recipient lives.")),
        None => asked.wait("It is not known when it is day where the recipient lives."),
    }
}
