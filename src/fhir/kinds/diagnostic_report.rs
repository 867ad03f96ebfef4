//! A report is about the time of the examination; many carry only the time they were issued.
//! Follows <https://hl7.org/fhir/R4/diagnosticreport.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "DiagnosticReport",
    subject: &["subject"],
    happened: &["effectiveDateTime", "effectivePeriod", "issued"],
    store: &["performer", "resultsInterpreter"],
};
