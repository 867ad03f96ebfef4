//! Takes a batch or a transaction, and answers the reads, searches and operations inside it.
//! Follows <https://hl7.org/fhir/R4/http.html#transaction>.

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, IF_MATCH};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use serde_json::Value;

use super::call::{Call, json};
use super::capability::is_kept;
use super::negotiate::{self, JSON, Return, has_version};
use super::operations::{Asked, Methods, Operation};
use super::outcome::Refusal;
use super::route::Route;
use super::search::Place;
use super::{body, changes, history, no_path, plain_path, read, search};
use crate::fhir::search::Shape;
use crate::fhir::time::instant;
use crate::flow::{Answer, Reader, Refused, Telling, Wanted};
use crate::ledger::Stored;

/// `POST [base]`
pub(super) async fn bundle(call: &Call<'_>, sent: Body) -> Result<Response, Refusal> {
    let bytes = body::json(call, sent, call.door.settings.bundle_bytes_max).await?;
    let inside = Inside { call, base: call.base() };
    let answer = call.flow().bundle(call.sender(), &bytes, &inside).await?;
    // Even `return=minimal` gets the Bundle: without it no client knows which ids its entries were given.
    Ok(json(StatusCode::OK, answer))
}

/// Answers entries of a Bundle as the same requests outside it would be.
struct Inside<'a> {
    call: &'a Call<'a>,
    base: String,
}

impl Reader for Inside<'_> {
    async fn read(&self, wanted: Wanted<'_>) -> Answer {
        let found = self.find(wanted).await;
        match self.call.door.flow.ledger.settled().await.map_err(Refusal::from).and(found) {
            Ok(answer) if wanted.method == "HEAD" => Answer { resource: None, ..answer },
            Ok(answer) => answer,
            Err(refusal) => {
                let outcome = Some(refusal.told(self.call.id));
                Answer { status: line(refusal.status), outcome, ..Answer::default() }
            }
        }
    }

    fn refusal(&self, refused: &Refused) -> (String, Value) {
        let refusal = Refusal::from(refused.clone());
        (line(refusal.status), refusal.told(self.call.id))
    }

    fn bytes_max(&self) -> usize {
        self.call.door.settings.bundle_bytes_max
    }

    fn base(&self) -> &str {
        &self.base
    }

    fn told(&self) -> Telling {
        match self.call.preference().wanted {
            Return::Outcome => Telling::Outcome,
            // Only who asks for them gets the resources: most Bundles are sent to be kept, not to be read.
            Return::Representation if negotiate::asks_for_representation(self.call.headers) => Telling::Resource,
            _ => Telling::Little,
        }
    }
}

impl Inside<'_> {
    async fn find(&self, wanted: Wanted<'_>) -> Result<Answer, Refusal> {
        let url = wanted.url.strip_prefix(self.base.as_str()).unwrap_or(wanted.url).trim_start_matches('/');
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let path = plain_path(path).ok_or_else(no_path)?;
        let path = format!("/fhir/{path}");
        let route = Route::of(&path);
        if route.subject().0.is_some_and(|kind| !is_kept(kind)) {
            return Err(Refusal::not_found("This is no resource type of FHIR R4."));
        }
        match route {
            Route::Operation(operation, methods, kind, id) => self.called(wanted, query, (operation, methods), (kind, id)).await,
            Route::Instance(kind, id) => {
                Ok(shown(wanted, &read::current(self.call, kind, id).await?, &read::shape(self.call, kind, Some(query))?))
            }
            Route::Version(kind, id, version) => {
                let past = read::past(self.call, kind, id, version).await?;
                Ok(shown(wanted, &past, &read::shape(self.call, kind, Some(query))?))
            }
            Route::Kind(kind) => Ok(whole(search::page(self.call, &self.base, Place::Kind(kind), query).await?)),
            Route::Base => Ok(whole(search::page(self.call, &self.base, Place::System, query).await?)),
            Route::Compartment(of, id, kind) => {
                Ok(whole(search::page(self.call, &self.base, Place::Compartment(of, id, kind), query).await?))
            }
            Route::Changes(kind) => Ok(whole(changes::page(self.call, &self.base, kind, query).await?)),
            Route::History(kind, id) => Ok(whole(history::page(self.call, &self.base, kind, id, query).await?)),
            Route::Metadata => Ok(whole(self.call.door.capability.text(&self.base))),
            _ => Err(Refusal::not_found("This cannot be read inside a Bundle.")),
        }
    }

    /// The answer of an operation, which finds the entry's resource as its body.
    async fn called(
        &self,
        wanted: Wanted<'_>,
        query: &str,
        (operation, methods): (&Operation, Methods),
        (kind, id): (Option<&str>, Option<&str>),
    ) -> Result<Answer, Refusal> {
        let method = if wanted.method == "POST" { Method::POST } else { Method::GET };
        if !methods.allow_method(&method) {
            return Err(Refusal::not_found("This operation is not asked so inside a Bundle."));
        }
        if wanted.whole && operation.changes {
            return Err(Refusal::bad("operation-changes", "An operation that changes something is no part of a transaction."));
        }
        let mut headers = self.call.headers.clone();
        // These tell of the Bundle as it came in.
        for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, IF_MATCH] {
            headers.remove(name);
        }
        if let Some(version) = wanted.if_match.and_then(|version| HeaderValue::try_from(format!("W/\"{version}\"")).ok()) {
            headers.insert(IF_MATCH, version);
        }
        let sent = wanted.resource.filter(|_| method == Method::POST);
        if sent.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        }
        let body = sent.map_or_else(Body::empty, |resource| Body::from(resource.to_string()));
        let call = Call { query: Some(query), is_inside: true, headers: &headers, ..*self.call };
        self.answered((operation.answer)(&call, Asked { method: &method, kind, id, body }).await?).await
    }

    /// What an operation answered, read to its end.
    async fn answered(&self, response: Response) -> Result<Answer, Refusal> {
        let status = line(response.status());
        let text = to_bytes(response.into_body(), self.call.door.settings.bundle_bytes_max).await.ok();
        let text = text.and_then(|bytes| String::from_utf8(bytes.into()).ok()).ok_or_else(|| {
            let words = "The answer is too large to stand in a Bundle: ask for it alone, or for a part of it with _count.";
            Refusal::one(StatusCode::BAD_REQUEST, "too-costly", "answer-too-large", words)
        })?;
        Ok(Answer { status, resource: Some(text), ..Answer::default() })
    }
}

/// An answer that is one version of a resource.
fn shown(wanted: Wanted<'_>, stored: &Stored, shape: &Shape) -> Answer {
    let known = has_version(wanted.if_none_match, wanted.if_modified_since, stored.version, stored.updated);
    Answer {
        status: line(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK }),
        etag: Some(format!("W/\"{}\"", stored.version)),
        last_modified: Some(instant(stored.updated)),
        resource: (!known).then(|| read::text(stored, shape)),
        ..Answer::default()
    }
}

/// An answer that is a Bundle itself.
fn whole(text: String) -> Answer {
    Answer { status: line(StatusCode::OK), resource: Some(text), ..Answer::default() }
}

fn line(status: StatusCode) -> String {
    format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default())
}
