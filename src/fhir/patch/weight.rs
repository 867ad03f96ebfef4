//! How much a JSON value weighs: its bytes, about, and how deep it is. So that copies of copies stay within a bound.

use serde_json::Value;

/// What a value weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Weight {
    /// About its bytes as JSON text.
    pub(super) bytes: usize,
    /// Levels of arrays and objects in it.
    pub(super) depth: usize,
}

/// The weight of a value. Nothing deeper than the bound is ever made, so this goes no deeper either.
pub(super) fn of(value: &Value) -> Weight {
    let level = |weights: &mut dyn Iterator<Item = Weight>| {
        let sum = weights.fold(Weight { bytes: 2, depth: 0 }, |sum, inner| Weight {
            bytes: sum.bytes + inner.bytes + 1,
            depth: sum.depth.max(inner.depth),
        });
        Weight { depth: sum.depth + 1, ..sum }
    };
    match value {
        Value::Object(map) => level(&mut map.iter().map(|(key, inner)| {
            let inner = of(inner);
            Weight { bytes: inner.bytes + key.len() + 3, ..inner }
        })),
        Value::Array(items) => level(&mut items.iter().map(of)),
        Value::String(text) => Weight { bytes: text.len() + 2, depth: 0 },
        Value::Number(number) => Weight { bytes: number.as_str().len(), depth: 0 },
        Value::Bool(_) | Value::Null => Weight { bytes: 5, depth: 0 },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_weighs_its_text_and_its_levels() {
        assert_eq!(of(&json!("abc")), Weight { bytes: 5, depth: 0 });
        assert_eq!(of(&json!({"a": [1]})), Weight { bytes: 11, depth: 2 });
        assert_eq!(of(&json!({})).depth, 1);
    }
}
