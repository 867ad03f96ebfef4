//! Numbers and quantities as whole numbers that sort: compared in quintillionths (10⁻¹⁸), held within what 128 bits can say; a row holds
//! millionths, rounded down and held within 64 bits, and lets in what only the number itself tells apart.
//! Follows <https://hl7.org/fhir/R4/search.html#number> and `#quantity`.
//!
//! A row holds the number itself (for a Range its ends); the query's text has the implicit precision:
//! `100` asks for 99.5 up to 100.5, `100.00` for 99.995 up to 100.005, and both find a stored 100.

use serde_json::Value as Json;

use crate::fhir::path::Decimal;

use super::word;

/// How many digits behind the point are compared.
const SCALE: u32 = 18;

/// How many of these make one of what rows hold.
const COARSE: i128 = 1_000_000_000_000;

/// A number, or the ends of a range, with its unit as a token's word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Amount {
    /// The number or the lower end, in quintillionths; `i128::MIN` where it is open.
    pub low: i128,
    /// The number or the upper end, in quintillionths; `i128::MAX` where it is open.
    pub high: i128,
    /// The unit as a token's word (see [`word`]); empty for a plain number.
    pub unit: String,
}

/// The quintillionths that a number in a query means: from the first up to but without the second.
pub(super) fn interval(text: &str) -> Option<(i128, i128)> {
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
    let (low, high) = (counted(value.minus(half)?), counted(value.plus(half)?));
    Some((low, high.max(low.saturating_add(1))))
}

/// The number that a query names, in quintillionths.
pub(super) fn exact(text: &str) -> Option<i128> {
    Decimal::parse(text).map(counted)
}

/// The number in quintillionths, rounded down, held within 128 bits.
fn counted(value: Decimal) -> i128 {
    let (mantissa, scale) = value.floor(SCALE).widened(SCALE).normal();
    let whole = 10_i128.checked_pow(SCALE - scale.min(SCALE)).and_then(|factor| mantissa.checked_mul(factor));
    whole.unwrap_or(if mantissa < 0 { i128::MIN } else { i128::MAX })
}

/// The millionths that a row holds of so many quintillionths: rounded down, held within 64 bits.
#[must_use]
pub fn coarse(quintillionths: i128) -> i64 {
    let held = if quintillionths < 0 { i64::MIN } else { i64::MAX };
    i64::try_from(quintillionths.div_euclid(COARSE)).unwrap_or(held)
}

fn number(value: &Json) -> Option<i128> {
    Decimal::parse(value.as_number()?.as_str()).map(counted)
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
        "<" | "<=" => (i128::MIN, at),
        ">" | ">=" => (at, i128::MAX),
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
        low: low.map_or(i128::MIN, |(_, at)| at),
        high: high.map_or(i128::MAX, |(_, at)| at),
        unit: word::token(text("system").unwrap_or_default(), code),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_means_its_precision() {
        let millionths = |low: i128, high: i128| Some((low * COARSE, high * COARSE));
        assert_eq!(interval("100"), millionths(99_500_000, 100_500_000));
        assert_eq!(interval("100.00"), millionths(99_995_000, 100_005_000));
        assert_eq!(interval("-1"), millionths(-1_500_000, -500_000));
        assert_eq!(interval("1e2"), millionths(50_000_000, 150_000_000));
        assert_eq!(interval("5.4e-1"), millionths(535_000, 545_000));
        assert_eq!(interval("1e-9"), Some((500_000_000, 1_500_000_000)));
        assert_eq!(interval("1e-30"), Some((0, 1)));
        assert_eq!(interval("x"), None);
        assert_eq!(interval("1e999"), None);
    }

    #[test]
    fn numbers_keep_their_order_and_stay_within_bounds() {
        let at = |text: &str| coarse(counted(Decimal::parse(text).unwrap()));
        let sorted = ["-1e30", "-2.5", "-0.000001", "0", "0.0000001", "0.000002", "1", "1.5", "1e12", "1e30"].map(at);
        assert!(sorted.is_sorted(), "{sorted:?}");
        assert_eq!(at("1e30"), i64::MAX);
        assert_eq!(at("-1e30"), i64::MIN);
        assert_eq!(at("12.5"), 12_500_000);
    }
}
