//! The person is the right one: known by a Patient, and still the one the facts belong to after merges.

use super::{Asked, Gate, Verdict, stop};
use crate::react::person;

pub(super) const GATE: Gate = Gate { name: "identity", mends: "An active Patient that stands for the person.", ask };

fn ask(asked: &Asked) -> Verdict {
    let story = asked.turn.story;
    if let Some(trigger) = asked.candidate.trigger
        && trigger.person != story.person
        && !story.united.contains(&trigger.person)
        // Patients are loaded of the person and of those united with it alone.
        && !story.current("Patient").any(|patient| patient.person == trigger.person)
    {
        return stop("The fact belongs to another person now.");
    }
    if person::patient(story).is_none() {
        return asked.wait("No active Patient is known for the person.");
    }
    Verdict::Pass
}
