//! What set the step off still stands.

use super::{Asked, Gate, Verdict, stop};
use crate::react::json::text;
use crate::react::plan::Action;
use crate::react::turn::Turn;
use crate::react::{Resource, supply};

pub(super) const GATE: Gate =
    Gate { name: "reversed", mends: "A fact that stands: completed or final, and not taken back.", ask };

/// Whether an action is about the very thing that speaks against a fact: its removal, or the status that undoes it or leaves it open,
/// which it names. Of what was entered in error nothing is ever said.
pub(crate) fn is_meant(turn: &Turn, action: &Action, fact: &Resource) -> bool {
    if fact.deleted {
        return action.hears_removal(&fact.kind);
    }
    let status = text(&fact.value, "status").filter(|status| *status != "entered-in-error");
    let ask = turn.ask_of(fact);
    status.is_some_and(|status| action.means_status(&ask, &fact.kind, status))
}

fn ask(asked: &Asked) -> Verdict {
    let Some(trigger) = asked.candidate.trigger else { return stop("What it rests on cannot be found any more.") };
    let about_supply = !asked.candidate.detail.product.is_empty();
    if about_supply && asked.candidate.fill.is_none() {
        return stop("What it rests on was reversed.");
    }
    let action = asked.action();
    let is_meant = !about_supply && action.is_some_and(|action| is_meant(asked.turn, action, trigger));
    if !is_meant && supply::is_reversed(trigger) {
        return stop("What it rests on was reversed.");
    }
    if !is_meant && action.is_some_and(|action| action.is_of_removals(&trigger.kind)) {
        return stop("What was removed is there again.");
    }
    // Whatever status a rule names: what may change its meaning is not understood.
    if trigger.value.get("modifierExtension").is_some() {
        return asked
            .wait("What it rests on says something that may change its meaning (modifierExtension) and is not understood.");
    }
    if !is_meant && supply::is_open(trigger) {
        asked.wait("What it rests on is not final, or not done yet.")
    } else {
        Verdict::Pass
    }
}
