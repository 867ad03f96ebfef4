//! Whose a resource is that does not say so and lies in a Patient's compartment all the same, since it names the Patient: as the
//! recipient of a message, or as who measured. Follows <https://hl7.org/fhir/R4/compartmentdefinition-patient.html>.
//!
//! It is only theirs if it can be nobody else's. One reference to another Patient, to what is perhaps one, or to what belongs to some
//! person is enough, wherever it stands: what a diagnosis or a visit is of cannot be known here.

use serde_json::{Map, Value};

use crate::fhir::definitions::{self, Element, Node};
use crate::fhir::kinds::{self, Lead, Named};
use crate::fhir::search::{each_in_compartment, is_nobodys};

/// The one Patient that a resource names.
pub(super) fn named(resource: &Value) -> Option<Named> {
    let (node, map) = resource_of(resource)?;
    if is_nobodys(node.name) {
        return None;
    }
    let Lead::To(named) = within(node, map, resource, Lead::Nowhere) else { return None };
    let mut is_theirs = false;
    each_in_compartment("Patient", node.name, resource, &mut |reference| {
        is_theirs |= matches!(kinds::lead(resource, reference), Lead::To(other) if named.is_like(&other));
    });
    is_theirs.then_some(named)
}

fn resource_of(value: &Value) -> Option<(&'static Node, &Map<String, Value>)> {
    let map = value.as_object()?;
    Some((definitions::node(map.get("resourceType")?.as_str()?)?, map))
}

/// Where all references of an element lead together, with what was found before.
fn within(node: &'static Node, map: &Map<String, Value>, resource: &Value, mut found: Lead) -> Lead {
    for (name, value) in map {
        let Some(key) = node.key(name).filter(|key| key.node().primitive.is_none()) else { continue };
        let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for item in items {
            let Some(inner) = item.as_object() else { continue };
            if key.kind == "Reference" {
                found = found.and(lead(node.element_of(key), resource, item));
            }
            let of_item = if key.kind == "Resource" { resource_of(item).map(|(node, _)| node) } else { Some(key.node()) };
            if of_item.is_some_and(|node| node.name == "Patient") {
                found = found.and(contained(item));
            }
            found = of_item.map_or(Lead::Unknown, |node| within(node, inner, resource, found));
            if found == Lead::Unknown {
                return found;
            }
        }
    }
    found
}

/// Who a contained Patient is, by its first identifier.
fn contained(patient: &Value) -> Lead {
    let identifier = kinds::identifiers(patient).into_iter().next();
    identifier.map_or(Lead::Unknown, |identifier| Lead::To(Named { literal: None, identifier: Some(identifier) }))
}

/// Where one reference leads. An identifier without a type, or a name alone, may be anybody's whom the element may name.
fn lead(element: &Element, resource: &Value, reference: &Value) -> Lead {
    let part = |name| reference.get(name).and_then(Value::as_str);
    let (literal, said) = (part("reference"), part("type").and_then(type_of));
    match kinds::lead(resource, reference) {
        Lead::To(_) if literal.is_none() && said.is_none() && may_be_a_persons(element) => Lead::Unknown,
        Lead::To(_) if literal.is_none() && said.is_none() => Lead::Nowhere,
        Lead::Nowhere => {
            // What is contained is looked at where it stands.
            let is_own = literal.is_some_and(|literal| literal.starts_with('#'));
            let is_known = |kind: &str| is_nobodys(kind);
            let is_clear = is_own || literal.and_then(type_named).or(said).map_or(!may_be_a_persons(element), is_known);
            if is_clear { Lead::Nowhere } else { Lead::Unknown }
        }
        lead => lead,
    }
}

/// The resource type that `Reference.type` says, as a name or as an address that ends in it.
fn type_of(said: &str) -> Option<&'static str> {
    let name = said.rsplit('/').next()?;
    definitions::node(name).map(|node| node.name).filter(|name| definitions::is_resource(name))
}

/// The resource type that a literal reference names.
fn type_named(literal: &str) -> Option<&'static str> {
    let current = literal.split_once("/_history/").map_or(literal, |(current, _)| current);
    type_of(current.rsplit_once('/')?.0)
}

/// Whether an element may name a Patient, or what belongs to some person.
fn may_be_a_persons(element: &Element) -> bool {
    element.targets.is_empty() || element.targets.split(' ').any(|target| !is_nobodys(target))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn literal(resource: &Value) -> Option<String> {
        named(resource).and_then(|named| named.literal)
    }

    fn observation(performers: &Value) -> Value {
        json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "performer": performers})
    }

    fn to(reference: &str) -> Value {
        json!({"reference": reference})
    }

    #[test]
    fn one_patient_is_named_however_often_and_by_what_the_compartment_goes_by() {
        for performers in [
            json!([to("Patient/1")]),
            json!([to("Patient/1"), to("Patient/1/_history/2")]),
            json!([to("Patient/1"), to("Practitioner/2"), to("https://other.example/fhir/Organization/3")]),
            json!([to("Patient/1"), {"type": "Organization", "identifier": {"system": "urn:o", "value": "7"}}]),
            json!([to("Patient/1"), {"type": "Practitioner", "display": "Dr. X"}]),
        ] {
            assert_eq!(literal(&observation(&performers)).as_deref(), Some("Patient/1"), "{performers}");
        }
        let elsewhere = |element: &str, value: Value| {
            let mut resource = observation(&json!([to("Patient/1")]));
            resource[element] = value;
            resource
        };
        for (element, value) in [
            ("subject", to("Location/1")),
            ("device", json!({"display": "a scale"})),
            ("device", json!({"identifier": {"system": "urn:d", "value": "7"}})),
            ("specimen", json!({"display": "x"})),
            ("focus", json!([to("Patient/1")])),
            ("contained", json!([{"resourceType": "Practitioner", "id": "d", "name": [{"family": "D"}]}])),
        ] {
            let is_theirs = element != "specimen";
            assert_eq!(literal(&elsewhere(element, value)).is_some(), is_theirs, "{element}");
        }
        // Named by what is no way into the compartment.
        let focus = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "focus": [to("Patient/1")]});
        assert_eq!(named(&focus), None);
        assert_eq!(named(&json!({"resourceType": "Organization", "partOf": to("Patient/1")})), None);
    }

    #[test]
    fn what_may_be_of_somebody_else_names_nobody() {
        let number = |kind: &str| json!({"type": kind, "identifier": {"system": "urn:s", "value": "7"}});
        for other in [
            to("Patient/2"),
            to("https://other.example/fhir/Patient/1"),
            to("RelatedPerson/1"),
            to("urn:uuid:0a1b2c3d-0000-4000-8000-000000000001"),
            number("Patient"),
            number("http://hl7.org/fhir/StructureDefinition/Patient"),
            number("RelatedPerson"),
            json!({"identifier": {"system": "urn:s", "value": "7"}}),
            json!({"type": "Patient", "identifier": {"value": "7"}}),
            json!({"display": "Ms. X"}),
            json!({"reference": "Patient/2", "identifier": {"system": "urn:s", "value": "7"}}),
        ] {
            assert_eq!(named(&observation(&json!([to("Patient/1"), other]))), None, "{other}");
        }
        for (element, value) in [
            ("subject", json!({"display": "Ms. X"})),
            ("encounter", to("Encounter/1")),
            ("basedOn", json!([to("ServiceRequest/1")])),
            ("focus", json!([to("Patient/2")])),
            ("extension", json!([{"url": "urn:x", "extension": [{"url": "y", "valueReference": to("Patient/2")}]}])),
            ("contained", json!([{"resourceType": "Patient", "id": "p", "name": [{"family": "Secret"}]}])),
            ("contained", json!([{"resourceType": "RelatedPerson", "id": "p", "patient": to("Patient/2")}])),
        ] {
            let mut resource = observation(&json!([to("Patient/1")]));
            resource[element] = value;
            assert_eq!(named(&resource), None, "{element}");
        }
    }

    #[test]
    fn who_is_contained_or_named_by_a_number_is_named_by_it_alone() {
        let number = json!({"system": "urn:s", "value": "7"});
        let own = |performers: Value| {
            let mut resource = observation(&performers);
            resource["contained"] = json!([{"resourceType": "Patient", "id": "p", "identifier": [number]}]);
            resource
        };
        let identified = |resource: &Value| named(resource).and_then(|named| named.identifier).map(|(_, value)| value);
        assert_eq!(identified(&own(json!([to("#p")]))).as_deref(), Some("7"));
        assert_eq!(identified(&own(json!([to("#p"), {"type": "Patient", "identifier": number}]))).as_deref(), Some("7"));
        assert_eq!(identified(&observation(&json!([{"type": "Patient", "identifier": number}]))).as_deref(), Some("7"));
        assert_eq!(named(&own(json!([to("#p"), to("Patient/1")]))), None);
    }
}
