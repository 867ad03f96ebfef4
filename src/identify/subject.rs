//! Whose a resource is, from the reference that names its subject: by id, by identifier, or by a contained Patient.
//! Follows <https://hl7.org/fhir/R4/references.html#logical>.

use serde_json::Value;

use crate::fhir::kinds::{self, Kind};
use crate::ledger::Subject;

/// Whose this resource is. Absolute references to ourselves, `urn:` references and conditional ones are resolved before.
pub(super) fn subject(kind: &Kind, resource: &Value) -> Subject {
    if kind.name == "Patient" {
        return Subject::Itself;
    }
    let named = |reference| of_reference(resource, reference);
    let stated = kind.subject.iter().find_map(|path| kinds::find(resource, path, &mut |value| named(value)));
    stated.or_else(|| writer(kind, resource)).unwrap_or(Subject::Nobody)
}

/// Who is one with a Patient: those whom it replaced or was replaced by. A link of another kind says less.
pub(super) fn replaced(patient: &Value) -> Vec<Subject> {
    let links = patient.get("link").and_then(Value::as_array).into_iter().flatten();
    let unites = |link: &&Value| matches!(link.get("type").and_then(Value::as_str), Some("replaced-by" | "replaces"));
    links.filter(unites).filter_map(|link| of_reference(patient, link.get("other")?)).collect()
}

/// A message without a subject belongs to the Patient who wrote it, so that a STOP is heard whoever passes it on. Whose
/// RelatedPerson wrote it is not known here: the message then belongs to a person known by that reference alone.
fn writer(kind: &Kind, resource: &Value) -> Option<Subject> {
    let sender = resource.get("sender").filter(|_| kind.name == "Communication")?;
    let written = sender.get("reference").and_then(Value::as_str);
    if let Some(related) = written.and_then(|written| literal_of("RelatedPerson", written)) {
        return Some(Subject::Literal(related));
    }
    let literal = written.and_then(patient);
    let typed = sender.get("type").and_then(Value::as_str) == Some("Patient");
    (literal.is_some() || typed).then(|| of_reference(resource, sender))?
}

/// The person a Reference leads to; `None` if it leads to none that can be known: a Group, a device, a name alone.
fn of_reference(resource: &Value, reference: &Value) -> Option<Subject> {
    let literal = reference.get("reference").and_then(Value::as_str);
    if let Some(own) = literal.and_then(|literal| literal.strip_prefix('#')) {
        return of_contained(resource, own).or_else(|| logical(reference)).map(identified);
    }
    match (literal.map(patient), logical(reference)) {
        (Some(None), _) | (None, None) => None,
        (None, Some(logical)) => Some(identified(logical)),
        (Some(Some(literal)), None) => Some(Subject::Literal(literal)),
        (Some(Some(literal)), Some((system, value))) => Some(Subject::Both(literal, system, value)),
    }
}

fn identified((system, value): (String, String)) -> Subject {
    Subject::Identifier(system, value)
}

/// `Patient/123` of a literal reference to a Patient, without its version. A foreign absolute one is kept whole: it
/// names one person, only not ours.
fn patient(literal: &str) -> Option<String> {
    literal_of("Patient", literal)
}

fn literal_of(kind: &str, literal: &str) -> Option<String> {
    let current = literal.split_once("/_history/").map_or(literal, |(current, _)| current);
    let (before, id) = current.rsplit_once('/')?;
    let is_kind = before.rsplit('/').next() == Some(kind);
    (is_kind && !id.is_empty()).then(|| current.to_owned())
}

/// A logical reference, unless it says that it means something else than a Patient.
fn logical(reference: &Value) -> Option<(String, String)> {
    let kind = reference.get("type").and_then(Value::as_str);
    if kind.is_some_and(|kind| kind != "Patient" && !kind.ends_with("/StructureDefinition/Patient")) {
        return None;
    }
    kinds::identifier(reference.get("identifier")?)
}

fn of_contained(resource: &Value, id: &str) -> Option<(String, String)> {
    let contained = resource.get("contained")?.as_array()?;
    let own = |inner: &&Value| inner.get("id").and_then(Value::as_str) == Some(id);
    let patient = contained.iter().find(own)?;
    if patient.get("resourceType").and_then(Value::as_str) != Some("Patient") {
        return None;
    }
    kinds::identifiers(patient).into_iter().next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whose(resource: &Value) -> Subject {
        subject(kinds::of(resource["resourceType"].as_str().unwrap()), resource)
    }

    fn condition(reference: &Value) -> Subject {
        whose(&json!({"resourceType": "Condition", "subject": reference}))
    }

    #[test]
    fn a_message_without_subject_belongs_to_the_patient_who_wrote_it() {
        let message = |sender: Value| whose(&json!({"resourceType": "Communication", "sender": sender}));
        let identifier = json!({"system": "urn:s", "value": "1"});
        assert_eq!(message(json!({"reference": "Patient/1"})), Subject::Literal(String::from("Patient/1")));
        let related = Subject::Literal(String::from("RelatedPerson/1"));
        assert_eq!(message(json!({"reference": "RelatedPerson/1/_history/2"})), related);
        let typed = json!({"type": "Patient", "identifier": identifier});
        assert_eq!(message(typed), Subject::Identifier(String::from("urn:s"), String::from("1")));
        assert_eq!(message(json!({"identifier": identifier})), Subject::Nobody);
        assert_eq!(message(json!({"reference": "Organization/1"})), Subject::Nobody);
    }

    #[test]
    fn a_patient_is_its_own_subject() {
        assert_eq!(whose(&json!({"resourceType": "Patient", "link": []})), Subject::Itself);
    }

    #[test]
    fn a_patient_is_one_with_those_it_replaced_or_was_replaced_by() {
        let link = |kind: &str, other: Value| json!({"type": kind, "other": other});
        let patient = json!({"resourceType": "Patient", "link": [
            link("replaced-by", json!({"reference": "Patient/new/_history/2"})),
            link("replaces", json!({"identifier": {"system": "urn:s", "value": "old"}})),
            link("seealso", json!({"reference": "Patient/other"})),
            link("refer", json!({"reference": "Patient/elsewhere"})),
            link("replaces", json!({"reference": "RelatedPerson/r"})),
        ]});
        let others = [Subject::Literal("Patient/new".into()), Subject::Identifier("urn:s".into(), "old".into())];
        assert_eq!(replaced(&patient), others);
        assert_eq!(replaced(&json!({"resourceType": "Patient"})), []);
    }

    #[test]
    fn a_literal_reference_names_the_person_without_the_version() {
        assert_eq!(condition(&json!({"reference": "Patient/1/_history/2"})), Subject::Literal("Patient/1".into()));
        let foreign = condition(&json!({"reference": "https://other.example/fhir/Patient/1"}));
        assert_eq!(foreign, Subject::Literal("https://other.example/fhir/Patient/1".into()));
    }

    #[test]
    fn an_identifier_names_the_person_only_with_its_system() {
        let logical = |identifier| condition(&json!({"type": "Patient", "identifier": identifier}));
        assert_eq!(logical(json!({"system": "urn:s", "value": "v"})), Subject::Identifier("urn:s".into(), "v".into()));
        assert_eq!(logical(json!({"value": "v"})), Subject::Nobody);
        let both = condition(&json!({"reference": "Patient/1", "identifier": {"system": "urn:s", "value": "v"}}));
        assert_eq!(both, Subject::Both("Patient/1".into(), "urn:s".into(), "v".into()));
    }

    #[test]
    fn what_is_about_a_group_or_a_device_is_nobodys() {
        assert_eq!(condition(&json!({"reference": "Group/1"})), Subject::Nobody);
        assert_eq!(condition(&json!({"display": "Ms. X"})), Subject::Nobody);
        assert_eq!(condition(&json!({"type": "Device", "identifier": {"system": "urn:s", "value": "v"}})), Subject::Nobody);
        assert_eq!(condition(&Value::Null), Subject::Nobody);
    }

    #[test]
    fn a_contained_patient_is_known_by_its_identifier() {
        let resource = json!({
            "resourceType": "MedicationDispense",
            "contained": [{"resourceType": "Patient", "id": "p", "identifier": [{"value": "1"}, {"system": "urn:s", "value": "v"}]}],
            "subject": {"reference": "#p"},
        });
        assert_eq!(whose(&resource), Subject::Identifier("urn:s".into(), "v".into()));
    }

    #[test]
    fn a_task_is_for_its_patient_and_a_provenance_of_a_patient_is_theirs() {
        let task = json!({"resourceType": "Task", "for": {"reference": "Patient/1"}, "owner": {"reference": "Organization/2"}});
        assert_eq!(whose(&task), Subject::Literal("Patient/1".into()));
        let provenance =
            json!({"resourceType": "Provenance", "target": [{"reference": "Condition/3"}, {"reference": "Patient/1"}]});
        assert_eq!(whose(&provenance), Subject::Literal("Patient/1".into()));
    }
}
