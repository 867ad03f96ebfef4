//! Numbers and quantities as whole numbers that sort: millionths, held within what 64 bits can say.
//! Follows <https://hl7.org/fhir/R4/search.html#number> and `#quantity`.
//!
//! A row holds the number itself (for a Range its ends); the query's text has the implicit precision:
//! `100` asks for 99.5 up to 100.5, `100.00` for 99.995 up to 100.005, and both find a stored 100.

use serde_json::Value as Json;

use crate::fhir::path::Decimal;

use super::word;

/// How many digits behind the point are kept.
const SCALE: u32 = 6;

/// A number, or the ends of a range, with its unit as a token's word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Amount {
    /// The number or the lower end, in millionths; `i64::MIN` where it is open.
    pub low: i64,
    /// The number or the upper end, in millionths; `i64::MAX` where it is open.
    pub high: i64,
    /// The unit as a token's word (`mg|h`); empty for a plain number.
    pub unit: String,
}

/// The millionths that a number in a query means: from the first up to but without the second.
#[must_use]
pub fn interval(text: &str) -> Option<(i64, i64)> {
    let value = Decimal::parse(text)?;
    // 1e2 has one digit of precision, which stands two places before the point.
    let exponent = match text.find(['e', 'E']) {
        Some(cut) => text.get(cut + 1..)?.parse::<i32>().ok()?,
        None => 0,
    };
    let half = match u32::try_from(exponent) {
        Ok(places) if places > 0 => Decimal::new(5, 0).times(Decimal::new(10_i128.checked_pow(places.checked_sub(1)?)?, 0))?,
        _ => Decimal::new(5, value.scale() + 1),
    };
    let (low, high) = (millionths(value.minus(half)?), millionths(value.plus(half)?));
    Some((low, high.max(low.saturating_add(1))))
}

/// The number that a query names, in millionths.
pub(super) fn exact(text: &str) -> Option<i64> {
    Decimal::parse(text).map(millionths)
}

/// The number in millionths, rounded down, held within 64 bits.
pub(super) fn millionths(value: Decimal) -> i64 {
    let (mantissa, scale) = value.floor(SCALE).widened(SCALE).normal();
    let whole = 10_i128.checked_pow(SCALE - scale.min(SCALE)).and_then(|factor| mantissa.checked_mul(factor));
    let held = |value: i128| i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX });
    whole.map_or(if mantissa < 0 { i64::MIN } else { i64::MAX }, held)
}

fn number(value: &Json) -> Option<i64> {
    Decimal::parse(value.as_number()?.as_str()).map(millionths)
}

/// A plain number.
pub(super) fn plain(value: &Json) -> Option<Amount> {
    number(value).map(|at| Amount { low: at, high: at, unit: String::new() })
}

/// A Quantity: by its code, and by the unit as written where that is another word.
pub(super) fn quantity(value: &Json, take: &mut impl FnMut(Amount)) {
    let text = |name: &str| value.get(name).and_then(Json::as_str).unwrap_or_default();
    let Some(at) = value.get("value").and_then(number) else { return };
    let (low, high) = match text("comparator") {
        "<" | "<=" => (i64::MIN, at),
        ">" | ">=" => (at, i64::MAX),
        _ => (at, at),
    };
    let (code, unit) = (text("code"), text("unit"));
    if !code.is_empty() || unit.is_empty() {
        take(Amount { low, high, unit: word::token(text("system"), code) });
    }
    if !unit.is_empty() && unit != code {
        take(Amount { low, high, unit: word::token("", unit) });
    }
}

/// A Money: its currency is its unit.
pub(super) fn money(value: &Json) -> Option<Amount> {
    let at = number(value.get("value")?)?;
    let currency = value.get("currency").and_then(Json::as_str).unwrap_or_default();
    Some(Amount { low: at, high: at, unit: word::token("urn:iso:std:iso:4217", currency) })
}

/// A Range: both ends, either of which may be open.
pub(super) fn range(value: &Json) -> Option<Amount> {
    let end = |name: &str| value.get(name).and_then(|end| Some((end, number(end.get("value")?)?)));
    let (low, high) = (end("low"), end("high"));
    let unit = low.or(high)?.0;
    let text = |name: &str| unit.get(name).and_then(Json::as_str);
    let code = text("code").or_else(|| text("unit")).unwrap_or_default();
    Some(Amount {
        low: low.map_or(i64::MIN, |(_, at)| at),
        high: high.map_or(i64::MAX, |(_, at)| at),
        unit: word::token(text("system").unwrap_or_default(), code),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_means_its_precision() {
        assert_eq!(interval("100"), Some((99_500_000, 100_500_000)));
        assert_eq!(interval("100.00"), Some((99_995_000, 100_005_000)));
        assert_eq!(interval("-1"), Some((-1_500_000, -500_000)));
        assert_eq!(interval("1e2"), Some((50_000_000, 150_000_000)));
        assert_eq!(interval("5.4e-1"), Some((535_000, 545_000)));
        assert_eq!(interval("1e-9"), Some((0, 1)));
        assert_eq!(interval("x"), None);
        assert_eq!(interval("1e999"), None);
    }

    #[test]
    fn numbers_keep_their_order_and_stay_within_bounds() {
        let at = |text: &str| millionths(Decimal::parse(text).unwrap());
        let sorted = ["-1e30", "-2.5", "-0.000001", "0", "0.0000001", "0.000002", "1", "1.5", "1e12", "1e30"].map(at);
        assert!(sorted.is_sorted(), "{sorted:?}");
        assert_eq!(at("1e30"), i64::MAX);
        assert_eq!(at("-1e30"), i64::MIN);
        assert_eq!(at("12.5"), 12_500_000);
    }
}
