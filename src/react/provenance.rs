//! Where something that Signa made came from: the exact versions of the facts, of the rule and of its text, from what was decided.
//! Follows <https://hl7.org/fhir/R4/provenance.html>.

use serde_json::{Value, json};

use super::Live;
use super::episode::companion;
use crate::fhir::time::instant;
use crate::ledger::Decision;

/// A version that Signa itself recorded.
#[derive(Debug, Clone, Copy)]
pub struct Made<'a> {
    /// The resource type.
    pub kind: &'a str,
    /// The id.
    pub id: &'a str,
    /// The version.
    pub version: i64,
    /// When it was recorded, UTC milliseconds.
    pub updated: i64,
}

/// The id of a version's Provenance.
#[must_use]
pub fn provenance_id(made: &Made) -> String {
    format!("{}.{}.{}", made.kind, made.id, made.version)
}

/// Type, id and version that a Provenance's id names; `None` when it is none of ours.
#[must_use]
pub fn provenance_target(id: &str) -> Option<(&str, &str, i64)> {
    let (rest, version) = id.rsplit_once('.')?;
    let (kind, id) = rest.split_once('.')?;
    // A version has one name.
    let number: i64 = version.parse().ok().filter(|number: &i64| number.to_string() == version)?;
    matches!(kind, "Communication" | "CommunicationRequest" | "Task").then_some((kind, id, number))
}

/// The Provenance of a version, from all decisions about its person and the rules of the tenant; `None` when no decision led to it.
#[must_use]
pub fn provenance(decisions: &[Decision], made: &Made, rules: &Live, tenant: &str) -> Option<Value> {
    let led = |decision: &&Decision| {
        let is_its = decision.output == made.id || companion(&decision.output, "request") == made.id;
        is_its && !decision.recorded.is_empty() && decision.at <= made.updated
    };
    let decision = decisions.iter().filter(led).max_by_key(|decision| decision.at)?;
    let fact = |fact: &String| json!({"role": "source", "what": {"reference": fact}});
    let mut entity: Vec<Value> = decision.facts.iter().map(fact).collect();
    let derived = |kind: &str, canonical: &str| {
        let identifier = json!({"system": "urn:ietf:rfc:3986", "value": canonical});
        json!({"role": "derivation", "what": {"type": kind, "display": canonical, "identifier": identifier}})
    };
    entity.push(derived("PlanDefinition", &decision.rule));
    let text = rules.followed(tenant, &decision.rule, &decision.step, decision.at);
    entity.extend(text.map(|text| derived("ActivityDefinition", &text)));
    let activity = if made.version == 1 { "CREATE" } else { "UPDATE" };
    let recorded = instant(made.updated);
    Some(json!({
        "resourceType": "Provenance",
        "id": provenance_id(made),
        "meta": {"versionId": "1", "lastUpdated": recorded},
        "target": [{"reference": format!("{}/{}/_history/{}", made.kind, made.id, made.version)}],
        "occurredDateTime": instant(decision.at),
        "recorded": recorded,
        "policy": [decision.rule],
        "reason": [{"text": decision.reason}],
        "activity": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": activity}]},
        "agent": [{
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "assembler"}]},
            "who": {"type": "Device", "display": "Signa",
                "identifier": {"system": "https://signa.example/fhir/NamingSystem/device", "value": "signa"}},
        }],
        "entity": entity,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_its_version() {
        let made = Made { kind: "Task", id: "a.b", version: 3, updated: 0 };
        assert_eq!(provenance_target(&provenance_id(&made)), Some(("Task", "a.b", 3)));
        for id in ["x", "Task.1", "Patient.1.2", "Task.1.x"] {
            assert_eq!(provenance_target(id), None, "{id}");
        }
    }
}
