//! Search parameters of R4 and the values they find in a resource.
//! Follows <https://hl7.org/fhir/R4/search.html>.

pub mod query;

/// t
pub struct Row {
    /// p
    pub parameter: u32,
    /// v
    pub value: Value,
}
/// t
pub enum Value {
    /// w
    Word(String),
    /// s
    Span {
        /// l
        low: i64,
        /// h
        high: i64,
    },
    /// a
    Amount {
        /// l
        low: i64,
        /// h
        high: i64,
    },
}
/// p
pub struct Parameter {
    /// n
    pub number: u32,
}
/// e
#[must_use]
pub fn extract(_kind: &str, _r: &serde_json::Value) -> Vec<Row> {
    Vec::new()
}
/// p
#[must_use]
pub fn parameter(_kind: &str, _code: &str) -> Option<&'static Parameter> {
    None
}
/// t
#[must_use]
pub fn token_word(s: Option<&str>, v: &str) -> String {
    format!("{v}|{}", s.unwrap_or(""))
}
