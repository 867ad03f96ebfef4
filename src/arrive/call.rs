//! One request being answered, and the answers that several interactions share.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use super::Door;
use super::links;
use super::negotiate::{self, JSON, Preference, Return};
use super::outcome::Refusal;
use crate::fhir::outcome::operation_outcome;
use crate::flow::{Done, Flow, Sender};
use crate::ledger::{Scope, Stored};

/// A request being answered.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) door: &'a Door,
    pub(super) headers: &'a HeaderMap,
    /// The query as it was written; `None` without a question mark.
    pub(super) query: Option<&'a str>,
    /// The request's id.
    pub(super) id: &'a str,
    /// Whether it stands in a Bundle.
    pub(super) is_inside: bool,
}

impl<'a> Call<'a> {
    /// Who sends it.
    pub(super) fn sender(&self) -> &'a Sender {
        &self.door.sender
    }

    /// Whose ledger is asked.
    pub(super) fn scope(&self) -> &'a Scope {
        &self.door.sender.scope
    }

    /// Our address as this client sees it, without a slash at its end.
    pub(super) fn base(&self) -> String {
        links::base(&self.door.settings, self.headers)
    }

    /// The way into memory, known under the address by which this very call asks: another caller's `Host` says nothing here.
    pub(super) fn flow(&self) -> Flow {
        self.door.flow.clone().at(&self.base())
    }

    /// What the client prefers.
    pub(super) fn preference(&self) -> Preference {
        negotiate::preference(self.headers)
    }

    /// The version that `If-Match` names.
    pub(super) fn if_match(&self) -> Result<Option<i64>, Refusal> {
        negotiate::if_match(self.headers)
            .map_err(|_| Refusal::bad("invalid-if-match", r#"If-Match must name one version, for example W/"2"."#))
    }

    /// The answer to a write.
    pub(super) fn written(&self, done: &Done, status: StatusCode) -> Response {
        let receipt = &done.receipt;
        let text = match (self.preference().wanted, &done.stored) {
            (Return::Minimal, _) => None,
            (Return::Representation, stored) => stored.as_ref().map(Stored::text),
            (Return::Outcome, _) => Some(operation_outcome(&done.issues).to_string()),
        };
        let mut response = match text {
            Some(text) => json(status, text),
            None => empty(status),
        };
        stamp(response.headers_mut(), receipt.version, receipt.updated);
        let location = format!("{}/{}/{}/_history/{}", self.base(), receipt.kind, receipt.id, receipt.version);
        if let Ok(location) = HeaderValue::try_from(location) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}

/// An answer with JSON of FHIR.
pub(super) fn json(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Says which version it is and of when.
pub(super) fn stamp(headers: &mut HeaderMap, version: i64, updated: i64) {
    if let Ok(tag) = HeaderValue::try_from(format!("W/\"{version}\"")) {
        headers.insert(ETAG, tag);
    }
    if let Ok(date) = HeaderValue::try_from(negotiate::http_date(updated)) {
        headers.insert(LAST_MODIFIED, date);
    }
}
