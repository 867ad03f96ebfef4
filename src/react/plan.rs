//! A rule as it runs: what it listens to, what must hold, and its steps.
//! Follows <https://hl7.org/fhir/R4/plandefinition.html> under our own profile.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::activity::Activity;
use super::concepts::{Concepts, plain};
use super::condition::Condition;
use super::facts::Ask;
use super::holdout::Holdout;
use super::json::{each, member, text};
use super::offset::Offset;
use super::period::Period;
use super::products::Products;
use super::{Radius, Resource, Story, products, supply, zones};
use crate::ledger::{Bound, Firing, Line};

/// The profile a PlanDefinition must claim to be run; foreign plans are stored, never run.
pub const PROFILE: &str = "https://signa.example/fhir/StructureDefinition/signa-plan";

/// How long a step stays worth doing, unless the plan says otherwise: three days.
pub(crate) const WINDOW_MS: i64 = 3 * 86_400_000;

/// Days after which the same diagnosis is a new episode, unless the plan says otherwise.
pub(crate) const EPISODE_DAYS: i64 = 180;

/// The element by which a dispense or an order names its product, however it does so.
const MEDICATION: &str = "medication";

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
    /// Whether all it ever says to a person is said once.
    pub(crate) once: bool,
    /// How often a day it is expected to fire; 0 when nobody said.
    pub(crate) forecast: i64,
    /// Whom it leaves out by lot, if anybody.
    pub(crate) holdout: Option<Holdout>,
    /// What it listens to.
    pub(crate) actions: Vec<Action>,
    /// It acts on what was learned from then on, UTC milliseconds.
    pub(crate) since: i64,
    /// It acts on nothing that was learned from then on, UTC milliseconds.
    pub(crate) until: i64,
    /// The first and the last day of its own time, where it has one.
    pub(crate) time: Option<Time>,
}

/// The time of a rule, from a first to a last day: it begins nothing outside of it, and goes on with what it began within.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    pub(crate) from: Option<Date>,
    pub(crate) until: Option<Date>,
}

/// One thing a rule listens to, with what follows from it.
#[derive(Debug)]
pub(crate) struct Action {
    /// Its id, to which steps are anchored.
    pub(crate) id: String,
    /// What sets it off; of an action that is called, what it is called for.
    pub(crate) triggers: Vec<Trigger>,
    /// What calls it, where it does not follow from a fact about the person.
    pub(crate) call: Option<Caller>,
    /// Whether its steps come at the times of day at which the person takes what the resource is about.
    pub(crate) at_doses: bool,
    /// What must hold of the resource and the story.
    pub(crate) conditions: Vec<Condition>,
    /// What makes all its steps pointless.
    pub(crate) stops: Vec<Condition>,
    /// What follows.
    pub(crate) steps: Vec<Step>,
}

/// What calls an action for everybody whom it may be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The calendar.
    Calendar(Period),
    /// What was out of stock has arrived in a store.
    Stock,
}

/// What sets an action off.
#[derive(Debug)]
pub(crate) struct Trigger {
    /// What must have happened to the resource; nothing where the action is called.
    pub(crate) line: Option<Line>,
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
    /// Whether it hangs, perhaps over other steps, on the end of what set the action off: a later fill takes it back.
    pub(crate) follows_end: bool,
    /// How long it is worth doing, where the plan says so.
    pub(crate) window_ms: Option<i64>,
    /// What must hold beside the action's conditions for it to be planned.
    pub(crate) conditions: Vec<Condition>,
    /// What must hold when its time has come.
    pub(crate) starts: Vec<Condition>,
    /// What makes it pointless.
    pub(crate) stops: Vec<Condition>,
    /// What is said or done.
    pub(crate) activity: Activity,
}

/// When a step is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// As soon as it is known.
    AtOnce,
    /// So far from its beginning: for a dispense, from the day it was handed over.
    Start(Offset),
    /// So far from its end: for a dispense, from the last covered day.
    End(Offset),
    /// So far from another step of the action, by its place.
    Step(usize, Edge, Offset),
}

/// Which end of another step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// When it was said or asked for.
    Start,
    /// When it was said or done.
    End,
}

/// A resource as triggers look at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// Its type.
    pub(crate) kind: &'a str,
    /// The resource.
    pub(crate) value: &'a Value,
    /// Its product, where that is known.
    pub(crate) product: Option<&'a Value>,
}

impl<'a> Subject<'a> {
    /// As it stands alone.
    pub(crate) fn new(kind: &'a str, value: &'a Value) -> Self {
        Self { kind, value, product: products::named(value) }
    }

    /// As it stands in the story, which may know the product that it only refers to.
    pub(crate) fn of(kind: &'a str, value: &'a Value, story: &'a Story) -> Self {
        Self { kind, value, product: products::concept(value, story) }
    }

    /// The element of this name, whichever type was chosen for it.
    pub(crate) fn at(&self, path: &str) -> Option<&'a Value> {
        if path == MEDICATION {
            return self.product;
        }
        member(self.value, path).or_else(|| member(self.value, &format!("{path}CodeableConcept")))
    }

    /// Whether it names its product only by a reference to somewhere else.
    pub(crate) fn refers(&self) -> bool {
        self.product.is_none() && self.value.get("medicationReference").is_some()
    }
}

impl Plan {
    /// `url|version`.
    pub(crate) fn canonical(&self) -> String {
        format!("{}|{}", self.url, self.version)
    }

    /// What is counted when it fires once.
    pub(crate) fn firing(&self, radius: &Radius) -> Firing {
        let bound = Bound { forecast: self.forecast, times: radius.times, floor: radius.floor, unknown: radius.unknown };
        Firing { rule: self.canonical(), bound }
    }

    /// Whether it is about danger.
    pub(crate) fn is_clinical(&self) -> bool {
        self.priority == 1
    }

    /// Whether it is an offer and not care.
    pub(crate) fn is_marketing(&self) -> bool {
        self.priority == 4
    }

    /// Whether it acts on what was learned then.
    pub(crate) fn acts_on(&self, learned: i64) -> bool {
        (self.since..self.until).contains(&learned)
    }

    /// Whether it begins anything then, by the calendar of that zone.
    pub(crate) fn begins_at(&self, at: i64, zone: &TimeZone) -> bool {
        self.time.is_none_or(|Time { from, until }| {
            let day = zones::date(zones::day(at, zone));
            from.is_none_or(|from| from <= day) && until.is_none_or(|until| day <= until)
        })
    }

    /// Whether it begins anything with a fact, as of when that was learned.
    pub(crate) fn begins_with(&self, fact: &Resource, story: &Story) -> bool {
        self.acts_on(fact.learned) && (self.time.is_none() || self.begins_at(fact.learned, supply::zone(story, &fact.value)))
    }

    /// The step of this id, with its action.
    pub(crate) fn step(&self, id: &str) -> Option<(&Action, &Step)> {
        self.actions.iter().find_map(|action| action.steps.iter().find(|step| step.id == id).map(|step| (action, step)))
    }
}

impl Trigger {
    /// Whether it hears of what was handed over.
    pub(crate) fn is_fill(&self) -> bool {
        let open = |filter: &Filter| filter.path == "status" && filter.codes.iter().all(|(_, code)| code != "completed");
        self.line.is_some() && self.kind == "MedicationDispense" && !self.filters.iter().any(open)
    }
}

impl Action {
    /// Whether an event sets it off, conditions aside.
    pub(crate) fn listens(&self, concepts: &Concepts, products: &Products, line: Line, subject: Subject) -> bool {
        self.triggers.iter().any(|trigger| trigger.line == Some(line) && trigger.suits(concepts, products, subject))
    }

    /// Whether its steps hang on fills. One that asks for another status than completed is about the dispense itself, which is
    /// not handed over yet.
    pub(crate) fn is_of_fills(&self) -> bool {
        self.call.is_none() && self.triggers.iter().any(Trigger::is_fill)
    }

    /// Whether it is about such a resource at all, whatever happened to it.
    pub(crate) fn is_about(&self, concepts: &Concepts, products: &Products, subject: Subject) -> bool {
        self.triggers.iter().any(|trigger| trigger.suits(concepts, products, subject))
    }

    /// Whether a removal of this type sets it off.
    pub(crate) fn hears_removal(&self, kind: &str) -> bool {
        self.triggers.iter().any(|trigger| trigger.kind == kind && trigger.line == Some(Line::Deleted))
    }

    /// Whether it is set off again by what is corrected.
    pub(crate) fn hears_corrections(&self) -> bool {
        self.triggers.iter().any(|trigger| trigger.line == Some(Line::Updated))
    }

    /// Whether it is about resources of this type only when they were removed.
    pub(crate) fn is_of_removals(&self, kind: &str) -> bool {
        let mut lines = self.triggers.iter().filter(|trigger| trigger.kind == kind).map(|trigger| trigger.line);
        self.hears_removal(kind) && lines.all(|line| line == Some(Line::Deleted))
    }

    /// Whether it asks for this status of a type by its name, and the fact is its matter by that.
    pub(crate) fn means_status(&self, ask: &Ask, kind: &str, status: &str) -> bool {
        let filters = self.triggers.iter().filter(|trigger| trigger.kind == kind).flat_map(|trigger| &trigger.filters);
        let mut statuses = filters.filter(|filter| filter.path == "status").flat_map(|filter| &filter.codes);
        statuses.any(|(_, code)| code == status) || self.conditions.iter().any(|condition| condition.means_status(ask, status))
    }

    /// Kinds of resource that its conditions and those of its steps read.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &'static str> {
        let own = self.conditions.iter().chain(&self.stops);
        own.chain(self.steps.iter().flat_map(Step::asks)).flat_map(Condition::kinds)
    }

    /// What may make one of its steps pointless.
    pub(crate) fn all_stops(&self) -> impl Iterator<Item = &Condition> {
        self.stops.iter().chain(self.steps.iter().flat_map(|step| &step.stops))
    }

    /// Whether one of its steps may be decided as soon as it is set off.
    pub(crate) fn hurries(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.anchor, Anchor::AtOnce | Anchor::Start(Offset::NONE)))
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

impl Step {
    /// How long it is worth doing.
    pub(crate) fn window(&self) -> i64 {
        self.window_ms.unwrap_or(WINDOW_MS)
    }

    /// All its conditions.
    pub(crate) fn asks(&self) -> impl Iterator<Item = &Condition> {
        self.conditions.iter().chain(&self.starts).chain(&self.stops)
    }
}

impl Trigger {
    /// Whether it is about such a resource.
    pub(crate) fn suits(&self, concepts: &Concepts, products: &Products, subject: Subject) -> bool {
        self.kind == subject.kind && self.filters.iter().all(|filter| filter.suits(concepts, products, subject))
    }
}

impl Filter {
    fn suits(&self, concepts: &Concepts, products: &Products, subject: Subject) -> bool {
        let Some(found) = subject.at(&self.path) else { return false };
        let grouped = self.group.as_ref().is_some_and(|group| {
            // A group of ingredients holds all products that are made of one of them.
            let made = || products.ingredients(concepts, found).into_iter().flatten();
            concepts.matches(group, found) || made().any(|ingredient| concepts.holds(group, products::INGREDIENT, ingredient))
        });
        grouped || self.codes.iter().any(|(system, code)| carries(concepts, found, system, code))
    }
}

fn carries(concepts: &Concepts, found: &Value, system: &str, code: &str) -> bool {
    match found {
        Value::Array(several) => several.iter().any(|one| carries(concepts, one, system, code)),
        Value::String(word) => word == code,
        // A Coding stands for itself.
        concept => each(concept, "coding").iter().chain([concept]).any(|coding| {
            let Some(known) = text(coding, "code") else { return false };
            let said = text(coding, "system").unwrap_or_default();
            let own = concepts.canonical(said);
            (said == system || own == concepts.canonical(system)) && plain(own, known) == plain(own, code)
        }),
    }
}
