//! The last station of an answer: what is JSON inside the house is said in the format that the client wants.
//! Follows <https://hl7.org/fhir/R4/http.html#mime-type>.

use std::panic::{AssertUnwindSafe, catch_unwind};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use serde_json::Value;

use super::format::{Format, Wanted};
use super::negotiate::JSON;
use super::outcome::Refusal;
use crate::fhir::outcome::{Issue, operation_outcome};
use crate::fhir::xml;

/// The media type of XML.
const XML: &str = "application/fhir+xml";
/// What is larger is worked on beside the threads that answer.
const BYTES_ASIDE: usize = 256 << 10;

/// The answer as a client wants it that wants other than JSON as it is. Only resources are translated.
pub(super) async fn spoken(wanted: Wanted, method: &Method, id: &str, response: Response) -> Response {
    if response.headers().get(CONTENT_TYPE).is_none_or(|kind| kind != JSON) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // What is said of a resource in JSON alone is not true of its XML.
    parts.headers.remove(CONTENT_LENGTH);
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return Refusal::ours("an answer broke off before it was translated").response(id);
    };
    let text = aside(bytes.len(), move || translated(wanted, &bytes)).await;
    let text = match text {
        Some(text) => text,
        None if parts.status.is_success() && (*method == Method::GET || *method == Method::HEAD) => {
            let refusal = unsayable();
            parts.status = refusal.status;
            said(&refusal.told(id))
        }
        // A write stands, whether or not it can be shown.
        None => said(&operation_outcome(&[Issue::warning("not-supported", "not-in-xml", "", UNSAYABLE)])),
    };
    if wanted.format == Format::Xml {
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(XML));
    }
    Response::from_parts(parts, Body::from(text))
}

const UNSAYABLE: &str = "The resource cannot be written as XML; ask for application/fhir+json.";

fn unsayable() -> Refusal {
    Refusal::one(StatusCode::NOT_ACCEPTABLE, "not-supported", "not-in-xml", UNSAYABLE)
}

fn said(outcome: &Value) -> String {
    xml::write(&outcome.to_string(), false).unwrap_or_default()
}

fn translated(wanted: Wanted, bytes: &Bytes) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    match wanted.format {
        Format::Xml => xml::write(text, wanted.pretty),
        Format::Json => serde_json::from_str::<Value>(text).and_then(|value| serde_json::to_string_pretty(&value)).ok(),
    }
}

/// Does work of this size where it keeps no other request waiting. A panic comes to nothing.
pub(super) async fn aside<T: Send + 'static>(size: usize, work: impl FnOnce() -> Option<T> + Send + 'static) -> Option<T> {
    if size <= BYTES_ASIDE {
        catch_unwind(AssertUnwindSafe(work)).ok().flatten()
    } else {
        tokio::task::spawn_blocking(work).await.ok().flatten()
    }
}
