//! A diagnosis happened at its onset; an age or a text is no date, so the day it was recorded stands for it.
//! Follows <https://hl7.org/fhir/R4/condition.html>.

use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "Condition",
    subject: &["subject"],
    happened: &["onsetDateTime", "onsetPeriod", "recordedDate"],
    store: &["recorder", "asserter"],
};
