//! Compares values with what a profile fixes, sketches or bounds.
//! Follows <https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_>.

use serde_json::Value;

use crate::fhir::path::{Decimal, Temporal};

/// Whether both are the same, in every part.
pub(super) fn is_same(fixed: &Value, value: &Value) -> bool {
    match (fixed, value) {
        (Value::Number(fixed), Value::Number(value)) => {
            fixed.to_string() == value.to_string()
                || decimal(&fixed.to_string()).is_some_and(|fixed| Some(fixed) == decimal(&value.to_string()))
        }
        (Value::Array(fixed), Value::Array(value)) => {
            fixed.len() == value.len() && fixed.iter().zip(value).all(|(fixed, value)| is_same(fixed, value))
        }
        (Value::Object(fixed), Value::Object(value)) => {
            fixed.len() == value.len()
                && fixed.iter().all(|(key, fixed)| value.get(key).is_some_and(|value| is_same(fixed, value)))
        }
        _ => fixed == value,
    }
}

/// Whether the value has all that the pattern has; it may have more.
pub(super) fn is_pattern_of(pattern: &Value, value: &Value) -> bool {
    match (pattern, value) {
        (Value::Array(pattern), Value::Array(value)) => {
            pattern.iter().all(|pattern| value.iter().any(|value| is_pattern_of(pattern, value)))
        }
        (Value::Object(pattern), Value::Object(value)) => {
            pattern.iter().all(|(key, pattern)| value.get(key).is_some_and(|value| is_pattern_of(pattern, value)))
        }
        _ => is_same(pattern, value),
    }
}

/// Whether the value is not below the bound; what cannot be compared is not.
pub(super) fn at_least(value: &Value, lowest: &Value) -> bool {
    order(value, lowest).is_none_or(std::cmp::Ordering::is_ge)
}

/// Whether the value is not above the bound; what cannot be compared is not.
pub(super) fn at_most(value: &Value, highest: &Value) -> bool {
    order(value, highest).is_none_or(std::cmp::Ordering::is_le)
}

fn order(value: &Value, bound: &Value) -> Option<std::cmp::Ordering> {
    match (value, bound) {
        (Value::Number(value), Value::Number(bound)) => decimal(&value.to_string())?.partial_cmp(&decimal(&bound.to_string())?),
        (Value::String(value), Value::String(bound)) => Temporal::parse(value)?.order(Temporal::parse(bound)?),
        (Value::Object(value), Value::Object(bound)) => {
            let is_alike = value.get("system") == bound.get("system") && value.get("code") == bound.get("code");
            if is_alike { order(value.get("value")?, bound.get("value")?) } else { None }
        }
        _ => None,
    }
}

fn decimal(text: &str) -> Option<Decimal> {
    Decimal::parse(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pattern_is_a_part_and_a_fixed_value_is_the_whole() {
        let coded = json!({"coding": [{"system": "a", "code": "b", "display": "B"}, {"code": "c"}], "text": "x"});
        assert!(is_pattern_of(&json!({"coding": [{"code": "b"}]}), &coded));
        assert!(!is_pattern_of(&json!({"coding": [{"code": "d"}]}), &coded));
        assert!(!is_same(&json!({"coding": [{"code": "b"}]}), &coded));
        assert!(is_same(&coded, &coded.clone()));
        assert!(is_same(&json!(1.0), &json!(1)) && !is_same(&json!(1), &json!(2)));
    }

    #[test]
    fn bounds_hold_for_numbers_dates_and_quantities() {
        assert!(at_least(&json!(2.5), &json!(2)) && !at_least(&json!(1), &json!(2)));
        assert!(at_most(&json!("2020-01-01"), &json!("2020-01-02")) && !at_most(&json!("2021-01-01"), &json!("2020-01-02")));
        let grams = |value: i64| json!({"value": value, "system": "u", "code": "g"});
        assert!(!at_most(&grams(5), &grams(4)) && at_most(&grams(5), &json!({"value": 4, "code": "kg"})));
        assert!(at_most(&json!(true), &json!(false)));
    }
}
