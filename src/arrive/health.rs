//! Says whether the gateway lives, whether it can work, and how it fares.

use std::fmt::Write;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::call::Call;

/// `GET /health/live`
pub(super) fn live() -> Response {
    plain(StatusCode::OK, "application/json", String::from(r#"{"status":"pass"}"#))
}

/// `GET /health/ready`: whether the database answers.
pub(super) async fn ready(call: &Call<'_>) -> Response {
    if call.door.flow.ledger.ready().await {
        live()
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, "application/json", String::from(r#"{"status":"fail"}"#))
    }
}

/// `GET /metrics`
pub(super) fn metrics(call: &Call<'_>) -> Response {
    let (mut text, faulty) = (call.door.counters.text(), call.door.flow.rules.faulty());
    text.push_str("# HELP signa_rules_faulty Active rules that do not run, for faults are found in them.\n");
    text.push_str("# TYPE signa_rules_faulty gauge\n");
    let _ = writeln!(text, "signa_rules_faulty {faulty}");
    plain(StatusCode::OK, "text/plain; version=0.0.4", text)
}

fn plain(status: StatusCode, kind: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
