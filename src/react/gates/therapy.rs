//! The therapy a dispense belongs to goes on: its order was not ended.
//! Follows <https://hl7.org/fhir/R4/medicationrequest.html>.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::{Asked, Gate, Verdict, stop};
use crate::fhir::time::Moment;
use crate::react::json::text;
use crate::react::{Resource, doses, products, zones};

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
    let order = asked.candidate.trigger.and_then(|dispense| products::order(&dispense.value, asked.turn.story));
    let Some(order) = order else { return Verdict::Pass };
    if has_ended(order) {
        return stop(ENDED);
    }
    match text(order, "status") {
        Some("on-hold") => asked.wait("The order is on hold."),
        // The store may still call, and see to a new order; the patient is not told to fetch what nobody ordered.
        _ if asked.speaks() && is_expired(order, asked.turn.story.now) => stop("The order is valid no longer."),
        _ if asked.speaks() && is_used_up(asked, order) => stop("The order allows no further fill."),
        _ => Verdict::Pass,
    }
}

/// Whether the order still says the dose that the step is about, if it is about one.
fn says_dose(asked: &Asked) -> bool {
    let (turn, candidate) = (asked.turn, asked.candidate);
    let is_of_doses = candidate.plan.step(&candidate.step.id).is_some_and(|(action, _)| action.at_doses);
    let says = |wish: &Resource| doses::is_still_taken(turn.story, turn.rules, &wish.value, &candidate.episode);
    !is_of_doses || candidate.trigger.is_none_or(says)
}

fn is_expired(order: &Value, now: i64) -> bool {
    let period = order.get("dispenseRequest").and_then(|request| request.get("validityPeriod"));
    let end = period.and_then(|period| text(period, "end")).and_then(Moment::parse);
    end.is_some_and(|end| end.span(&TimeZone::UTC).high <= now)
}

/// The number of repeats does not count the first fill. Fills are those of the product since the order was written.
fn is_used_up(asked: &Asked, order: &Value) -> bool {
    let repeats = order.get("dispenseRequest").and_then(|request| request.get("numberOfRepeatsAllowed")).and_then(Value::as_u64);
    let authored = text(order, "authoredOn").and_then(Moment::parse).map(|moment| zones::number(moment.day()));
    let (Some(repeats), Some(authored)) = (repeats, authored) else { return false };
    let fills = asked.turn.fills(&asked.candidate.detail.product);
    let since = fills.iter().filter(|fill| fill.handed >= authored).count();
    u64::try_from(since).is_ok_and(|since| since > repeats)
}
