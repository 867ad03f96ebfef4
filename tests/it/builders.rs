//! Small resources for stories: each says only what the story is about; `with` adds the rest.

use serde_json::{Value, json};

/// The pharmacy group's customer numbers.
pub(crate) const MEMBERS: &str = "https://pharmacy.example/members";
/// The pharmacy's dispense numbers.
pub(crate) const DISPENSES: &str = "https://pharmacy.example/dispenses";

const SNOMED: &str = "http://snomed.info/sct";
pub(crate) const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
const LOINC: &str = "http://loinc.org";
const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

/// Adds to resources in the making.
pub(crate) trait With {
    /// The same with this member; null takes it away.
    fn with(self, name: &str, value: impl Into<Value>) -> Value;
}

impl With for Value {
    fn with(mut self, name: &str, value: impl Into<Value>) -> Value {
        let members = self.as_object_mut().unwrap();
        match value.into() {
            Value::Null => members.shift_remove(name),
            value => members.insert(name.to_owned(), value),
        };
        self
    }
}

/// A grown-up in New York who can be reached by telephone.
pub(crate) fn patient(id: &str) -> Value {
    json!({
        "resourceType": "Patient",
        "id": id,
        "identifier": [{"system": MEMBERS, "value": id}],
        "name": [{"family": "Ledger", "given": ["Ada"]}],
        "telecom": [{"system": "phone", "value": format!("+1 212 555 {:04}", number(id)), "use": "mobile"}],
        "gender": "female",
        "birthDate": "1961-04-12",
        "address": [{"state": "NY", "country": "US"}]
    })
}

/// Four digits of an id's own, so that two patients share no telephone by accident.
fn number(id: &str) -> u32 {
    id.bytes().fold(7, |sum: u32, byte| (sum * 31 + u32::from(byte)) % 10_000)
}

/// A concept of SNOMED CT.
pub(crate) fn snomed(code: &str, display: &str) -> Value {
    json!({"coding": [{"system": SNOMED, "code": code, "display": display}]})
}

/// An active, confirmed diagnosis.
pub(crate) fn condition(id: &str, patient: &str, code: &Value) -> Value {
    json!({
        "resourceType": "Condition",
        "id": id,
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]},
        "verificationStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "confirmed"}]},
        "code": code,
        "subject": {"reference": format!("Patient/{patient}")},
        "recordedDate": "2026-06-01"
    })
}

/// Hypertension, the diagnosis of most stories.
pub(crate) fn hypertension(id: &str, patient: &str) -> Value {
    condition(id, patient, &snomed("38341003", "Hypertensive disorder, systemic arterial"))
}

/// Thirty tablets of lisinopril for thirty days, handed over on this day at ten in New York.
pub(crate) fn dispense(id: &str, patient: &str, day: &str) -> Value {
    json!({
        "resourceType": "MedicationDispense",
        "id": id,
        "identifier": [{"system": DISPENSES, "value": id}],
        "status": "completed",
        "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": "314076", "display": "lisinopril 10 MG Oral Tablet"}]},
        "subject": {"reference": format!("Patient/{patient}")},
        "performer": [{"actor": {"reference": "Organization/store-1"}}],
        "quantity": {"value": 30, "unit": "tablet"},
        "daysSupply": {"value": 30, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d"},
        "whenHandedOver": format!("{day}T10:00:00-04:00")
    })
}

/// The store that hands over.
pub(crate) fn store(id: &str) -> Value {
    json!({
        "resourceType": "Organization",
        "id": id,
        "active": true,
        "name": "Corner Pharmacy",
        "address": [{"state": "NY", "country": "US"}]
    })
}

/// A final report of a bone density scan that found osteoporosis.
pub(crate) fn bone_density(id: &str, patient: &str) -> Value {
    json!({
        "resourceType": "DiagnosticReport",
        "id": id,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "38269-7", "display": "DXA Skeletal system Views for bone density"}]},
        "subject": {"reference": format!("Patient/{patient}")},
        "effectiveDateTime": "2026-06-01T09:00:00-04:00",
        "issued": "2026-06-01T10:30:00-04:00",
        "conclusionCode": [snomed("64859006", "Osteoporosis")]
    })
}

/// What a consent is for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Treatment,
    Marketing,
}

/// The person permits messages for these purposes.
pub(crate) fn consent(id: &str, patient: &str, purposes: &[Purpose]) -> Value {
    let purpose = |purpose: &Purpose| match purpose {
        Purpose::Treatment => json!({"system": ACT_REASON, "code": "TREAT"}),
        Purpose::Marketing => json!({"system": ACT_REASON, "code": "HMARKT"}),
    };
    json!({
        "resourceType": "Consent",
        "id": id,
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": format!("Patient/{patient}")},
        "dateTime": "2026-05-01T09:00:00-04:00",
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]},
        "provision": {"type": "permit", "purpose": purposes.iter().map(purpose).collect::<Vec<_>>()}
    })
}

/// What the person wrote back.
pub(crate) fn reply(id: &str, patient: &str, words: &str) -> Value {
    json!({
        "resourceType": "Communication",
        "id": id,
        "status": "completed",
        "subject": {"reference": format!("Patient/{patient}")},
        "sender": {"reference": format!("Patient/{patient}")},
        "payload": [{"contentString": words}]
    })
}

/// A Task for a store to claim.
pub(crate) fn task(id: &str, patient: &str, owner: &str) -> Value {
    json!({
        "resourceType": "Task",
        "id": id,
        "status": "requested",
        "intent": "order",
        "for": {"reference": format!("Patient/{patient}")},
        "owner": {"reference": format!("Organization/{owner}")}
    })
}

/// A plain R4 Subscription that wants whole resources.
pub(crate) fn subscription(criteria: &str, endpoint: &str) -> Value {
    json!({
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "a story",
        "criteria": criteria,
        "channel": {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json"}
    })
}

/// A Bundle of this type whose entries are (method, url, resource); null for no resource.
pub(crate) fn bundle(kind: &str, entries: &[(&str, &str, Value)]) -> Value {
    let entry = |(method, url, resource): &(&str, &str, Value)| {
        let request = json!({"method": method, "url": url});
        if resource.is_null() { json!({"request": request}) } else { json!({"resource": resource, "request": request}) }
    };
    json!({"resourceType": "Bundle", "type": kind, "entry": entries.iter().map(entry).collect::<Vec<_>>()})
}
