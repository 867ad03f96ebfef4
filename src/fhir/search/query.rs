//! A search as it was asked, in typed form: built from a query string, run by the ledger, or tried on one resource.
//! Follows <https://hl7.org/fhir/R4/search.html>.

use crate::fhir::time::Span;

/// What is looked for among the resources of one type. All criteria must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The resource type.
    pub kind: String,
    /// All of them must hold.
    pub criteria: Vec<Criterion>,
    /// The order of the answer.
    pub sort: Sort,
    /// Entries on a page, at least 1.
    pub count: u32,
    /// Where the page begins: after this one.
    pub after: Option<Cursor>,
    /// Whether the number of all matches is asked for.
    pub total: bool,
}

/// One parameter of a search; its alternatives were separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Criterion {
    /// `_id`
    Id(Vec<String>),
    /// `_lastUpdated`
    Updated(Vec<When>),
    /// A token, reference, uri or string parameter.
    Word {
        /// Number of the parameter ([`super::Parameter`]).
        parameter: u32,
        /// One of them must be found.
        any: Vec<Word>,
    },
    /// A date parameter.
    Date {
        /// Number of the parameter.
        parameter: u32,
        /// One of them must be found.
        any: Vec<When>,
    },
    /// `:missing`: whether the resource has no value for the parameter.
    Missing {
        /// Number of the parameter.
        parameter: u32,
        /// Whether dates or words are kept for it.
        dates: bool,
        /// What was asked.
        missing: bool,
    },
}

/// A word to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Exactly this word.
    Is(String),
    /// A word from `low` up to but without `high`.
    Between {
        /// First word.
        low: String,
        /// First word after.
        high: String,
    },
}

/// How a date is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// `eq`: the found span lies within the asked one.
    Equal,
    /// `ne`
    NotEqual,
    /// `gt`: some of the found span lies after the asked one.
    Greater,
    /// `lt`
    Less,
    /// `ge`
    GreaterOrEqual,
    /// `le`
    LessOrEqual,
    /// `sa`: the found span begins after the asked one ends.
    StartsAfter,
    /// `eb`
    EndsBefore,
    /// `ap`: the spans, widened by a tenth of their distance to now, overlap.
    Approximately,
}

/// A date to be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// How.
    pub compare: Compare,
    /// With what.
    pub span: Span,
}

/// The order of an answer. All are made total by the resource's own number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sort {
    /// As the index gives it: stable, cheap, nothing promised.
    Natural,
    /// By `_lastUpdated`.
    Updated {
        /// Latest first.
        descending: bool,
    },
    /// By a date parameter.
    Date {
        /// Number of the parameter.
        parameter: u32,
        /// Latest first.
        descending: bool,
    },
    /// By `_id`.
    Id {
        /// Last first.
        descending: bool,
    },
}

/// The last entry of a page, in the order of its [`Sort`]; the next page begins after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Its sort value: milliseconds for a date, empty text otherwise.
    pub key: String,
    /// Its number.
    pub number: i64,
}

impl When {
    /// Whether a found span satisfies it. `now` serves `ap` only (UTC milliseconds).
    #[must_use]
    pub fn holds(&self, found: Span, now: i64) -> bool {
        let asked = self.span;
        match self.compare {
            Compare::Equal => found.low >= asked.low && found.high <= asked.high,
            Compare::NotEqual => found.low < asked.low || found.high > asked.high,
            Compare::Greater => found.high > asked.high,
            Compare::Less => found.low < asked.low,
            Compare::GreaterOrEqual => found.high > asked.high || found.low >= asked.low,
            Compare::LessOrEqual => found.low < asked.low || found.high <= asked.high,
            Compare::StartsAfter => found.low >= asked.high,
            Compare::EndsBefore => found.high <= asked.low,
            Compare::Approximately => {
                let slack = (now - asked.low).abs() / 10;
                found.low < asked.high.saturating_add(slack) && found.high > asked.low.saturating_sub(slack)
            }
        }
    }
}
