//! `%diagnoses`: of every diagnosis that is current and confirmed its `id`, and the `group`s that list its code.
//! Follows <https://hl7.org/fhir/R4/condition.html>.

use std::borrow::Cow;

use serde_json::json;

use super::{Fact, Tells};
use crate::fhir::path::Form;
use crate::react::gates::diagnosis::{Standing, standing};

pub(super) const FACT: Fact = Fact {
    name: "diagnoses",
    kinds: &["Condition"],
    tells: Tells::Parts(&[("id", Form::Text), ("group", Form::Text)]),
    value: |ask| {
        let current = ask.story.current("Condition").filter(|one| standing(&one.value) == Standing::Current);
        let of = |one: &crate::react::Resource| {
            let groups = one.value.get("code").map(|code| ask.rules.concepts.groups_of(code)).unwrap_or_default();
            Cow::Owned(json!({"id": one.id, "group": groups}))
        };
        current.map(of).collect()
    },
};
