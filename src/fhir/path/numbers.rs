//! Functions on numbers, and the boundaries of what an imprecise number, date or time may mean.
//! Follows <https://hl7.org/fhirpath/N1/#math>.

use super::Error;
use super::decimal::Decimal;
use super::evaluate::{Frame, Machine, single};
use super::functions::Function as F;
use super::item::{Collection, Item, Quantity};
use super::operators;
use super::temporal::Sort;
use super::tree::Tree;

/// How many digits behind the point a boundary has unless asked otherwise, and at most.
const BOUNDARY_DIGITS: i64 = 8;
const BOUNDARY_DIGITS_MAX: i64 = 28;

pub(super) fn call<'a>(
    machine: &Machine<'_, 'a>,
    function: F,
    input: &[Item<'a>],
    arguments: &'a [Tree],
    frame: &Frame<'_, 'a>,
) -> Result<Collection<'a>, Error> {
    let Some(item) = single(input)?.map(Item::plain) else { return Ok(Vec::new()) };
    let argument = match arguments.first() {
        Some(argument) => single(&machine.eval(argument, frame)?)?.map(Item::plain),
        None => None,
    };
    if argument.is_none() && !arguments.is_empty() {
        return Ok(Vec::new());
    }
    let answer = match function {
        F::LowBoundary | F::HighBoundary => boundary(&item, argument.as_ref(), function == F::HighBoundary)?,
        F::Precision => precision(&item),
        F::Comparable => argument.and_then(|other| operators::comparable(&item, &other)).map(Item::Boolean),
        _ => reckon(function, &item, argument.as_ref())?,
    };
    Ok(answer.into_iter().collect())
}

fn reckon<'a>(function: F, item: &Item<'a>, argument: Option<&Item<'a>>) -> Result<Option<Item<'a>>, Error> {
    if let Item::Quantity(quantity) = item {
        let value = match function {
            F::Abs => quantity.value.absolute(),
            _ => return Err(Error::Meaning(format!("{}() is for numbers", function.name()))),
        };
        return Ok(Some(Item::Quantity(Box::new(Quantity { value, ..(**quantity).clone() }))));
    }
    let Some(value) = operators::number(item) else {
        return Err(Error::Meaning(format!("{}() is for numbers, not {}", function.name(), item.kind_name())));
    };
    let is_whole = matches!(item, Item::Integer(_));
    let whole = |value: Decimal| value.to_integer().map_or(Item::Decimal(value), Item::Integer);
    let float = |value: f64| Decimal::from_f64(value).map(Item::Decimal);
    let argument = argument.and_then(operators::number);
    Ok(match function {
        F::Abs if is_whole => Some(whole(value.absolute())),
        F::Abs => Some(Item::Decimal(value.absolute())),
        F::Ceiling => Some(whole(value.ceiling(0))),
        F::Floor => Some(whole(value.floor(0))),
        F::Truncate => Some(whole(value.truncated(0))),
        F::Round => match argument.map_or(Some(0), Decimal::to_integer).and_then(|digits| u32::try_from(digits).ok()) {
            Some(digits) => Some(Item::Decimal(value.rounded(digits))),
            None => return Err(Error::Meaning(String::from("round() takes a number of digits that is not negative"))),
        },
        F::Exp => float(value.to_f64().exp()),
        F::Ln => float(value.to_f64().ln()),
        F::Sqrt => float(value.to_f64().sqrt()),
        F::Log => argument.and_then(|base| float(value.to_f64().log(base.to_f64()))),
        F::Power => argument.and_then(|exponent| power(value, exponent, is_whole)),
        _ => None,
    })
}

/// Whole small exponents are reckoned exactly, others by binary fractions.
fn power<'a>(value: Decimal, exponent: Decimal, is_whole: bool) -> Option<Item<'a>> {
    let steps = exponent.to_integer().and_then(|steps| u32::try_from(steps).ok()).filter(|steps| *steps <= 128);
    let exact = steps.and_then(|steps| (0..steps).try_fold(Decimal::from(1), |product, _| product.times(value)));
    match exact {
        Some(exact) if is_whole => exact.to_integer().map(Item::Integer),
        Some(exact) => Some(Item::Decimal(exact)),
        None => Decimal::from_f64(value.to_f64().powf(exponent.to_f64())).map(Item::Decimal),
    }
}

fn precision<'a>(item: &Item<'a>) -> Option<Item<'a>> {
    match item {
        Item::Integer(value) => Some(Item::Integer(Decimal::from(*value).digits().into())),
        Item::Decimal(value) => Some(Item::Integer(value.scale().into())),
        Item::Temporal(value) => Some(Item::Integer(value.digits())),
        _ => None,
    }
}

fn boundary<'a>(item: &Item<'a>, digits: Option<&Item<'a>>, upper: bool) -> Result<Option<Item<'a>>, Error> {
    let asked = match digits {
        None => None,
        Some(Item::Integer(digits)) => Some(*digits),
        Some(_) => return Err(Error::Meaning(String::from("a boundary takes a whole number of digits"))),
    };
    Ok(match item {
        Item::Temporal(value) => {
            let full = match value.sort {
                Sort::Date => 8,
                Sort::DateTime => 17,
                Sort::Time => 9,
            };
            value.boundary(asked.unwrap_or(full), upper).map(Item::Temporal)
        }
        Item::Quantity(quantity) => {
            edge(quantity.value, asked, upper).map(|value| Item::Quantity(Box::new(Quantity { value, ..(**quantity).clone() })))
        }
        other => operators::number(other).and_then(|value| edge(value, asked, upper)).map(Item::Decimal),
    })
}

/// Half a unit of the last digit down or up, written with so many digits.
fn edge(value: Decimal, digits: Option<i64>, upper: bool) -> Option<Decimal> {
    let digits = digits.unwrap_or(BOUNDARY_DIGITS);
    if !(0..=BOUNDARY_DIGITS_MAX).contains(&digits) {
        return None;
    }
    let digits = u32::try_from(digits).ok()?;
    let half = Decimal::new(5, value.scale() + 1);
    let edge = if upper { value.plus(half)?.ceiling(digits) } else { value.minus(half)?.floor(digits) };
    Some(edge.widened(digits))
}
