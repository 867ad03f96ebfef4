//! Reads one resource, or one version of it.
//! Follows <https://hl7.org/fhir/R4/http.html#read> and <https://hl7.org/fhir/R4/http.html#vread>.

use axum::http::StatusCode;
use axum::response::Response;

use super::call::{Call, empty, json, stamp};
use super::made::made;
use super::negotiate;
use super::outcome::Refusal;
use super::searchset::unknown;
use crate::fhir::search::parse::parse;
use crate::fhir::search::{Shape, pairs};
use crate::ledger::Stored;

/// `GET [type]/[id]`
pub(super) async fn read(call: &Call<'_>, kind: &str, id: &str) -> Result<Response, Refusal> {
    match current(call, kind, id).await {
        Err(refusal) if refusal.status == StatusCode::NOT_FOUND => match Box::pin(made(call, kind, id)).await? {
            Some(shown) => Ok(json(StatusCode::OK, shown.to_string())),
            None => Err(refusal),
        },
        found => Ok(shown(call, &found?, &shape(call, kind, call.query)?)),
    }
}

/// `GET [type]/[id]/_history/[version]`
pub(super) async fn vread(call: &Call<'_>, kind: &str, id: &str, version: &str) -> Result<Response, Refusal> {
    Ok(shown(call, &past(call, kind, id, version).await?, &shape(call, kind, call.query)?))
}

/// How much of it is wanted: `_summary` and `_elements`, as a search has them. Other parameters say nothing here.
pub(super) fn shape(call: &Call<'_>, kind: &str, query: Option<&str>) -> Result<Shape, Refusal> {
    let mut given = pairs(query.unwrap_or_default()).map_err(|issue| vec![issue])?;
    given.retain(|(name, _)| name == "_summary" || name == "_elements");
    if given.is_empty() {
        return Ok(Shape::Whole);
    }
    let mut parsed = parse(kind, &given, call.door.flow.clock.now());
    if call.preference().strict {
        parsed.issues.extend(parsed.unknown.iter().map(|name| unknown(name, true)));
    }
    if parsed.summary_count {
        return Err(Refusal::bad("invalid-summary", "A search can be counted; of one resource ask _summary=true, text or data."));
    }
    if parsed.issues.is_empty() { Ok(parsed.shape) } else { Err(parsed.issues.into()) }
}

/// The current version.
pub(super) async fn current(call: &Call<'_>, kind: &str, id: &str) -> Result<Stored, Refusal> {
    let stored = call.door.flow.ledger.read(call.scope(), kind, id).await?;
    present(stored, "There is no such resource.")
}

/// One version.
pub(super) async fn past(call: &Call<'_>, kind: &str, id: &str, version: &str) -> Result<Stored, Refusal> {
    const NONE: &str = "There is no such version.";
    let version = negotiate::number(version).ok_or_else(|| Refusal::not_found(NONE))?;
    let stored = call.door.flow.ledger.version(call.scope(), kind, id, version).await?;
    present(stored, NONE)
}

fn present(stored: Option<Stored>, none: &str) -> Result<Stored, Refusal> {
    match stored {
        Some(stored) if stored.deleted => Err(Refusal::gone()),
        Some(stored) => Ok(stored),
        None => Err(Refusal::not_found(none)),
    }
}

fn shown(call: &Call<'_>, stored: &Stored, shape: &Shape) -> Response {
    let mut response = if negotiate::is_known(call.headers, stored.version, stored.updated) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        json(StatusCode::OK, text(stored, shape))
    };
    stamp(response.headers_mut(), stored.version, stored.updated);
    response
}

/// The resource as text, in this shape.
pub(super) fn text(stored: &Stored, shape: &Shape) -> String {
    if *shape == Shape::Whole { stored.text() } else { shape.of(stored.value()).to_string() }
}
