//! The therapy a dispense belongs to goes on: its order was not ended.
//! Follows <https://hl7.org/fhir/R4/medicationrequest.html>.

use std::borrow::Cow;

use serde_json::Value;

use super::{Asked, Gate, Verdict, stop};
use crate::react::json::text;
use crate::react::{Resource, doses, refills};

pub(super) const GATE: Gate = Gate { name: "therapy", mends: "An order that is active, still valid, and has a fill left.", ask };

/// The reason why nothing follows from an ended order.
pub(crate) const ENDED: &str = "The order was ended.";

/// Whether an order was ended before it was used up.
pub(crate) fn has_ended(order: &Value) -> bool {
    matches!(text(order, "status"), Some("stopped" | "cancelled" | "entered-in-error"))
}

/// The reason why a dose is not reminded of that was planned.
const MOVED: &str = "The order says no such dose any more.";

fn ask(asked: &Asked) -> Verdict {
    if !says_dose(asked) {
        return stop(MOVED);
    }
    // Advice on what was handed over is as good without an order; only what asks for the next fill needs one that goes on.
    if !asked.candidate.step.follows_end {
        return Verdict::Pass;
    }
    let order = asked.candidate.trigger.and_then(|dispense| refills::order_of(dispense, asked.turn.story));
    let Some(order) = order else { return Verdict::Pass };
    if has_ended(&order.value) {
        return stop(ENDED);
    }
    if text(&order.value, "status") == Some("on-hold") {
        return asked.wait("The order is on hold.");
    }
    // The store may still call, and see to a new order; the patient is not told to fetch what nobody ordered.
    let none = if asked.speaks() { none_left(asked, &order) } else { None };
    none.map_or(Verdict::Pass, |why| Verdict::Stop(Cow::Borrowed(why)))
}

/// Why nothing of the order may be fetched any more.
fn none_left(asked: &Asked, order: &Resource) -> Option<&'static str> {
    let turn = asked.turn;
    let product = &asked.candidate.detail.product;
    let dispenses = refills::dispenses(turn.rules, turn.story, product, turn.fills(product));
    let left = refills::left(turn.rules, turn.story, order, &dispenses);
    left.why.filter(|_| left.count == Some(0))
}

/// Whether the order still says the dose that the step is about, if it is about one.
fn says_dose(asked: &Asked) -> bool {
    let (turn, candidate) = (asked.turn, asked.candidate);
    let is_of_doses = candidate.plan.step(&candidate.step.id).is_some_and(|(action, _)| action.at_doses);
    let says = |wish: &Resource| doses::is_still_taken(turn.story, turn.rules, &wish.value, &candidate.episode);
    !is_of_doses || candidate.trigger.is_none_or(says)
}
