//! Batch and transaction: the entries of a Bundle, each alone or all together.
//! Follows <https://hl7.org/fhir/R4/http.html#transaction>.

use serde_json::Value;

use super::Refused;

/// What a GET or HEAD entry asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// `GET` or `HEAD`.
    pub method: &'a str,
    /// `request.url`: relative to the base, with its query.
    pub url: &'a str,
    /// `request.ifNoneMatch`
    pub if_none_match: Option<&'a str>,
    /// `request.ifModifiedSince`
    pub if_modified_since: Option<&'a str>,
}

/// The answer to one entry.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// `200 OK`
    pub status: String,
    /// Where it is.
    pub location: Option<String>,
    /// `W/"1"`
    pub etag: Option<String>,
    /// An instant.
    pub last_modified: Option<String>,
    /// The resource as JSON text.
    pub resource: Option<String>,
    /// What is to be said of it.
    pub outcome: Option<Value>,
}

/// Answers what the way in cannot: reads inside a Bundle, and how a refusal is told.
pub trait Reader: Sync {
    /// Answers a GET or HEAD entry; a failure is an answer, too.
    fn read(&self, wanted: Wanted<'_>) -> impl Future<Output = Answer> + Send;

    /// The status line (`412 Precondition Failed`) and the OperationOutcome of a refusal.
    fn refusal(&self, refused: &Refused) -> (String, Value);

    /// The address put before locations, without a slash at its end; may be empty.
    fn base(&self) -> &str;
}
