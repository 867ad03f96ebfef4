//! Takes a body in, up to a bound, and as JSON whatever it was sent as. What is too large is read on and thrown away, so that
//! its sender hears the refusal.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{Method, StatusCode};
use futures_util::StreamExt;

use super::call::Call;
use super::coding;
use super::format::{self, Format};
use super::negotiate;
use super::outcome::Refusal;
use super::spoken::aside;
use crate::check;
use crate::fhir::outcome::Issue;
use crate::fhir::xml;

/// Bytes of a body that is too large which are still read before the connection is given up.
const THROWN_BYTES_MAX: usize = 256 << 20;
/// What is said of a body that is said to be something else.
const RESOURCES: &str =
    "Resources are taken as application/fhir+json or application/fhir+xml in UTF-8 (FHIR 4.0); say so in Content-Type.";

/// The resource in the body as JSON: as it came, or translated from XML. Its headers say which.
pub(super) async fn json(call: &Call<'_>, body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    match format::sent(call.headers) {
        Some(Format::Json) => take(call, body, bytes_max).await,
        Some(Format::Xml) => {
            let bytes = take(call, body, bytes_max).await?;
            let read = aside(bytes.len(), move || Some(from_xml(&bytes))).await;
            Ok(read.ok_or_else(|| Refusal::ours("a body could not be translated"))??)
        }
        None => refuse_media(call, body, bytes_max, RESOURCES).await,
    }
}

/// What an operation was asked with, as JSON; `None` where nothing was sent. What is sent says what it is, here as elsewhere.
pub(super) async fn asked(call: &Call<'_>, method: &Method, body: Body, bytes_max: usize) -> Result<Option<Bytes>, Refusal> {
    let is_named = call.headers.contains_key(CONTENT_TYPE);
    if *method != Method::POST || (!is_named && body.is_end_stream()) {
        return Ok(None);
    }
    let bytes = if is_named { json(call, body, bytes_max).await? } else { take(call, body, bytes_max).await? };
    match bytes.iter().all(u8::is_ascii_whitespace) {
        true => Ok(None),
        false if is_named => Ok(Some(bytes)),
        false => Err(unknown_media(RESOURCES)),
    }
}

/// What is wrong with the XML is told together with what is wrong with the resource.
fn from_xml(bytes: &[u8]) -> Result<Bytes, Vec<Issue>> {
    let xml::Read { value, faults } = xml::read(bytes)?;
    if faults.is_empty() {
        return Ok(Bytes::from(value.to_string()));
    }
    let known = |issue: &Issue| faults.iter().any(|fault| fault.expression == issue.expression);
    let more: Vec<Issue> = check::value(&value, None, "").into_iter().filter(|issue| !known(issue)).collect();
    Err(faults.into_iter().chain(more).collect())
}

/// The body, which must be a form by its headers.
pub(super) async fn form(call: &Call<'_>, body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    if negotiate::sends_form(call.headers) {
        return take(call, body, bytes_max).await;
    }
    let words = "A search is posted as application/x-www-form-urlencoded.";
    if body.is_end_stream() && !call.headers.contains_key(CONTENT_TYPE) {
        // All parameters stand in the address: nothing was sent that could be of another kind.
        return Ok(Bytes::new());
    }
    refuse_media(call, body, bytes_max, words).await
}

async fn refuse_media(call: &Call<'_>, body: Body, bytes_max: usize, words: &str) -> Result<Bytes, Refusal> {
    take(call, body, bytes_max).await?;
    Err(unknown_media(words))
}

fn unknown_media(words: &str) -> Refusal {
    Refusal::one(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", "unsupported-media-type", words)
}

/// The body, whatever it is said to be.
pub(super) async fn take(call: &Call<'_>, body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    let coding = coding::sent(call.headers)?;
    let said = call.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    // Who asks before sending has sent nothing that would have to be thrown away, and need not send it.
    if call.headers.contains_key(EXPECT) && said.is_some_and(|said| said > bytes_max) {
        return Err(too_large(bytes_max));
    }
    let limit = Duration::from_secs(call.door.settings.body_seconds_max);
    match tokio::time::timeout(limit, collect(body, said.unwrap_or(0), bytes_max)).await {
        Ok(answer) => coding::unpacked(coding, answer?, bytes_max),
        Err(_) => Err(Refusal::one(StatusCode::REQUEST_TIMEOUT, "timeout", "body-too-slow", "The body did not come in time.")),
    }
}

async fn collect(body: Body, said: usize, bytes_max: usize) -> Result<Bytes, Refusal> {
    let mut chunks = body.into_data_stream();
    let Some(first) = next(&mut chunks).await? else { return Ok(Bytes::new()) };
    let mut seen = first.len();
    if seen >= said && said <= bytes_max && said > 0 {
        // All in one piece, as most bodies come: nothing to copy.
        return Ok(first);
    }
    let mut whole = Vec::with_capacity(said.min(bytes_max).max(first.len().min(bytes_max)));
    let mut chunk = Some(first);
    while let Some(piece) = chunk {
        if seen <= bytes_max && said <= bytes_max {
            whole.extend_from_slice(&piece);
        } else {
            whole = Vec::new();
        }
        if seen > THROWN_BYTES_MAX {
            break;
        }
        chunk = next(&mut chunks).await?;
        seen += chunk.as_ref().map_or(0, Bytes::len);
    }
    if seen > bytes_max || said > bytes_max {
        return Err(too_large(bytes_max));
    }
    Ok(Bytes::from(whole))
}

fn too_large(bytes_max: usize) -> Refusal {
    let words = format!("The body is larger than the {bytes_max} bytes that are taken here.");
    Refusal::one(StatusCode::PAYLOAD_TOO_LARGE, "too-long", "too-large", words)
}

async fn next(chunks: &mut axum::body::BodyDataStream) -> Result<Option<Bytes>, Refusal> {
    match chunks.next().await {
        Some(Ok(chunk)) => Ok(Some(chunk)),
        Some(Err(_)) => Err(Refusal::bad("body-broken", "The body did not come to its end.")),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_taken_up_to_its_bound() {
        let pieces = |count: usize| {
            let stream = futures_util::stream::iter((0..count).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"1234"))));
            Body::from_stream(stream)
        };
        assert_eq!(collect(Body::from("1234"), 4, 4).await.unwrap(), "1234");
        assert_eq!(collect(Body::empty(), 0, 4).await.unwrap(), "");
        assert_eq!(collect(pieces(2), 0, 8).await.unwrap(), "12341234");
        for (body, said, bytes_max) in [(pieces(3), 0, 8), (Body::from("12345"), 5, 4), (Body::from("12345"), 0, 4)] {
            assert_eq!(collect(body, said, bytes_max).await.unwrap_err().status, 413);
        }
    }
}
