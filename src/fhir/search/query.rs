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
    /// A number or quantity parameter.
    Amount {
        /// Number of the parameter.
        parameter: u32,
        /// One of them must be found.
        any: Vec<Much>,
    },
    /// What no word tells and only the resource itself shows: `:exact`, `:contains`, `:text`, `:of-type`.
    Seen {
        /// Number of the parameter.
        parameter: u32,
        /// One of them must be found.
        any: Vec<Sight>,
    },
    /// Several parameters that must meet in one element.
    Composite {
        /// Number of the parameter.
        parameter: u32,
        /// One of them must be found: for each component, in order, what is asked of it.
        any: Vec<Vec<Criterion>>,
    },
    /// `:missing`: whether the resource has no value for the parameter.
    Missing {
        /// Number of the parameter.
        parameter: u32,
        /// What was asked.
        missing: bool,
    },
    /// `:not`: what does not meet it, also for want of a value.
    Not(Box<Criterion>),
    /// One of them must hold.
    Either(Vec<Criterion>),
    /// A chain of references, or `_has`: asked of the store, never of one resource alone.
    Chain(Chain),
}

/// The way from a resource over references to others, and what must be true at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The way, at least one hop and at most [`super::parse::HOPS_MAX`].
    pub hops: Vec<Hop>,
    /// What must be true of a resource at the end of it, all of it.
    pub last: Vec<Criterion>,
}

/// One step from resource to resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hop {
    /// To what it refers to.
    To {
        /// Number of its reference parameter.
        parameter: u32,
        /// The type that is referred to.
        kind: &'static str,
    },
    /// To what refers to it.
    From {
        /// The type that refers to it.
        kind: &'static str,
        /// Number of that type's reference parameter.
        parameter: u32,
    },
}

impl Hop {
    /// The type that the step leads to.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::To { kind, .. } | Self::From { kind, .. } => kind,
        }
    }
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
    /// A word that ends like this: all codes of a system.
    Ends(String),
    /// A word that holds this, or is too long for all of it to be kept.
    Holds(String),
}

impl Word {
    /// Whether a found word is meant.
    #[must_use]
    pub fn is(&self, found: &str) -> bool {
        match self {
            Self::Is(word) => found == word,
            Self::Between { low, high } => low.as_str() <= found && found < high.as_str(),
            Self::Ends(end) => found.ends_with(end.as_str()),
            Self::Holds(part) => found.contains(part.as_str()) || found.chars().count() >= super::STRING_MAX,
        }
    }
}

/// What is looked for in an element as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// This text and no other.
    Exact(String),
    /// It begins like this, without case and accents.
    Begins(String),
    /// This somewhere in it, without case and accents.
    Contains(String),
    /// The words beside a code begin like this, without case and accents.
    Text(String),
    /// A reference to what the resource contains.
    Contained,
    /// An identifier of this type and value.
    Typed {
        /// System of the type's code.
        system: String,
        /// The type's code.
        code: String,
        /// The identifier's value.
        value: String,
    },
}

/// A number to be compared with, in quintillionths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Much {
    /// How.
    pub compare: Compare,
    /// The number itself.
    pub at: i128,
    /// The first number that its precision covers.
    pub low: i128,
    /// The first number after those.
    pub high: i128,
    /// The unit, as a token's word; any when `None`.
    pub unit: Option<Word>,
}

impl Much {
    /// Whether a found amount satisfies it.
    #[must_use]
    pub fn holds(&self, found: &super::Amount) -> bool {
        if self.unit.as_ref().is_some_and(|unit| !unit.is(&found.unit)) {
            return false;
        }
        let (low, high) = self.bounds();
        match self.compare {
            Compare::Equal | Compare::Approximately => found.low >= low && found.high < high,
            Compare::NotEqual => found.low < low || found.high >= high,
            Compare::Greater => found.high > self.at,
            Compare::Less => found.low < self.at,
            Compare::GreaterOrEqual => found.high >= self.at,
            Compare::LessOrEqual => found.low <= self.at,
            Compare::StartsAfter => found.low > self.at,
            Compare::EndsBefore => found.high < self.at,
        }
    }

    /// From the first number that counts as equal up to but without the second; a tenth wider on both sides for `ap`.
    #[must_use]
    pub fn bounds(&self) -> (i128, i128) {
        let slack = if self.compare == Compare::Approximately { self.at.saturating_abs() / 10 } else { 0 };
        (self.low.min(self.at.saturating_sub(slack)), self.high.max(self.at.saturating_add(slack).saturating_add(1)))
    }
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
    /// By these keys, the first before the second; what lacks a key comes last. Never empty.
    Keys(Vec<Key>),
}

/// One key of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// What it goes by.
    pub by: By,
    /// Last first.
    pub descending: bool,
}

/// What a key of an order goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// `_lastUpdated`
    Updated,
    /// `_id`
    Id,
    /// A date parameter, by its number.
    Date(u32),
    /// A token, string, reference or uri parameter, by its number.
    Word(u32),
    /// A number or quantity parameter, by its number.
    Amount(u32),
}

/// The last entry of a page, in the order of its [`Sort`]; the next page begins after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Where it stands in the walk, in a form that only the ledger reads.
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
