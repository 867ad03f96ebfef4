//! Tries a criterion on one resource in memory: the same question that the ledger's rows answer, asked of the text itself.
//! Follows <https://hl7.org/fhir/R4/search.html>.

use std::cell::OnceCell;

use serde_json::Value as Json;

use crate::fhir::path::{Context, Expression, Item};
use crate::fhir::time::Span;

use super::extract::{Value, leaf_of};
use super::leaf::Leaf;
use super::query::{Criterion, Sight, When};
use super::table::{Component, Parameter, ParameterKind, numbered, parameter};

/// A resource that is tried.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its type.
    pub kind: &'a str,
    /// Its id; empty while it has none.
    pub id: &'a str,
    /// Its stamp, UTC milliseconds; `None` while it has none.
    pub updated: Option<i64>,
    /// The resource.
    pub value: &'a Json,
    /// What time it is, for `ap`.
    pub now: i64,
}

impl Subject<'_> {
    /// Whether the criterion holds. A chain leads out of the resource and holds for none.
    #[must_use]
    pub fn meets(&self, criterion: &Criterion) -> bool {
        match criterion {
            Criterion::Id(ids) => ids.iter().any(|id| id == self.id),
            Criterion::Updated(any) => {
                self.updated.is_some_and(|at| self.falls(any, Span { low: at, high: at.saturating_add(1) }))
            }
            Criterion::Word { parameter, .. } | Criterion::Date { parameter, .. } | Criterion::Amount { parameter, .. } => {
                self.values(*parameter).iter().any(|value| self.answers(value, criterion))
            }
            Criterion::Seen { parameter, any } => self.shows(*parameter, any),
            Criterion::Composite { parameter, any } => self.joins(*parameter, any),
            Criterion::Missing { parameter, missing } => self.values(*parameter).is_empty() == *missing,
            Criterion::Not(inner) => !self.meets(inner),
            Criterion::Either(any) => any.iter().any(|one| self.meets(one)),
            Criterion::Chain(_) => false,
        }
    }

    /// What one of its parameters sees, by the parameter's number.
    #[must_use]
    pub fn values(&self, number: u32) -> Vec<Value> {
        numbered(self.kind, number).map(|parameter| parameter.values(self.value)).unwrap_or_default()
    }

    /// What the rows of one of its parameters hold.
    #[must_use]
    pub fn kept(&self, number: u32) -> Vec<Value> {
        numbered(self.kind, number).map(|parameter| parameter.kept(self.value)).unwrap_or_default()
    }

    fn falls(&self, any: &[When], found: Span) -> bool {
        any.iter().any(|when| when.holds(found, self.now))
    }

    /// Whether one value is what a plain criterion asks for.
    fn answers(&self, value: &Value, criterion: &Criterion) -> bool {
        match (value, criterion) {
            (Value::Word(found), Criterion::Word { any, .. }) => any.iter().any(|word| word.is(found)),
            (Value::Span { low, high }, Criterion::Date { any, .. }) => self.falls(any, Span { low: *low, high: *high }),
            (Value::Amount(found), Criterion::Amount { any, .. }) => any.iter().any(|much| much.holds(found)),
            _ => false,
        }
    }

    fn shows(&self, number: u32, any: &[Sight]) -> bool {
        let mut is_found = false;
        if let Some(parameter) = numbered(self.kind, number) {
            parameter.elements(self.value, &mut |value, leaf| {
                is_found = is_found || any.iter().any(|sight| is_seen(value, leaf, sight));
            });
        }
        is_found
    }

    /// Whether all components of one alternative are met by the same element.
    fn joins(&self, number: u32, any: &[Vec<Criterion>]) -> bool {
        let Some(composite) = numbered(self.kind, number) else { return false };
        let Some(expression) = composite.joint() else { return false };
        let context = Context::new().guessing_targets().with_resource("resource", self.value);
        let elements = expression.evaluate(&context, self.value).unwrap_or_default();
        elements.iter().any(|element| {
            // What a component sees of an element is looked for once, however many alternatives there are.
            let parts: Vec<(&Component, OnceCell<Vec<Value>>)> =
                composite.components.iter().map(|component| (component, OnceCell::new())).collect();
            any.iter().any(|criteria| {
                parts.iter().zip(criteria).all(|((component, seen), criterion)| {
                    let seen = seen.get_or_init(|| self.part(&context, element, component));
                    seen.iter().any(|value| self.answers(value, criterion))
                })
            })
        })
    }

    /// What a component of a composite sees of an element.
    fn part<'a>(&self, context: &Context<'a>, element: &Item<'a>, component: &'a Component) -> Vec<Value> {
        let Item::Node(node) = element else { return Vec::new() };
        let (Some(of), Some(expression)) = (parameter(self.kind, component.code), &component.expression) else {
            return Vec::new();
        };
        let mut seen = Vec::new();
        for item in expression.evaluate(context, *node).unwrap_or_default() {
            if let Some(leaf) = leaf_of(of.kind, &item) {
                leaf.rows(&item.to_value(), of.kind, &mut |value| seen.push(value));
            }
        }
        seen
    }
}

impl Parameter {
    /// Where the components of a composite meet.
    fn joint(&self) -> Option<&Expression> {
        match &self.plan {
            super::table::Plan::Engine(expression) if self.kind == ParameterKind::Composite => Some(expression),
            _ => None,
        }
    }
}

/// Whether an element shows what is looked for.
fn is_seen(value: &Json, leaf: Leaf, sight: &Sight) -> bool {
    let mut is_found = false;
    match sight {
        Sight::Exact(text) => leaf.texts(value, &mut |found| is_found = is_found || found == text),
        Sight::Begins(text) => leaf.texts(value, &mut |found| is_found = is_found || normalized_whole(found).starts_with(text)),
        Sight::Contains(text) => leaf.texts(value, &mut |found| is_found = is_found || normalized_whole(found).contains(text)),
        Sight::Text(text) => leaf.labels(value, &mut |found| is_found = is_found || normalized_whole(found).starts_with(text)),
        Sight::Contained => {
            let text = value.as_str().or_else(|| value.get("reference").and_then(Json::as_str));
            is_found = matches!(leaf, Leaf::Reference | Leaf::Canonical) && text.is_some_and(|text| text.starts_with('#'));
        }
        Sight::Typed { system, code, value: wanted } => {
            is_found = leaf == Leaf::Identifier && value.get("value").and_then(Json::as_str) == Some(wanted) && {
                let codings = value.get("type").and_then(|kind| kind.get("coding")).and_then(Json::as_array);
                let is = |coding: &Json, key, text: &str| coding.get(key).and_then(Json::as_str).unwrap_or_default() == text;
                codings.into_iter().flatten().any(|coding| is(coding, "system", system) && is(coding, "code", code))
            };
        }
    }
    is_found
}

/// The whole text as it is compared, however long.
fn normalized_whole(text: &str) -> String {
    super::word::folded(text, usize::MAX)
}
