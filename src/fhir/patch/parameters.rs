//! Reads the operations of a FHIRPath Patch from Parameters.
//! Follows <https://hl7.org/fhir/R4/fhirpatch.html>.

use serde_json::{Map, Value};

use super::bounded;
use crate::fhir::outcome::Issue;
use crate::fhir::path::{Expression, PATTERNS_MAX};

/// One operation.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    /// Where in the patch it stands, for issues.
    pub(super) place: String,
    /// What it is about.
    pub(super) path: Expression,
    /// What is done there.
    pub(super) act: Act,
}

/// What is done.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// A new value under this name in the element.
    Add(String, Content),
    /// A new value in the list at this position.
    Insert(usize, Content),
    /// The element goes.
    Delete,
    /// Another value in the place of the element.
    Replace(Content),
    /// From this position of the list to that.
    Move(usize, usize),
}

/// The value of an operation.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// `valueQuantity`: the type as the key writes it, the value, and what stands under `_valueX` beside it.
    Typed {
        /// `Quantity`, `String`, `Code` …
        kind: String,
        /// The value; `None` for a primitive that has only extensions.
        value: Option<Value>,
        /// Id and extensions of a primitive.
        extra: Option<Value>,
    },
    /// The parts of an element that has no type of its own.
    Parts(Vec<(String, Content)>),
    /// A whole resource, to be contained.
    Resource(Value),
}

/// Reads a patch; all its faults at once.
pub(super) fn read(parameters: &Value) -> Result<Vec<Operation>, Vec<Issue>> {
    if parameters.get("resourceType").and_then(Value::as_str) != Some("Parameters") {
        let words = "A FHIRPath Patch is a Parameters resource.";
        return Err(vec![Issue::error("structure", "invalid-patch", "", words)]);
    }
    let none = Vec::new();
    let all = parameters.get("parameter").and_then(Value::as_array).unwrap_or(&none);
    bounded(all.len(), "Parameters.parameter")?;
    let mut operations = Vec::with_capacity(all.len());
    let mut issues = Vec::new();
    let mut patterns = 0;
    for (position, parameter) in all.iter().enumerate() {
        let place = format!("Parameters.parameter[{position}]");
        match operation(parameter, &place) {
            Ok(operation) => {
                patterns += operation.path.patterns();
                operations.push(operation);
                if patterns > PATTERNS_MAX {
                    let words = format!("The paths hold more than {PATTERNS_MAX} regular expressions; send fewer.");
                    return Err(vec![Issue::error("too-long", "invalid-patch", place, words)]);
                }
            }
            Err((code, words)) => issues.push(Issue::error(code, "invalid-patch", place, words)),
        }
    }
    if issues.is_empty() { Ok(operations) } else { Err(issues) }
}

type Fault = (&'static str, String);

fn operation(parameter: &Value, place: &str) -> Result<Operation, Fault> {
    if parameter.get("name").and_then(Value::as_str) != Some("operation") {
        return Err(("structure", String::from("Every parameter of a patch is called operation.")));
    }
    let parts = Parts::of(parameter)?;
    let path = parts.text("path")?;
    let path = Expression::parse(path).map_err(|error| ("invalid", format!("The path is no FHIRPath expression: {error}.")))?;
    let act = match parts.text("type")? {
        "add" => Act::Add(parts.text("name")?.to_owned(), parts.value()?),
        "insert" => Act::Insert(parts.position("index")?, parts.value()?),
        "delete" => Act::Delete,
        "replace" => Act::Replace(parts.value()?),
        "move" => Act::Move(parts.position("source")?, parts.position("destination")?),
        _ => return Err(("invalid", String::from("type is one of add, insert, delete, replace, move."))),
    };
    Ok(Operation { place: place.to_owned(), path, act })
}

/// The parts of one operation.
struct Parts<'a>(Vec<(&'a str, &'a Value)>);

impl<'a> Parts<'a> {
    fn of(parameter: &'a Value) -> Result<Self, Fault> {
        let parts = parameter.get("part").and_then(Value::as_array).into_iter().flatten();
        let mut known: Vec<(&str, &Value)> = Vec::new();
        for part in parts {
            let name = part.get("name").and_then(Value::as_str).unwrap_or_default();
            if !["type", "path", "name", "value", "index", "source", "destination"].contains(&name) {
                return Err(("structure", String::from("A part is one of type, path, name, value, index, source, destination.")));
            }
            if known.iter().any(|(other, _)| *other == name) {
                return Err(("structure", format!("The part {name} is given twice.")));
            }
            known.push((name, part));
        }
        Ok(Self(known))
    }

    fn part(&self, name: &str) -> Result<&'a Value, Fault> {
        let part = self.0.iter().find(|(other, _)| *other == name).map(|(_, part)| *part);
        part.ok_or_else(|| ("required", format!("The operation needs the part {name}.")))
    }

    /// `valueString`, or `valueCode` and their like: senders differ in which of them they choose.
    fn text(&self, name: &str) -> Result<&'a str, Fault> {
        let text = plain(self.part(name)?).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.ok_or_else(|| ("value", format!("The part {name} holds a text.")))
    }

    fn position(&self, name: &str) -> Result<usize, Fault> {
        let number = plain(self.part(name)?).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| ("value", format!("The part {name} holds a whole number from 0.")))
    }

    fn value(&self) -> Result<Content, Fault> {
        content(self.part("value")?)
            .ok_or_else(|| ("required", String::from("The part value holds a value[x], parts or a resource.")))
    }
}

/// The value of a part, whatever its type.
fn plain(part: &Value) -> Option<&Value> {
    part.as_object()?.iter().find(|(key, _)| key.starts_with("value")).map(|(_, value)| value)
}

fn content(part: &Value) -> Option<Content> {
    let part = part.as_object()?;
    if let Some(typed) = typed(part) {
        return Some(typed);
    }
    if let Some(resource) = part.get("resource") {
        return Some(Content::Resource(resource.clone()));
    }
    let parts = part.get("part")?.as_array()?.iter();
    let named = |part: &Value| Some((part.get("name")?.as_str()?.to_owned(), content(part)?));
    parts.map(named).collect::<Option<Vec<_>>>().filter(|parts| !parts.is_empty()).map(Content::Parts)
}

fn typed(part: &Map<String, Value>) -> Option<Content> {
    let kind = part.keys().find_map(|key| key.strip_prefix('_').unwrap_or(key).strip_prefix("value"))?;
    let value = part.get(&format!("value{kind}")).cloned();
    let extra = part.get(&format!("_value{kind}")).cloned();
    Some(Content::Typed { kind: kind.to_owned(), value, extra })
}
