//! Search parameters of R4 and the values they find in a resource.
//! Follows <https://hl7.org/fhir/R4/search.html>.

mod pairs;
pub mod parse;
pub mod query;
mod standin;
mod value;

pub use pairs::{decode, pairs};
pub use standin::{Parameter, ParameterKind, Row, Value, extract, parameter, parameters, token_word};
pub use standin::{code_range, identifier_reference, normalized, prefix_end, reference, token};
pub use value::is_id;
