//! What an expression works on: places in a resource and values of FHIRPath's own types.
//! Follows <https://hl7.org/fhirpath/N1/#literals>.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use super::decimal::Decimal;
use super::kinds;
use super::node::Node;
use super::temporal::{Sort, Temporal};
use super::unit;

/// What an expression gives: any number of items, in order.
pub type Collection<'a> = Vec<Item<'a>>;

/// A place in a resource, or a value.
#[derive(Debug, Clone)]
pub enum Item<'a> {
    /// A place in a resource.
    Node(Node<'a>),
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A decimal number.
    Decimal(Decimal),
    /// A text.
    Text(Cow<'a, str>),
    /// A date, date-time or time.
    Temporal(Temporal),
    /// A number with a unit.
    Quantity(Box<Quantity<'a>>),
    /// What `type()` answers.
    Kind(&'static str, Cow<'a, str>),
}

/// A number with a unit.
#[derive(Debug, Clone)]
pub struct Quantity<'a> {
    /// How much.
    pub value: Decimal,
    /// A UCUM code, a word of the calendar, or whatever the resource says.
    pub unit: Cow<'a, str>,
    /// Whether the unit is a word of the calendar such as `year`.
    pub is_calendar: bool,
}

impl<'a> Item<'a> {
    /// The same as a value of FHIRPath's own types where it is a primitive or a quantity; else itself.
    #[must_use]
    pub fn plain(&self) -> Item<'a> {
        let Item::Node(node) = self else { return self.clone() };
        let Some(value) = node.value() else { return self.clone() };
        let kind = node.kind_name();
        let plain = match value {
            Value::Bool(value) => Some(Item::Boolean(*value)),
            Value::Number(number) if kind == "decimal" => Decimal::parse(number.as_str()).map(Item::Decimal),
            Value::Number(number) => {
                let whole = number.as_i64().map(Item::Integer);
                whole.or_else(|| Decimal::parse(number.as_str()).map(Item::Decimal))
            }
            Value::String(text) => Some(match kind {
                "date" | "dateTime" | "instant" => {
                    let read = Temporal::parse(text);
                    let read = read.map(|read| if kind == "date" { read } else { read.date_time() });
                    read.map_or_else(|| Item::Text(Cow::Borrowed(text)), Item::Temporal)
                }
                "time" => Temporal::parse_time(text).map_or_else(|| Item::Text(Cow::Borrowed(text)), Item::Temporal),
                _ => Item::Text(Cow::Borrowed(text)),
            }),
            Value::Object(_) if kinds::is_a(kind, "Quantity") => quantity(value),
            _ => None,
        };
        plain.unwrap_or_else(|| self.clone())
    }

    /// The text, where it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Item::Text(text) => Some(text),
            Item::Node(node) => node.value().and_then(Value::as_str),
            _ => None,
        }
    }

    /// The truth, where it is one.
    #[must_use]
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Item::Boolean(value) => Some(*value),
            Item::Node(node) => node.value().and_then(Value::as_bool),
            _ => None,
        }
    }

    /// The name of its type: `String`, `HumanName`.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match self {
            Item::Node(node) => node.kind_name(),
            Item::Boolean(_) => "Boolean",
            Item::Integer(_) => "Integer",
            Item::Decimal(_) => "Decimal",
            Item::Text(_) => "String",
            Item::Temporal(value) => match value.sort {
                Sort::Date => "Date",
                Sort::DateTime => "DateTime",
                Sort::Time => "Time",
            },
            Item::Quantity(_) => "Quantity",
            Item::Kind(..) => "TypeInfo",
        }
    }

    /// A text item.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Item::Text(Cow::Owned(text.into()))
    }

    /// As JSON, for who hands results on.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Item::Node(node) => node.value().cloned().unwrap_or(Value::Null),
            Item::Boolean(value) => Value::Bool(*value),
            Item::Integer(value) => Value::from(*value),
            Item::Decimal(value) => serde_json::from_str(&value.to_string()).unwrap_or(Value::Null),
            Item::Text(text) => Value::String(text.to_string()),
            Item::Temporal(value) => Value::String(value.to_string()),
            Item::Quantity(_) | Item::Kind(..) => Value::String(self.to_string()),
        }
    }
}

/// The quantity of a FHIR element; its unit is the code where UCUM is its system, else what is written beside it.
fn quantity(value: &Value) -> Option<Item<'_>> {
    let number = value.get("value")?;
    let number = Decimal::parse(number.as_number()?.as_str())?;
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let unit = match text("system") {
        Some("http://unitsofmeasure.org") => text("code").or_else(|| text("unit")),
        _ => text("unit").or_else(|| text("code")),
    };
    Some(Item::Quantity(Box::new(Quantity { value: number, unit: Cow::Borrowed(unit.unwrap_or("1")), is_calendar: false })))
}

impl Quantity<'_> {
    /// The UCUM code of the unit, or the one nearest to the calendar's word.
    #[must_use]
    pub fn code(&self) -> &str {
        if self.is_calendar { unit::calendar(&self.unit).unwrap_or(&self.unit) } else { &self.unit }
    }
}

impl fmt::Display for Item<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Node(node) => match node.value() {
                Some(Value::String(text)) => write!(out, "{text}"),
                Some(value) => write!(out, "{value}"),
                None => Ok(()),
            },
            Item::Boolean(value) => write!(out, "{value}"),
            Item::Integer(value) => write!(out, "{value}"),
            Item::Decimal(value) => write!(out, "{value}"),
            Item::Text(text) => write!(out, "{text}"),
            Item::Temporal(value) => write!(out, "{value}"),
            Item::Quantity(value) if value.is_calendar => write!(out, "{} {}", value.value, value.unit),
            Item::Quantity(value) => write!(out, "{} '{}'", value.value, value.unit),
            Item::Kind(space, name) => write!(out, "{space}.{name}"),
        }
    }
}
