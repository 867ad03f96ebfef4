//! How a refusal is told over HTTP: status, OperationOutcome, headers. The one translation of errors.
//! Follows <https://hl7.org/fhir/R4/http.html#Status-Codes> and <https://hl7.org/fhir/R4/operationoutcome.html>.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::Value;

use super::negotiate::JSON;
use crate::fhir::outcome::{Issue, operation_outcome};
use crate::flow::Refused;
use crate::ledger;

/// Why a request was refused, ready to be told.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The status.
    pub(super) status: StatusCode,
    /// What is told. Empty when the fault is ours: then only an id is told.
    pub(super) issues: Vec<Issue>,
    /// The methods that would be right.
    pub(super) allow: Option<&'static str>,
    /// Seconds after which it is worth to come again.
    pub(super) retry_after: Option<u64>,
    /// For the log alone.
    pub(super) incident: Option<String>,
}

impl Refusal {
    /// A refusal with one issue.
    pub(super) fn one(status: StatusCode, code: &'static str, key: &'static str, diagnostics: impl Into<String>) -> Self {
        Self { status, issues: vec![Issue::error(code, key, "", diagnostics)], allow: None, retry_after: None, incident: None }
    }

    /// What was sent has a fault.
    pub(super) fn bad(key: &'static str, diagnostics: impl Into<String>) -> Self {
        Self::one(StatusCode::BAD_REQUEST, "invalid", key, diagnostics)
    }

    /// There is nothing at this address.
    pub(super) fn not_found(diagnostics: impl Into<String>) -> Self {
        Self::one(StatusCode::NOT_FOUND, "not-found", "not-found", diagnostics)
    }

    /// The address is ours, the method is not offered there.
    pub(super) fn not_allowed(allow: &'static str) -> Self {
        let words = format!("This method is not offered here; offered are {allow}.");
        let allow = Some(allow);
        Self { allow, ..Self::one(StatusCode::METHOD_NOT_ALLOWED, "not-supported", "method-not-allowed", words) }
    }

    /// It was deleted.
    pub(super) fn gone() -> Self {
        Self::one(StatusCode::GONE, "deleted", "deleted", "The resource was deleted; its history is still there.")
    }

    /// The fault is ours; the words go to the log.
    pub(super) fn ours(words: impl Into<String>) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            issues: Vec::new(),
            allow: None,
            retry_after: None,
            incident: Some(words.into()),
        }
    }

    /// Come again.
    pub(super) fn busy() -> Self {
        let words = "More is asked than is bearable now; come again in a second.";
        Self { retry_after: Some(1), ..Self::one(StatusCode::SERVICE_UNAVAILABLE, "transient", "busy", words) }
    }

    /// So many ask for something that takes long that no place is left for it.
    pub(super) fn no_place(words: &str) -> Self {
        Self { retry_after: Some(5), ..Self::one(StatusCode::TOO_MANY_REQUESTS, "throttled", "no-place", words) }
    }

    /// This client asks too often.
    pub(super) fn throttled(wait: Duration) -> Self {
        let words = "More requests came from this address than one client may send; come again later.";
        let retry_after = Some(wait.as_secs() + 1);
        Self { retry_after, ..Self::one(StatusCode::TOO_MANY_REQUESTS, "throttled", "too-many-requests", words) }
    }

    /// Writes down what is ours, once, and gives the OperationOutcome. `request` is the id that leads to the log.
    pub(super) fn told(&self, request: &str) -> Value {
        if let Some(words) = &self.incident {
            tracing::error!(request.id = request, "a request failed: {words}");
        }
        if self.issues.is_empty() {
            let words = format!("Something failed on our side. The operator finds it in the log under {request}.");
            return operation_outcome(&[Issue::error("exception", "internal", "", words)]);
        }
        operation_outcome(&self.issues)
    }

    /// The answer.
    pub(super) fn response(&self, request: &str) -> Response {
        let mut response = Response::new(Body::from(self.told(request).to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Vec<Issue>> for Refusal {
    fn from(issues: Vec<Issue>) -> Self {
        Self { status: status_of(&issues), issues, allow: None, retry_after: None, incident: None }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Issues(issues) => issues.into(),
            Refused::Rule(issues) => {
                Self { status: StatusCode::UNPROCESSABLE_ENTITY, issues, allow: None, retry_after: None, incident: None }
            }
            Refused::NotFound => Self::not_found("There is no such resource."),
            Refused::Gone => Self::gone(),
            Refused::VersionConflict { current } => {
                let words = match current {
                    Some(current) => format!("The current version is {current}: read it and try again."),
                    None => String::from("A version was named, but the resource does not exist."),
                };
                Self::one(StatusCode::PRECONDITION_FAILED, "conflict", "version-conflict", words)
            }
            Refused::Exists => Self::one(StatusCode::PRECONDITION_FAILED, "duplicate", "exists", "The resource exists already."),
            Refused::MultipleMatches => {
                let words = "The criteria find more than one resource, or do not narrow the search: be more precise.";
                Self::one(StatusCode::PRECONDITION_FAILED, "multiple-matches", "multiple-matches", words)
            }
            Refused::Unresolved(issues) => {
                Self { status: StatusCode::PRECONDITION_FAILED, issues, allow: None, retry_after: None, incident: None }
            }
            Refused::NotSupported(words) => {
                Self::one(StatusCode::BAD_REQUEST, "not-supported", "interaction-not-supported", words)
            }
            Refused::TooLarge(words) => Self::one(StatusCode::PAYLOAD_TOO_LARGE, "too-long", "too-large", words),
            Refused::Busy => Self::busy(),
            // Nothing fires in what senders write.
            Refused::Beyond(_) => Self::ours("a rule fired in a request"),
            Refused::Broken(words) => Self::ours(words),
            Refused::Entry { index, cause } => {
                let mut inner = Self::from(*cause);
                for issue in &mut inner.issues {
                    issue.expression = in_entry(index, &issue.expression);
                }
                inner
            }
        }
    }
}

impl From<ledger::Error> for Refusal {
    fn from(error: ledger::Error) -> Self {
        match error {
            ledger::Error::Busy => Self::busy(),
            // Nothing is written here, so nothing can be refused for what is written.
            ledger::Error::Refused(refusal) => Self::ours(format!("a read was refused: {refusal:?}")),
            ledger::Error::TooCostly(words) => Self::one(StatusCode::BAD_REQUEST, "too-costly", "too-costly", words),
            ledger::Error::Broken(words) => Self::ours(words),
        }
    }
}

/// The place of an issue as seen from the Bundle.
fn in_entry(index: usize, expression: &str) -> String {
    if expression.starts_with("Bundle.") {
        return expression.to_owned();
    }
    match (expression, expression.split_once('.')) {
        ("", _) => format!("Bundle.entry[{index}]"),
        (_, Some((_, rest))) => format!("Bundle.entry[{index}].resource.{rest}"),
        (_, None) => format!("Bundle.entry[{index}].resource"),
    }
}

/// 422 when the text is well-formed and only breaks rules; 400 otherwise.
fn status_of(issues: &[Issue]) -> StatusCode {
    let refusing = || issues.iter().filter(|issue| issue.refuses());
    let ruled = |issue: &Issue| matches!(issue.code, "invariant" | "business-rule" | "code-invalid");
    match refusing().next().map(|first| first.code) {
        Some("too-long") => StatusCode::PAYLOAD_TOO_LARGE,
        Some("not-found") => StatusCode::NOT_FOUND,
        Some("multiple-matches") => StatusCode::PRECONDITION_FAILED,
        Some(_) if refusing().all(ruled) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::BAD_REQUEST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_follows_the_issues() {
        let issue = |code| Issue::error(code, "x", "", "");
        for (codes, expected) in [
            (&["structure"][..], 400),
            (&["required", "invariant"], 400),
            (&["invariant", "code-invalid"], 422),
            (&["too-long"], 413),
            (&["not-supported"], 400),
        ] {
            let issues: Vec<Issue> = codes.iter().map(|code| issue(code)).collect();
            assert_eq!(Refusal::from(issues).status.as_u16(), expected, "{codes:?}");
        }
    }

    #[test]
    fn every_refusal_has_its_status_and_code() {
        let entry = Refused::Entry { index: 3, cause: Box::new(Refused::VersionConflict { current: Some(2) }) };
        for (refused, status, code) in [
            (Refused::NotFound, 404, "not-found"),
            (Refused::Gone, 410, "deleted"),
            (Refused::VersionConflict { current: None }, 412, "conflict"),
            (Refused::Exists, 412, "duplicate"),
            (Refused::MultipleMatches, 412, "multiple-matches"),
            (Refused::TooLarge(String::new()), 413, "too-long"),
            (Refused::Busy, 503, "transient"),
            (Refused::Broken(String::from("SELECT secret")), 500, "exception"),
            (entry, 412, "conflict"),
        ] {
            let refusal = Refusal::from(refused);
            let told = refusal.told("r-1");
            assert_eq!((refusal.status.as_u16(), told["issue"][0]["code"].as_str()), (status, Some(code)));
            assert!(!told.to_string().contains("SELECT"));
        }
    }

    #[test]
    fn an_issue_of_an_entry_is_placed_in_its_bundle() {
        for (expression, expected) in [
            ("", "Bundle.entry[3]"),
            ("Patient", "Bundle.entry[3].resource"),
            ("Patient.name[0].given", "Bundle.entry[3].resource.name[0].given"),
            ("Bundle.entry[3].request", "Bundle.entry[3].request"),
        ] {
            assert_eq!(in_entry(3, expression), expected);
        }
    }
}
