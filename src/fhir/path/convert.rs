//! Conversions between FHIRPath's own types: `toInteger()` and its kin, and `convertsToInteger()` and its kin.
//! Follows <https://hl7.org/fhirpath/N1/#conversion>.

use std::borrow::Cow;

use super::Error;
use super::decimal::Decimal;
use super::evaluate::{Frame, Machine, single};
use super::functions::Function as F;
use super::item::{Collection, Item, Quantity};
use super::temporal::{Sort, Temporal};
use super::tree::Tree;
use super::unit;

pub(super) fn call<'a>(
    machine: &Machine<'_, 'a>,
    function: F,
    input: &[Item<'a>],
    arguments: &'a [Tree],
    frame: &Frame<'_, 'a>,
) -> Result<Collection<'a>, Error> {
    let Some(item) = single(input)?.map(Item::plain) else { return Ok(Vec::new()) };
    let wanted = match arguments.first() {
        Some(unit) => machine.text(unit, frame)?,
        None => None,
    };
    let (target, asks) = target(function);
    let converted = convert(target, &item).filter(|converted| match (converted, &wanted) {
        (Item::Quantity(quantity), Some(wanted)) => quantity.code() == unit::calendar(wanted).unwrap_or(wanted),
        _ => true,
    });
    Ok(if asks { vec![Item::Boolean(converted.is_some())] } else { converted.into_iter().collect() })
}

/// The conversion that a function makes, and whether it only asks for it.
fn target(function: F) -> (F, bool) {
    match function {
        F::ConvertsToBoolean => (F::ToBoolean, true),
        F::ConvertsToDate => (F::ToDate, true),
        F::ConvertsToDateTime => (F::ToDateTime, true),
        F::ConvertsToDecimal => (F::ToDecimal, true),
        F::ConvertsToInteger => (F::ToInteger, true),
        F::ConvertsToQuantity => (F::ToQuantity, true),
        F::ConvertsToString => (F::ToString, true),
        F::ConvertsToTime => (F::ToTime, true),
        other => (other, false),
    }
}

fn convert<'a>(target: F, item: &Item<'a>) -> Option<Item<'a>> {
    match target {
        F::ToBoolean => boolean(item).map(Item::Boolean),
        F::ToInteger => match item {
            Item::Integer(value) => Some(Item::Integer(*value)),
            Item::Boolean(value) => Some(Item::Integer(i64::from(*value))),
            Item::Text(text) => text.parse::<i32>().ok().map(|value| Item::Integer(value.into())),
            _ => None,
        },
        F::ToDecimal => match item {
            Item::Integer(value) => Some(Item::Decimal((*value).into())),
            Item::Decimal(value) => Some(Item::Decimal(*value)),
            Item::Boolean(value) => Some(Item::Decimal(i64::from(*value).into())),
            Item::Text(text) => Decimal::parse(text).map(Item::Decimal),
            _ => None,
        },
        F::ToString => match item {
            Item::Node(node) if !node.is_primitive() || node.value().is_none() => None,
            Item::Kind(..) => None,
            Item::Text(text) => Some(Item::Text(text.clone())),
            other => Some(Item::text(other.to_string())),
        },
        F::ToQuantity => quantity(item),
        _ => temporal(target, item).map(Item::Temporal),
    }
}

fn boolean(item: &Item<'_>) -> Option<bool> {
    match item {
        Item::Boolean(value) => Some(*value),
        Item::Integer(0) => Some(false),
        Item::Integer(1) => Some(true),
        Item::Decimal(value) if *value == Decimal::from(0) => Some(false),
        Item::Decimal(value) if *value == Decimal::from(1) => Some(true),
        Item::Text(text) => match text.to_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn temporal(target: F, item: &Item<'_>) -> Option<Temporal> {
    let read = match item {
        Item::Temporal(value) => *value,
        Item::Text(text) if target == F::ToTime => Temporal::parse_time(text)?,
        Item::Text(text) => Temporal::parse(text)?,
        _ => return None,
    };
    match (target, read.sort) {
        (F::ToTime, Sort::Time) => Some(read),
        (F::ToDate, Sort::Date | Sort::DateTime) => Some(read.date()),
        (F::ToDateTime, Sort::Date | Sort::DateTime) => Some(read.date_time()),
        _ => None,
    }
}

fn quantity<'a>(item: &Item<'a>) -> Option<Item<'a>> {
    let (value, unit, is_calendar) = match item {
        Item::Quantity(_) => return Some(item.clone()),
        Item::Integer(value) => ((*value).into(), "1", false),
        Item::Decimal(value) => (*value, "1", false),
        Item::Boolean(value) => (i64::from(*value).into(), "1", false),
        Item::Text(text) => {
            let (number, unit) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), "'1'"));
            let unit = unit.trim();
            let quoted = unit.strip_prefix('\'').and_then(|unit| unit.strip_suffix('\''));
            match quoted {
                Some(unit) if !unit.is_empty() => (Decimal::parse(number)?, unit, false),
                None if unit::calendar(unit).is_some() => (Decimal::parse(number)?, unit, true),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(Item::Quantity(Box::new(Quantity { value, unit: Cow::Owned(unit.to_owned()), is_calendar })))
}
