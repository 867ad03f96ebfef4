//! The tree that an expression becomes when it is read: built once, evaluated many times.
//! Follows <https://hl7.org/fhirpath/N1/#expressions>.

use regex::Regex;

use super::decimal::Decimal;
use super::functions::Function;
use super::temporal::Temporal;

/// A part of an expression.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    /// `{}`
    Empty,
    Boolean(bool),
    Integer(i64),
    Decimal(Decimal),
    Text(String),
    Temporal(Temporal),
    /// A number and a UCUM code, or a word of the calendar.
    Quantity(Decimal, String, bool),
    /// `$this`
    This,
    /// `$index`
    Index,
    /// `$total`
    Total,
    /// `%name`
    Variable(String),
    /// A head and the dots and brackets behind it; without a head it starts from what the expression stands on.
    /// Flat, so that a long path is not a deep one.
    Path(Option<Box<Tree>>, Vec<Step>),
    /// A first operand and what is done with it from left to right; flat for the same reason.
    Chain(Box<Tree>, Vec<Link>),
    /// `-x`; a leading plus leaves nothing behind.
    Negated(Box<Tree>),
    /// A regular expression that was written out, made ready once.
    Pattern(Box<Regex>),
    /// The type that `ofType(…)`, `is(…)` and `as(…)` name.
    Kind(Kind),
}

/// A dot or a bracket.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// `.name`
    Member(String),
    /// `.function(…)`
    Call(Function, Vec<Tree>),
    /// `[index]`
    At(Tree),
}

/// An operator and what stands behind it.
#[derive(Debug, Clone)]
pub(super) enum Link {
    Binary(Operator, Tree),
    /// `is Type`
    Is(Kind),
    /// `as Type`
    As(Kind),
}

/// The name of a type, as an expression writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    /// Whether `System.` or `FHIR.` was said, or nothing.
    pub(super) space: Option<Space>,
    /// `Patient`, `string`, `String` …
    pub(super) name: String,
}

/// The two families of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    /// FHIRPath's own: `Boolean`, `String`, `Integer` …
    System,
    /// FHIR's: `boolean`, `string`, `HumanName`, `Patient` …
    Fhir,
}

/// An operator between two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Implies,
    Or,
    Xor,
    And,
    In,
    Contains,
    Equal,
    NotEqual,
    Equivalent,
    NotEquivalent,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Union,
    Plus,
    Minus,
    Join,
    Times,
    Divide,
    Div,
    Mod,
}

impl Operator {
    /// How tightly it binds; the unary sign, brackets and dots bind tighter than any.
    pub(super) fn strength(self) -> u8 {
        match self {
            Self::Implies => 1,
            Self::Or | Self::Xor => 2,
            Self::And => 3,
            Self::In | Self::Contains => 4,
            Self::Equal | Self::NotEqual | Self::Equivalent | Self::NotEquivalent => 5,
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => 6,
            Self::Union => 7,
            Self::Plus | Self::Minus | Self::Join => 9,
            Self::Times | Self::Divide | Self::Div | Self::Mod => 10,
        }
    }

    /// The operator of a symbol or a word.
    pub(super) fn of(text: &str) -> Option<Self> {
        Some(match text {
            "implies" => Self::Implies,
            "or" => Self::Or,
            "xor" => Self::Xor,
            "and" => Self::And,
            "in" => Self::In,
            "contains" => Self::Contains,
            "=" => Self::Equal,
            "!=" => Self::NotEqual,
            "~" => Self::Equivalent,
            "!~" => Self::NotEquivalent,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "|" => Self::Union,
            "+" => Self::Plus,
            "-" => Self::Minus,
            "&" => Self::Join,
            "*" => Self::Times,
            "/" => Self::Divide,
            "div" => Self::Div,
            "mod" => Self::Mod,
            _ => return None,
        })
    }
}

/// How tightly `is` and `as` bind.
pub(super) const KIND_STRENGTH: u8 = 8;
