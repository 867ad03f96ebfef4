//! Which elements of a rule are understood, level by level. What is not might narrow a rule, delay it or make another of it, so that it
//! is a fault and never passed over; what only tells people of a rule passes.
//! Follows <https://hl7.org/fhir/R4/plandefinition-definitions.html>.

use serde_json::Value;

use super::{EXTENSIONS, Reader};
use crate::react::json::{coded, each, text};

/// A level of a rule.
pub(in crate::react) struct Level {
    /// The elements that are understood there, and those that only tell of it.
    elements: &'static [&'static [&'static str]],
    /// The extensions of ours that may stand there once, with the types of value they may have. What has no value, but
    /// parts, may be repeated.
    extensions: &'static [(&'static str, &'static [&'static str])],
}

/// What any artefact may say of itself.
const ABOUT: &[&str] = &[
    "resourceType",
    "meta",
    "language",
    "text",
    "contained",
    "url",
    "identifier",
    "version",
    "name",
    "title",
    "subtitle",
    "status",
    "date",
    "publisher",
    "contact",
    "description",
    "jurisdiction",
    "purpose",
    "usage",
    "copyright",
    "approvalDate",
    "lastReviewDate",
    "topic",
    "author",
    "editor",
    "reviewer",
    "endorser",
    "relatedArtifact",
    "library",
];

/// What an action or a step may say of itself.
const TOLD: &[&str] = &[
    "prefix",
    "title",
    "description",
    "textEquivalent",
    "code",
    "reason",
    "documentation",
    "goalId",
    "groupingBehavior",
    "precheckBehavior",
];

/// Elements that may say only what is done anyway.
const ANYWAY: &[(&str, &[&str])] = &[
    ("experimental", &["false"]),
    ("doNotPerform", &["false"]),
    ("subjectCodeableConcept", &["Patient"]),
    ("selectionBehavior", &["any", "all"]),
    ("requiredBehavior", &["must", "could"]),
    ("cardinalityBehavior", &["single"]),
];

/// The system of the kinds of context that the standard names.
const CONTEXTS: &str = "http://terminology.hl7.org/CodeSystem/usage-context-type";

/// Of these kinds, those that say for whom or where something is meant.
const NARROWING: &[&str] = &["gender", "age", "focus", "workflow", "venue", "species"];

/// A PlanDefinition.
pub(super) const PLAN: Level = Level {
    elements: &[ABOUT, &["type", "effectivePeriod", "goal", "action"]],
    extensions: &[
        ("plan-priority", &["valueCode"]),
        ("plan-episode-window", &["valueDuration"]),
        ("plan-once", &["valueBoolean"]),
        ("plan-forecast", &["valueInteger", "valuePositiveInt", "valueUnsignedInt"]),
        ("plan-holdout", &["valueDecimal"]),
        ("plan-holdout-salt", &["valueString"]),
    ],
};

/// What listens, with its steps.
pub(super) const ACTION: Level =
    Level { elements: &[TOLD, &["trigger", "condition", "input", "action"]], extensions: &[("dose-times", &["valueBoolean"])] };

/// What follows.
pub(super) const STEP: Level = Level {
    elements: &[TOLD, &["condition", "relatedAction", "definitionCanonical", "action"]],
    extensions: &[("step-window", &["valueDuration"])],
};

/// What an action says or asks for: an ActivityDefinition.
pub(in crate::react) const ACTIVITY: Level = Level {
    elements: &[ABOUT, &["kind", "intent", "priority", "code", "productCodeableConcept"]],
    extensions: &[("message", &[]), ("relay", &["valueBoolean"]), ("inward", &["valueBoolean"]), ("form", &["valueCanonical"])],
};

/// A trigger that hears of facts.
pub(super) const HEARING: Level = of(&[&["type", "name", "data"]]);
/// A trigger by the name of an event.
pub(super) const NAMED: Level = of(&[&["type", "name"]]);
/// A trigger of the calendar.
pub(super) const PERIODIC: Level = of(&[&["type", "name", "timingTiming", "timingDate", "timingDateTime", "timingReference"]]);
/// What a trigger is about, or an input.
pub(super) const DATA: Level = of(&[&["type", "mustSupport", "codeFilter"]]);
/// Codes that it must carry.
pub(super) const FILTER: Level = of(&[&["path", "valueSet", "code"]]);
/// A condition.
pub(super) const CONDITION: Level = of(&[&["kind", "expression"]]);
/// Its expression.
pub(super) const EXPRESSION: Level = of(&[&["description", "name", "language", "expression"]]);
/// What a step is anchored to.
pub(super) const RELATED: Level = of(&[&["actionId", "relationship", "offsetDuration"]]);
/// How far from it.
pub(super) const DURATION: Level = of(&[&["value", "unit", "system", "code"]]);
/// From when to when.
pub(super) const PERIOD: Level = of(&[&["start", "end"]]);

/// A level without extensions of ours.
const fn of(elements: &'static [&'static [&'static str]]) -> Level {
    Level { elements, extensions: &[] }
}

impl Level {
    /// The elements that are not understood here.
    pub(in crate::react) fn strange<'a>(&self, value: &'a Value) -> impl Iterator<Item = &'a str> {
        let members = value.as_object().into_iter().flatten();
        members.filter(|(name, value)| !self.knows(name, value)).map(|(name, _)| name.as_str())
    }

    fn knows(&self, name: &str, value: &Value) -> bool {
        // What hangs on a plain value, for example a translation of it, tells of that value.
        let name = name.strip_prefix('_').unwrap_or(name);
        let anyway = || ANYWAY.iter().filter(|(known, _)| *known == name).any(|(_, words)| says(value, words));
        if name == "useContext" {
            return self.elements.contains(&ABOUT) && !narrows(value);
        }
        matches!(name, "id" | "extension") || self.elements.iter().any(|list| list.contains(&name)) || anyway()
    }

    /// What is wrong with the extensions of ours that stand here, each with its place among all.
    pub(in crate::react) fn misplaced(&self, value: &Value) -> Vec<(usize, String)> {
        let mut faults = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for (at, extension) in each(value, "extension").iter().enumerate() {
            let url = text(extension, "url").unwrap_or_default();
            if !url.contains("://signa.example/") {
                continue;
            }
            let known = self.extensions.iter().find(|(name, _)| url.strip_prefix(EXTENSIONS) == Some(*name));
            let why = match known {
                None => {
                    let names: Vec<&str> = self.extensions.iter().map(|(name, _)| *name).collect();
                    format!("{url} is no extension that goes here; these are: {}", names.join(", "))
                }
                Some((_, [])) => continue,
                Some((name, _)) if seen.contains(name) => format!("{name} stands here twice"),
                Some((name, kinds)) if !kinds.iter().any(|kind| extension.get(kind).is_some()) => {
                    format!("{name} needs a {}", kinds.join(" or "))
                }
                Some((name, _)) => {
                    seen.push(name);
                    continue;
                }
            };
            faults.push((at, why));
        }
        faults
    }
}

impl Reader<'_> {
    /// Refuses what is not understood at this level.
    pub(super) fn known(&mut self, level: &Level, value: &Value, place: &str) {
        for name in level.strange(value) {
            let why = match name {
                "useContext" => {
                    format!("a {name} of {} is not applied; a condition says for whom it is", NARROWING.join(", "))
                }
                _ => format!("{name}, as it stands here, is not understood; without it the rule might not do what is meant"),
            };
            self.fault("not-understood", &format!("{place}.{name}"), &why);
        }
        for (at, why) in level.misplaced(value) {
            self.fault("bad-extension", &format!("{place}.extension[{at}]"), &why);
        }
    }
}

/// Whether a useContext says for whom or where something is meant: that is asked by conditions alone. What a house calls its
/// campaigns in a system of its own only tells of them.
fn narrows(contexts: &Value) -> bool {
    let narrows = |context: &Value| {
        let code = context.get("code").unwrap_or(&Value::Null);
        matches!(text(code, "system"), None | Some(CONTEXTS)) && text(code, "code").is_some_and(|code| NARROWING.contains(&code))
    };
    contexts.as_array().is_some_and(|contexts| contexts.iter().any(narrows))
}

/// Whether a value is one of these words, or coded so.
fn says(value: &Value, words: &[&str]) -> bool {
    let is = |word: &str| {
        value.as_str() == Some(word)
            || word.parse().is_ok_and(|word: bool| value.as_bool() == Some(word))
            || coded(Some(value), word)
    };
    words.iter().any(|word| is(word))
}
