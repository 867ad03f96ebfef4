//! The rules that run, indexed by what they listen to, with the concept groups, products and zones they rest on.
//! Follows <https://hl7.org/fhir/R4/plandefinition.html>.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::activity::{Act, Activity};
use super::concepts::Concepts;
use super::decided::dispenses;
use super::index::Index;
use super::json::text;
use super::plan::{Action, Anchor, Caller, Plan, Step, Subject};
use super::products::{self, Products};
use super::supply::EVENT;
use super::why_not::is_named;
use super::words;
use super::zones::Zones;
use super::{Concern, Heard, Occasion, Planned, Wants, heard, overdue, person, read, retold, stock, supply};
use crate::fhir::outcome::Issue;
use crate::ledger::{Due, Line};

/// All rules of the house, with the concept groups, products and zones they rest on.
#[derive(Debug, Default)]
pub struct Rules {
    /// Versions of one rule stand together, the oldest first.
    pub(crate) plans: Vec<Plan>,
    pub(crate) concepts: Concepts,
    pub(crate) products: Products,
    pub(crate) zones: Zones,
    /// By url: the versions of every rule that runs now.
    pub(super) urls: HashMap<String, Vec<usize>>,
    /// `url|version` of rules that were deleted, and left their url to what came with the program.
    pub(super) ended: HashSet<String>,
    /// ActivityDefinitions by url.
    pub(super) activities: HashMap<String, Arc<Value>>,
    index: Index,
    /// Kinds of resource that may make a step pointless, each with what else is read to know it.
    stops: BTreeMap<String, BTreeSet<&'static str>>,
    /// Kinds of resource that a condition asks for.
    asked: BTreeSet<&'static str>,
    /// Whether an arrival of stock calls for anything.
    hears_stock: bool,
    /// The gate that is not asked, or what a parting does not heed, to see that it is missed. There is none in the program.
    #[cfg(test)]
    pub(super) unguarded: &'static str,
}

/// A resource that rules are made of, and from when it counts.
#[derive(Debug, Clone)]
pub struct Artefact {
    /// The resource.
    pub value: Arc<Value>,
    /// Since when, UTC milliseconds; 0 for what came with the program.
    pub since: i64,
}

/// Kinds that are heard whatever the rules are: they change supplies, gates, stops, or what we asked for.
const HEARD: &[&str] =
    &["MedicationDispense", "Patient", "RelatedPerson", "Consent", "MedicationRequest", "Communication", "Task"];

/// Kinds that every gate may ask about, and who answers for the person.
const GATED: &[&str] = &["Patient", "RelatedPerson", "Consent", "CareTeam"];

impl Rules {
    /// Reads artefacts; later ones replace earlier ones of the same url. All faults are returned; a plan with a fault does not run.
    #[must_use]
    pub fn read(artefacts: &[Value]) -> (Self, Vec<Issue>) {
        let artefacts: Vec<Artefact> =
            artefacts.iter().map(|value| Artefact { value: Arc::new(value.clone()), since: 0 }).collect();
        Self::of(&artefacts)
    }

    /// Reads artefacts of all their versions. A version of a plan acts on what was learned while it was the newest; faults are
    /// told of the newest alone.
    #[must_use]
    pub fn of(artefacts: &[Artefact]) -> (Self, Vec<Issue>) {
        let mut rules = Self::default();
        let issues = read::artefacts(&mut rules, artefacts);
        for (at, plan) in rules.plans.iter().enumerate() {
            for (inner, action) in plan.actions.iter().enumerate() {
                rules.index.add((at, inner), action, &rules.concepts);
                rules.asked.extend(action.kinds());
                add_stops(&mut rules.stops, action);
                rules.hears_stock |= action.call == Some(Caller::Stock);
            }
        }
        (rules, issues)
    }

    /// `url|version` of every rule that runs.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        let newest = self.urls.values().filter_map(|versions| self.plans.get(*versions.last()?));
        let mut running: Vec<String> = newest.map(Plan::canonical).collect();
        running.sort();
        running
    }

    /// The url of the rule that runs under this name: its canonical, or the last part of it.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<String> {
        self.plans.iter().rev().find(|plan| is_named(plan, name)).map(|plan| plan.url.clone())
    }

    /// Whether a rule, `url|version`, is of clinical priority.
    #[must_use]
    pub fn is_clinical(&self, rule: &str) -> bool {
        self.plan(rule).is_some_and(Plan::is_clinical)
    }

    /// What is wrong with a plan that is to run beside these; `beside` are resources that come with it.
    pub(super) fn faults(&self, plan: &Value, beside: &[&Value]) -> Vec<Issue> {
        let of = |kind: &'static str| {
            beside
                .iter()
                .filter(move |one| text(one, "resourceType") == Some(kind))
                .filter_map(|one| Some((text(one, "url")?, *one)))
        };
        let mut activities: HashMap<&str, &Value> =
            self.activities.iter().map(|(url, activity)| (url.as_str(), activity.as_ref())).collect();
        activities.extend(of("ActivityDefinition"));
        let sets: BTreeSet<&str> = of("ValueSet").map(|(url, _)| url).collect();
        read::plan(plan, &self.concepts, &activities, &sets).1
    }

    /// What is wrong with an ActivityDefinition that rules follow, or that bears a url of ours.
    pub(super) fn faults_with(&self, activity: &Value) -> Vec<Issue> {
        let url = text(activity, "url").unwrap_or_default();
        if !self.activities.contains_key(url) && !url.starts_with(read::ROOT) {
            return Vec::new();
        }
        let fault = |why: String| Issue::error("business-rule", "bad-activity", "ActivityDefinition", why);
        Activity::read(activity).err().map(fault).into_iter().collect()
    }

    /// Whether an event about this type can need a story at all; if not, it is settled without reading the resource.
    #[must_use]
    pub fn hears(&self, kind: &str) -> bool {
        HEARD.contains(&kind)
            || self.index.knows(kind)
            || self.stops.contains_key(kind)
            || (self.hears_stock && kind == stock::DELIVERY)
            || kind == retold::MEDICATION
    }

    /// The actions that are called, with the rules that run now.
    pub(super) fn callers(&self) -> impl Iterator<Item = (&Plan, &Action, &Caller)> {
        let newest = self.urls.values().filter_map(|versions| self.plans.get(*versions.last()?));
        newest.flat_map(|plan| plan.actions.iter().filter_map(move |action| Some((plan, action, action.call.as_ref()?))))
    }

    /// The action of this id that is called, in the rule of this url as it runs now.
    pub(crate) fn called(&self, url: &str, action: &str) -> Option<(&Plan, &Action)> {
        let plan = self.of_version(url, "", url)?;
        let action = plan.actions.iter().find(|known| known.id == action && known.call.is_some())?;
        Some((plan, action))
    }

    /// Whether resources of this type may be asked for at all; if not, no decision hangs on them.
    #[must_use]
    pub fn knows(&self, kind: &str) -> bool {
        let of_gates = GATED.contains(&kind) || matches!(kind, "AllergyIntolerance" | "Condition");
        of_gates || self.hears(kind) || self.asked.contains(kind)
    }

    /// How many actions an event about this resource makes us look at.
    #[must_use]
    pub fn considered(&self, kind: &str, value: &Value) -> usize {
        self.index.look(Subject::new(kind, value), &self.concepts, &self.products).len()
    }

    /// Whether an event about this resource needs a story.
    #[must_use]
    pub fn concerns(&self, kind: &str, line: Line, value: &Value) -> Concern {
        if line.is_of_persons() {
            return Concern::Rules;
        }
        let line = match (line, kind) {
            // What was said or asked for somebody was so, whoever is named in it later.
            (Line::Left, "Communication" | "Task") => return Concern::Nothing,
            (Line::Left, _) => Line::Deleted,
            (line, _) => line,
        };
        match kind {
            // How long a fill lasts follows its order, whatever became of that.
            "MedicationDispense" | "MedicationRequest" => Concern::Rules,
            // Who is replaced by another record leaves Tasks behind.
            "Patient" if person::says_died(value) || !person::stands(value) => Concern::Rules,
            "Communication" if words::wish(value).is_some() => Concern::Rules,
            "Task" if overdue::has_ended(value) => Concern::Rules,
            _ if self.is_moved(kind, line, value) => Concern::Rules,
            "Patient" | "RelatedPerson" | "Consent" => Concern::Pending,
            _ if self.stops.contains_key(kind) => Concern::Pending,
            // It may have been corrected into something that no rule is about: what was asked for because of it is taken back.
            _ if line == Line::Updated && self.index.knows(kind) => {
                if supply::is_corrected(value) {
                    Concern::Rules
                } else {
                    Concern::Pending
                }
            }
            _ => Concern::Nothing,
        }
    }

    /// Whether an event may set a rule off, or take back what one was set off by.
    fn is_moved(&self, kind: &str, line: Line, value: &Value) -> bool {
        let back = line == Line::Deleted || kind == "Condition" || supply::is_undone(value);
        // What was given up because of it may go on, also where only new ones are listened to.
        let begins = |of: Option<Line>| of == Some(line) || (line == Line::Updated && of == Some(Line::Created));
        self.about(Subject::new(kind, value))
            .any(|(_, action)| back || action.triggers.iter().any(|trigger| begins(trigger.line)))
    }

    /// What must be loaded to react to it, for a person with these dues.
    #[must_use]
    pub fn wants(&self, occasion: &Occasion, dues: &[Planned]) -> Wants {
        let mut wants = Wants::default();
        match occasion {
            Occasion::Heard(events) => {
                for event in events {
                    self.want_for(event, &mut wants);
                }
                let kinds = heard::told_of(events.iter());
                for due in dues {
                    self.want_again(due, &kinds, &mut wants);
                    self.want_others(due, events, &mut wants);
                }
            }
            Occasion::Called(call) => {
                call.told.iter().for_each(|event| self.want_for(event, &mut wants));
                self.want_gates(&mut wants);
                wants.references.extend(call.subjects.iter().cloned());
                wants.references.extend(call.event.iter().filter_map(|event| stock::destination(&event.value)));
                if let Some((_, action)) = self.called(&call.rule, &call.action) {
                    action.steps.iter().for_each(|step| self.want_step(action, step, &mut wants));
                }
            }
            Occasion::Due(due) => {
                self.want_gates(&mut wants);
                let detail = due.detail();
                wants.supplies |= !detail.product.is_empty();
                wants.references.push(detail.trigger.clone());
                wants.references.extend(detail.needed.iter().cloned());
                // Each of several dispenses may have an order of its own.
                wants.references.extend(dispenses(&detail.facts).map(|id| format!("MedicationDispense/{id}")));
                if let Some((action, step)) = self.step(due) {
                    self.want_step(action, step, &mut wants);
                }
            }
        }
        for list in [&mut wants.kinds, &mut wants.references] {
            list.retain(|one| !one.is_empty());
            list.sort();
            list.dedup();
        }
        wants
    }

    fn want_for(&self, event: &Heard, wants: &mut Wants) {
        let (kind, value) = (event.resource.kind.as_str(), event.resource.value.as_ref());
        wants.kinds.push(String::from("Patient"));
        // What is held may be about a supply; without its rows it would pass for reversed.
        wants.supplies = true;
        if event.line == Line::Left {
            wants.references.push(event.resource.reference());
        }
        // What was learned while the person was taken for one with somebody else is told again.
        if event.line == Line::Parted {
            wants.kinds.extend(HEARD.iter().map(|kind| (*kind).to_owned()));
            wants.kinds.extend(self.index.kinds().chain(self.asked.iter().copied()).map(str::to_owned));
            wants.kinds.push(String::from("AllergyIntolerance"));
        }
        // What was handed over to both is counted anew.
        if event.line == Line::Linked {
            wants.kinds.extend(["MedicationDispense", "MedicationRequest"].map(str::to_owned));
        }
        // A Task that waits may be pointless now.
        wants.kinds.extend(self.stops.get(kind).into_iter().flatten().map(|kind| (*kind).to_owned()));
        if kind == "MedicationDispense" {
            wants.references.extend(products::needed(value));
        } else {
            self.want_gates(wants);
        }
        // Another diagnosis may go on with what this one began, whatever it is now.
        if kind == "Condition" {
            wants.kinds.push(String::from("Condition"));
        }
        // One order may follow another, and bring back what was not said since there was none.
        if kind == "MedicationRequest" {
            wants.kinds.extend(["MedicationRequest", "MedicationDispense"].map(str::to_owned));
        }
        // A message without a subject stands in nobody's story: the one who wrote it is asked for by name.
        if kind == "Communication" && value.get("subject").is_none() && words::is_related(value) {
            wants.references.extend(words::sender(value));
        }
        if kind == "Task" {
            wants.references.extend(overdue::facts(value));
            // The steps that hang on its end are asked whether they may come.
            let plan = text(value, "instantiatesCanonical").and_then(|rule| self.plan(rule));
            let actions = plan.iter().flat_map(|plan| &plan.actions);
            wants.kinds.extend(actions.flat_map(Action::kinds).map(str::to_owned));
        }
        let subject = Subject::new(kind, value);
        if let Some(reads) = self.index.reads(kind).filter(|_| subject.refers()) {
            wants.kinds.extend(reads.kinds.iter().map(|kind| (*kind).to_owned()));
            if reads.hurries {
                self.want_gates(wants);
                wants.kinds.push(String::from("AllergyIntolerance"));
            }
        }
        for (plan, action) in self.about(subject) {
            want_place(action, wants);
            // What is said once goes over to another fact.
            if plan.once {
                wants.kinds.extend(action.triggers.iter().map(|trigger| trigger.kind.clone()));
            }
            wants.kinds.extend(action.kinds().map(str::to_owned));
            if action.hurries() {
                self.want_gates(wants);
            }
            if action.steps.iter().any(|step| step.activity.product.is_some()) {
                wants.kinds.push(String::from("AllergyIntolerance"));
            }
        }
    }

    /// What is due may be decided now, or turn out to be pointless, because of what was heard.
    fn want_again(&self, due: &Planned, heard: &BTreeSet<&str>, wants: &mut Wants) {
        let Some((action, step)) = self.step(due) else { return };
        let detail = due.detail();
        let mut stops = action.stops.iter().chain(&step.stops);
        if detail.held || stops.any(|stop| heard.iter().any(|kind| stop.reads(kind))) {
            self.want_step(action, step, wants);
            wants.references.push(detail.trigger.clone());
            wants.references.extend(detail.needed.iter().cloned());
        }
    }

    /// What is said once goes over to another fact where its own was corrected to be something else.
    fn want_others(&self, due: &Planned, events: &[Heard], wants: &mut Wants) {
        let Some(plan) = self.plan(&due.rule).filter(|plan| plan.once) else { return };
        let is_own = |event: &Heard| event.resource.is(&due.detail().trigger);
        if let Some((action, _)) = plan.step(overdue::watched(&due.step)).filter(|_| events.iter().any(is_own)) {
            wants.kinds.extend(action.triggers.iter().map(|trigger| trigger.kind.clone()));
        }
    }

    fn want_step(&self, action: &Action, step: &Step, wants: &mut Wants) {
        self.want_gates(wants);
        want_place(action, wants);
        let hanging = action.steps.iter().filter(|one| matches!(one.anchor, Anchor::Step(..)));
        let conditions = action.conditions.iter().chain(&action.stops).chain(step.asks());
        let conditions = conditions.chain(hanging.flat_map(|one| &one.conditions));
        wants.supplies = true;
        wants.kinds.extend(conditions.flat_map(|condition| condition.kinds().map(str::to_owned)));
        if step.activity.product.is_some() {
            wants.kinds.push(String::from("AllergyIntolerance"));
        }
        // Who is told to fetch the next fill must have one left, which is counted by what was fetched.
        if step.follows_end {
            wants.kinds.push(String::from("MedicationRequest"));
            if step.activity.act == Act::Speak {
                wants.kinds.push(String::from("MedicationDispense"));
            }
        }
    }

    #[expect(clippy::unused_self, reason = "which kinds gates ask for is a matter of the rules")]
    fn want_gates(&self, wants: &mut Wants) {
        wants.kinds.extend(GATED.iter().map(|kind| (*kind).to_owned()));
    }

    fn step(&self, due: &Due) -> Option<(&Action, &Step)> {
        self.plan(&due.rule)?.step(&due.step)
    }

    /// The actions that are about such a resource, with their plans.
    pub(crate) fn about<'a>(&'a self, subject: Subject<'a>) -> impl Iterator<Item = (&'a Plan, &'a Action)> {
        let places = self.index.look(subject, &self.concepts, &self.products);
        let found = places.into_iter().filter_map(|(plan, action)| {
            let plan = self.plans.get(plan)?;
            plan.actions.get(action).map(|action| (plan, action))
        });
        found.filter(move |(_, action)| action.is_about(&self.concepts, &self.products, subject))
    }

    /// Whether there is no other version of this rule.
    pub(crate) fn is_only(&self, plan: &Plan) -> bool {
        self.urls.get(&plan.url).is_some_and(|versions| versions.len() == 1)
    }

    /// The rule of a `url|version`: in that version where it is known, else in the one that runs now. `None` when it runs no longer, or
    /// was deleted.
    pub(crate) fn plan(&self, canonical: &str) -> Option<&Plan> {
        let (url, version) = canonical.split_once('|').unwrap_or((canonical, ""));
        self.of_version(url, version, canonical)
    }

    fn of_version(&self, url: &str, version: &str, canonical: &str) -> Option<&Plan> {
        let versions = self.urls.get(url)?;
        let same = versions.iter().rev().filter_map(|at| self.plans.get(*at)).find(|plan| plan.version == version);
        same.or_else(|| self.plans.get(*versions.last().filter(|_| !self.ended.contains(canonical))?))
    }
}

/// In which store an event happened that names none, the dispenses tell.
fn want_place(action: &Action, wants: &mut Wants) {
    if action.triggers.iter().any(|trigger| trigger.kind == EVENT) {
        wants.kinds.push(String::from("MedicationDispense"));
    }
}

/// Kinds of resource that may make a step of an action pointless.
fn add_stops(stops: &mut BTreeMap<String, BTreeSet<&'static str>>, action: &Action) {
    for stop in action.all_stops() {
        let dispense = Some("MedicationDispense").filter(|kind| stop.reads(kind));
        for kind in stop.kinds().chain(dispense) {
            stops.entry(kind.to_owned()).or_default().extend(stop.kinds());
        }
    }
    if action.call.is_some() {
        for trigger in &action.triggers {
            stops.entry(trigger.kind.clone()).or_default();
        }
    }
}
