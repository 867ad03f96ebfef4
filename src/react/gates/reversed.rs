//! What set the step off still stands.

use super::{Asked, Gate, Verdict, stop};
use crate::react::json::text;
use crate::react::supply;

pub(super) const GATE: Gate =
    Gate { name: "reversed", mends: "A fact that stands: completed or final, and not taken back.", ask };

fn ask(asked: &Asked) -> Verdict {
    let Some(trigger) = asked.candidate.trigger else { return stop("What it rests on cannot be found any more.") };
    let about_supply = !asked.candidate.detail.product.is_empty();
    if supply::is_reversed(trigger) || (about_supply && asked.candidate.fill.is_none()) {
        return stop("What it rests on was reversed.");
    }
    match text(&trigger.value, "status") {
        Some("registered" | "preliminary" | "partial") if trigger.kind == "DiagnosticReport" => {
            asked.wait("The report is not final.")
        }
        _ => Verdict::Pass,
    }
}
