//! `%immunizations`: of every vaccination that was done its `day`, and the `group`s that list its vaccine. Where only the month is
//! known, the day is the last of it; where not even that is, there is none.
//! Follows <https://hl7.org/fhir/R4/immunization.html>.

use std::borrow::Cow;

use serde_json::json;

use super::{Fact, Tells};
use crate::fhir::path::Form;
use crate::fhir::time::{Moment, Precision};
use crate::react::json::text;

pub(super) const FACT: Fact = Fact {
    name: "immunizations",
    kinds: &["Immunization"],
    tells: Tells::Parts(&[("group", Form::Text), ("day", Form::Text)]),
    value: |ask| {
        let done = ask.story.current("Immunization").filter(|one| text(&one.value, "status") == Some("completed"));
        let of = |one: &crate::react::Resource| {
            let groups = one.value.get("vaccineCode").map(|code| ask.rules.concepts.groups_of(code)).unwrap_or_default();
            let when = text(&one.value, "occurrenceDateTime").and_then(Moment::parse);
            let day = when.and_then(|when| match when.precision {
                Precision::Year => None,
                Precision::Month => Some(when.day().last_of_month()),
                _ => Some(when.day()),
            });
            let mut value = json!({"group": groups});
            if let Some(day) = day {
                value["day"] = json!(day.to_string());
            }
            Cow::Owned(value)
        };
        done.map(of).collect()
    },
};
