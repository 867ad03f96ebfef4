//! A stand-in for the search parameters, until the real ones are merged.

use super::query::Word;

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
    /// Others.
    Other,
}

/// A search parameter of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub code: &'static str,
    /// How it is compared.
    pub kind: ParameterKind,
    /// What it may point to.
    pub targets: &'static [&'static str],
    /// Its number.
    pub number: u32,
}

const fn one(code: &'static str, kind: ParameterKind, targets: &'static [&'static str], number: u32) -> Parameter {
    Parameter { code, kind, targets, number }
}

static ALL: &[(&str, Parameter)] = &[
    ("Patient", one("identifier", ParameterKind::Token, &[], 1)),
    ("Patient", one("family", ParameterKind::String, &[], 2)),
    ("Patient", one("birthdate", ParameterKind::Date, &[], 3)),
    ("Condition", one("identifier", ParameterKind::Token, &[], 4)),
    ("Condition", one("patient", ParameterKind::Reference, &["Patient"], 5)),
    ("Condition", one("subject", ParameterKind::Reference, &["Patient", "Group"], 5)),
    ("Condition", one("code", ParameterKind::Token, &[], 6)),
    ("Condition", one("onset-date", ParameterKind::Date, &[], 7)),
    ("ValueSet", one("url", ParameterKind::Uri, &[], 8)),
    ("Observation", one("value-quantity", ParameterKind::Quantity, &[], 9)),
];

/// Those of a type.
pub fn parameters(kind: &str) -> impl Iterator<Item = &'static Parameter> {
    ALL.iter().filter(move |(of, _)| *of == kind).map(|(_, parameter)| parameter)
}

/// One of them.
#[must_use]
pub fn parameter(kind: &str, code: &str) -> Option<&'static Parameter> {
    parameters(kind).find(|parameter| parameter.code == code)
}

/// `None`: any system; empty: no system.
#[must_use]
pub fn token_words(system: Option<&str>, code: Option<&str>) -> Word {
    match (system, code) {
        (None, code) => {
            let code = code.unwrap_or_default();
            Word::Between { low: format!("{code}|"), high: format!("{code}}}") }
        }
        (Some(system), Some(code)) => Word::Is(format!("{code}|{system}")),
        (Some(system), None) => Word::Is(format!("|{system}")),
    }
}

/// Where it begins like this, or is exactly this.
#[must_use]
pub fn string_words(text: &str, exact: bool) -> Word {
    let text = text.to_lowercase();
    if exact { Word::Is(text) } else { Word::Between { high: format!("{text}\u{10ffff}"), low: text } }
}

/// `Patient/1`
#[must_use]
pub fn reference_word(target: &str) -> Word {
    Word::Is(target.to_owned())
}

/// An address.
#[must_use]
pub fn uri_word(uri: &str) -> Word {
    Word::Is(uri.to_owned())
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
