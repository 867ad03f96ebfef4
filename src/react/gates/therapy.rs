//! The therapy a dispense belongs to goes on: its order was not ended.
//! Follows <https://hl7.org/fhir/R4/medicationrequest.html>.

use super::{Asked, Gate, Verdict, stop};
use crate::react::json::text;
use crate::react::plan::Anchor;
use crate::react::products;

pub(super) const GATE: Gate = Gate { name: "therapy", ask };

fn ask(asked: &Asked) -> Verdict {
    // Advice on what was handed over is as good without an order; only what asks for the next fill needs one that goes on.
    if !matches!(asked.candidate.step.anchor, Anchor::End(_)) {
        return Verdict::Pass;
    }
    let order = asked.candidate.trigger.and_then(|dispense| products::order(&dispense.value, asked.turn.story));
    match order.and_then(|order| text(order, "status")) {
        Some("stopped" | "cancelled" | "entered-in-error") => stop("The order was ended."),
        Some("on-hold") => asked.wait("The order is on hold."),
        _ => Verdict::Pass,
    }
}
