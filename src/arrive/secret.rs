//! Shows the secret by which a receiver proves who sent a notice, and makes it anew.
//! Follows <https://hl7.org/fhir/R4/subscription.html> and <https://www.standardwebhooks.com>.

use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::call::{Call, json as answer};
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use super::read::current;
use crate::fhir::time;
use crate::speak::signature;

/// `POST Subscription/[id]/$secret`
pub(super) const OPERATION: Operation = Operation {
    name: "secret",
    at: &[(Level::Instance, Methods::Post)],
    types: &["Subscription"],
    definition: "https://signa.example/fhir/OperationDefinition/secret",
    documentation: "The secret that notices are signed with, shown once; asked for again, it is made anew.",
    changes: true,
    answer: |call, asked| Box::pin(secret(call, asked)),
};

async fn secret(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let (kind, id) = (asked.kind.unwrap_or_default(), asked.id.unwrap_or_default());
    current(call, kind, id).await?;
    let secrets = call.door.flow.secrets(call.scope(), id).await?;
    let mut told = vec![json!({"name": "secret", "valueString": signature::shown(&secrets.now)})];
    if !secrets.before.0.is_empty() {
        told.push(json!({"name": "both-until", "valueInstant": time::instant(secrets.both_until)}));
    }
    let mut response = answer(StatusCode::OK, json!({"resourceType": "Parameters", "parameter": told}).to_string());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
