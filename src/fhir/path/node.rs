//! A place in a resource: its JSON value, the sibling that holds its extensions, and its FHIR type.
//! Follows <https://hl7.org/fhir/R4/json.html#primitive>.

use serde_json::{Map, Value};

use crate::fhir::definitions::{self, Flavour, Key};

/// An element or a resource, borrowed; nothing below it is copied.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    value: Option<&'a Value>,
    extra: Option<&'a Value>,
    kind: Option<&'static definitions::Node>,
}

impl<'a> From<&'a Value> for Node<'a> {
    fn from(value: &'a Value) -> Self {
        Self::resource(value)
    }
}

impl<'a> Node<'a> {
    /// A resource; its type is what its `resourceType` says.
    #[must_use]
    pub fn resource(value: &'a Value) -> Self {
        Self { value: Some(value), extra: None, kind: named(value) }
    }

    /// An element of this type (`HumanName`, `date`) or backbone path (`Patient.contact`).
    #[must_use]
    pub fn element(value: &'a Value, kind: &str) -> Self {
        Self { value: Some(value), extra: None, kind: definitions::node(kind) }.settled()
    }

    /// A primitive element together with the `_name` sibling that holds its id and extensions.
    #[must_use]
    pub fn primitive(value: Option<&'a Value>, extra: Option<&'a Value>, kind: &str) -> Self {
        Self { value: value.filter(|value| !value.is_null()), extra, kind: definitions::node(kind) }
    }

    /// Something of which only the resource type is known, as of the target of an unread reference.
    #[must_use]
    pub fn stub(kind: &str) -> Option<Self> {
        definitions::node(kind).map(|kind| Self { value: None, extra: None, kind: Some(kind) })
    }

    /// Its JSON value; a primitive that has only extensions has none.
    #[must_use]
    pub fn value(&self) -> Option<&'a Value> {
        self.value
    }

    /// What stands beside a primitive: its id and extensions.
    #[must_use]
    pub fn extra(&self) -> Option<&'a Value> {
        self.extra
    }

    /// The name of its FHIR type, or the path of a backbone element; empty where no definition says it.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        self.kind.map_or("", |kind| kind.name)
    }

    /// What the definitions say about its type.
    #[must_use]
    pub fn definition(&self) -> Option<&'static definitions::Node> {
        self.kind
    }

    /// Whether it is a primitive: by its type, or by its JSON where no type is known.
    #[must_use]
    pub fn is_primitive(&self) -> bool {
        match self.kind {
            Some(kind) => kind.flavour == Flavour::Primitive,
            None => !matches!(self.value, Some(Value::Object(_))),
        }
    }

    /// A resource inside another says its own type.
    fn settled(self) -> Self {
        match (self.kind, self.value) {
            (Some(kind), Some(value)) if kind.flavour == Flavour::Abstract => Self { kind: named(value).or(self.kind), ..self },
            _ => self,
        }
    }

    fn object(&self) -> Option<&'a Map<String, Value>> {
        match self.value {
            Some(Value::Object(object)) => Some(object),
            _ => self.extra.and_then(Value::as_object),
        }
    }

    /// Hands over each child of this FHIRPath name; `value` finds `valueQuantity`.
    pub fn each_child(&self, name: &str, mut take: impl FnMut(Node<'a>)) {
        let Some(object) = self.object() else { return };
        let Some(kind) = self.kind else { return guessed(object, name, take) };
        match kind.key(name) {
            Some(key) if !kind.element_of(key).choice => under_key(object, key, &mut take),
            _ => kind.choices(name).iter().for_each(|key| under_key(object, key, &mut take)),
        }
    }

    /// Hands over each child in the order of the JSON.
    pub fn each(&self, mut take: impl FnMut(Node<'a>)) {
        let Some(object) = self.object() else { return };
        for (name, value) in object {
            if name == "resourceType" {
                continue;
            }
            let bare = name.strip_prefix('_');
            let (value, extra) = match bare {
                Some(bare) if object.contains_key(bare) => continue,
                Some(_) => (None, Some(value)),
                None => (Some(value), if is_plain(value) { sibling(object, name) } else { None }),
            };
            let kind = self.kind.and_then(|kind| kind.key(bare.unwrap_or(name))).map(Key::node);
            spread(value, extra, kind, &mut take);
        }
    }

    /// Whether the type is known and has no element of this name.
    #[must_use]
    pub fn lacks(&self, name: &str) -> bool {
        self.kind.is_some_and(|kind| kind.element(name).is_none())
    }

    /// Whether both are the same place, not only alike.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let place = |value: Option<&'a Value>| value.map(std::ptr::from_ref);
        place(self.value) == place(other.value) && place(self.extra) == place(other.extra)
    }
}

fn named(value: &Value) -> Option<&'static definitions::Node> {
    member(value.as_object()?, "resourceType")?.as_str().and_then(definitions::node)
}

/// In an object of no more members than this it takes less to look at each than to hash a name.
const SMALL: usize = 32;

fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if object.len() > SMALL {
        return object.get(name);
    }
    object.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

fn under_key<'a>(object: &'a Map<String, Value>, key: &'static Key, take: &mut impl FnMut(Node<'a>)) {
    let value = member(object, key.name);
    let node = key.node();
    let extra = if node.flavour == Flavour::Primitive { sibling(object, key.name) } else { None };
    if value.is_some() || extra.is_some() {
        spread(value, extra, Some(node), take);
    }
}

/// A child of something whose type is not known: by its name, or as a choice whose key goes on with a type.
fn guessed<'a>(object: &'a Map<String, Value>, name: &str, mut take: impl FnMut(Node<'a>)) {
    let extra = sibling(object, name);
    if let Some(value) = member(object, name).filter(|_| name != "resourceType") {
        return spread(Some(value), extra, None, &mut take);
    }
    if extra.is_some() {
        return spread(None, extra, None, &mut take);
    }
    for (key, value) in object {
        let Some(kind) = key.strip_prefix(name).filter(|kind| kind.starts_with(|letter: char| letter.is_ascii_uppercase()))
        else {
            continue;
        };
        let small = || definitions::node(&format!("{}{}", kind[..1].to_ascii_lowercase(), &kind[1..]));
        if let Some(kind) = definitions::node(kind).or_else(small) {
            spread(Some(value), sibling(object, key), Some(kind), &mut take);
        }
    }
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::Object(_) => false,
        Value::Array(all) => !all.first().is_some_and(Value::is_object),
        _ => true,
    }
}

/// The value under `_name`.
fn sibling<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| key.strip_prefix('_') == Some(name)).map(|(_, value)| value)
}

/// Hands over a value, or each of an array, with its extensions beside it.
fn spread<'a>(
    value: Option<&'a Value>,
    extra: Option<&'a Value>,
    kind: Option<&'static definitions::Node>,
    take: &mut impl FnMut(Node<'a>),
) {
    let values = value.and_then(Value::as_array);
    let extras = extra.and_then(Value::as_array);
    if values.is_none() && extras.is_none() {
        return take(Node { value: value.filter(|value| !value.is_null()), extra, kind }.settled());
    }
    let count = values.map_or(0, Vec::len).max(extras.map_or(0, Vec::len));
    for at in 0..count {
        let value = values.and_then(|all| all.get(at)).filter(|value| !value.is_null());
        let extra = extras.and_then(|all| all.get(at)).filter(|extra| !extra.is_null());
        if value.is_some() || extra.is_some() {
            take(Node { value, extra, kind }.settled());
        }
    }
}
