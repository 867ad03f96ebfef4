//! `%conclusions`: of every conclusion that the resource names by a code the `group`s that list it.
//! Follows <https://hl7.org/fhir/R4/diagnosticreport-definitions.html#DiagnosticReport.conclusionCode>.

use std::borrow::Cow;

use serde_json::json;

use super::{Fact, Tells};
use crate::fhir::path::Form;
use crate::react::json::each;

pub(super) const FACT: Fact = Fact {
    name: "conclusions",
    kinds: &[],
    tells: Tells::Parts(&[("group", Form::Text)]),
    value: |ask| {
        let groups = each(ask.resource, "conclusionCode").iter().map(|code| ask.rules.concepts.groups_of(code));
        groups.map(|groups| Cow::Owned(json!({"group": groups}))).collect()
    },
};
