//! Search rows and the searches that run over them.

pub use super::stub::lines;

/// One search row of a resource, without its number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// A row of `words`.
    Word {
        /// Number of the parameter.
        parameter: u32,
        /// Token, reference, uri or folded string.
        word: String,
        /// When it happened, UTC milliseconds, only where the word names the subject; 0 elsewhere.
        moment: i64,
    },
    /// A row of `spans`.
    Span {
        /// Number of the parameter.
        parameter: u32,
        /// First millisecond.
        low: i64,
        /// First millisecond after it.
        high: i64,
    },
}
