//! The functions of FHIRPath and of FHIR's additions to it, by name and number of arguments.
//! Follows <https://hl7.org/fhirpath/N1/#functions> and <https://hl7.org/fhir/R4/fhirpath.html#functions>.

/// A function that an expression can call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Aggregate,
    All,
    AllFalse,
    AllTrue,
    AnyFalse,
    AnyTrue,
    As,
    Ceiling,
    Children,
    Combine,
    Comparable,
    ConformsTo,
    Contains,
    ConvertsToBoolean,
    ConvertsToDate,
    ConvertsToDateTime,
    ConvertsToDecimal,
    ConvertsToInteger,
    ConvertsToQuantity,
    ConvertsToString,
    ConvertsToTime,
    Count,
    Decode,
    Descendants,
    Distinct,
    ElementDefinition,
    Empty,
    Encode,
    EndsWith,
    Escape,
    Exclude,
    Exists,
    Exp,
    Extension,
    First,
    Floor,
    GetValue,
    HasExtension,
    HasValue,
    HighBoundary,
    HtmlChecks,
    Iif,
    IndexOf,
    Intersect,
    Is,
    IsDistinct,
    Join,
    Last,
    Length,
    Ln,
    Log,
    LowBoundary,
    Lower,
    Matches,
    MatchesFull,
    MemberOf,
    Not,
    Now,
    OfType,
    Power,
    Precision,
    Repeat,
    Replace,
    ReplaceMatches,
    Resolve,
    Round,
    Select,
    Single,
    Skip,
    Slice,
    Sort,
    Split,
    Sqrt,
    StartsWith,
    SubsetOf,
    Substring,
    SubsumedBy,
    Subsumes,
    SupersetOf,
    Tail,
    Take,
    TimeOfDay,
    ToBoolean,
    ToChars,
    ToDate,
    ToDateTime,
    ToDecimal,
    ToInteger,
    ToQuantity,
    ToString,
    ToTime,
    Today,
    Trace,
    Trim,
    Truncate,
    Type,
    Unescape,
    Union,
    Upper,
    Where,
}

use Function as F;

/// Name, function, least and most arguments; by name, for the search.
const TABLE: &[(&str, Function, usize, usize)] = &[
    ("abs", F::Abs, 0, 0),
    ("aggregate", F::Aggregate, 1, 2),
    ("all", F::All, 1, 1),
    ("allFalse", F::AllFalse, 0, 0),
    ("allTrue", F::AllTrue, 0, 0),
    ("anyFalse", F::AnyFalse, 0, 0),
    ("anyTrue", F::AnyTrue, 0, 0),
    ("as", F::As, 1, 1),
    ("ceiling", F::Ceiling, 0, 0),
    ("children", F::Children, 0, 0),
    ("combine", F::Combine, 1, 1),
    ("comparable", F::Comparable, 1, 1),
    ("conformsTo", F::ConformsTo, 1, 1),
    ("contains", F::Contains, 1, 1),
    ("convertsToBoolean", F::ConvertsToBoolean, 0, 0),
    ("convertsToDate", F::ConvertsToDate, 0, 0),
    ("convertsToDateTime", F::ConvertsToDateTime, 0, 0),
    ("convertsToDecimal", F::ConvertsToDecimal, 0, 0),
    ("convertsToInteger", F::ConvertsToInteger, 0, 0),
    ("convertsToQuantity", F::ConvertsToQuantity, 0, 1),
    ("convertsToString", F::ConvertsToString, 0, 0),
    ("convertsToTime", F::ConvertsToTime, 0, 0),
    ("count", F::Count, 0, 0),
    ("decode", F::Decode, 1, 1),
    ("descendants", F::Descendants, 0, 0),
    ("distinct", F::Distinct, 0, 0),
    ("elementDefinition", F::ElementDefinition, 0, 0),
    ("empty", F::Empty, 0, 0),
    ("encode", F::Encode, 1, 1),
    ("endsWith", F::EndsWith, 1, 1),
    ("escape", F::Escape, 1, 1),
    ("exclude", F::Exclude, 1, 1),
    ("exists", F::Exists, 0, 1),
    ("exp", F::Exp, 0, 0),
    ("extension", F::Extension, 1, 1),
    ("first", F::First, 0, 0),
    ("floor", F::Floor, 0, 0),
    ("getValue", F::GetValue, 0, 0),
    ("hasExtension", F::HasExtension, 1, 1),
    ("hasValue", F::HasValue, 0, 0),
    ("highBoundary", F::HighBoundary, 0, 1),
    ("htmlChecks", F::HtmlChecks, 0, 0),
    ("iif", F::Iif, 2, 3),
    ("indexOf", F::IndexOf, 1, 1),
    ("intersect", F::Intersect, 1, 1),
    ("is", F::Is, 1, 1),
    ("isDistinct", F::IsDistinct, 0, 0),
    ("join", F::Join, 0, 1),
    ("last", F::Last, 0, 0),
    ("length", F::Length, 0, 0),
    ("ln", F::Ln, 0, 0),
    ("log", F::Log, 1, 1),
    ("lowBoundary", F::LowBoundary, 0, 1),
    ("lower", F::Lower, 0, 0),
    ("matches", F::Matches, 1, 1),
    ("matchesFull", F::MatchesFull, 1, 1),
    ("memberOf", F::MemberOf, 1, 1),
    ("not", F::Not, 0, 0),
    ("now", F::Now, 0, 0),
    ("ofType", F::OfType, 1, 1),
    ("power", F::Power, 1, 1),
    ("precision", F::Precision, 0, 0),
    ("repeat", F::Repeat, 1, 1),
    ("replace", F::Replace, 2, 2),
    ("replaceMatches", F::ReplaceMatches, 2, 2),
    ("resolve", F::Resolve, 0, 0),
    ("round", F::Round, 0, 1),
    ("select", F::Select, 1, 1),
    ("single", F::Single, 0, 0),
    ("skip", F::Skip, 1, 1),
    ("slice", F::Slice, 2, 2),
    ("sort", F::Sort, 0, 8),
    ("split", F::Split, 1, 1),
    ("sqrt", F::Sqrt, 0, 0),
    ("startsWith", F::StartsWith, 1, 1),
    ("subsetOf", F::SubsetOf, 1, 1),
    ("substring", F::Substring, 1, 2),
    ("subsumedBy", F::SubsumedBy, 1, 1),
    ("subsumes", F::Subsumes, 1, 1),
    ("supersetOf", F::SupersetOf, 1, 1),
    ("tail", F::Tail, 0, 0),
    ("take", F::Take, 1, 1),
    ("timeOfDay", F::TimeOfDay, 0, 0),
    ("toBoolean", F::ToBoolean, 0, 0),
    ("toChars", F::ToChars, 0, 0),
    ("toDate", F::ToDate, 0, 0),
    ("toDateTime", F::ToDateTime, 0, 0),
    ("toDecimal", F::ToDecimal, 0, 0),
    ("toInteger", F::ToInteger, 0, 0),
    ("toQuantity", F::ToQuantity, 0, 1),
    ("toString", F::ToString, 0, 0),
    ("toTime", F::ToTime, 0, 0),
    ("today", F::Today, 0, 0),
    ("trace", F::Trace, 1, 2),
    ("trim", F::Trim, 0, 0),
    ("truncate", F::Truncate, 0, 0),
    ("type", F::Type, 0, 0),
    ("unescape", F::Unescape, 1, 1),
    ("union", F::Union, 1, 1),
    ("upper", F::Upper, 0, 0),
    ("where", F::Where, 1, 1),
];

impl Function {
    /// The function of this name.
    pub(super) fn of(name: &str) -> Option<Self> {
        TABLE.iter().find(|entry| entry.0 == name).map(|entry| entry.1)
    }

    fn entry(self) -> (&'static str, usize, usize) {
        TABLE.iter().find(|entry| entry.1 == self).map_or(("?", 0, 0), |entry| (entry.0, entry.2, entry.3))
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        self.entry().0
    }

    /// The least and the most arguments it takes.
    pub(super) fn arity(self) -> (usize, usize) {
        let (_, least, most) = self.entry();
        (least, most)
    }

    /// Whether its argument names a type.
    pub(super) fn takes_kind(self) -> bool {
        matches!(self, F::Is | F::As | F::OfType)
    }

    /// Whether what it makes of a text are texts about as long, or a part of it each.
    pub(super) fn makes_text(self) -> bool {
        matches!(
            self,
            F::Decode
                | F::Encode
                | F::Escape
                | F::Lower
                | F::Replace
                | F::ReplaceMatches
                | F::Split
                | F::ToChars
                | F::Trim
                | F::Unescape
                | F::Upper
        )
    }

    /// Whether its first argument is a regular expression.
    pub(super) fn takes_pattern(self) -> bool {
        matches!(self, F::Matches | F::MatchesFull | F::ReplaceMatches)
    }
}
