//! A rule as it runs: what it listens to, what must hold, and its steps.
//! Follows <https://hl7.org/fhir/R4/plandefinition.html> under our own profile.

use serde_json::Value;

use super::activity::Activity;
use super::concepts::Concepts;
use super::condition::Condition;
use super::json::{each, text};
use crate::ledger::Line;

/// The profile a PlanDefinition must claim to be run; foreign plans are stored, never run.
pub const PROFILE: &str = "https://signa.example/fhir/StructureDefinition/signa-plan";

/// Days a step stays worth doing, unless the plan says otherwise.
pub(crate) const WINDOW_DAYS: i64 = 3;

/// Days after which the same diagnosis is a new episode, unless the plan says otherwise.
pub(crate) const EPISODE_DAYS: i64 = 180;

/// A rule.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Its canonical url.
    pub(crate) url: String,
    /// Its version.
    pub(crate) version: String,
    /// 1 clinical, 2 refill, 3 adherence, 4 marketing.
    pub(crate) priority: i64,
    /// Days after which the same diagnosis is a new episode.
    pub(crate) episode_days: i64,
    /// What it listens to.
    pub(crate) actions: Vec<Action>,
}

/// One thing a rule listens to, with what follows from it.
#[derive(Debug)]
pub(crate) struct Action {
    /// Its id, to which steps are anchored.
    pub(crate) id: String,
    /// What sets it off.
    pub(crate) triggers: Vec<Trigger>,
    /// What must hold of the resource and the story.
    pub(crate) conditions: Vec<Condition>,
    /// What follows.
    pub(crate) steps: Vec<Step>,
}

/// What sets an action off.
#[derive(Debug)]
pub(crate) struct Trigger {
    /// What must have happened to the resource.
    pub(crate) line: Line,
    /// The resource type.
    pub(crate) kind: String,
    /// Codes it must carry; all of them.
    pub(crate) filters: Vec<Filter>,
}

/// A code that a resource must carry.
#[derive(Debug)]
pub(crate) struct Filter {
    /// The element, for example `code`.
    pub(crate) path: String,
    /// The concept group, where one is named.
    pub(crate) group: Option<String>,
    /// The codes, where they are listed.
    pub(crate) codes: Vec<(String, String)>,
}

/// One thing to be said or done.
#[derive(Debug)]
pub(crate) struct Step {
    /// Its id in the rule.
    pub(crate) id: String,
    /// When.
    pub(crate) anchor: Anchor,
    /// How long it is worth doing.
    pub(crate) window_days: i64,
    /// What must hold beside the action's conditions.
    pub(crate) conditions: Vec<Condition>,
    /// What is said or done.
    pub(crate) activity: Activity,
}

/// When a step is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// As soon as it is known.
    AtOnce,
    /// So many days after its beginning: for a dispense, after the day it was handed over.
    Start(i64),
    /// So many days after (or, negative, before) its end: for a dispense, the last covered day.
    End(i64),
}

impl Plan {
    /// `url|version`.
    pub(crate) fn canonical(&self) -> String {
        format!("{}|{}", self.url, self.version)
    }

    /// Whether it is an offer and not care.
    pub(crate) fn is_marketing(&self) -> bool {
        self.priority == 4
    }

    /// The step of this id, with its action.
    pub(crate) fn step(&self, id: &str) -> Option<(&Action, &Step)> {
        self.actions.iter().find_map(|action| action.steps.iter().find(|step| step.id == id).map(|step| (action, step)))
    }
}

impl Action {
    /// Whether an event sets it off, conditions aside.
    pub(crate) fn listens(&self, concepts: &Concepts, line: Line, kind: &str, value: &Value) -> bool {
        self.triggers.iter().any(|trigger| trigger.line == line && trigger.suits(concepts, kind, value))
    }

    /// Whether it is about such a resource at all, whatever happened to it.
    pub(crate) fn is_about(&self, concepts: &Concepts, kind: &str, value: &Value) -> bool {
        self.triggers.iter().any(|trigger| trigger.suits(concepts, kind, value))
    }

    /// The concept group by which episodes of a diagnosis are told apart: the first one named, else the codes themselves.
    pub(crate) fn group(&self) -> String {
        let filter = self.triggers.iter().flat_map(|trigger| &trigger.filters).find(|filter| !filter.path.is_empty());
        match filter {
            Some(Filter { group: Some(group), .. }) => group.clone(),
            Some(Filter { codes, .. }) => {
                let codes: Vec<String> = codes.iter().map(|(system, code)| format!("{system}|{code}")).collect();
                codes.join(",")
            }
            None => self.id.clone(),
        }
    }
}

impl Trigger {
    fn suits(&self, concepts: &Concepts, kind: &str, value: &Value) -> bool {
        self.kind == kind && self.filters.iter().all(|filter| filter.suits(concepts, value))
    }
}

impl Filter {
    fn suits(&self, concepts: &Concepts, value: &Value) -> bool {
        let choice = format!("{}CodeableConcept", self.path);
        let Some(found) = value.get(&self.path).or_else(|| value.get(&choice)) else { return false };
        let grouped = self.group.as_ref().is_some_and(|group| concepts.matches(group, found));
        grouped || self.codes.iter().any(|(system, code)| carries(concepts, found, system, code))
    }
}

fn carries(concepts: &Concepts, found: &Value, system: &str, code: &str) -> bool {
    match found {
        Value::Array(several) => several.iter().any(|one| carries(concepts, one, system, code)),
        Value::String(word) => word == code,
        concept => each(concept, "coding").iter().any(|coding| {
            let same = concepts.canonical(text(coding, "system").unwrap_or_default()) == concepts.canonical(system);
            same && text(coding, "code") == Some(code)
        }),
    }
}
