//! Search parameters of R4 and the values they find in a resource.
//! Follows <https://hl7.org/fhir/R4/search.html>.

mod pairs;
pub mod parse;
pub mod query;
mod standin;
mod value;

pub use pairs::{decode, pairs};
pub use standin::{Parameter, ParameterKind, Row, Value, extract, parameter, parameters};
pub use standin::{reference_word, string_words, token_word, token_words, uri_word};
pub use value::is_id;
