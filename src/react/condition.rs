//! What a rule demands of the facts: a FHIRPath expression and the facts it names.
//! Follows <https://hl7.org/fhir/R4/plandefinition-definitions.html#PlanDefinition.action.condition>.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value;

use super::facts::{Ask, FACTS, Fact};
use crate::fhir::path::{Collection, Context, Expression, Item, Names, Node};

/// Facts that are counted from all that was handed over.
const COUNTED: &[&str] = &["supplies", "adherence"];

/// An expression, read and ready.
#[derive(Debug)]
pub(crate) struct Condition {
    expression: Expression,
    facts: Vec<&'static Fact>,
}

impl Condition {
    /// Reads it; a sentence says what is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let expression = Expression::parse(text).map_err(|error| error.to_string())?;
        Ok(Self { expression, facts: named(text)? })
    }

    /// Kinds of resource that must be loaded for it.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.facts.iter().flat_map(|fact| fact.kinds.iter().copied())
    }

    /// Whether something of this kind may change what it says of the person. What was handed over is not loaded for it, but counted.
    pub(crate) fn reads(&self, kind: &str) -> bool {
        let counted = || kind == "MedicationDispense" && self.facts.iter().any(|fact| COUNTED.contains(&fact.name));
        self.kinds().any(|known| known == kind) || counted()
    }

    /// Whether it can be answered from a resource of this type alone, whatever else is known of the person.
    pub(crate) fn is_of_one(&self, kind: &str) -> bool {
        let own = |fact: &&Fact| fact.name == "resource" || (kind == "Patient" && ["patient", "age"].contains(&fact.name));
        self.facts.iter().all(own)
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        self.expression.text()
    }

    /// Whether it holds; what cannot be answered does not hold.
    pub(crate) fn holds(&self, ask: &Ask) -> bool {
        let known = Known { ask: *ask, facts: self.facts.iter().map(|fact| (*fact, OnceCell::new())).collect() };
        let zone = &super::supply::store(ask.story, ask.resource).zone;
        let context = Context::new().with_clock(ask.story.now, zone).with_names(&known);
        self.expression.holds(&context, ask.resource).unwrap_or(false)
    }
}

/// What the facts of a condition are for a candidate: each is found out when the expression comes to it, and once.
struct Known<'a> {
    ask: Ask<'a>,
    facts: Vec<(&'static Fact, OnceCell<Vec<Cow<'a, Value>>>)>,
}

impl Names for Known<'_> {
    fn items(&self, name: &str) -> Option<Collection<'_>> {
        let (fact, values) = self.facts.iter().find(|(fact, _)| fact.name == name)?;
        let values = values.get_or_init(|| (fact.value)(&self.ask));
        Some(values.iter().map(|value| Item::Node(Node::resource(value))).collect())
    }
}

/// The facts an expression names; a name that is neither ours nor the standard's is a fault.
fn named(text: &str) -> Result<Vec<&'static Fact>, String> {
    const STANDARD: &[&str] = &["context", "rootResource", "ucum", "sct", "loinc"];
    let mut facts = Vec::new();
    for piece in text.split('%').skip(1) {
        let name: String = piece.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
        match FACTS.iter().find(|fact| fact.name == name) {
            Some(fact) => facts.push(fact),
            None if STANDARD.contains(&name.as_str()) => {}
            None => return Err(format!("%{name} is no fact that rules may ask for")),
        }
    }
    Ok(facts)
}
