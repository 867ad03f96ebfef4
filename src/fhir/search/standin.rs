//! A stand-in for the search parameters, until the real ones are merged.

use std::sync::LazyLock;

/// How its values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// Codes, identifiers, flags.
    Token,
    /// Words of people.
    String,
    /// Times.
    Date,
    /// Other resources.
    Reference,
    /// Addresses.
    Uri,
    /// Numbers.
    Number,
    /// Amounts.
    Quantity,
    /// Several.
    Composite,
    /// Others.
    Special,
}

/// A search parameter of one type.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub code: &'static str,
    /// How it is compared.
    pub kind: ParameterKind,
    /// What it may point to.
    pub targets: Vec<&'static str>,
    /// Its number.
    pub number: u32,
    /// Whether it can be searched by.
    pub supported: bool,
    /// Whether a column answers it.
    pub is_column: bool,
    /// Whether systems are not compared.
    pub is_systemless: bool,
    /// Whose rows it shares.
    pub alias_of: Option<u32>,
}

fn one(code: &'static str, kind: ParameterKind, targets: &[&'static str], number: u32) -> Parameter {
    Parameter {
        code,
        kind,
        targets: targets.to_vec(),
        number,
        supported: true,
        is_column: false,
        is_systemless: code == "status",
        alias_of: (code == "patient").then_some(6),
    }
}

static ALL: LazyLock<Vec<(&str, Vec<Parameter>)>> = LazyLock::new(|| {
    use ParameterKind as P;
    vec![
        (
            "Patient",
            vec![one("birthdate", P::Date, &[], 3), one("family", P::String, &[], 2), one("identifier", P::Token, &[], 1)],
        ),
        (
            "Condition",
            vec![
                one("code", P::Token, &[], 4),
                one("identifier", P::Token, &[], 1),
                one("onset-date", P::Date, &[], 7),
                one("patient", P::Reference, &["Patient"], 5),
                one("subject", P::Reference, &["Group", "Patient"], 6),
            ],
        ),
        ("Task", vec![one("status", P::Token, &[], 10)]),
        ("ValueSet", vec![one("url", P::Uri, &[], 8)]),
        ("Observation", vec![one("value-quantity", P::Quantity, &[], 9)]),
    ]
});

/// Those of a type.
#[must_use]
pub fn parameters(kind: &str) -> &'static [Parameter] {
    ALL.iter().find(|(of, _)| *of == kind).map_or(&[], |(_, all)| all.as_slice())
}

/// One of them.
#[must_use]
pub fn parameter(kind: &str, code: &str) -> Option<&'static Parameter> {
    parameters(kind).iter().find(|parameter| parameter.code == code)
}

/// `code|system`
#[must_use]
pub fn token(system: &str, code: &str) -> String {
    format!("{code}|{system}")
}

/// Range.
#[must_use]
pub fn code_range(code: &str) -> (String, String) {
    (format!("{code}|"), format!("{code}}}"))
}

/// End.
#[must_use]
pub fn prefix_end(prefix: &str) -> Option<String> {
    Some(format!("{prefix}\u{10ffff}"))
}

/// Without version.
#[must_use]
pub fn reference(text: &str) -> &str {
    text
}

/// By identifier.
#[must_use]
pub fn identifier_reference(system: &str, value: &str) -> String {
    format!("#id|{value}|{system}")
}

/// Folded.
#[must_use]
pub fn normalized(text: &str) -> String {
    text.to_lowercase()
}

/// A row.
pub struct Row {
    /// Number.
    pub parameter: u32,
    /// Value.
    pub value: Value,
}

/// A value.
pub enum Value {
    /// A word.
    Word(String),
    /// A span.
    Span {
        /// From.
        low: i64,
        /// To.
        high: i64,
    },
    /// An amount.
    Amount {
        /// From.
        low: i64,
        /// To.
        high: i64,
    },
}

/// Rows.
#[must_use]
pub fn extract(_kind: &str, _resource: &serde_json::Value) -> Vec<Row> {
    Vec::new()
}

/// Word.
#[must_use]
pub fn token_word(system: Option<&str>, value: &str) -> String {
    format!("{value}|{}", system.unwrap_or(""))
}
