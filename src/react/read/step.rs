//! Reading what follows, and when.
//! Follows <https://hl7.org/fhir/R4/plandefinition-definitions.html#PlanDefinition.action.relatedAction>.

use serde_json::Value;

use super::{HOUR_MS, Reader, known};
use crate::react::activity::Activity;
use crate::react::json::{each, text, unversioned};
use crate::react::offset::Offset;
use crate::react::plan::{Anchor, Edge, Step, Trigger};

/// Kinds whose resources say when what they tell of ends.
const ENDING: &[&str] = &["MedicationDispense", "Procedure", "Encounter", "Appointment"];

impl Reader<'_> {
    pub(super) fn step(&mut self, value: &Value, action: &str, ids: &[&str], triggers: &[Trigger], place: &str) -> Option<Step> {
        let id = text(value, "id").unwrap_or_default().to_owned();
        if id.is_empty() {
            self.fault("step-without-id", place, "a step needs an id, by which it is decided only once");
        }
        self.known(&known::STEP, value, place);
        let anchor = self.anchor(value, action, ids, triggers, place);
        let window = self.window(value, "step-window", HOUR_MS, place);
        let conditions = self.conditions(value, triggers, place);
        let canonical = text(value, "definitionCanonical").unwrap_or_default();
        let found = self.activities.get(unversioned(canonical));
        let place = format!("{place}.definition");
        let Some(activity) = found else {
            self.fault("unknown-activity", &place, &format!("no ActivityDefinition {canonical} is known"));
            return None;
        };
        if text(activity, "status") == Some("retired") {
            self.fault("bad-activity", &place, &format!("{canonical} is retired"));
        }
        let own = text(activity, "version").unwrap_or_default();
        if let Some((_, version)) = canonical.split_once('|').filter(|(_, version)| *version != own) {
            self.fault(super::PINNED, &place, &format!("of {canonical} the version {own:?} is known, and not {version:?}"));
        }
        match Activity::read(activity) {
            Ok(activity) => Some(Step {
                id,
                anchor: anchor?,
                follows_end: false,
                window_ms: window,
                conditions: conditions.applicability,
                starts: conditions.start,
                stops: conditions.stop,
                activity,
            }),
            Err(why) => {
                self.fault("bad-activity", &place, &format!("{canonical}: {why}"));
                None
            }
        }
    }

    /// A step is anchored to the action it is nested in, to its start or its end, or to another step of that action.
    fn anchor(&mut self, value: &Value, action: &str, ids: &[&str], triggers: &[Trigger], place: &str) -> Option<Anchor> {
        let related = each(value, "relatedAction");
        let Some(first) = related.first() else { return Some(Anchor::AtOnce) };
        let place = format!("{place}.relatedAction");
        let to = text(first, "actionId").unwrap_or_default();
        let step = ids.iter().position(|id| *id == to && !id.is_empty());
        if related.len() > 1 || (to != action && step.is_none()) {
            let why = format!("a step has one anchor: the action {action:?} it is nested in, or another of its steps");
            self.fault("unknown-anchor", &place, &why);
            return None;
        }
        self.known(&known::RELATED, first, &format!("{place}[0]"));
        self.known(&known::DURATION, first.get("offsetDuration").unwrap_or(&Value::Null), &format!("{place}[0].offsetDuration"));
        let Some(offset) = first.get("offsetDuration").map_or(Some(Offset::NONE), Offset::read) else {
            let why = "offsetDuration must be a whole number of hours (h), days (d), weeks (wk), months (mo) or years (a)";
            self.fault("bad-offset", &place, why);
            return None;
        };
        let anchor = match (step.filter(|_| to != action), text(first, "relationship")) {
            (None, Some("after-start" | "after" | "concurrent-with-start" | "concurrent")) => Anchor::Start(offset),
            (None, Some("before-start" | "before")) => Anchor::Start(offset.back()),
            (None, Some("after-end" | "concurrent-with-end")) => Anchor::End(offset),
            (None, Some("before-end")) => Anchor::End(offset.back()),
            (Some(at), Some("after-start" | "concurrent-with-start" | "concurrent")) => Anchor::Step(at, Edge::Start, offset),
            (Some(at), Some("after-end" | "after" | "concurrent-with-end")) => Anchor::Step(at, Edge::End, offset),
            _ => {
                let why = "relationship must be one of before-start, after-start, before-end and after-end; when another step \
                           comes is known only once it came, so that nothing can be before it";
                self.fault("unknown-anchor", &place, why);
                return None;
            }
        };
        if triggers.iter().any(|trigger| trigger.line.is_none()) && !is_after(anchor) {
            let why = "a step of an action that is called comes when it is called, or later: after-start";
            self.fault("unknown-anchor", &place, why);
            return None;
        }
        if matches!(anchor, Anchor::End(_)) && triggers.iter().any(|trigger| !ENDING.contains(&trigger.kind.as_str())) {
            self.fault("unknown-anchor", &place, &format!("only these have an end: {}", ENDING.join(", ")));
            return None;
        }
        Some(anchor)
    }

    /// Finds out what each step hangs on in the end; steps that hang on each other never come.
    pub(super) fn hang(&mut self, steps: &mut [Step], place: &str) {
        let anchors: Vec<Anchor> = steps.iter().map(|step| step.anchor).collect();
        for (at, step) in steps.iter_mut().enumerate() {
            let mut root = at;
            let mut turns = 0;
            while let Some(Anchor::Step(next, ..)) = anchors.get(root) {
                (root, turns) = (*next, turns + 1);
                if turns > anchors.len() {
                    let place = format!("{place}.action[{at}].relatedAction");
                    return self.fault("anchor-cycle", &place, "the steps are anchored to each other in a circle");
                }
            }
            step.follows_end = matches!(anchors.get(root), Some(Anchor::End(_)));
        }
    }
}

/// Whether a step comes when its action is called, or later.
fn is_after(anchor: Anchor) -> bool {
    match anchor {
        Anchor::AtOnce | Anchor::Step(..) => true,
        Anchor::Start(offset) => !offset.is_back(),
        Anchor::End(_) => false,
    }
}
