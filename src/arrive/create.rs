//! Creates a resource under an id of ours.
//! Follows <https://hl7.org/fhir/R4/http.html#create> and <https://hl7.org/fhir/R4/http.html#ccreate>.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;

use super::body;
use super::call::Call;
use super::outcome::Refusal;
use crate::fhir::search::pairs;
use crate::identify;

/// `POST [type]`
pub(super) async fn create(call: &Call<'_>, kind: &str, sent: Body) -> Result<Response, Refusal> {
    let criteria = if_none_exist(call, kind)?;
    no_search(call)?;
    let bytes = body::json(call, sent, call.door.settings.resource_bytes_max).await?;
    let done = call.flow().create(call.sender(), kind, &bytes, criteria).await?;
    let status = if done.receipt.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(call.written(&done, status))
}

/// A create takes no search: parameters beside those that every request may have are passed over, and refused to who is strict.
fn no_search(call: &Call<'_>) -> Result<(), Refusal> {
    const GENERAL: [&str; 4] = ["_format", "_pretty", "_summary", "_elements"];
    let given = pairs(call.query.unwrap_or_default()).map_err(|issue| vec![issue])?;
    if call.preference().strict && given.iter().any(|(name, _)| !GENERAL.contains(&name.as_str())) {
        let words = "A create takes no search parameters: send the criteria as If-None-Exist, or a search to _search.";
        return Err(Refusal::one(StatusCode::BAD_REQUEST, "not-supported", "unknown-parameter", words));
    }
    Ok(())
}

/// The criteria of `If-None-Exist`, without the type and question mark that some clients put before them.
fn if_none_exist<'a>(call: &Call<'a>, kind: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = call.headers.get_all("if-none-exist").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::bad("invalid-if-none-exist", "If-None-Exist must be sent once."));
    }
    let criteria = value.to_str().unwrap_or_default().trim();
    let criteria = identify::bundle::if_none_exist(criteria, kind, &call.base());
    let criteria = criteria.map_err(|words| Refusal::bad("invalid-if-none-exist", words))?;
    if criteria.is_empty() {
        return Err(Refusal::bad("invalid-if-none-exist", "If-None-Exist must hold the parameters of a search."));
    }
    Ok(Some(criteria))
}
