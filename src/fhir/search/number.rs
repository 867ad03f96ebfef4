//! The values of number and quantity parameters.
//! Follows <https://hl7.org/fhir/R4/search.html#number> and `#quantity`.

use super::query::{Much, Word};
use super::value::{Fault, alternatives, cut, invalid, prefix, unescape};
use super::{amount, code_range, system_end, token};

/// `gt5.4|http://unitsofmeasure.org|mg`; a plain number has no unit.
pub(super) fn amounts(text: &str, is_quantity: bool) -> Result<Vec<Much>, Fault> {
    alternatives(text).map(|part| much(part, is_quantity)).collect()
}

fn much(text: &str, is_quantity: bool) -> Result<Much, Fault> {
    let (compare, rest) = prefix(text)?;
    let parts = cut(rest, '|');
    let (number, unit) = match parts.as_slice() {
        [number] => (*number, None),
        [number, system, code] if is_quantity => (*number, unit(&unescape(system)?, &unescape(code)?)),
        _ if is_quantity => {
            return Err(invalid("invalid-quantity", "it must be a number, or number|system|code, or number||code"));
        }
        _ => return Err(invalid("invalid-number", "it must be a number, for example 100, 5.40 or 1e-3")),
    };
    let read = amount::interval(number).zip(amount::exact(number));
    let Some(((low, high), at)) = read else {
        return Err(invalid("invalid-number", "it must be a number, for example 100, 5.40 or 1e-3"));
    };
    Ok(Much { compare, at, low, high, unit })
}

/// The units that are meant: one of a system, that code of any, all of a system, or any.
fn unit(system: &str, code: &str) -> Option<Word> {
    match (system, code) {
        ("", "") => None,
        ("", code) => {
            let (low, high) = code_range(code);
            Some(Word::Between { low, high })
        }
        (system, "") => Some(Word::Ends(system_end(system))),
        (system, code) => Some(Word::Is(token(system, code))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Amount;
    use super::super::query::Compare;
    use super::*;

    fn finds(asked: &str, low: i128, high: i128) -> bool {
        let found = Amount { low, high, unit: token("http://unitsofmeasure.org", "mg") };
        amounts(asked, true).unwrap().iter().any(|much| much.holds(&found))
    }

    /// Each prefix on a stored 100, below and above what is asked.
    #[test]
    fn a_prefix_ignores_the_precision_and_equality_keeps_it() {
        const ONE: i128 = 1_000_000_000_000_000_000;
        for (asked, expected) in [
            ("100", true),
            ("100.4", false),
            ("100.0", true),
            ("99.6", false),
            ("ne100", false),
            ("ne101", true),
            ("gt100", false),
            ("gt99.9", true),
            ("ge100", true),
            ("lt100", false),
            ("lt100.1", true),
            ("le100", true),
            ("sa99", true),
            ("sa100", false),
            ("eb101", true),
            ("eb100", false),
            ("ap95", true),
            ("ap110", true),
            ("ap120", false),
            ("1e2", true),
        ] {
            assert_eq!(finds(asked, 100 * ONE, 100 * ONE), expected, "{asked}");
        }
        assert!(finds("gt5", ONE, i128::MAX) && !finds("sa5", ONE, i128::MAX));
        assert!(finds("lt5", i128::MIN, 9 * ONE) && !finds("eb5", i128::MIN, 9 * ONE));
    }

    #[test]
    fn a_unit_is_asked_by_system_and_code_or_by_code_alone() {
        const FIVE: i128 = 5_000_000_000_000_000_000;
        for (asked, expected) in [
            ("5", true),
            ("5|http://unitsofmeasure.org|mg", true),
            ("5||mg", true),
            ("5||", true),
            ("5|http://unitsofmeasure.org|", true),
            ("5|http://unitsofmeasure.org|g", false),
            ("5|urn:other|mg", false),
            ("5||g", false),
        ] {
            assert_eq!(finds(asked, FIVE, FIVE), expected, "{asked}");
        }
        assert_eq!(amounts("gt5.4", false).unwrap()[0].compare, Compare::Greater);
        for asked in ["5|mg", "5|a|b|c", "abc", "xx5", "gt", "5,,x", "--5"] {
            assert!(amounts(asked, true).is_err(), "{asked}");
        }
        assert!(amounts("5|a|b", false).is_err());
        assert!(amounts(" , ", true).unwrap().is_empty());
    }
}
