//! From a resource to its search rows, each once.
//! Follows <https://hl7.org/fhir/R4/searchparameter.html>.

use serde_json::Value as Json;

use crate::fhir::path::{Context, Item};

use super::amount::Amount;
use super::leaf::Leaf;
use super::table::{Parameter, Plan, parameters};

/// What one search parameter sees of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Row {
    /// The number of the parameter, [`Parameter::number`].
    pub parameter: u32,
    /// What it sees.
    pub value: Value,
}

/// The form in which a value is stored and found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// Of token, reference, string and uri parameters.
    Word(String),
    /// Of date parameters: UTC milliseconds, from `low` up to but without `high`; `i64::MIN` and `i64::MAX` are open ends.
    Span {
        /// First millisecond.
        low: i64,
        /// First millisecond after it.
        high: i64,
    },
    /// Of number and quantity parameters.
    Amount(Amount),
}

/// The rows of a resource of this type, each once, by parameter in the order of [`parameters`].
#[must_use]
pub fn extract(kind: &str, resource: &Json) -> Vec<Row> {
    let mut rows = Vec::with_capacity(32);
    for parameter in parameters(kind) {
        if parameter.supported && parameter.alias_of.is_none() && !parameter.is_column {
            of_parameter(parameter, resource, &mut rows);
        }
    }
    rows
}

fn of_parameter(parameter: &Parameter, resource: &Json, rows: &mut Vec<Row>) {
    let start = rows.len();
    let mut take = |value: Value| {
        let row = Row { parameter: parameter.number, value };
        if !rows.get(start..).is_some_and(|known| known.contains(&row)) {
            rows.push(row);
        }
    };
    match &parameter.plan {
        Plan::None => {}
        Plan::Routes(routes) => {
            for (route, leaf) in routes {
                route.each(resource, &mut |value| leaf.rows(value, parameter.kind, &mut take));
            }
        }
        Plan::Engine(expression) => {
            // What the engine cannot answer of this resource is a row less, never a resource refused.
            let context = Context::new().guessing_targets();
            for item in expression.evaluate(&context, resource).unwrap_or_default() {
                let value = item.to_value();
                let kind = match &item {
                    Item::Boolean(_) => "boolean",
                    Item::Text(_) => "string",
                    Item::Node(node) if node.definition().is_some_and(|kind| kind.name == "Resource") => "Resource",
                    other => other.kind_name(),
                };
                let leaf = Leaf::of(parameter.kind, kind).or_else(|| inner(parameter, &item));
                if let Some(leaf) = leaf {
                    leaf.rows(&value, parameter.kind, &mut take);
                }
            }
        }
    }
}

/// A resource inside a Bundle, which is found by its type and id.
fn inner(parameter: &Parameter, item: &Item<'_>) -> Option<Leaf> {
    let is_resource = matches!(item, Item::Node(node) if node.value().is_some_and(|value| value.get("resourceType").is_some()));
    is_resource.then(|| Leaf::of(parameter.kind, "Resource")).flatten()
}
