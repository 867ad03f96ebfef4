//! The safety interlock: every gate must let a candidate pass, when it is decided and again when it is sent.
//! A gate that cannot tell holds or stops; it never lets pass.

pub(crate) mod alive;
mod allergy;
mod caps;
mod consent;
pub(crate) mod diagnosis;
mod guardian;
mod identity;
mod quiet;
pub(crate) mod radius;
mod reachable;
pub(crate) mod reversed;
mod stop;
pub(crate) mod therapy;
mod timely;

use std::borrow::Cow;

use super::Store;
use super::activity::Act;
use super::person::{self, Recipient};
use super::plan::Action;
use super::supply;
use super::turn::{Candidate, Turn};

/// What a gate says of a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing against it.
    Pass,
    /// Not now: look again then.
    Hold(i64, Cow<'static, str>),
    /// Never.
    Stop(Cow<'static, str>),
}

/// A gate.
pub(crate) struct Gate {
    /// Its name, as decisions keep it.
    pub(crate) name: &'static str,
    /// What would let pass what it holds or stops.
    pub(crate) mends: &'static str,
    /// What it says.
    pub(crate) ask: fn(&Asked) -> Verdict,
}

/// What gates are asked about.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) turn: &'a Turn<'a>,
    pub(crate) candidate: &'a Candidate<'a>,
    pub(crate) recipient: Option<Recipient<'a>>,
    pub(crate) store: Store,
}

/// All gates, in the order in which their reasons are given.
///
/// To add one: write `gates/<gate>.rs` with a `pub(super) const GATE: Gate` and a table test of what it lets pass and what it
/// refuses, name it in a `mod` line above, and put it here. If it needs resources that are not loaded yet, extend `Rules::wants`.
pub(crate) const GATES: &[Gate] = &[
    radius::GATE,
    alive::GATE,
    identity::GATE,
    reversed::GATE,
    timely::GATE,
    diagnosis::GATE,
    therapy::GATE,
    stop::GATE,
    consent::GATE,
    allergy::GATE,
    guardian::GATE,
    reachable::GATE,
    quiet::GATE,
    caps::GATE,
];

/// What all gates together say: the first that stops, else the latest time that one holds until.
pub(crate) fn ask(turn: &Turn, candidate: &Candidate) -> (&'static str, Verdict) {
    let store = candidate
        .trigger
        .map_or_else(|| supply::store(turn.story, &serde_json::Value::Null), |trigger| supply::store(turn.story, &trigger.value));
    let asked = Asked { turn, candidate, recipient: person::recipient(turn.story), store };
    let mut held: Option<(&'static str, i64, Cow<'static, str>)> = None;
    for gate in GATES {
        #[cfg(test)]
        if gate.name == turn.rules.unguarded {
            continue;
        }
        match (gate.ask)(&asked) {
            Verdict::Pass => {}
            Verdict::Stop(why) => return (gate.name, Verdict::Stop(why)),
            Verdict::Hold(until, why) => match &mut held {
                Some((_, known, _)) => *known = until.max(*known),
                None => held = Some((gate.name, until, why)),
            },
        }
    }
    match held {
        // Once its window is over there is nothing to wait for: it is looked at then, and stopped.
        Some((gate, until, why)) => (gate, Verdict::Hold(until.min(candidate.detail.until + 1), why)),
        None => ("", Verdict::Pass),
    }
}

impl Asked<'_> {
    /// The action that the step is of.
    fn action(&self) -> Option<&Action> {
        self.candidate.plan.step(&self.candidate.step.id).map(|(action, _)| action)
    }

    /// Whether it speaks to the patient; else it gives work to the store.
    fn speaks(&self) -> bool {
        self.candidate.step.activity.act == Act::Speak
    }

    /// Held until something changes, or the window is over.
    fn wait(&self, why: &'static str) -> Verdict {
        Verdict::Hold(self.candidate.detail.until + 1, Cow::Borrowed(why))
    }
}

/// Never, for this reason.
fn stop(why: &'static str) -> Verdict {
    Verdict::Stop(Cow::Borrowed(why))
}
