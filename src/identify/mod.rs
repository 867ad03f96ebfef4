//! Says who and what a resource is about, and makes it ready for the store. No I/O.
//! Follows <https://hl7.org/fhir/R4/references.html>.

pub mod address;
pub mod bundle;
mod draft;
mod likeness;
mod matches;
mod naming;
pub mod references;
mod subject;

pub use draft::draft;
pub use likeness::{Grade, Likeness, comparable, likeness, order};
pub use matches::matches;
