//! The therapy a dispense belongs to goes on: its order was not ended.
//! Follows <https://hl7.org/fhir/R4/medicationrequest.html>.

use serde_json::Value;

use super::{Asked, Gate, Verdict, stop};
use crate::ledger::{Decision, Outcome};
use crate::react::json::text;
use crate::react::refills::{self, Dispenses};
use crate::react::{Resource, doses};

pub(crate) const GATE: Gate = Gate { name: "therapy", mends: "An order that is active, still valid, and has a fill left.", ask };

/// The reason why nothing follows from an ended order.
pub(crate) const ENDED: &str = "The order was ended.";

/// Whether an order was ended before it was used up.
pub(crate) fn has_ended(order: &Value) -> bool {
    matches!(text(order, "status"), Some("stopped" | "cancelled" | "entered-in-error"))
}

/// Whether something ended since the therapy did not go on.
pub(crate) fn has_stopped(decision: &Decision) -> bool {
    matches!(decision.outcome, Outcome::Stopped | Outcome::Withdrawn) && decision.gate == GATE.name
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
    let (turn, product) = (asked.turn, &asked.candidate.detail.product);
    let dispenses = refills::dispenses(turn.rules, turn.story, product, turn.fills(product));
    let verdict = of_order(asked, &order, &dispenses);
    let is_renewed = || refills::goes_on(turn.rules, turn.story, product, &dispenses, &order.reference());
    // Of several dispenses that make a fill each may have an order of its own.
    let passes = |id: &String| {
        let beside = turn.fact(&format!("MedicationDispense/{id}")).filter(|dispense| !dispense.deleted);
        let order = beside.and_then(|dispense| refills::order_of(dispense, turn.story));
        order.is_some_and(|order| of_order(asked, &order, &dispenses) == Verdict::Pass)
    };
    let goes_on = || asked.candidate.fill.iter().flat_map(|fill| &fill.dispenses).any(passes);
    if verdict == Verdict::Pass || is_renewed() || goes_on() { Verdict::Pass } else { verdict }
}

fn of_order(asked: &Asked, order: &Resource, dispenses: &Dispenses) -> Verdict {
    if has_ended(&order.value) {
        return stop(ENDED);
    }
    if text(&order.value, "status") == Some("on-hold") {
        return asked.wait("The order is on hold.");
    }
    // The store may still call, and see to a new order; the patient is not told to fetch what nobody ordered.
    let none = if asked.speaks() { refills::left(asked.turn.rules, asked.turn.story, order, dispenses).why } else { None };
    none.map_or(Verdict::Pass, stop)
}

/// Whether the order still says the dose that the step is about, if it is about one.
fn says_dose(asked: &Asked) -> bool {
    let (turn, candidate) = (asked.turn, asked.candidate);
    let is_of_doses = candidate.plan.step(&candidate.step.id).is_some_and(|(action, _)| action.at_doses);
    let says = |wish: &Resource| doses::is_still_taken(turn.story, turn.rules, &wish.value, &candidate.episode);
    !is_of_doses || candidate.trigger.is_none_or(says)
}
