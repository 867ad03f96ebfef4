//! Which types there are and which of them are special cases of which.
//! Follows <https://hl7.org/fhir/R4/fhirpath.html#types> and <https://hl7.org/fhir/R4/datatypes.html>.

use crate::fhir::definitions::{self, Flavour};

use super::item::Item;
use super::tree::{Kind, Space};

/// FHIRPath's own types.
const SYSTEM: &[&str] = &["Any", "Boolean", "String", "Integer", "Long", "Decimal", "Date", "DateTime", "Time", "Quantity"];

/// Types that specialise another data type; all others stand directly under `Element`.
const PARENTS: &[(&str, &str)] = &[
    ("Age", "Quantity"),
    ("Count", "Quantity"),
    ("Distance", "Quantity"),
    ("Duration", "Quantity"),
    ("MoneyQuantity", "Quantity"),
    ("SimpleQuantity", "Quantity"),
    ("canonical", "uri"),
    ("code", "string"),
    ("id", "string"),
    ("markdown", "string"),
    ("oid", "uri"),
    ("positiveInt", "integer"),
    ("unsignedInt", "integer"),
    ("url", "uri"),
    ("uuid", "uri"),
    ("Timing", "BackboneElement"),
    ("Dosage", "BackboneElement"),
    ("ElementDefinition", "BackboneElement"),
];

/// Resources without narrative.
const BARE: &[&str] = &["Bundle", "Binary", "Parameters"];

/// Whether the type exists.
pub(super) fn exists(kind: &Kind) -> bool {
    let system = kind.space != Some(Space::Fhir) && SYSTEM.contains(&kind.name.as_str());
    // A `System` name of another kind is a question that has an answer: no value is of it.
    system || kind.space == Some(Space::System) || definitions::node(&kind.name).is_some()
}

/// The type above this FHIR type.
fn parent(name: &str) -> Option<&'static str> {
    if let Some((_, parent)) = PARENTS.iter().find(|(child, _)| *child == name) {
        return Some(parent);
    }
    match name {
        "Resource" | "Element" => None,
        "DomainResource" => Some("Resource"),
        "BackboneElement" => Some("Element"),
        _ => Some(match definitions::node(name)?.flavour {
            Flavour::Resource if BARE.contains(&name) => "Resource",
            Flavour::Resource => "DomainResource",
            Flavour::Backbone => "BackboneElement",
            Flavour::Complex | Flavour::Primitive | Flavour::Abstract => "Element",
        }),
    }
}

/// Whether the FHIR type is `above` or a special case of it.
pub(super) fn is_a(name: &str, above: &str) -> bool {
    let mut at = Some(name);
    while let Some(name) = at {
        if name == above {
            return true;
        }
        at = parent(name);
    }
    false
}

/// Whether the item is of the type: exactly, or also as a special case of it.
pub(super) fn matches(item: &Item<'_>, kind: &Kind, exactly: bool) -> bool {
    match item {
        Item::Node(node) => {
            let name = node.kind_name();
            let fhir = kind.space != Some(Space::System);
            fhir && (name == kind.name || (!exactly && is_a(name, &kind.name)))
        }
        other => kind.space != Some(Space::Fhir) && other.kind_name() == kind.name,
    }
}
