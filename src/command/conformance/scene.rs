//! What a script knows while it plays: its fixtures, what was asked and answered, and the values that names stand for.
//! Follows <https://hl7.org/fhir/R4/testscript.html#variables>.

use std::collections::{BTreeSet, HashMap};

use jiff::tz::TimeZone;
use serde_json::Value;
use uuid::Uuid;

use super::places;
use super::script::{Script, Variable};
use crate::fhir::path::{Context, Expression};
use crate::fhir::xml;
use crate::speak::post::{Answer, Asked};

/// Variables may stand in the sources of variables, but not for ever.
const NESTED_MAX: u8 = 8;

/// A request with its answer, or a fixture, which has a body alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) asked: Asked,
    pub(super) answer: Answer,
    /// The answer's body where it is a resource, in JSON or XML.
    pub(super) body: Option<Value>,
}

impl Seen {
    /// An answer to a request.
    pub(super) fn new(asked: Asked, answer: Answer) -> Self {
        let is_xml = answer.header("content-type").is_some_and(|kind| kind.contains("xml"));
        let body = if is_xml {
            xml::read(&answer.body).ok().filter(|read| read.faults.is_empty()).map(|read| read.value)
        } else {
            serde_json::from_slice(&answer.body).ok()
        };
        Self { asked, answer, body }
    }

    /// The answer's body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.answer.body).into_owned()
    }

    /// The type and id of what was read or written, by the body or by where it lies.
    pub(super) fn place(&self) -> (Option<String>, Option<String>) {
        let text = |name: &str| self.body.as_ref().and_then(|body| body.get(name)).and_then(Value::as_str).map(str::to_owned);
        let located = self.answer.header("location").and_then(located);
        match located {
            Some((kind, id)) => (Some(kind), Some(id)),
            None => (text("resourceType"), text("id")),
        }
    }

    /// The version of what was read or written.
    pub(super) fn version(&self) -> Option<String> {
        let body = self.body.as_ref().and_then(|body| body.pointer("/meta/versionId")).and_then(Value::as_str);
        body.map(str::to_owned).or_else(|| {
            let tag = self.answer.header("etag")?;
            Some(tag.trim_start_matches("W/").trim_matches('"').to_owned())
        })
    }
}

/// Type and id of what lies at `…/Type/id` or `…/Type/id/_history/1`.
pub(super) fn located(url: &str) -> Option<(String, String)> {
    let place = url.split("/_history").next()?.trim_end_matches('/');
    let mut parts = place.rsplit('/');
    let (id, kind) = (parts.next()?, parts.next()?);
    let is_kind = kind.starts_with(|first: char| first.is_ascii_uppercase());
    (is_kind && !id.is_empty()).then(|| (kind.to_owned(), id.to_owned()))
}

/// The stage of one script.
pub(super) struct Scene<'a> {
    /// What the server says of itself; null where it says nothing.
    pub(super) capability: &'a Value,
    /// UTC milliseconds, for `now()` in expressions.
    pub(super) now: i64,
    fixtures: HashMap<String, Value>,
    answers: HashMap<String, Seen>,
    requests: HashMap<String, Asked>,
    variables: Vec<Variable>,
    /// Values that hold: generated ones, and those of a row.
    fixed: HashMap<String, String>,
    /// The last request with its answer.
    pub(super) last: Seen,
}

impl<'a> Scene<'a> {
    /// A stage on which nothing has happened; what is generated has its value from here on.
    pub(super) fn of(script: &Script, capability: &'a Value, now: i64) -> Result<Self, String> {
        let mut fixtures = HashMap::new();
        for fixture in &script.fixture {
            let resource = script.resource(fixture).ok_or_else(|| format!("the fixture {} is nowhere", fixture.id))?;
            fixtures.insert(fixture.id.clone(), resource);
        }
        let made = |variable: &Variable| {
            let whole = Uuid::new_v4().simple().to_string();
            let value = match variable.generated()? {
                "uuid" => Uuid::new_v4().to_string(),
                // Letters alone: it stands in names, codes and ids.
                _ => whole
                    .chars()
                    .map(|digit| char::from(b'a' + u8::try_from(digit.to_digit(16).unwrap_or(0)).unwrap_or(0)))
                    .take(12)
                    .collect(),
            };
            Some((variable.name.clone(), value))
        };
        let fixed = script.variable.iter().filter_map(made).collect();
        let variables = script.variable.clone();
        let (answers, requests, last) = (HashMap::new(), HashMap::new(), Seen::default());
        Ok(Self { capability, now, fixtures, answers, requests, variables, fixed, last })
    }

    /// Sets a name to a value, for a row.
    pub(super) fn fix(&mut self, name: &str, value: &str) {
        self.fixed.insert(name.to_owned(), value.to_owned());
    }

    /// Remembers an exchange, by the names it was given.
    pub(super) fn remember(&mut self, seen: Seen, request: Option<&str>, response: Option<&str>) {
        if let Some(name) = request {
            self.requests.insert(name.to_owned(), seen.asked.clone());
        }
        if let Some(name) = response {
            self.answers.insert(name.to_owned(), seen.clone());
        }
        self.last = seen;
    }

    /// An answer by its name, or a fixture.
    pub(super) fn seen(&self, name: &str) -> Result<Seen, String> {
        if let Some(seen) = self.answers.get(name) {
            return Ok(seen.clone());
        }
        if let Some(asked) = self.requests.get(name) {
            let body = asked.body.as_deref().and_then(|body| serde_json::from_slice(body).ok());
            return Ok(Seen { asked: asked.clone(), body, ..Seen::default() });
        }
        Ok(Seen { body: Some(self.resource(name)?), ..Seen::default() })
    }

    /// A fixture with its variables put in, or the body of an answer.
    pub(super) fn resource(&self, name: &str) -> Result<Value, String> {
        if let Some(seen) = self.answers.get(name) {
            return seen.body.clone().ok_or_else(|| format!("the answer {name} has no resource"));
        }
        let fixture = self.fixtures.get(name).ok_or_else(|| format!("nothing is called {name}"))?;
        self.filled(fixture)
    }

    fn filled(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.fill(text)?),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.filled(item)).collect::<Result<_, _>>()?),
            Value::Object(object) => {
                let pairs = object.iter().map(|(name, value)| Ok((name.clone(), self.filled(value)?)));
                Value::Object(pairs.collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }

    /// The text with every `${name}` replaced.
    pub(super) fn fill(&self, text: &str) -> Result<String, String> {
        self.fill_nested(text, 0)
    }

    fn fill_nested(&self, text: &str, depth: u8) -> Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or("a name is opened by ${ and not closed")?;
            filled.push_str(before);
            filled.push_str(&self.value(name, depth)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&self, name: &str, depth: u8) -> Result<String, String> {
        if depth > NESTED_MAX {
            return Err(format!("the variable {name} stands for itself"));
        }
        if let Some(value) = self.fixed.get(name) {
            return Ok(value.clone());
        }
        let variable = self.variables.iter().find(|variable| variable.name == name);
        let variable = variable.ok_or_else(|| format!("the variable {name} is not defined"))?;
        let found = self.found(variable, depth)?;
        let found = found.or_else(|| variable.default_value.clone());
        found.ok_or_else(|| format!("the variable {name} has no value"))
    }

    fn found(&self, variable: &Variable, depth: u8) -> Result<Option<String>, String> {
        if variable.expression.is_none() && variable.path.is_none() && variable.header_field.is_none() {
            let default = variable.default_value.as_deref();
            return default.map(|text| self.fill_nested(text, depth + 1)).transpose();
        }
        let seen = match &variable.source_id {
            Some(name) => self.seen(name),
            None => Ok(self.last.clone()),
        };
        let Ok(seen) = seen else { return Ok(None) };
        if let Some(field) = &variable.header_field {
            return Ok(seen.answer.header(&field.to_ascii_lowercase()).map(str::to_owned));
        }
        let Some(body) = &seen.body else { return Ok(None) };
        let items = match (&variable.expression, &variable.path) {
            (Some(expression), _) => self.evaluate(&self.fill_nested(expression, depth + 1)?, body)?,
            (None, Some(path)) => places::find(&self.fill_nested(path, depth + 1)?, body)?,
            (None, None) => Vec::new(),
        };
        Ok(items.into_iter().next())
    }

    /// What an expression gives, as texts. `%capability` is the server's CapabilityStatement.
    pub(super) fn evaluate(&self, expression: &str, resource: &Value) -> Result<Vec<String>, String> {
        let told = |fault: crate::fhir::path::Error| format!("the expression {expression}: {fault}");
        let read = Expression::parse(expression).map_err(told)?;
        let utc = TimeZone::UTC;
        let context = Context::new().with_clock(self.now, &utc).with_resource("capability", self.capability);
        let items = read.evaluate(&context, resource).map_err(told)?;
        Ok(items.iter().map(ToString::to_string).collect())
    }

    /// Names that a script may not use twice: a row's name hides a variable.
    pub(super) fn unfixed(&mut self, names: &BTreeSet<String>) {
        self.fixed.retain(|name, _| !names.contains(name));
    }
}

/// So much of a body is told with a failure.
const BRIEF_MAX: usize = 300;

/// The beginning of a text.
pub(super) fn brief(text: &str) -> String {
    let short: String = text.chars().take(BRIEF_MAX).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
