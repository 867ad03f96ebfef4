//! `%age`: how many `years` old the person is today, and whether today is their `birthday`. Who was born on 29 February has it on
//! 28 February in other years. Nothing where the birth date is not known to the day.

use std::borrow::Cow;

use jiff::ToSpan;
use serde_json::json;

use super::{Fact, Tells};
use crate::fhir::path::Form;
use crate::fhir::time::{Moment, Precision};
use crate::react::json::text;
use crate::react::{person, zones};

pub(super) const FACT: Fact = Fact {
    name: "age",
    kinds: &["Patient"],
    tells: Tells::Parts(&[("years", Form::Number), ("birthday", Form::Boolean)]),
    value: |ask| {
        let born = person::patient(ask.story).and_then(|patient| text(&patient.value, "birthDate")).and_then(Moment::parse);
        let Some(born) = born.filter(|born| born.precision >= Precision::Day).map(|born| born.day()) else { return Vec::new() };
        let today = zones::date(ask.today());
        let years = i64::from(today.year()) - i64::from(born.year());
        let Ok(birthday) = born.checked_add(years.years()) else { return Vec::new() };
        let whole = if birthday > today { years - 1 } else { years };
        vec![Cow::Owned(json!({"years": whole, "birthday": birthday == today && years > 0}))]
    },
};
