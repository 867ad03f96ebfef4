//! What the terminology operations share: which value set or code system is meant, and how an answer is put.
//! Follows <https://hl7.org/fhir/R4/terminology-service.html>.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Call, json as answer};
use super::inputs::Inputs;
use super::outcome::Refusal;
use super::read::current;
use crate::check::canon::Canon;
use crate::fhir::terms::{Set, shelf};

/// What is known to this caller.
pub(super) async fn known(call: &Call<'_>) -> Result<Arc<Canon>, Refusal> {
    Ok(call.door.flow.canon(call.scope()).await?)
}

/// The resource that is meant by an id: what is stored under it, or what R4 itself calls so.
pub(super) async fn instance(call: &Call<'_>, kind: &str, id: &str) -> Result<Result<Value, &'static str>, Refusal> {
    match (current(call, kind, id).await, shelf::address(kind, id)) {
        (Ok(stored), _) => Ok(Ok(stored.value())),
        (Err(refusal), Some(url)) if refusal.status == StatusCode::NOT_FOUND => Ok(Err(url)),
        (Err(refusal), _) => Err(refusal),
    }
}

/// The value set that is meant: by id, sent along, or by its address.
pub(super) async fn set(call: &Call<'_>, id: Option<&str>, inputs: &Inputs, canon: &Canon) -> Result<Arc<Set>, Refusal> {
    if let Some(id) = id {
        return match instance(call, "ValueSet", id).await? {
            Ok(value) => Ok(Arc::new(Set::read(&value))),
            Err(url) => canon.terms.set(url).ok_or_else(|| unknown("value set", url)),
        };
    }
    if let Some(sent) = inputs.object("valueSet") {
        if sent["resourceType"] != "ValueSet" {
            return Err(Refusal::bad("wrong-resource-type", "The parameter valueSet is a ValueSet."));
        }
        return Ok(Arc::new(Set::read(sent)));
    }
    let Some(url) = inputs.text("url") else {
        return Err(Refusal::bad(
            "missing-url",
            "Say which value set is meant: by url, as the parameter valueSet, or by its id.",
        ));
    };
    let version = inputs.text("valueSetVersion").filter(|_| !url.contains('|'));
    let address = version.map_or_else(|| url.to_owned(), |version| format!("{url}|{version}"));
    canon.terms.set(&address).ok_or_else(|| unknown("value set", &address))
}

/// A refusal for what nobody here knows.
pub(super) fn unknown(what: &str, address: &str) -> Refusal {
    let words = format!("The {what} {address} is not on board; store it first.");
    Refusal::one(StatusCode::NOT_FOUND, "not-found", "unknown-canonical", words)
}

/// An answer as Parameters.
pub(super) fn parameters(parameter: &[Value]) -> Response {
    answer(StatusCode::OK, json!({"resourceType": "Parameters", "parameter": parameter}).to_string())
}

/// One parameter of an answer.
pub(super) fn out(name: &str, key: &str, value: impl Into<Value>) -> Value {
    let mut one = json!({"name": name});
    one[key] = value.into();
    one
}
