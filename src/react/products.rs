//! Products: which group a dispensed medication belongs to, so that its supplies can be counted together.
//! Follows <https://hl7.org/fhir/R4/medicationdispense.html>.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::concepts::Concepts;
use super::json::{contained, each, local, mapped, member, reference, text};
use super::{Resource, Story, days};

/// The ConceptMap that leads product codes to their ingredients.
pub(crate) const INGREDIENTS: &str = "https://signa.example/fhir/ConceptMap/ingredients";

/// The code system of ingredients.
pub(crate) const INGREDIENT: &str = "https://signa.example/fhir/CodeSystem/ingredient";

/// What the products are made of.
#[derive(Debug, Default)]
pub(crate) struct Products {
    /// By system and code.
    ingredients: HashMap<String, HashMap<String, BTreeSet<String>>>,
}

impl Products {
    /// Takes in a table of ingredients.
    pub(super) fn learn(&mut self, map: &Value, concepts: &Concepts) {
        for (system, code, _, ingredient) in mapped(map) {
            let of_system = self.ingredients.entry(concepts.canonical(system).to_owned()).or_default();
            of_system.entry(code.to_owned()).or_default().insert(ingredient.to_owned());
        }
    }

    /// Ingredients of a CodeableConcept, where they are known.
    pub(crate) fn ingredients(&self, concepts: &Concepts, concept: &Value) -> Option<&BTreeSet<String>> {
        each(concept, "coding").iter().find_map(|coding| {
            let of_system = self.ingredients.get(concepts.canonical(text(coding, "system")?))?;
            of_system.get(text(coding, "code")?)
        })
    }

    /// The group of a CodeableConcept: by ingredient where it is known, else by the first exact code, else by its words.
    fn group_of(&self, concepts: &Concepts, concept: &Value) -> Option<String> {
        if let Some(ingredients) = self.ingredients(concepts, concept) {
            let names: Vec<&str> = ingredients.iter().map(String::as_str).collect();
            return Some(format!("ingredient|{}", names.join("+")));
        }
        let exact = each(concept, "coding").iter().find_map(|coding| {
            let system = concepts.canonical(text(coding, "system")?);
            // A reason why there is no product is no product.
            let code = text(coding, "code").filter(|_| !system.ends_with("data-absent-reason"))?;
            Some(format!("{system}|{code}"))
        });
        exact.or_else(|| text(concept, "text").map(|words| format!("text|{}", words.trim().to_lowercase())))
    }

    /// The product group of a MedicationDispense or MedicationRequest; `None` when it names no product.
    pub(crate) fn group(&self, concepts: &Concepts, resource: &Value, story: &Story) -> Option<String> {
        let known = concept(resource, story).and_then(|concept| self.group_of(concepts, concept));
        if known.is_some() || resource.get("medicationCodeableConcept").is_some() {
            return known;
        }
        let medication = resource.get("medicationReference")?;
        if let Some(reference) = text(medication, "reference") {
            // A Medication we do not have is at least the same Medication each time; a contained one is not.
            return if is_elsewhere(reference) { Some(reference.to_owned()) } else { local(reference) };
        }
        let identifier = medication.get("identifier")?;
        Some(format!("{}|{}", text(identifier, "system")?, text(identifier, "value")?))
    }
}

/// The product that a resource names itself, in place or contained.
pub(crate) fn named(resource: &Value) -> Option<&Value> {
    let inside = || contained(resource, reference(resource, "medicationReference")?)?.get("code");
    member(resource, "medicationCodeableConcept").or_else(inside)
}

/// The product that a resource names, in place or by reference to a Medication of the story.
pub(crate) fn concept<'a>(resource: &'a Value, story: &'a Story) -> Option<&'a Value> {
    let referred = || story.find(&medication(resource)?)?.value.get("code");
    named(resource).or_else(referred)
}

/// `Type/id` of what the dispense rests on and does not contain: its order and its medication.
pub(crate) fn needed(dispense: &Value) -> Vec<String> {
    let orders = each(dispense, "authorizingPrescription").iter();
    let orders = orders.filter_map(|reference| text(reference, "reference")).filter_map(local);
    orders.chain(medication(dispense)).collect()
}

/// The order that a dispense fills.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Filled<'a> {
    /// It stands inside the dispense.
    Inside(&'a Value),
    /// It is in the story.
    Stored(&'a Resource),
}

/// The order that a dispense fills, as far as it is known.
pub(crate) fn filled<'a>(dispense: &'a Value, story: &'a Story) -> Option<Filled<'a>> {
    let named = || each(dispense, "authorizingPrescription").iter().filter_map(|reference| text(reference, "reference"));
    let known = || {
        named().filter_map(|reference| {
            let stored = || story.find(&local(reference)?).filter(|order| !order.deleted);
            contained(dispense, reference).map(Filled::Inside).or_else(|| stored().map(Filled::Stored))
        })
    };
    // One that never was stands behind the others.
    let was = |filled: &Filled| text(filled.value(), "status") != Some("entered-in-error");
    known().find(was).or_else(|| known().next())
}

/// What it says.
pub(crate) fn order<'a>(dispense: &'a Value, story: &'a Story) -> Option<&'a Value> {
    filled(dispense, story).map(Filled::value)
}

impl<'a> Filled<'a> {
    fn value(self) -> &'a Value {
        match self {
            Filled::Inside(order) => order,
            Filled::Stored(order) => order.value.as_ref(),
        }
    }
}

/// `Type/id` of what the order that a dispense fills is about, where only the order may tell how long that lasts.
pub(crate) fn ordered(dispense: &Value, story: &Story) -> Option<String> {
    let tells = days::says(dispense) || dispense.get("dosageInstruction").is_some();
    medication(order(dispense, story).filter(|_| !tells)?)
}

/// `Type/id` of the Medication of ours that a resource refers to.
pub(crate) fn medication(resource: &Value) -> Option<String> {
    reference(resource, "medicationReference").filter(|named| !is_elsewhere(named)).and_then(local)
}

/// Whether a reference leads to another server: one to our own base is kept without it.
fn is_elsewhere(reference: &str) -> bool {
    reference.contains("://")
}

/// Whether a dispense surely hands out the product that its order names: by the same code, and not in another's place.
pub(crate) fn is_as_ordered(dispense: &Value, order: &Value, story: &Story) -> bool {
    let substituted = dispense.get("substitution").and_then(|one| one.get("wasSubstituted")).and_then(Value::as_bool);
    // What an order inside of the dispense is about stands beside it there.
    let inside = |resource| contained(dispense, reference(resource, "medicationReference")?)?.get("code");
    let codes = |resource| concept(resource, story).or_else(|| inside(resource)).map_or(&[][..], |found| each(found, "coding"));
    let is_one = |coding: &Value, other: &Value| {
        let same = |name| text(coding, name).is_some_and(|word| text(other, name) == Some(word));
        same("system") && same("code")
    };
    substituted != Some(true) && codes(dispense).iter().any(|coding| codes(order).iter().any(|other| is_one(coding, other)))
}
