//! Compartments: which parameters say that a resource belongs to a patient, an encounter, a practitioner …
//! Follows <https://hl7.org/fhir/R4/compartmentdefinition.html>.

use super::table::{Parameter, TABLE, parameter};
use crate::fhir::kinds;

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

/// The parameters by which a resource of this type lies in a Patient's compartment and may be nobody's all the same: all but those
/// that say whose it is. Where one is an alias of another, the one that has the rows.
#[must_use]
pub fn naming(kind: &str) -> Vec<u32> {
    if kind == "Patient" {
        return Vec::new();
    }
    let named = compartment("Patient", kind).iter().filter_map(|code| parameter(kind, code));
    let mut numbers: Vec<u32> = named
        .filter(|parameter| !is_subject(kind, parameter))
        .map(|parameter| parameter.alias_of.unwrap_or(parameter.number))
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Whether all that a parameter finds in a resource of this type are references that say whose it is.
fn is_subject(kind: &str, parameter: &Parameter) -> bool {
    let paths = parameter.expression.unwrap_or_default().split('|').map(str::trim);
    let mut own = paths.filter_map(|path| path.strip_prefix(kind)?.strip_prefix('.')).peekable();
    let subject = kinds::of(kind).subject;
    own.peek().is_some() && own.all(|path| subject.contains(&path.strip_suffix(".where(resolve() is Patient)").unwrap_or(path)))
}
