//! Content codings: answers are packed for who asks for it, and packed bodies are unpacked up to their bound.
//! Follows <https://www.rfc-editor.org/rfc/rfc9110#name-content-encoding>.

use std::future::ready;
use std::io::Read;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use axum::response::Response;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use tower::{ServiceExt, service_fn};
use tower_http::CompressionLevel;
use tower_http::compression::Compression;

use super::outcome::Refusal;

/// Answers of fewer bytes go as they are: packing them would cost more than it saves.
pub(super) const PACKED_BYTES_MIN: u64 = 4_096;

/// The answer, packed if the client takes that and it is worth it.
pub(super) async fn packed(accepted: HeaderValue, response: Response) -> Response {
    if response.body().size_hint().exact().is_some_and(|size| size < PACKED_BYTES_MIN) {
        return response;
    }
    let mut request = Request::new(Body::empty());
    request.headers_mut().insert(ACCEPT_ENCODING, accepted);
    let mut answer = Some(response);
    let once = service_fn(move |_: Request<Body>| ready(answer.take().ok_or(std::fmt::Error)));
    let packing = Compression::new(once).quality(CompressionLevel::Fastest);
    match packing.oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(_) => Refusal::ours("an answer was packed twice").response(""),
    }
}

/// How the body of a request is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Not at all.
    Plain,
    /// `gzip`
    Gzip,
    /// `deflate`, which is zlib by its standard.
    Zlib,
}

/// What `Content-Encoding` says.
pub(super) fn sent(headers: &HeaderMap) -> Result<Coding, Refusal> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(Coding::Plain) };
    match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Coding::Plain),
        "gzip" | "x-gzip" => Ok(Coding::Gzip),
        "deflate" => Ok(Coding::Zlib),
        _ => {
            let words = "Bodies may be packed with gzip or deflate, once; send it so, or plain.";
            Err(Refusal::one(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", "unsupported-encoding", words))
        }
    }
}

/// The body as it was before it was packed; never more than `bytes_max` of it are unpacked.
pub(super) fn unpacked(coding: Coding, packed: Bytes, bytes_max: usize) -> Result<Bytes, Refusal> {
    let bound = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let mut whole = Vec::new();
    let read = match coding {
        Coding::Plain => return Ok(packed),
        Coding::Gzip => MultiGzDecoder::new(&*packed).take(bound).read_to_end(&mut whole),
        Coding::Zlib => ZlibDecoder::new(&*packed).take(bound).read_to_end(&mut whole),
    };
    if read.is_err() {
        return Err(Refusal::bad("body-broken", "The body is not packed as Content-Encoding says."));
    }
    if whole.len() > bytes_max {
        let words = format!("The unpacked body is larger than the {bytes_max} bytes that are taken here.");
        return Err(Refusal::one(StatusCode::PAYLOAD_TOO_LARGE, "too-long", "too-large", words));
    }
    Ok(Bytes::from(whole))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::body::to_bytes;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        Bytes::from(encoder.finish().unwrap())
    }

    #[test]
    fn a_packed_body_is_unpacked_up_to_its_bound() {
        assert_eq!(unpacked(Coding::Gzip, gzip(b"1234"), 4).unwrap(), "1234");
        assert_eq!(unpacked(Coding::Plain, Bytes::from("1234"), 2).unwrap(), "1234");
        // A thousand times more than it seems.
        let bomb = gzip(&vec![b' '; 4 << 20]);
        assert!(bomb.len() < 8_192);
        assert_eq!(unpacked(Coding::Gzip, bomb, 4_096).unwrap_err().status, 413);
        for (coding, bytes) in [(Coding::Gzip, "1234"), (Coding::Zlib, "1234")] {
            assert_eq!(unpacked(coding, Bytes::from(bytes), 4).unwrap_err().status, 400);
        }
        let half = gzip(&(0..9_999_u32).flat_map(u32::to_be_bytes).collect::<Vec<u8>>());
        assert_eq!(unpacked(Coding::Gzip, half.slice(..half.len() / 2), 1 << 20).unwrap_err().status, 400);
    }

    #[test]
    fn a_coding_is_known_or_refused() {
        let said = |text: &'static str| sent(&HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(text))]));
        assert_eq!(sent(&HeaderMap::new()).unwrap(), Coding::Plain);
        for (text, expected) in
            [("identity", Coding::Plain), ("GZIP", Coding::Gzip), ("x-gzip", Coding::Gzip), ("deflate", Coding::Zlib)]
        {
            assert_eq!(said(text).unwrap(), expected, "{text}");
        }
        for text in ["br", "gzip, gzip", "zstd", "rot13"] {
            assert_eq!(said(text).unwrap_err().status, 415, "{text}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_packed_when_it_is_asked_for_and_worth_it() {
        let large = "x".repeat(20_000);
        for (accepted, text, expected) in [
            ("gzip", large.as_str(), Some("gzip")),
            ("br, gzip", &large, Some("br")),
            ("br;q=0.5, gzip", &large, Some("gzip")),
            ("identity", &large, None),
            ("gzip;q=0", &large, None),
            ("gzip", "short", None),
        ] {
            let response = packed(HeaderValue::from_static(accepted), Response::new(Body::from(text.to_owned()))).await;
            let coding = response.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(coding.as_deref(), expected, "{accepted}");
            let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert_eq!(bytes.len() < text.len(), expected.is_some(), "{accepted}");
            if coding.as_deref() == Some("gzip") {
                assert_eq!(unpacked(Coding::Gzip, bytes, 1 << 20).unwrap(), text);
            }
        }
    }
}
