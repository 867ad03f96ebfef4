//! What a rule's condition may ask for beside the resource it stands on: `%patient`, `%supply` and so on.

mod allergies;
mod conditions;
mod dispense;
mod order;
mod patient;
mod resource;
mod supply;

use std::borrow::Cow;

use serde_json::Value;

use super::Story;
use super::cover::Fill;

/// A fact that rules may ask for by name.
pub(crate) struct Fact {
    /// Its name, without `%`.
    pub(crate) name: &'static str,
    /// Kinds of resource of the person that must be loaded for it.
    pub(crate) kinds: &'static [&'static str],
    /// What it is for this candidate.
    pub(crate) value: for<'a> fn(&Ask<'a>) -> Vec<Cow<'a, Value>>,
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
}

impl std::fmt::Debug for Fact {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "%{}", self.name)
    }
}

/// All facts.
///
/// To add one: write `facts/<fact>.rs` with a `pub(super) const FACT: Fact`, name it in a `mod` line above, and put it here.
/// Name the kinds it reads, so that they are loaded for the rules that ask for it and for no others.
pub(crate) const FACTS: &[Fact] =
    &[resource::FACT, patient::FACT, supply::FACT, order::FACT, dispense::FACT, conditions::FACT, allergies::FACT];

/// All current resources of a kind.
fn all<'a>(ask: &Ask<'a>, kind: &'static str) -> Vec<Cow<'a, Value>> {
    ask.story.current(kind).map(|resource| Cow::Borrowed(resource.value.as_ref())).collect()
}
