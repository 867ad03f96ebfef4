//! Search parameters of every R4 type: which there are, what of a resource they see, and the words they are found by.
//! Follows <https://hl7.org/fhir/R4/search.html>; `profiles/SEARCH.md` tells how the table is made.
//!
//! A resource is turned into rows when it is written; a query builds the same words with the same functions.

mod amount;
mod compartment;
mod extract;
mod leaf;
mod pairs;
pub mod parse;
pub mod query;
mod span;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod word;

pub use amount::{Amount, interval};
pub use compartment::{Member, compartment};
pub use extract::{Row, Value, extract};
pub use pairs::{decode, pairs};
pub use table::{Parameter, ParameterKind, parameter, parameters, unsupported};
pub use value::is_id;
pub use word::{
    STRING_MAX, code_range, escape_code, identifier_reference, normalized, prefix_end, reference, system_hash, token,
};
