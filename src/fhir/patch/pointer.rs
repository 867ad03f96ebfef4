//! JSON Pointers, and whether two JSON values are equal as a patch's `test` means it.
//! Follows RFC 6901, and RFC 6902 section 4.6.

use serde_json::{Number, Value};

/// The steps down from the root, unescaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer(pub(super) Vec<String>);

impl Pointer {
    /// Reads a pointer: empty for the root, else `/a/0/b` with `~0` for `~` and `~1` for `/`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        text.strip_prefix('/')?.split('/').map(unescaped).collect::<Option<_>>().map(Self)
    }

    /// What it points to.
    pub(super) fn find<'v>(&self, root: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(root, |value, step| match value {
            Value::Object(map) => map.get(step),
            Value::Array(items) => items.get(index(step)?),
            _ => None,
        })
    }

    /// What it points to, to be changed.
    pub(super) fn find_mut<'v>(&self, root: &'v mut Value) -> Option<&'v mut Value> {
        self.0.iter().try_fold(root, |value, step| match value {
            Value::Object(map) => map.get_mut(step),
            Value::Array(items) => items.get_mut(index(step)?),
            _ => None,
        })
    }

    /// The pointer to what holds it, and the last step; `None` for the root.
    pub(super) fn split(&self) -> Option<(Self, &str)> {
        let (last, before) = self.0.split_last()?;
        Some((Self(before.to_vec()), last))
    }

    /// Whether the other lies inside of what this points to.
    pub(super) fn holds(&self, other: &Self) -> bool {
        other.0.len() > self.0.len() && other.0.starts_with(&self.0)
    }
}

fn unescaped(step: &str) -> Option<String> {
    let mut out = String::with_capacity(step.len());
    let mut letters = step.chars();
    while let Some(letter) = letters.next() {
        out.push(match letter {
            '~' => match letters.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return None,
            },
            letter => letter,
        });
    }
    Some(out)
}

/// A position in an array: digits without a leading zero.
pub(super) fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || (step.starts_with(|first: char| matches!(first, '1'..='9')) && step.len() <= 9);
    if plain && step.bytes().all(|byte| byte.is_ascii_digit()) { step.parse().ok() } else { None }
}

/// Whether two values are equal: numbers by what they are worth, objects whatever the order of their keys.
pub(super) fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => is_same_number(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| is_equal(one, other)))
        }
        _ => one == other,
    }
}

fn is_same_number(one: &Number, other: &Number) -> bool {
    let (one, other) = (one.as_str(), other.as_str());
    one == other || matches!((worth(one), worth(other)), (Some(one), Some(other)) if one == other)
}

/// Sign, digits without zeros around them, and the power of ten of the last digit.
fn worth(text: &str) -> Option<(bool, String, i64)> {
    let (text, negative) = text.strip_prefix('-').map_or((text, false), |text| (text, true));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_end_matches('0');
    let dropped = i64::try_from(digits.len() - trimmed.len()).ok()?;
    let power = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(dropped)?;
    let significant = trimmed.trim_start_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    Some((negative, significant.to_owned(), power))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn number(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn pointers_are_read_and_followed() {
        let root = json!({"a": [{"b~/": 1}], "": 2});
        let find = |text| Pointer::parse(text).and_then(|pointer| pointer.find(&root).cloned());
        assert_eq!(find(""), Some(root.clone()));
        assert_eq!(find("/a/0/b~0~1"), Some(json!(1)));
        assert_eq!(find("/"), Some(json!(2)));
        for nowhere in ["/a/00", "/a/-", "/a/1", "/a/0/b", "/a/+0", "a", "/~2", "/~"] {
            assert_eq!(find(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn numbers_are_equal_by_worth() {
        for (one, other, expected) in [
            ("1", "1.0", true),
            ("100", "1e2", true),
            ("1.50E-1", "0.15", true),
            ("0", "-0.000", true),
            ("10", "1", false),
            ("-1", "1", false),
            ("1e999999999999", "1e999999999999", true),
            ("1e99999999999999999999", "1e99999999999999999998", false),
        ] {
            assert_eq!(is_equal(&number(one), &number(other)), expected, "{one} {other}");
        }
        assert!(is_equal(&json!({"a": 1, "b": [2]}), &number(r#"{"b":[2.0],"a":1}"#)));
        assert!(!is_equal(&json!(1), &json!("1")));
    }
}
