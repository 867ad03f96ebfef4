//! What R4 defines: types, elements, choices, required codes and invariants, from tables built into the binary.
//! Follows <https://hl7.org/fhir/R4/structuredefinition.html>; `profiles/README.md` tells how the tables are made.
//!
//! A *parent* is a type (`Patient`, `HumanName`) or the path of a backbone element (`Patient.contact`).
//! Everything handed out is static: a look-up allocates nothing.

mod codes;
mod primitive;
mod table;

pub use codes::ValueSet;
pub use primitive::Primitive;
pub use table::{Element, Flavour, Invariant, Key, Node};

use table::TABLES;

/// What stands under one JSON key of a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// The element's name in FHIRPath: `value` for every key of the choice `value[x]`.
    pub element: &'static str,
    /// The type (`Quantity`, `string`), or the path of a backbone element (`Patient.contact`, `Bundle.link`).
    pub kind: &'static str,
    /// Whether it may repeat, so that JSON writes it as an array.
    pub list: bool,
}

/// Whether this is the name of a resource type that can stand by itself.
#[must_use]
pub fn is_resource(name: &str) -> bool {
    node(name).is_some_and(|node| node.flavour == Flavour::Resource)
}

/// The names of all resource types, in alphabetical order.
pub fn resource_names() -> impl Iterator<Item = &'static str> {
    TABLES.nodes.iter().filter(|node| node.flavour == Flavour::Resource).map(|node| node.name)
}

/// What the JSON key means under this parent; `None` if the standard does not know it there.
#[must_use]
pub fn child(parent: &str, key: &str) -> Option<Child> {
    let node = node(parent)?;
    let key = node.key(key)?;
    let element = &node.elements[usize::from(key.element)];
    Some(Child { element: element.name, kind: key.kind, list: element.list })
}

/// The JSON keys under which an element may stand: one for a plain element, one per type for a choice; none if it is unknown.
#[must_use]
pub fn choices(parent: &str, element: &str) -> &'static [Key] {
    node(parent).map_or(&[], |node| node.choices(element))
}

/// The type or backbone element of this name, for walkers that go from node to node without names.
#[must_use]
pub fn node(name: &str) -> Option<&'static Node> {
    TABLES.by_name.get(name).map(|&index| &TABLES.nodes[usize::from(index)])
}

/// All types and backbone elements.
#[must_use]
pub fn nodes() -> &'static [Node] {
    &TABLES.nodes
}

/// The invariant of this number, as nodes and elements hold them.
#[must_use]
pub fn invariant(number: u16) -> &'static Invariant {
    &TABLES.invariants[usize::from(number)]
}

/// All invariants, in the order of their numbers.
#[must_use]
pub fn invariants() -> &'static [Invariant] {
    &TABLES.invariants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_choice_names_its_element_and_type() {
        assert_eq!(child("Observation", "valueQuantity"), Some(Child { element: "value", kind: "Quantity", list: false }));
        assert_eq!(child("Patient", "contact"), Some(Child { element: "contact", kind: "Patient.contact", list: true }));
        assert_eq!(child("Patient.contact", "gender"), Some(Child { element: "gender", kind: "code", list: false }));
        assert_eq!(child("Bundle.entry", "link"), Some(Child { element: "link", kind: "Bundle.link", list: true }));
        assert_eq!(child("Patient", "id").map(|child| child.kind), Some("id"));
        assert_eq!(child("date", "extension").map(|child| child.kind), Some("Extension"));
        assert_eq!(child("Patient", "value"), None);
        assert_eq!(child("Observation", "value"), None);
        assert_eq!(child("Banana", "id"), None);
    }

    #[test]
    fn a_choice_lists_its_keys_in_the_order_of_the_standard() {
        let keys: Vec<_> = choices("Condition", "onset").iter().map(|key| (key.name, key.kind)).collect();
        let expected = [
            ("onsetDateTime", "dateTime"),
            ("onsetAge", "Age"),
            ("onsetPeriod", "Period"),
            ("onsetRange", "Range"),
            ("onsetString", "string"),
        ];
        assert_eq!(keys, expected);
        assert_eq!(choices("Patient", "name").iter().map(|key| key.name).collect::<Vec<_>>(), ["name"]);
        assert!(choices("Condition", "onsetAge").is_empty());
        assert!(choices("Patient", "nmae").is_empty());
    }

    #[test]
    fn all_resources_are_there_and_abstract_types_are_not_resources() {
        assert_eq!(resource_names().count(), 146);
        assert!(is_resource("MedicationDispense"));
        for name in ["DomainResource", "Resource", "HumanName", "Banana", ""] {
            assert!(!is_resource(name), "{name}");
        }
    }

    #[test]
    fn every_type_that_is_named_is_defined() {
        for node in nodes() {
            for key in &node.keys {
                assert_eq!(key.node().name, key.kind, "{}.{}", node.name, key.name);
                assert_eq!(node.key(key.name).map(|found| found.kind), Some(key.kind), "{}.{}", node.name, key.name);
            }
            assert!(node.elements.len() <= 128, "{}", node.name);
        }
    }

    #[test]
    fn required_codes_are_known() {
        let gender = node("Patient").and_then(|node| node.element("gender")).and_then(Element::codes).unwrap();
        assert!(gender.has_code("female"));
        assert!(!gender.has_code("lady"));
        let status = node("Condition").and_then(|node| node.element("clinicalStatus")).and_then(Element::codes).unwrap();
        assert!(status.has("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"));
        assert!(!status.has("http://example.org", "active"));
    }
}
