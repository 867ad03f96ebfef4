//! What a rule's condition may ask for beside the resource it stands on: `%patient`, `%supply` and so on.

mod adherence;
mod age;
mod allergies;
mod conclusions;
mod conditions;
mod diagnoses;
mod dispense;
mod doses;
mod immunizations;
mod observations;
mod order;
mod orders;
mod patient;
mod resource;
mod said;
mod supplies;
mod supply;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

use super::cover::Fill;
use super::decided::Decided;
use super::handed::Handed;
use super::{Rules, Story, zones};
use crate::fhir::path::Form;
use crate::react::supply as rows;

/// A fact that rules may ask for by name.
pub(crate) struct Fact {
    /// Its name, without `%`.
    pub(crate) name: &'static str,
    /// Kinds of resource of the person that must be loaded for it.
    pub(crate) kinds: &'static [&'static str],
    /// What it tells, so that a rule which asks for something else is faulted.
    pub(crate) tells: Tells,
    /// What it is for this candidate.
    pub(crate) value: for<'a> fn(&Ask<'a>) -> Vec<Cow<'a, Value>>,
}

/// What a fact tells.
pub(crate) enum Tells {
    /// What set the rule off.
    Trigger,
    /// Resources of this type.
    Resource(&'static str),
    /// These parts, each by its name.
    Parts(&'static [(&'static str, Form)]),
}

/// For whom and what a fact is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// The person's story.
    pub(crate) story: &'a Story,
    /// The resource that set the rule off.
    pub(crate) resource: &'a Value,
    /// The fill it belongs to, where it is a dispense.
    pub(crate) fill: Option<&'a Fill>,
    /// All that was handed over to the person, as it is known now.
    pub(crate) supplies: &'a Handed,
    /// What was decided, also just now.
    pub(crate) decisions: &'a Decided,
    /// What products and groups of them are known.
    pub(crate) rules: &'a Rules,
}

impl Ask<'_> {
    /// The fills of every product group, in order of the groups.
    fn by_product(&self) -> impl Iterator<Item = (&str, &[Fill])> {
        self.supplies.by_product()
    }

    /// Today, in days since 1970, where the resource belongs.
    fn today(&self) -> i64 {
        zones::day(self.story.now, rows::zone(self.story, self.resource))
    }
}

impl Ask<'_> {
    /// The groups of ingredients that a product group belongs to.
    fn groups(&self, product: &str) -> BTreeSet<&str> {
        ingredients(product).into_iter().flat_map(|ingredient| self.rules.concepts.lists(ingredient)).collect()
    }
}

/// The ingredients that a product group is named by.
pub(super) fn ingredients(product: &str) -> Vec<&str> {
    product.strip_prefix("ingredient|").map(|names| names.split('+').collect()).unwrap_or_default()
}

impl std::fmt::Debug for Fact {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "%{}", self.name)
    }
}

/// All facts.
///
/// To add one: write `facts/<fact>.rs` with a `pub(super) const FACT: Fact`, name it in a `mod` line above, and put it here.
/// Name the kinds it reads, so that they are loaded for the rules that ask for it and for no others, and all that it tells.
pub(crate) const FACTS: &[Fact] = &[
    resource::FACT,
    patient::FACT,
    age::FACT,
    supply::FACT,
    supplies::FACT,
    adherence::FACT,
    order::FACT,
    orders::FACT,
    doses::FACT,
    dispense::FACT,
    conclusions::FACT,
    conditions::FACT,
    diagnoses::FACT,
    immunizations::FACT,
    observations::FACT,
    allergies::FACT,
    said::FACT,
];

/// All current resources of a kind.
fn all<'a>(ask: &Ask<'a>, kind: &'static str) -> Vec<Cow<'a, Value>> {
    ask.story.current(kind).map(|resource| Cow::Borrowed(resource.value.as_ref())).collect()
}
