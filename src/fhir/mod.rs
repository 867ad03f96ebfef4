//! FHIR's own vocabulary: resources, definitions, paths, search values, times, outcomes. Nothing of ours.
//! Follows <https://hl7.org/fhir/R4/>.

pub mod definitions;
pub mod kinds;
pub mod outcome;
pub mod patch;
pub mod path;
mod pattern;
pub mod search;
pub mod terms;
pub mod time;
pub mod xml;
