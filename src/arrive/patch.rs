//! Patches a resource: JSON Patch, or FHIRPath Patch in Parameters.
//! Follows <https://hl7.org/fhir/R4/http.html#patch>.

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;

use super::body;
use super::call::Call;
use super::outcome::Refusal;
use super::update::version;
use crate::flow::Sent;

/// The media types of patches, as `Accept-Patch` and the CapabilityStatement name them.
pub(super) const FORMATS: [&str; 3] = [JSON_PATCH, "application/fhir+json", "application/fhir+xml"];

const JSON_PATCH: &str = "application/json-patch+json";

/// `PATCH [type]/[id]`
pub(super) async fn patch(call: &Call<'_>, kind: &str, id: &str, sent: Body) -> Result<Response, Refusal> {
    let if_match = version(call)?;
    let (bytes, plain) = take(call, sent).await?;
    let done = call.flow().patch(call.sender(), kind, id, read(&bytes, plain), if_match).await?;
    Ok(call.written(&done, StatusCode::OK))
}

/// `PATCH [type]?criteria`
pub(super) async fn patch_where(call: &Call<'_>, kind: &str, sent: Body) -> Result<Response, Refusal> {
    let if_match = version(call)?;
    let (bytes, plain) = take(call, sent).await?;
    let criteria = call.query.unwrap_or_default();
    let done = call.flow().patch_where(call.sender(), kind, criteria, read(&bytes, plain), if_match).await?;
    Ok(call.written(&done, StatusCode::OK))
}

/// The body, and whether it is a JSON Patch by its headers: also as plain `application/json`, where an array can be nothing else.
async fn take(call: &Call<'_>, sent: Body) -> Result<(Bytes, bool), Refusal> {
    let media = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    let bytes_max = call.door.settings.resource_bytes_max;
    if media.eq_ignore_ascii_case(JSON_PATCH) {
        return Ok((body::take(call, sent, bytes_max).await?, true));
    }
    let bytes = body::json(call, sent, bytes_max).await.map_err(named)?;
    let array = media.eq_ignore_ascii_case("application/json") && bytes.trim_ascii_start().starts_with(b"[");
    Ok((bytes, array))
}

fn read(bytes: &Bytes, plain: bool) -> Sent<'_> {
    if plain { Sent::JsonPatch(bytes) } else { Sent::Parameters(bytes) }
}

/// A format that no patch has is refused with the names of those that patches have.
fn named(refusal: Refusal) -> Refusal {
    if refusal.status != StatusCode::UNSUPPORTED_MEDIA_TYPE {
        return refusal;
    }
    let words = format!("A patch is sent as {} (JSON Patch), {} or {} (FHIRPath Patch).", FORMATS[0], FORMATS[1], FORMATS[2]);
    Refusal::one(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", "unsupported-media-type", words)
}
