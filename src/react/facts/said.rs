//! `%said`: of all that was said or asked for about the person the `plan` (the last part of its url), the `step`, and how many `days`
//! ago that was. What was said because of a mistake stands for nothing else.

use std::borrow::Cow;

use serde_json::json;

use super::{Fact, Tells};
use crate::fhir::path::Form;
use crate::ledger::{Decision, Outcome};
use crate::react::decide::because;
use crate::react::json::unversioned;

const DAY_MS: i64 = 86_400_000;

pub(super) const FACT: Fact = Fact {
    name: "said",
    kinds: &[],
    tells: Tells::Parts(&[("plan", Form::Text), ("step", Form::Text), ("days", Form::Number)]),
    value: |ask| {
        let fired =
            ask.decisions.values().filter(|decision| decision.outcome == Outcome::Fired && decision.gate != because::REVERSED);
        let of = |decision: &Decision| {
            let url = unversioned(&decision.rule);
            let plan = url.rsplit('/').next().unwrap_or_default();
            Cow::Owned(json!({"plan": plan, "step": decision.step, "days": (ask.story.now - decision.at) / DAY_MS}))
        };
        fired.map(of).collect()
    },
};
