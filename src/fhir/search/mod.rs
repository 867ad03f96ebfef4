//! Search parameters of R4 and the values they find in a resource.
//! Follows <https://hl7.org/fhir/R4/search.html>.

pub mod query;
