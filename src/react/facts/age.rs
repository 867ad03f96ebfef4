//! `%age`: how many `years` old the person is today, and whether today is their `birthday`. Who was born on 29 February has it on
//! 28 February in other years. Nothing where the birth date is not known to the day.

use std::borrow::Cow;
use std::sync::LazyLock;

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Value, json};

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
        // Most days are in every year.
        let birthday = Date::new(today.year(), born.month(), born.day()).or_else(|_| born.checked_add(years.years()));
        let Ok(birthday) = birthday else { return Vec::new() };
        let whole = if birthday > today { years - 1 } else { years };
        let is_birthday = birthday == today && years > 0;
        let known = usize::try_from(whole).ok().and_then(|whole| KNOWN.get(whole));
        let known = known.map(|days| Cow::Borrowed(&days[usize::from(is_birthday)]));
        vec![known.unwrap_or_else(|| Cow::Owned(told(whole, is_birthday)))]
    },
};

/// What is told at each age, on other days and on the birthday: the calendar asks for it every day of every life.
static KNOWN: LazyLock<Vec<[Value; 2]>> = LazyLock::new(|| {
    let ages = 0..=YEARS_MAX;
    ages.map(|years| [told(years, false), told(years, true)]).collect()
});

/// The oldest age of which it is known what is told.
const YEARS_MAX: i64 = 120;

fn told(years: i64, is_birthday: bool) -> Value {
    json!({"years": years, "birthday": is_birthday})
}
