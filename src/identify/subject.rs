//! Whose a resource is: of whom it says that it is, by id, by identifier or by a contained Patient; else of the one whom it names.
//! Follows <https://hl7.org/fhir/R4/references.html#logical>.

use serde_json::Value;

use super::naming::named;
use crate::fhir::kinds::{self, Kind, Lead, Named};
use crate::ledger::Subject;

/// Whose this resource is, and whether it only names them. Absolute references to ourselves, `urn:` references and conditional ones are
/// resolved before.
pub(super) fn subject(kind: &Kind, resource: &Value) -> (Subject, bool) {
    if kind.name == "Patient" {
        return (Subject::Itself, false);
    }
    match kinds::whose(kind, resource) {
        Lead::To(named) => (of(named), false),
        Lead::Unknown => (Subject::Nobody, false),
        Lead::Nowhere => named(resource).map_or((Subject::Nobody, false), |named| (of(named), true)),
    }
}

/// Who is one with a Patient: those whom it replaced or was replaced by. A link of another kind says less.
pub(super) fn replaced(patient: &Value) -> Vec<Subject> {
    let links = patient.get("link").and_then(Value::as_array).into_iter().flatten();
    let unites = |link: &&Value| matches!(link.get("type").and_then(Value::as_str), Some("replaced-by" | "replaces"));
    let lead = |link: &Value| if let Lead::To(named) = kinds::lead(patient, link.get("other")?) { Some(of(named)) } else { None };
    links.filter(unites).filter_map(lead).collect()
}

fn of(named: Named) -> Subject {
    match (named.literal, named.identifier) {
        (Some(literal), Some((system, value))) => Subject::Both(literal, system, value),
        (Some(literal), None) => Subject::Literal(literal),
        (None, Some((system, value))) => Subject::Identifier(system, value),
        (None, None) => Subject::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whose(resource: &Value) -> Subject {
        subject(kinds::of(resource["resourceType"].as_str().unwrap()), resource).0
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
    fn what_says_that_it_is_of_several_is_nobodys() {
        let visit = |second: Value| {
            let actors = [json!({"actor": {"reference": "Patient/1"}}), json!({"actor": second})];
            whose(&json!({"resourceType": "Appointment", "participant": actors,
                "contained": [{"resourceType": "Patient", "id": "p", "name": [{"family": "X"}]}]}))
        };
        let one = Subject::Literal("Patient/1".into());
        for (second, expected) in [
            (json!({"reference": "Location/room"}), one.clone()),
            (json!({"reference": "Patient/1/_history/3"}), one.clone()),
            (json!({"reference": "Patient/2"}), Subject::Nobody),
            (json!({"reference": "#p"}), Subject::Nobody),
            (json!({"type": "Patient", "identifier": {"system": "urn:s", "value": "7"}}), Subject::Nobody),
        ] {
            assert_eq!(visit(second.clone()), expected, "{second}");
        }
        let links = json!([{"target": {"reference": "Patient/1"}}, {"target": {"reference": "Patient/2"}}]);
        assert_eq!(whose(&json!({"resourceType": "Person", "link": links})), one);
    }

    #[test]
    fn what_says_nothing_is_of_whom_it_names() {
        let message = |subject: Value| {
            whose(&json!({"resourceType": "Communication", "subject": subject, "recipient": [{"reference": "Patient/1"}]}))
        };
        assert_eq!(message(Value::Null), Subject::Literal("Patient/1".into()));
        assert_eq!(message(json!({"reference": "Patient/2"})), Subject::Literal("Patient/2".into()));
        assert_eq!(message(json!({"reference": "Group/1"})), Subject::Nobody);
        let both = whose(
            &json!({"resourceType": "CommunicationRequest", "recipient": [{"reference": "Patient/1"}, {"reference": "Patient/2"}]}),
        );
        assert_eq!(both, Subject::Nobody);
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
