//! What a due remembers of the step it stands for, so that a restart loses nothing.

use serde_json::{Value, json};

use super::cover::Fill;
use super::json::{each, text};

/// The engine's own part of a due.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Detail {
    /// `Type/id` of what set it off.
    pub(crate) trigger: String,
    /// `Type/id` of what that rests on: order and medication.
    pub(crate) needed: Vec<String>,
    /// The product group; empty when it is not about a supply.
    pub(crate) product: String,
    /// First covered day of the fill, days since 1970.
    pub(crate) first: i64,
    /// When the step was to be done, UTC milliseconds.
    pub(crate) planned: i64,
    /// Until when it is worth doing, UTC milliseconds.
    pub(crate) until: i64,
    /// `Type/id/_history/version` of the facts.
    pub(crate) facts: Vec<String>,
    /// Whether gates held it: then it is looked at again as soon as something changes.
    pub(crate) held: bool,
}

impl Detail {
    /// Reads it; what is no detail of ours reads as an empty one.
    pub(crate) fn read(written: &str) -> Self {
        let value: Value = serde_json::from_str(written).unwrap_or_default();
        let words = |name| each(&value, name).iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let number = |name| value.get(name).and_then(Value::as_i64).unwrap_or_default();
        Self {
            trigger: text(&value, "trigger").unwrap_or_default().to_owned(),
            needed: words("needed"),
            product: text(&value, "product").unwrap_or_default().to_owned(),
            first: number("first"),
            planned: number("planned"),
            until: number("until"),
            facts: words("facts"),
            held: value.get("held").and_then(Value::as_bool).unwrap_or_default(),
        }
    }

    /// As it is kept.
    pub(crate) fn write(&self) -> String {
        let value = json!({
            "trigger": self.trigger, "needed": self.needed, "product": self.product, "first": self.first,
            "planned": self.planned, "until": self.until, "facts": self.facts, "held": self.held,
        });
        value.to_string()
    }

    /// Whether it is about this fill.
    pub(crate) fn is_about(&self, fill: &Fill) -> bool {
        self.trigger.strip_prefix("MedicationDispense/").is_some_and(|id| fill.dispenses.iter().any(|known| known == id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let detail = Detail {
            trigger: String::from("MedicationDispense/1"),
            needed: vec![String::from("MedicationRequest/2")],
            product: String::from("ingredient|metformin"),
            first: 20_000,
            planned: 1,
            until: 2,
            facts: vec![String::from("MedicationDispense/1/_history/1")],
            held: true,
        };
        assert_eq!(Detail::read(&detail.write()), detail);
        assert_eq!(Detail::read("no json"), Detail::default());
    }
}
