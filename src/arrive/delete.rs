//! Deletes a resource; its history stays.
//! Follows <https://hl7.org/fhir/R4/http.html#delete>.

use axum::http::StatusCode;
use axum::response::Response;

use super::call::{Call, empty, json, stamp};
use super::negotiate::Return;
use super::outcome::Refusal;
use crate::fhir::outcome::operation_outcome;
use crate::flow::Done;

/// `DELETE [type]/[id]`
pub(super) async fn delete(call: &Call<'_>, kind: &str, id: &str) -> Result<Response, Refusal> {
    let if_match = call.if_match()?;
    let done = call.flow().delete(call.sender(), kind, id, if_match).await?;
    Ok(answer(call, &done))
}

/// `DELETE [type]?criteria`
pub(super) async fn delete_where(call: &Call<'_>, kind: &str) -> Result<Response, Refusal> {
    let if_match = call.if_match()?;
    let done = call.flow().delete_where(call.sender(), kind, call.query.unwrap_or_default(), if_match).await?;
    Ok(answer(call, &done))
}

fn answer(call: &Call<'_>, done: &Done) -> Response {
    let mut response = match call.preference().wanted {
        Return::Outcome => json(StatusCode::OK, operation_outcome(&done.issues).to_string()),
        Return::Minimal | Return::Representation => empty(StatusCode::NO_CONTENT),
    };
    if done.receipt.version > 0 {
        stamp(response.headers_mut(), done.receipt.version, done.receipt.updated);
    }
    response
}
