//! There is consent for what the message is for.

use super::{Asked, Gate, Verdict, stop};
use crate::react::Unasked;
use crate::react::consent::{Answer, Purpose, answer, has_lapsed};

pub(super) const GATE: Gate =
    Gate { name: "consent", mends: "A Consent that permits this purpose (TREAT for treatment, HMARKT for offers).", ask };

fn ask(asked: &Asked) -> Verdict {
    let story = asked.turn.story;
    if asked.candidate.step.activity.inward {
        return Verdict::Pass;
    }
    if asked.candidate.plan.is_marketing() {
        return match answer(story, Purpose::Marketing) {
            Answer::Given => Verdict::Pass,
            Answer::Refused if has_lapsed(story, Purpose::Marketing) => stop("The person's consent to offers is over."),
            Answer::Refused => stop("The person refused offers."),
            Answer::Unasked => stop("The person did not consent to offers."),
        };
    }
    match answer(story, Purpose::Treatment) {
        Answer::Given => Verdict::Pass,
        Answer::Refused if has_lapsed(story, Purpose::Treatment) => stop("The person's consent to messages is over."),
        Answer::Refused => stop("The person refused messages about their treatment."),
        // Work for the store is no message to the person.
        Answer::Unasked if !asked.speaks() || story.settings.treatment == Unasked::Allowed => Verdict::Pass,
        Answer::Unasked => asked.wait("The person was not asked for consent to messages about their treatment."),
    }
}
