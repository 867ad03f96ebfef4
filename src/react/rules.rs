//! The rules that run, indexed by what they listen to, with the concept groups, products and zones they rest on.
//! Follows <https://hl7.org/fhir/R4/plandefinition.html>.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::concepts::Concepts;
use super::gates::therapy;
use super::plan::{Action, Anchor, Plan};
use super::products::{self, Products};
use super::words;
use super::zones::Zones;
use super::{Concern, Heard, Occasion, Wants, detail, person, read};
use crate::fhir::outcome::Issue;
use crate::ledger::Line;

/// All rules of the house, with the concept groups, products and zones they rest on.
#[derive(Debug, Default)]
pub struct Rules {
    pub(crate) plans: Vec<Plan>,
    pub(crate) concepts: Concepts,
    pub(crate) products: Products,
    pub(crate) zones: Zones,
    /// By resource type: which actions of which plans are about it.
    index: HashMap<String, Vec<(usize, usize)>>,
}

/// Kinds that are heard whatever the rules are: they change supplies, gates or stops.
const HEARD: &[&str] = &["MedicationDispense", "Patient", "RelatedPerson", "Consent", "MedicationRequest", "Communication"];

/// Kinds that every gate may ask about.
const GATED: &[&str] = &["Patient", "RelatedPerson", "Consent"];

impl Rules {
    /// Reads artefacts; later ones replace earlier ones of the same url. All faults are returned; a plan with a fault does not run.
    #[must_use]
    pub fn read(artefacts: &[Value]) -> (Self, Vec<Issue>) {
        let mut rules = Self::default();
        let issues = read::artefacts(&mut rules, artefacts);
        for (at, plan) in rules.plans.iter().enumerate() {
            for (inner, action) in plan.actions.iter().enumerate() {
                let kinds: BTreeSet<&String> = action.triggers.iter().map(|trigger| &trigger.kind).collect();
                for kind in kinds {
                    rules.index.entry(kind.clone()).or_default().push((at, inner));
                }
            }
        }
        (rules, issues)
    }

    /// `url|version` of every rule that runs.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        self.plans.iter().map(Plan::canonical).collect()
    }

    /// Whether an event about this type can need a story at all; if not, it is settled without reading the resource.
    #[must_use]
    pub fn hears(&self, kind: &str) -> bool {
        HEARD.contains(&kind) || self.index.contains_key(kind)
    }

    /// Whether an event about this resource needs a story.
    #[must_use]
    pub fn concerns(&self, kind: &str, line: Line, value: &Value) -> Concern {
        if line == Line::Linked {
            return Concern::Pending;
        }
        match kind {
            "MedicationDispense" => Concern::Rules,
            "Patient" if person::says_died(value) => Concern::Rules,
            "MedicationRequest" if therapy::has_ended(value) => Concern::Rules,
            "Patient" | "RelatedPerson" | "Consent" | "MedicationRequest" => Concern::Pending,
            "Communication" if words::wish(value).is_some() => Concern::Rules,
            _ if self.about(kind, value).next().is_some() => Concern::Rules,
            _ => Concern::Nothing,
        }
    }

    /// What must be loaded to react to it.
    #[must_use]
    pub fn wants(&self, occasion: &Occasion) -> Wants {
        let mut wants = Wants::default();
        match occasion {
            Occasion::Heard(events) => {
                for event in events {
                    self.want_for(event, &mut wants);
                }
            }
            Occasion::Due(due) => {
                self.want_gates(&mut wants);
                let detail = detail::Detail::read(&due.detail);
                wants.supplies |= !detail.product.is_empty();
                wants.references.push(detail.trigger);
                wants.references.extend(detail.needed);
                if let Some((action, step)) = self.plan(&due.rule).and_then(|plan| plan.step(&due.step)) {
                    let conditions = action.conditions.iter().chain(&step.conditions);
                    wants.kinds.extend(conditions.flat_map(|condition| condition.kinds().map(str::to_owned)));
                    if step.activity.product.is_some() {
                        wants.kinds.push(String::from("AllergyIntolerance"));
                    }
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
        if kind == "MedicationDispense" {
            wants.supplies = true;
            wants.references.extend(products::needed(value));
        } else {
            // What is held may be about a supply; without its rows it would pass for reversed.
            wants.supplies = true;
            self.want_gates(wants);
        }
        // A message without a subject stands in nobody's story: the one who wrote it is asked for by name.
        if kind == "Communication" && value.get("subject").is_none() && words::is_related(value) {
            wants.references.extend(words::sender(value));
        }
        for (_, action) in self.about(kind, value) {
            let conditions = action.conditions.iter().chain(action.steps.iter().flat_map(|step| &step.conditions));
            wants.kinds.extend(conditions.flat_map(|condition| condition.kinds().map(str::to_owned)));
            if kind == "Condition" {
                wants.kinds.push(String::from("Condition"));
            }
            if action.steps.iter().any(|step| step.anchor == Anchor::AtOnce) {
                self.want_gates(wants);
            }
            if action.steps.iter().any(|step| step.activity.product.is_some()) {
                wants.kinds.push(String::from("AllergyIntolerance"));
            }
        }
    }

    #[expect(clippy::unused_self, reason = "which kinds gates ask for is a matter of the rules")]
    fn want_gates(&self, wants: &mut Wants) {
        wants.kinds.extend(GATED.iter().map(|kind| (*kind).to_owned()));
    }

    /// The actions that are about such a resource, with their plans.
    pub(crate) fn about<'a>(&'a self, kind: &'a str, value: &'a Value) -> impl Iterator<Item = (&'a Plan, &'a Action)> {
        self.actions(kind).filter(|(_, action)| action.is_about(&self.concepts, kind, value))
    }

    /// All actions that are about a kind of resource, with their plans.
    pub(crate) fn actions(&self, kind: &str) -> impl Iterator<Item = (&Plan, &Action)> {
        let listed = self.index.get(kind).map_or(&[][..], Vec::as_slice);
        listed.iter().filter_map(|(plan, action)| {
            let plan = self.plans.get(*plan)?;
            plan.actions.get(*action).map(|action| (plan, action))
        })
    }

    /// The rule of a `url|version`, in whatever version runs now.
    pub(crate) fn plan(&self, canonical: &str) -> Option<&Plan> {
        let url = canonical.split('|').next().unwrap_or(canonical);
        self.plans.iter().find(|plan| plan.url == url)
    }
}
