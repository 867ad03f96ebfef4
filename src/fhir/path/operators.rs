//! Equality, order and arithmetic between items, with answers that may be undecided.
//! Follows <https://hl7.org/fhirpath/N1/#operations>.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::Error;
use super::budget::Budget;
use super::decimal::Decimal;
use super::item::{Item, Quantity};
use super::temporal::Sort;
use super::tree::Operator;
use super::unit::{self, Reduced};

/// Whether two collections are equal; `None` where it is undecided.
pub(super) fn all_equal(budget: &Budget, left: &[Item<'_>], right: &[Item<'_>]) -> Option<bool> {
    if left.is_empty() || right.is_empty() {
        return None;
    }
    if left.len() != right.len() {
        return Some(false);
    }
    let mut undecided = false;
    for (left, right) in left.iter().zip(right) {
        match equal(budget, left, right) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => undecided = true,
        }
    }
    (!undecided).then_some(true)
}

/// Whether two items are equal; `None` where it is undecided.
pub(super) fn equal(budget: &Budget, left: &Item<'_>, right: &Item<'_>) -> Option<bool> {
    if let (Item::Node(left), Item::Node(right)) = (left, right)
        && left.is_same(right)
    {
        return Some(true);
    }
    Some(match (&left.plain(), &right.plain()) {
        (Item::Boolean(left), Item::Boolean(right)) => left == right,
        (Item::Integer(left), Item::Integer(right)) => left == right,
        (left @ Item::Text(one), right @ Item::Text(other)) => {
            budget.compare(left, right);
            one == other
        }
        (Item::Kind(left, inner), Item::Kind(right, other)) => left == right && inner == other,
        (Item::Temporal(left), Item::Temporal(right)) => {
            if (left.sort == Sort::Time) != (right.sort == Sort::Time) {
                return Some(false);
            }
            return left.order(*right).map(|order| order == Ordering::Equal);
        }
        (Item::Quantity(left), right) => return quantity_order(left, &as_quantity(right)?).map(|order| order == Ordering::Equal),
        (left, Item::Quantity(right)) => return quantity_order(&as_quantity(left)?, right).map(|order| order == Ordering::Equal),
        (Item::Node(left), Item::Node(right)) => match (left.value(), right.value()) {
            (Some(left), Some(right)) => same_json(budget, left, right),
            _ => false,
        },
        (left, right) => match (number(left), number(right)) {
            (Some(left), Some(right)) => left == right,
            _ => false,
        },
    })
}

/// Whether two collections mean the same, in any order.
pub(super) fn all_equivalent(budget: &Budget, left: &[Item<'_>], right: &[Item<'_>]) -> Result<bool, Error> {
    if left.len() != right.len() {
        return Ok(false);
    }
    let mut free: Vec<&Item<'_>> = right.iter().collect();
    for left in left {
        let mut found = None;
        for (at, right) in free.iter().enumerate() {
            budget.charge(0)?;
            if equivalent(budget, left, right) {
                found = Some(at);
                break;
            }
        }
        let Some(at) = found else { return Ok(false) };
        free.swap_remove(at);
    }
    Ok(true)
}

/// Whether two items mean the same: texts without case and blanks, numbers to the lesser precision.
fn equivalent(budget: &Budget, left: &Item<'_>, right: &Item<'_>) -> bool {
    match (&left.plain(), &right.plain()) {
        (Item::Text(left), Item::Text(right)) => {
            budget.read(4 * (left.len() + right.len()));
            folded(left) == folded(right)
        }
        (Item::Quantity(left), right) => as_quantity(right).is_some_and(|right| quantities_alike(left, &right)),
        (left, Item::Quantity(right)) => as_quantity(left).is_some_and(|left| quantities_alike(&left, right)),
        (Item::Node(left), Item::Node(right)) => match (left.value(), right.value()) {
            (Some(left), Some(right)) => same_json(budget, left, right),
            _ => false,
        },
        (left, right) => match (number(left), number(right)) {
            (Some(left), Some(right)) => alike(left, right),
            _ => equal(budget, left, right).unwrap_or(false),
        },
    }
}

fn alike(left: Decimal, right: Decimal) -> bool {
    let scale = left.scale().min(right.scale());
    left.rounded(scale) == right.rounded(scale)
}

fn folded(text: &str) -> String {
    text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// Whether two JSON values are equal: members in any order, numbers by value.
fn same_json(budget: &Budget, left: &Value, right: &Value) -> bool {
    budget.spend(1);
    match (left, right) {
        (Value::String(left), Value::String(right)) => {
            budget.read(left.len().min(right.len()));
            left == right
        }
        (Value::Number(left), Value::Number(right)) => {
            left == right || Decimal::parse(left.as_str()).is_some_and(|left| Some(left) == Decimal::parse(right.as_str()))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same_json(budget, left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| same_json(budget, left, right)))
        }
        _ => left == right,
    }
}

/// Which comes first; `None` where it is undecided, an error where the types cannot be compared.
pub(super) fn order(budget: &Budget, left: &Item<'_>, right: &Item<'_>) -> Result<Option<Ordering>, Error> {
    Ok(match (&left.plain(), &right.plain()) {
        (Item::Integer(left), Item::Integer(right)) => Some(left.cmp(right)),
        (left @ Item::Text(one), right @ Item::Text(other)) => {
            budget.compare(left, right);
            Some(one.cmp(other))
        }
        (Item::Temporal(left), Item::Temporal(right)) if (left.sort == Sort::Time) == (right.sort == Sort::Time) => {
            left.order(*right)
        }
        (Item::Quantity(left), right) => {
            as_quantity(right).map(|right| quantity_order(left, &right)).ok_or_else(|| unlike(right))?
        }
        (left, Item::Quantity(right)) => {
            as_quantity(left).map(|left| quantity_order(&left, right)).ok_or_else(|| unlike(left))?
        }
        (left, right) => match (number(left), number(right)) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => return Err(Error::Meaning(format!("{} and {} cannot be compared", left.kind_name(), right.kind_name()))),
        },
    })
}

fn unlike(other: &Item<'_>) -> Error {
    Error::Meaning(format!("Quantity and {} cannot be compared", other.kind_name()))
}

/// The number, where it is one.
pub(super) fn number(item: &Item<'_>) -> Option<Decimal> {
    match item.plain() {
        Item::Integer(value) => Some(value.into()),
        Item::Decimal(value) => Some(value),
        _ => None,
    }
}

fn as_quantity<'a>(item: &Item<'a>) -> Option<Quantity<'a>> {
    match item {
        Item::Quantity(quantity) => Some((**quantity).clone()),
        other => number(other).map(|value| Quantity { value, unit: Cow::Borrowed("1"), is_calendar: false }),
    }
}

/// Both amounts in one unit; `None` where the units do not measure the same.
fn common(left: &Quantity<'_>, right: &Quantity<'_>) -> Option<(Decimal, Decimal)> {
    if left.unit == right.unit || (left.code() == right.code() && left.is_calendar == right.is_calendar) {
        return Some((left.value, right.value));
    }
    // A year or month of the calendar has no fixed length, so it is only about as long as UCUM's.
    let long = |side: &Quantity<'_>| side.is_calendar && matches!(side.code(), "a" | "mo");
    if long(left) != long(right) {
        return None;
    }
    if long(left) && long(right) {
        let months = |side: &Quantity<'_>| side.value.times(Decimal::from(if side.code() == "a" { 12 } else { 1 }));
        return Some((months(left)?, months(right)?));
    }
    let (here, there) = (unit::reduce(left.code())?, unit::reduce(right.code())?);
    if here.dimension != there.dimension {
        return None;
    }
    Some((in_base(left.value, here, there)?, in_base(right.value, there, here)?))
}

/// The value in base units, times what makes it whole on both sides.
fn in_base(value: Decimal, unit: Reduced, other: Reduced) -> Option<Decimal> {
    value.times(unit.factor)?.times(other.per)
}

/// The value in another unit of the same dimension.
fn converted(value: Decimal, from: Reduced, to: Reduced) -> Option<Decimal> {
    in_base(value, from, to)?.over(to.factor.times(from.per)?)
}

fn quantity_order(left: &Quantity<'_>, right: &Quantity<'_>) -> Option<Ordering> {
    common(left, right).map(|(left, right)| left.cmp(&right))
}

/// Whether both quantities have units that measure the same.
pub(super) fn comparable(left: &Item<'_>, right: &Item<'_>) -> Option<bool> {
    let (left, right) = (as_quantity(&left.plain())?, as_quantity(&right.plain())?);
    Some(common(&left, &right).is_some())
}

fn quantities_alike(left: &Quantity<'_>, right: &Quantity<'_>) -> bool {
    if left.code() == right.code() {
        return alike(left.value, right.value);
    }
    let (Some(here), Some(there)) = (unit::reduce(left.code()), unit::reduce(right.code())) else { return false };
    if here.dimension != there.dimension {
        return false;
    }
    // Compared in the coarser of the two units, so that 4 g is about 4040 mg.
    let is_coarse = in_base(Decimal::ONE, here, there) >= in_base(Decimal::ONE, there, here);
    let (coarse, fine) = if is_coarse { ((left, here), (right, there)) } else { ((right, there), (left, here)) };
    converted(fine.0.value, fine.1, coarse.1).is_some_and(|value| alike(coarse.0.value, value))
}

/// The result of an arithmetic operator on two single items; `None` is empty.
pub(super) fn arithmetic<'a>(operator: Operator, left: &Item<'a>, right: &Item<'a>) -> Result<Option<Item<'a>>, Error> {
    let fault = || Error::Meaning(format!("{} and {} cannot be reckoned with", left.kind_name(), right.kind_name()));
    match (&left.plain(), &right.plain()) {
        (Item::Integer(left), Item::Integer(right)) if operator != Operator::Divide => Ok(whole(operator, *left, *right)),
        (Item::Temporal(at), Item::Quantity(span)) => {
            let sign = match operator {
                Operator::Plus => 1,
                Operator::Minus => -1,
                _ => return Err(fault()),
            };
            let is_vague = !span.is_calendar && matches!(span.code(), "a" | "mo");
            let known = ["a", "mo", "wk", "d", "h", "min", "s", "ms"].contains(&span.code());
            let whole = span.value.truncated(0).to_integer();
            match whole {
                Some(count) if known && !is_vague => Ok(at.plus(sign * count, span.code()).map(Item::Temporal)),
                _ => Err(Error::Meaning(format!("'{}' is no stretch of time of the calendar", span.unit))),
            }
        }
        (left @ Item::Quantity(_), right) | (left, right @ Item::Quantity(_)) => {
            let (Some(left), Some(right)) = (as_quantity(left), as_quantity(right)) else { return Err(fault()) };
            Ok(quantities(operator, &left, &right))
        }
        (left, right) => match (number(left), number(right)) {
            (Some(left), Some(right)) => Ok(decimals(operator, left, right).map(Item::Decimal)),
            _ => Err(fault()),
        },
    }
}

fn whole<'a>(operator: Operator, left: i64, right: i64) -> Option<Item<'a>> {
    match operator {
        Operator::Plus => left.checked_add(right),
        Operator::Minus => left.checked_sub(right),
        Operator::Times => left.checked_mul(right),
        Operator::Div => left.checked_div(right),
        Operator::Mod => left.checked_rem(right),
        _ => None,
    }
    .map(Item::Integer)
}

fn decimals(operator: Operator, left: Decimal, right: Decimal) -> Option<Decimal> {
    match operator {
        Operator::Plus => left.plus(right),
        Operator::Minus => left.minus(right),
        Operator::Times => left.times(right),
        Operator::Divide => left.over(right),
        Operator::Div => left.divide_whole(right),
        Operator::Mod => left.remainder(right),
        _ => None,
    }
}

fn quantities<'a>(operator: Operator, left: &Quantity<'a>, right: &Quantity<'a>) -> Option<Item<'a>> {
    let same_unit = left.code() == right.code();
    let quantity =
        |value: Decimal, unit: Cow<'a, str>, is_calendar: bool| Item::Quantity(Box::new(Quantity { value, unit, is_calendar }));
    match operator {
        Operator::Plus | Operator::Minus if same_unit => {
            decimals(operator, left.value, right.value).map(|value| quantity(value, left.unit.clone(), left.is_calendar))
        }
        Operator::Plus | Operator::Minus => {
            common(left, right)?;
            let (here, there) = (unit::reduce(left.code())?, unit::reduce(right.code())?);
            let value = decimals(operator, left.value, converted(right.value, there, here)?)?;
            Some(quantity(value, left.unit.clone(), left.is_calendar))
        }
        Operator::Times | Operator::Divide if right.code() == "1" => {
            decimals(operator, left.value, right.value).map(|value| quantity(value, left.unit.clone(), left.is_calendar))
        }
        Operator::Times if left.code() == "1" => {
            left.value.times(right.value).map(|value| quantity(value, right.unit.clone(), right.is_calendar))
        }
        Operator::Times | Operator::Divide => {
            let (here, there) = (unit::reduce(left.code())?, unit::reduce(right.code())?);
            let base = |value: Decimal, unit: Reduced| value.times(unit.factor)?.over(unit.per);
            let value = decimals(operator, base(left.value, here)?, base(right.value, there)?)?;
            let dimension = product(here, there, operator == Operator::Divide)?;
            Some(quantity(value, Cow::Owned(unit::written(dimension)), false))
        }
        _ => None,
    }
}

fn product(left: Reduced, right: Reduced, inverse: bool) -> Option<[i8; 8]> {
    let mut all = left.dimension;
    for (here, there) in all.iter_mut().zip(right.dimension) {
        *here = if inverse { here.checked_sub(there)? } else { here.checked_add(there)? };
    }
    Some(all)
}
