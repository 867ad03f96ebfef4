//! Compartments: which parameters say that a resource belongs to a patient, an encounter, a practitioner …
//! Follows <https://hl7.org/fhir/R4/compartmentdefinition.html>.

use serde_json::Value as Json;

use super::table::{TABLE, parameter};

/// The types that have a compartment.
pub const COMPARTMENTS: [&str; 5] = ["Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"];

/// A resource type in a compartment.
#[derive(Debug)]
pub struct Member {
    /// The compartment's type: `Patient`.
    pub compartment: &'static str,
    /// The type of the member: `Task`.
    pub kind: &'static str,
    /// Any of these parameters may name the compartment; `{def}` is the resource that gives it its name.
    pub codes: Vec<&'static str>,
}

/// The codes of the parameters by which a type belongs to a compartment; none if it never does.
#[must_use]
pub fn compartment(compartment: &str, kind: &str) -> &'static [&'static str] {
    let members = &TABLE.members;
    let found = members.binary_search_by(|member| (member.compartment, member.kind).cmp(&(compartment, kind)));
    found.ok().and_then(|at| members.get(at)).map_or(&[], |member| &member.codes)
}

/// Whether a type is about no patient by its definition.
#[must_use]
pub fn is_nobodys(kind: &str) -> bool {
    kind != "Patient" && compartment("Patient", kind).is_empty()
}

/// Hands over the references by which a resource lies in compartments of a type.
pub fn each_in_compartment(name: &str, kind: &str, resource: &Json, take: &mut dyn FnMut(&Json)) {
    for parameter in compartment(name, kind).iter().filter_map(|code| parameter(kind, code)) {
        parameter.elements(resource, &mut |value, _| take(value));
    }
}
