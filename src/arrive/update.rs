//! Updates a resource, or creates it under the client's id.
//! Follows <https://hl7.org/fhir/R4/http.html#update> and <https://hl7.org/fhir/R4/http.html#cond-update>.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::IF_NONE_MATCH;
use axum::response::Response;

use super::body;
use super::call::Call;
use super::outcome::Refusal;
use crate::flow::Done;

/// `PUT [type]/[id]`
pub(super) async fn update(call: &Call<'_>, kind: &str, id: &str, sent: Body) -> Result<Response, Refusal> {
    let if_match = version(call)?;
    let bytes = body::json(call, sent, call.door.settings.resource_bytes_max).await?;
    let done = call.flow().update(call.sender(), kind, id, &bytes, if_match).await?;
    Ok(answer(call, &done))
}

/// `PUT [type]?criteria`
pub(super) async fn update_where(call: &Call<'_>, kind: &str, sent: Body) -> Result<Response, Refusal> {
    let if_match = version(call)?;
    let bytes = body::json(call, sent, call.door.settings.resource_bytes_max).await?;
    let criteria = call.query.unwrap_or_default();
    let done = call.flow().update_where(call.sender(), kind, criteria, &bytes, if_match).await?;
    Ok(answer(call, &done))
}

/// The version that a write rests on.
pub(super) fn version(call: &Call<'_>) -> Result<Option<i64>, Refusal> {
    if call.headers.contains_key(IF_NONE_MATCH) {
        // To pass over it would overwrite what the client wanted to keep.
        return Err(Refusal::bad("if-none-match-on-write", "If-None-Match is not offered for writes; use If-Match."));
    }
    call.if_match()
}

fn answer(call: &Call<'_>, done: &Done) -> Response {
    call.written(done, if done.receipt.created { StatusCode::CREATED } else { StatusCode::OK })
}
