//! How a value of one type becomes rows of one kind of parameter.
//! Follows the tables of <https://hl7.org/fhir/R4/search.html#token> and its neighbours.

use serde_json::Value as Json;

use crate::fhir::definitions;
use crate::fhir::time::Span;

use super::extract::Value;
use super::table::ParameterKind;
use super::{amount, span, word};

/// A pair of parameter kind and element type that can be turned into rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaf {
    /// A text that is a code by itself.
    Code,
    Boolean,
    Coding,
    Concept,
    Identifier,
    Contact,
    Reference,
    Canonical,
    /// A resource inside a Bundle.
    Inner,
    Text,
    Name,
    Address,
    /// A concept, by its texts.
    Words,
    Uri,
    Moment,
    Period,
    Timing,
    Number,
    Quantity,
    Money,
    Range,
    /// An extension, by whatever value it holds.
    Extension,
}

impl Leaf {
    /// How a type is read for a kind of parameter; `None` if it is not.
    pub(super) fn of(kind: ParameterKind, name: &str) -> Option<Self> {
        use ParameterKind as K;
        Some(match (kind, name) {
            (_, "Extension") => Self::Extension,
            (K::Token, "boolean") => Self::Boolean,
            (K::Token, "Coding") => Self::Coding,
            (K::Token, "CodeableConcept") => Self::Concept,
            (K::Token, "Identifier") => Self::Identifier,
            (K::Token, "ContactPoint") => Self::Contact,
            (K::Token, "code" | "string" | "id" | "uri" | "canonical" | "url" | "uuid" | "oid") => Self::Code,
            (K::Reference, "Reference") => Self::Reference,
            (K::Reference, "canonical" | "uri" | "url") => Self::Canonical,
            (K::Reference, "Resource") => Self::Inner,
            (K::String, "HumanName") => Self::Name,
            (K::String, "Address") => Self::Address,
            (K::String, "CodeableConcept" | "Coding") => Self::Words,
            (K::String, "string" | "markdown" | "code" | "uri" | "id" | "base64Binary") => Self::Text,
            (K::Uri, "uri" | "url" | "canonical" | "oid" | "uuid") => Self::Uri,
            (K::Date, "date" | "dateTime" | "instant") => Self::Moment,
            (K::Date, "Period") => Self::Period,
            (K::Date, "Timing") => Self::Timing,
            (K::Number | K::Quantity, "decimal" | "integer" | "positiveInt" | "unsignedInt") => Self::Number,
            (K::Number | K::Quantity, "Quantity" | "Age" | "Duration" | "Count" | "Distance") => Self::Quantity,
            (K::Quantity, "Money") => Self::Money,
            (K::Number | K::Quantity, "Range") => Self::Range,
            _ => return None,
        })
    }

    /// Whether its tokens never have a system, so that a query's system has nothing to be compared with.
    pub(super) fn is_systemless(self) -> bool {
        matches!(self, Self::Code | Self::Boolean)
    }

    /// Hands over the values of the rows.
    pub(super) fn rows(self, value: &Json, kind: ParameterKind, take: &mut dyn FnMut(Value)) {
        let word = |word: String| Value::Word(word);
        match self {
            Self::Code => text(value, take, |text| word::token("", text)),
            Self::Boolean => {
                if let Some(truth) = value.as_bool() {
                    take(word(word::token("", if truth { "true" } else { "false" })));
                }
            }
            Self::Coding => coding(value, "code", "system", take),
            Self::Concept => each(value, "coding", |one| coding(one, "code", "system", take)),
            Self::Identifier => coding(value, "value", "system", take),
            Self::Contact => coding(value, "value", "use", take),
            Self::Reference => reference(value, take),
            Self::Canonical => canonical(value, take),
            Self::Inner => {
                if let (Some(kind), Some(id)) = (at(value, "resourceType"), at(value, "id")) {
                    take(word(format!("{kind}/{id}")));
                }
            }
            Self::Text => text(value, take, word::normalized),
            Self::Name => parts(value, &NAME, take),
            Self::Address => parts(value, &ADDRESS, take),
            Self::Words => {
                parts(value, &["text", "display"], take);
                each(value, "coding", |one| parts(one, &["display"], take));
            }
            Self::Uri => text(value, take, str::to_owned),
            Self::Moment => stretch(span::moment(value), take),
            Self::Period => stretch(span::period(value), take),
            Self::Timing => stretch(span::timing(value), take),
            Self::Number => amount::plain(value).map(Value::Amount).into_iter().for_each(take),
            Self::Quantity => amount::quantity(value, &mut |amount| take(Value::Amount(amount))),
            Self::Money => amount::money(value).map(Value::Amount).into_iter().for_each(take),
            Self::Range => amount::range(value).map(Value::Amount).into_iter().for_each(take),
            Self::Extension => extension(value, kind, take),
        }
    }
}

/// The parts of a name and of an address that are searched.
const NAME: [&str; 5] = ["family", "given", "text", "prefix", "suffix"];
const ADDRESS: [&str; 7] = ["line", "city", "district", "state", "postalCode", "country", "text"];

impl Leaf {
    /// Hands over the texts of a string parameter's element as they were written.
    pub(super) fn texts<'v>(self, value: &'v Json, take: &mut dyn FnMut(&'v str)) {
        let mut under = |value: &'v Json, keys: &[&str]| {
            for key in keys {
                each(value, key, |part| part.as_str().into_iter().for_each(&mut *take));
            }
        };
        match self {
            Self::Text => value.as_str().into_iter().for_each(take),
            Self::Name => under(value, &NAME),
            Self::Address => under(value, &ADDRESS),
            Self::Words => {
                under(value, &["text", "display"]);
                each(value, "coding", |one| under(one, &["display"]));
            }
            _ => {}
        }
    }

    /// Hands over the words that stand beside a token's code.
    pub(super) fn labels<'v>(self, value: &'v Json, take: &mut dyn FnMut(&'v str)) {
        match self {
            Self::Coding => at(value, "display").into_iter().for_each(take),
            Self::Concept => Self::Words.texts(value, take),
            Self::Identifier => each(value, "type", |kind| Self::Words.texts(kind, take)),
            _ => {}
        }
    }
}

fn at<'v>(value: &'v Json, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Json::as_str).filter(|text| !text.is_empty())
}

fn each<'v>(value: &'v Json, key: &str, mut take: impl FnMut(&'v Json)) {
    match value.get(key) {
        Some(Json::Array(all)) => all.iter().for_each(take),
        Some(one) => take(one),
        None => {}
    }
}

fn text(value: &Json, take: &mut dyn FnMut(Value), word: impl Fn(&str) -> String) {
    if let Some(text) = value.as_str().filter(|text| !text.trim().is_empty()) {
        take(Value::Word(word(text)));
    }
}

fn parts(value: &Json, keys: &[&str], take: &mut dyn FnMut(Value)) {
    for key in keys {
        each(value, key, |part| text(part, take, word::normalized));
    }
}

fn coding(value: &Json, code: &str, system: &str, take: &mut dyn FnMut(Value)) {
    if let Some(code) = at(value, code) {
        take(Value::Word(word::token(at(value, system).unwrap_or_default(), code)));
    }
}

fn stretch(found: Option<Span>, take: &mut dyn FnMut(Value)) {
    if let Some(Span { low, high }) = found {
        take(Value::Span { low, high });
    }
}

/// A reference by what it names, and by the identifier that stands beside or instead of it. What is contained cannot be asked for.
fn reference(value: &Json, take: &mut dyn FnMut(Value)) {
    if let Some(text) = at(value, "reference").filter(|text| !text.starts_with('#')) {
        take(Value::Word(word::reference(text).to_owned()));
    }
    if let Some(identifier) = value.get("identifier")
        && let Some(text) = at(identifier, "value")
    {
        take(Value::Word(word::identifier_reference(at(identifier, "system").unwrap_or_default(), text)));
    }
}

/// A canonical address, with its version and without.
fn canonical(value: &Json, take: &mut dyn FnMut(Value)) {
    let Some(text) = value.as_str().filter(|text| !text.starts_with('#') && !text.is_empty()) else { return };
    if let Some((bare, _)) = text.split_once('|') {
        take(Value::Word(bare.to_owned()));
    }
    take(Value::Word(text.to_owned()));
}

fn extension(value: &Json, kind: ParameterKind, take: &mut dyn FnMut(Value)) {
    let Some(object) = value.as_object() else { return };
    for (key, inner) in object {
        let Some(child) = definitions::child("Extension", key).filter(|child| child.element == "value") else { continue };
        if let Some(leaf) = Leaf::of(kind, child.kind).filter(|leaf| *leaf != Leaf::Extension) {
            leaf.rows(inner, kind, take);
        }
    }
}
