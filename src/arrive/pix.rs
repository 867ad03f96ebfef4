//! Tells the other identifiers of the patient whom an identifier names.
//! Follows <https://profiles.ihe.net/ITI/PIXm/ITI-83.html>.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Call, json as answer};
use super::given::{Given, wrong};
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use crate::fhir::kinds;
use crate::ledger::Stored;

/// `GET` or `POST Patient/$ihe-pix?sourceIdentifier=`
pub(super) const OPERATION: Operation = Operation {
    name: "ihe-pix",
    at: &[(Level::Type, Methods::Both)],
    types: &["Patient"],
    definition: "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix",
    documentation: "The identifiers and Patient resources of the person whom an identifier names.",
    changes: false,
    answer: |call, asked| Box::pin(pix(call, asked)),
};

/// Patient resources of one person at most.
const PATIENTS_MAX: i64 = 1_000;

async fn pix(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let given = Given::plain(call, asked).await?;
    let source = given.needed("sourceIdentifier", "the identifier of the patient, as system|value")?;
    let (system, value) = source
        .split_once('|')
        .filter(|(system, value)| !system.is_empty() && !value.is_empty())
        .ok_or_else(|| wrong("sourceIdentifier", "must be system|value"))?;
    let targets: Vec<&str> = given.all("targetSystem").collect();
    let (ledger, scope) = (&call.door.flow.ledger, call.scope());
    if !ledger.knows_system(scope, system).await? {
        return Err(Refusal::one(
            StatusCode::BAD_REQUEST,
            "code-invalid",
            "unknown-domain",
            "sourceIdentifier Assigning Authority not found",
        ));
    }
    for target in &targets {
        if !ledger.knows_system(scope, target).await? {
            return Err(Refusal::one(StatusCode::FORBIDDEN, "code-invalid", "unknown-target", "targetSystem not found"));
        }
    }
    let person = ledger.identified(scope, system, value).await?;
    let patients = match person {
        Some(person) => ledger.held(scope, person, &["Patient"], PATIENTS_MAX).await?,
        None => Vec::new(),
    };
    if patients.is_empty() {
        return Err(Refusal::one(
            StatusCode::NOT_FOUND,
            "not-found",
            "not-found",
            "sourceIdentifier Patient Identifier not found",
        ));
    }
    let mut identifiers: Vec<(String, String)> = Vec::new();
    let mut parameter = Vec::new();
    let patients: Vec<(&Stored, Value)> = patients.iter().map(|stored| (stored, stored.value())).collect();
    let one_stands = patients.iter().any(|(_, patient)| kinds::stands(patient));
    for (stored, patient) in &patients {
        let own = kinds::identifiers(patient);
        let wanted = |system: &str| targets.is_empty() || targets.contains(&system);
        let meant: Vec<(String, String)> =
            own.into_iter().filter(|one| wanted(&one.0) && one != &(system.to_owned(), value.to_owned())).collect();
        // A Patient is named where it has something in the domains asked for; who was replaced leaves that to the one that
        // stands, if one does.
        if (kinds::stands(patient) || !one_stands) && (targets.is_empty() || !meant.is_empty()) {
            parameter.push(json!({"name": "targetId", "valueReference": {"reference": format!("Patient/{}", stored.id)}}));
        }
        identifiers.extend(meant);
    }
    identifiers.sort();
    identifiers.dedup();
    let named = |(system, value): &(String, String)| json!({"name": "targetIdentifier", "valueIdentifier": {"system": system, "value": value}});
    let parameter: Vec<Value> = identifiers.iter().map(named).chain(parameter).collect();
    let told = if parameter.is_empty() {
        json!({"resourceType": "Parameters"})
    } else {
        json!({"resourceType": "Parameters", "parameter": parameter})
    };
    Ok(answer(StatusCode::OK, told.to_string()))
}
