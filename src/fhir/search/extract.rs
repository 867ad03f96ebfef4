//! From a resource to its search rows, each once.
//! Follows <https://hl7.org/fhir/R4/searchparameter.html>.

use serde_json::Value as Json;

use crate::fhir::path::{Context, Expression, Item};

use super::amount::Amount;
use super::distinct::Distinct;
use super::leaf::Leaf;
use super::table::{Parameter, ParameterKind, Plan, parameters};
use super::word::NONE;

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

impl Parameter {
    /// What it sees of a resource, each value once.
    #[must_use]
    pub fn values(&self, resource: &Json) -> Vec<Value> {
        let mut found = Distinct::new();
        self.elements(resource, &mut |value, leaf| leaf.rows(value, self.kind, &mut |value| found.add(value)));
        found.into_values()
    }

    /// What its rows hold of a resource: its values, or the mark that one is missing.
    #[must_use]
    pub fn kept(&self, resource: &Json) -> Vec<Value> {
        let values = self.values(resource);
        if values.is_empty() && self.is_required { vec![Value::Word(NONE.to_owned())] } else { values }
    }

    /// Hands over the elements that it looks at, with how each is read.
    pub(super) fn elements(&self, resource: &Json, take: &mut dyn FnMut(&Json, Leaf)) {
        match &self.plan {
            Plan::None => {}
            Plan::Routes(routes) => {
                for (route, leaf) in routes {
                    route.each(resource, &mut |value| take(value, *leaf));
                }
            }
            // What the engine cannot answer of this resource is a row less, never a resource refused.
            Plan::Engine(expression) => read(expression, self.kind, resource, take),
        }
    }
}

/// Hands over what an expression finds in a resource, with how it is read for a kind of parameter.
fn read(expression: &Expression, kind: ParameterKind, resource: &Json, take: &mut dyn FnMut(&Json, Leaf)) {
    let context = Context::new().guessing_targets();
    for item in expression.evaluate(&context, resource).unwrap_or_default() {
        if let Some(leaf) = leaf_of(kind, &item) {
            take(&item.to_value(), leaf);
        }
    }
}

/// How an item is read for a kind of parameter.
pub(super) fn leaf_of(kind: ParameterKind, item: &Item<'_>) -> Option<Leaf> {
    let name = match item {
        Item::Boolean(_) => "boolean",
        Item::Text(_) => "string",
        Item::Node(node) if node.definition().is_some_and(|kind| kind.name == "Resource") => "Resource",
        other => other.kind_name(),
    };
    // A resource inside a Bundle is found by its type and id.
    let is_resource =
        || matches!(item, Item::Node(node) if node.value().is_some_and(|value| value.get("resourceType").is_some()));
    Leaf::of(kind, name).or_else(|| is_resource().then(|| Leaf::of(kind, "Resource")).flatten())
}

/// The rows of a resource of this type, each once, by parameter in the order of [`parameters`].
#[must_use]
pub fn extract(kind: &str, resource: &Json) -> Vec<Row> {
    let mut rows = Vec::with_capacity(32);
    for parameter in parameters(kind) {
        // A composite is asked of the resource itself: its components have the rows.
        let has_rows = parameter.alias_of.is_none() && !parameter.is_column && parameter.kind != ParameterKind::Composite;
        if parameter.supported && has_rows {
            rows.extend(parameter.kept(resource).into_iter().map(|value| Row { parameter: parameter.number, value }));
        }
    }
    rows
}
