//! `%patient`: the person's Patient resource.
//! Follows <https://hl7.org/fhir/R4/patient.html>.

use std::borrow::Cow;

use super::{Fact, Tells};
use crate::react::person;

pub(super) const FACT: Fact = Fact {
    name: "patient",
    kinds: &["Patient"],
    tells: Tells::Resource("Patient"),
    value: |ask| person::patient(ask.story).map(|patient| Cow::Borrowed(patient.value.as_ref())).into_iter().collect(),
};
