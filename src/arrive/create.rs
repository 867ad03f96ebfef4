//! Creates a resource under an id of ours.
//! Follows <https://hl7.org/fhir/R4/http.html#create> and <https://hl7.org/fhir/R4/http.html#ccreate>.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;

use super::body;
use super::call::Call;
use super::outcome::Refusal;

/// `POST [type]`
pub(super) async fn create(call: &Call<'_>, kind: &str, sent: Body) -> Result<Response, Refusal> {
    let criteria = if_none_exist(call)?;
    let bytes = body::json(call, sent, call.door.settings.resource_bytes_max).await?;
    let done = call.door.flow.create(call.sender(), kind, &bytes, criteria).await?;
    let status = if done.receipt.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(call.written(&done, status))
}

/// The criteria of `If-None-Exist`, without the type and question mark that some clients put before them.
fn if_none_exist<'a>(call: &Call<'a>) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = call.headers.get("if-none-exist") else { return Ok(None) };
    let criteria = value.to_str().unwrap_or_default().trim();
    let criteria = criteria.split_once('?').map_or(criteria, |(_, criteria)| criteria);
    if criteria.is_empty() {
        return Err(Refusal::bad("invalid-if-none-exist", "If-None-Exist must hold the parameters of a search."));
    }
    Ok(Some(criteria))
}
