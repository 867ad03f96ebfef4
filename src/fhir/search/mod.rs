//! Search parameters of every R4 type: which there are, what of a resource they see, and the words they are found by.
//! Follows <https://hl7.org/fhir/R4/search.html>; `profiles/SEARCH.md` tells how the table is made.
//!
//! A resource is turned into rows when it is written; a query builds the same words with the same functions.

mod amount;
mod compartment;
mod criterion;
mod distinct;
mod extract;
#[cfg(test)]
mod grid;
mod include;
mod leaf;
mod number;
mod pairs;
pub mod parse;
pub mod query;
#[cfg(test)]
mod reading;
#[cfg(test)]
pub(crate) mod sample;
mod shape;
mod span;
mod subject;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod word;

pub use amount::{Amount, coarse};
pub use compartment::{COMPARTMENTS, Member, compartment, each_in_compartment, is_nobodys};
pub use criterion::within;
#[cfg(test)]
pub(crate) use distinct::counted;
pub use extract::{Row, Value, extract};
pub use include::Include;
pub use pairs::{decode, make_relative, pairs};
pub use shape::{Shape, is_subsetted};
pub use subject::Subject;
pub use table::{Component, Parameter, ParameterKind, numbered, parameter, parameters, unsupported};
pub use value::{has_gap, is_id};
pub use word::{
    NONE, STRING_MAX, code_range, identifier_range, identifier_reference, normalized, prefix_end, reference, system_end, token,
};
