//! Decides what should now be said or done. Pure: no I/O, no waiting; the time is an argument.
//! Rules follow <https://hl7.org/fhir/R4/plandefinition.html>.
//!
//! # For whoever calls it (the beat)
//!
//! 1. At start [`Live::new`] over the shipped artefacts ([`shipped()`]) followed by those of the user; later ones replace earlier
//!    ones of the same url. It returns every fault as issues beside the rules that can run. Whenever a resource of [`kinds::ARTEFACTS`]
//!    changes, [`Live::learn`] with all its versions, before anything that was recorded later is decided.
//! 2. For each claimed event: [`Rules::hears`] its type, then [`Rules::concerns`] with its resource. `Nothing` is settled without loading anything. `Pending` needs a story
//!    only when the person has dues. `Rules` always needs one. Events of one person may be handed in together.
//! 3. Build the [`Occasion`]: the new value of each event's resource, or its last value when it was deleted. Ask
//!    [`Rules::wants`], with the dues of the person, what to load into the [`Story`]: current resources of the person by kind, single resources by
//!    reference, and whether the supply rows are needed. Dues and decisions (latest per output) are always loaded; then
//!    [`pending`] names the outputs of ours that may still be taken back, to be read into `Story::resources` too; and
//!    [`stoppable`] names the addresses for which the ledger is asked whether somebody said STOP, and [`organizations`] the
//!    stores that the story needs.
//! 4. [`react`] answers with outputs and marks. All of them, and `Mark::Settled` of the events, go into one unit with
//!    `How::Derived` and the event's depth + 1. A unit refused because an output exists was decided elsewhere: settle the events
//!    alone. One refused for a version: load the story again.
//! 5. When a due comes: the same with `Occasion::Due`. The marks replace or remove the due.
//! 6. What is nobody's is a *sweep*: [`calendar`] makes the rows of rules that the calendar calls, [`arrived`] those of what arrived.
//!    When one comes, [`sweep()`] says which page of resources to read; for each person on it that [`Sweep::may_call`] lets pass, the
//!    same as above with `Occasion::Called`; then [`swept`] moves the row on.
//!
//! # Invariants
//!
//! **The same story, occasion and rules give the same reaction, byte for byte.** **What was decided is not decided again**: output ids
//! are hashes of rule, tenant, person, episode and step. **Gates fail closed.** **Nothing fires for what was imported**, unless the
//! event says so.

mod activity;
mod adherence;
mod back;
mod begun;
mod beside;
mod called;
pub mod cases;
mod certain;
mod change;
mod concepts;
mod condition;
mod consent;
mod copies;
mod cover;
mod days;
mod decide;
mod decided;
mod detail;
mod dispensed;
mod doses;
mod dues;
mod effect;
mod episode;
mod facts;
mod follow;
mod gates;
mod handed;
mod heard;
mod heir;
mod holdout;
mod index;
mod intervals;
mod json;
mod known;
mod live;
mod merged;
mod nudge;
mod offset;
mod outputs;
mod over;
mod overdue;
mod overtaken;
mod parted;
mod period;
mod person;
mod pharmacist;
mod plan;
mod products;
mod provenance;
mod put_off;
mod radius;
mod read;
mod refill;
mod refills;
pub mod rehearsal;
mod renewal;
mod report;
mod retold;
mod role;
mod rules;
mod runs;
mod shipped;
mod stock;
mod stores;
mod supply;
mod sweep;
#[cfg(test)]
mod tests;
mod timing;
mod turn;
mod why;
mod why_called;
mod why_not;
mod words;
mod zones;

pub use beside::{behind_these, beside, ordered};
pub use called::{called_for, kept_call};
pub use change::Intended;
pub use cover::{Fill, MEDIAN, fills};
pub use decided::Latest;
pub use detail::Planned;
pub use effect::{Effect, Trial};
pub use handed::Handed;
pub use heard::{BINDING, bound_by, leave};
pub use live::{Faulty, Kept, Live};
pub use outputs::{NOT_DONE, OUTPUT};
pub use parted::{Parted, shared, told_again};
pub use person::{ADDRESSED, stoppable};
pub use pharmacist::members;
pub use plan::PROFILE;
pub use provenance::{Made, provenance, provenance_id, provenance_target};
pub use radius::{Radius, answer, question};
pub use report::{Question, adherence};
pub use retold::{MEDICATION, NAMING, is_renamed, naming};
pub use rules::{Artefact, Rules};
pub use shipped::{forms, shipped};
pub use stores::organizations;
pub use sweep::{
    Alone, Next, Sweep, arrived, calendar, event_of, is_of_medication, renamed, sweep, swept, swept_again, swept_from_start,
};
pub use why::why;
pub use why_not::{wants, why_not};
pub use words::is_stop;
pub use zones::day;

use back::may_come_back;
use turn::Turn;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::fhir::kinds;
use crate::ledger::{Decision, Halt, How, Line, Mark, Outcome, Person, Precondition};

/// The most resources of one kind that go into a story.
pub const KIND_MAX: usize = 200;

/// The most stores of one story.
pub const STORES_MAX: usize = 32;

/// What one tenant has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// What becomes of a treatment message to somebody who was never asked for consent.
    pub treatment: Unasked,
    /// How often a rule may fire in a day.
    pub radius: Radius,
}

/// What becomes of a treatment message to somebody who was never asked for consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unasked {
    /// It waits for the consent, within its window.
    #[default]
    Held,
    /// It may be said.
    Allowed,
}

/// A resource as the story holds it.
#[derive(Debug, Clone)]
pub struct Resource {
    /// The resource type.
    pub kind: String,
    /// The resource id.
    pub id: String,
    /// Its version.
    pub version: i64,
    /// Number of the first resource that states the same fact.
    pub fact: i64,
    /// Who sent it.
    pub source: String,
    /// How it was learned.
    pub how: How,
    /// When it was learned, UTC milliseconds.
    pub learned: i64,
    /// Whose it is.
    pub person: Person,
    /// Whether it is deleted; the value is then the last one.
    pub deleted: bool,
    /// The resource.
    pub value: Arc<Value>,
}

impl Resource {
    /// Whether this, `Type/id`, is its name.
    #[must_use]
    pub fn is(&self, reference: &str) -> bool {
        reference.split_once('/').is_some_and(|(kind, id)| self.kind == kind && self.id == id)
    }

    /// Whether nothing of another differs from this, its value being the same and not only alike.
    fn is_same(&self, other: &Self) -> bool {
        let Self { kind, id, version, fact, source, how, learned, person, deleted, value } = other;
        let is_named = (&self.kind, &self.id, &self.source) == (kind, id, source);
        let is_of = (self.version, self.fact, self.how, self.learned) == (*version, *fact, *how, *learned);
        is_named && is_of && (self.person, self.deleted) == (*person, *deleted) && Arc::ptr_eq(&self.value, value)
    }

    /// `Type/id`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}/{}", self.kind, self.id)
    }

    /// Whether it is about whose it is: what only names them, as the recipient of a message, says nothing of them.
    #[must_use]
    pub fn is_about(&self) -> bool {
        self.how == How::Derived || kinds::is_about(&self.kind, &self.value)
    }

    /// `Type/id/_history/version`, as decisions name the facts they rest on.
    #[must_use]
    pub fn versioned(&self) -> String {
        format!("{}/{}/_history/{}", self.kind, self.id, self.version)
    }
}

/// A store: its Organization and its zone.
#[derive(Debug, Clone)]
pub struct Store {
    /// Id of the Organization; empty when none is known.
    pub organization: String,
    /// Where it stands.
    pub zone: TimeZone,
}

/// What is known of one person, as far as [`Rules::wants`] asked for it.
#[derive(Debug, Clone)]
pub struct Story {
    /// The tenant.
    pub tenant: Arc<str>,
    /// The person.
    pub person: Person,
    /// Persons united with it; may be empty.
    pub united: Vec<Person>,
    /// The time, UTC milliseconds.
    pub now: i64,
    /// The tenant's choices.
    pub settings: Settings,
    /// The stores of the tenant that are known; the first is the default one.
    pub stores: Vec<Store>,
    /// Resources of the person, of the kinds and references that were wanted, deleted ones only where wanted by reference.
    pub resources: Vec<Resource>,
    /// All supply rows of the person, when wanted.
    pub supplies: Arc<Handed>,
    /// All dues of the person.
    pub dues: Vec<Planned>,
    /// The latest decision of each output of the person.
    pub decisions: Arc<Latest>,
    /// Those of [`stoppable`] for which somebody said STOP.
    pub stopped: Vec<String>,
    /// Rules that fired too often, and what became of them; loaded where one was found to.
    pub halts: Vec<Halt>,
    /// Ids under which something stands that was made elsewhere, as what another gateway said and an archive brought; known where
    /// one was met.
    pub taken: BTreeSet<String>,
    /// When somebody who was taken for one with the person was last parted from them, UTC milliseconds, and how many were so
    /// at that time.
    pub parted_at: Option<(i64, usize)>,
    /// Those who were taken for one with the person; loaded where it was just heard that they are not.
    pub parted: Parted,
}

/// Why we are asked.
#[derive(Debug, Clone)]
pub enum Occasion {
    /// Something was recorded about the person.
    Heard(Vec<Heard>),
    /// The time of something has come.
    Due(Planned),
    /// An action is called for the person: by the calendar, or because something arrived; or what names a Medication that became known
    /// is told again.
    Called(Box<Call>),
}

/// An action is called.
#[derive(Debug, Clone)]
pub struct Call {
    /// Url of the rule.
    pub rule: String,
    /// Id of the action.
    pub action: String,
    /// The period, or `Type/id` of what arrived.
    pub name: String,
    /// When, UTC milliseconds.
    pub at: i64,
    /// When the period ends, UTC milliseconds, where it lasts.
    pub ends: Option<i64>,
    /// `Type/id` of what it is called for.
    pub subjects: Vec<String>,
    /// What arrived, or the Medication that became known.
    pub event: Option<Resource>,
    /// What is told again, as it was found: it names the Medication.
    pub told: Vec<Heard>,
}

impl Occasion {
    /// What is heard with it, which need not be in the story.
    #[must_use]
    pub fn heard(&self) -> &[Heard] {
        match self {
            Self::Heard(heard) => heard,
            Self::Called(call) => &call.told,
            Self::Due(_) => &[],
        }
    }
}

/// One event.
#[derive(Debug, Clone)]
pub struct Heard {
    /// What happened to the resource.
    pub line: Line,
    /// The resource as it is after the event.
    pub resource: Resource,
    /// Whether rules act on it although it was imported.
    pub react: bool,
    /// How many reactions led to it; 0 for what came from outside.
    pub depth: u8,
}

/// What an event may set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// Nothing: it needs no story.
    Nothing,
    /// It may change what is pending: it needs a story only when the person has dues, or Tasks that may be open.
    Pending,
    /// It needs a story.
    Rules,
}

/// What must be loaded for an occasion, beside dues and decisions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wants {
    /// Kinds of which all current resources of the person are loaded.
    pub kinds: Vec<String>,
    /// Single resources, `Type/id`, also when deleted.
    pub references: Vec<String>,
    /// Whether the supply rows are needed.
    pub supplies: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Reaction {
    /// Resources to record, in this order.
    pub outputs: Vec<Output>,
    /// Rows to record with them.
    pub marks: Vec<Mark>,
    /// What is planned by these, with what it remembers, for whoever goes on with the story.
    pub(crate) planned: Vec<Planned>,
}

/// A resource to record.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The resource type.
    pub kind: &'static str,
    /// The resource id.
    pub id: String,
    /// What must be true of the stored one.
    pub when: Precondition,
    /// The resource with id, without meta.
    pub value: Value,
}

impl Reaction {
    /// What must not be there yet.
    pub fn made(&self) -> impl Iterator<Item = &Output> {
        self.outputs.iter().filter(|output| output.when == Precondition::Absent)
    }
}

impl Story {
    /// A story of which nothing is told but whose it is, and where; what the tenant has chosen is the default.
    pub(crate) fn bare(tenant: &Arc<str>, person: Person, now: i64, store: Store) -> Self {
        Self {
            tenant: Arc::clone(tenant),
            person,
            united: Vec::new(),
            now,
            settings: Settings::default(),
            stores: vec![store],
            resources: Vec::new(),
            supplies: Arc::default(),
            dues: Vec::new(),
            decisions: Arc::default(),
            stopped: Vec::new(),
            halts: Vec::new(),
            taken: BTreeSet::new(),
            parted_at: None,
            parted: Parted::default(),
        }
    }

    /// The loaded resource of this reference (`Type/id`), also when deleted.
    pub(crate) fn find(&self, reference: &str) -> Option<&Resource> {
        let (kind, id) = reference.split_once('/')?;
        self.resources.iter().find(|resource| resource.kind == kind && resource.id == id)
    }

    /// The loaded resources of this kind that are not deleted.
    pub(crate) fn current<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Resource> {
        self.resources.iter().filter(move |resource| resource.kind == kind && !resource.deleted)
    }
}

/// Decides on all that the occasion asks.
#[must_use]
pub fn react(rules: &Rules, story: &Story, occasion: &Occasion) -> Reaction {
    let again = match occasion {
        Occasion::Heard(events) if story.parted.persons.is_empty() => renewal::told_again(rules, story, events),
        Occasion::Called(call) => retold::again(rules, story, call),
        _ => parted::again(story),
    };
    let mut turn = Turn::new(rules, story);
    match occasion {
        Occasion::Heard(events) => heard::hear(&mut turn, events, &again),
        Occasion::Due(due) => heard::look(&mut turn, due),
        Occasion::Called(call) => heard::answer(&mut turn, call, &again),
    }
    turn.reaction
}

/// What to load behind these, as `Type/id`: who has a role, and what the orders are about that may ask for a next fill.
#[must_use]
pub fn behind(resources: &[Resource]) -> Vec<String> {
    pharmacist::behind(resources).into_iter().chain(refills::behind(resources)).collect()
}

/// What else to load: outputs of ours that may still be said or taken back, and the facts that held ones rest on, as `Type/id`.
#[must_use]
pub fn pending(dues: &[Planned], decisions: &Latest, now: i64) -> Vec<String> {
    let mut references = Vec::new();
    for due in dues {
        let detail = due.detail();
        if detail.held || detail.prepared {
            references.push(format!("Communication/{}", due.output));
            references.push(format!("CommunicationRequest/{}", episode::companion(&due.output, "request")));
            references.push(detail.trigger.clone());
            references.extend(detail.needed.iter().cloned());
        }
    }
    // What ended may come back because of what is heard.
    for decision in decisions.iter().filter(|decision| may_come_back(decision, now)) {
        let (trigger, needed) = episode::trigger(decision);
        references.extend(needed.into_iter().chain([trigger]));
    }
    // Whether a Task has become pointless is asked of what set it off.
    for decision in decisions.iter().filter(|decision| may_be_open(decision, now)) {
        references.extend([decision.recorded.clone(), episode::trigger(decision).0]);
    }
    references.retain(|reference| !reference.is_empty());
    references.sort();
    references.dedup();
    references
}

/// Whether a decision asked for a Task that may still be taken back.
#[must_use]
pub fn may_be_open(decision: &Decision, now: i64) -> bool {
    decision.outcome == Outcome::Fired && decision.at > now - PENDING_MS && decision.recorded.starts_with("Task/")
}

/// Whether what was decided may be taken back, or come back, because of what is heard.
#[must_use]
pub fn is_pending(decision: &Decision, now: i64) -> bool {
    may_be_open(decision, now) || may_come_back(decision, now)
}

/// How long a Task that we asked for may still be taken back.
const PENDING_MS: i64 = 90 * 86_400_000;
