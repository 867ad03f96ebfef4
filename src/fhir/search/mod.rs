//! Search parameters of R4 and the values they find in a resource.
//! Follows <https://hl7.org/fhir/R4/search.html>.

pub mod parse;
pub mod query;
mod standin;
mod value;

pub use value::is_id;

pub use standin::{Parameter, ParameterKind, parameter, parameters, reference_word, string_words, token_word, uri_word};
