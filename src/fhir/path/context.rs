//! What an expression may know beside the place it stands on: names, a clock, and how references are followed.
//! Follows <https://hl7.org/fhir/R4/fhirpath.html#vars>.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::item::{Collection, Item};
use super::node::Node;
use super::temporal::Temporal;

/// Finds the resource that a reference names.
pub trait Resolve {
    /// The resource, or `None` where the reference leads nowhere.
    fn resolve(&self, reference: &str) -> Option<&Value>;
}

impl<S: BuildHasher> Resolve for HashMap<String, Value, S> {
    fn resolve(&self, reference: &str) -> Option<&Value> {
        self.get(reference)
    }
}

impl<S: BuildHasher> Resolve for HashMap<String, &Value, S> {
    fn resolve(&self, reference: &str) -> Option<&Value> {
        self.get(reference).copied()
    }
}

/// Tells what names stand for when an expression asks for them, and not before.
pub trait Names {
    /// What `%name` stands for; `None` where it is no name of these.
    fn items(&self, name: &str) -> Option<Collection<'_>>;
}

/// What an expression may know. The default knows nothing: no clock, no references, only the standard's own names.
#[derive(Default)]
pub struct Context<'a> {
    variables: Vec<(String, Collection<'a>)>,
    clock: Option<(i64, &'a TimeZone)>,
    names: Option<&'a dyn Names>,
    resolver: Option<&'a dyn Resolve>,
    pub(super) is_strict: bool,
    pub(super) guesses_targets: bool,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.variables.iter().map(|(name, _)| name.as_str()).collect();
        out.debug_struct("Context").field("variables", &names).field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl<'a> Context<'a> {
    /// A context that knows only the standard's own names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `%name` to these items.
    #[must_use]
    pub fn with(mut self, name: &str, items: Collection<'a>) -> Self {
        self.set(name, items);
        self
    }

    /// Sets `%name` to a resource.
    #[must_use]
    pub fn with_resource(self, name: &str, resource: &'a Value) -> Self {
        self.with(name, vec![Item::Node(Node::resource(resource))])
    }

    /// Sets `%name` to these items, in place.
    pub fn set(&mut self, name: &str, items: Collection<'a>) {
        match self.variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = items,
            None => self.variables.push((name.to_owned(), items)),
        }
    }

    /// Sets who tells what further names stand for.
    #[must_use]
    pub fn with_names(mut self, names: &'a dyn Names) -> Self {
        self.names = Some(names);
        self
    }

    /// Sets the clock that `now()`, `today()` and `timeOfDay()` read: UTC milliseconds, shown in `zone`.
    #[must_use]
    pub fn with_clock(mut self, milliseconds: i64, zone: &'a TimeZone) -> Self {
        self.clock = Some((milliseconds, zone));
        self
    }

    /// Sets how `resolve()` follows references that lead out of the resource.
    #[must_use]
    pub fn with_resolver(mut self, resolver: &'a dyn Resolve) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// An element that its type does not have is an error, as for an author who wants to find slips.
    #[must_use]
    pub fn strictly(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// A reference that nobody resolves still gives its target's type, so that `resolve() is Patient` can be asked.
    #[must_use]
    pub fn guessing_targets(mut self) -> Self {
        self.guesses_targets = true;
        self
    }

    pub(super) fn variable(&self, name: &str) -> Option<Collection<'a>> {
        let set = self.variables.iter().find(|(known, _)| known == name).map(|(_, items)| items.clone());
        set.or_else(|| self.names.and_then(|names| names.items(name)))
    }

    pub(super) fn now(&self) -> Option<Temporal> {
        let (milliseconds, zone) = self.clock?;
        Temporal::at(milliseconds, zone)
    }

    pub(super) fn resolve(&self, reference: &str) -> Option<&'a Value> {
        self.resolver.and_then(|resolver| resolver.resolve(reference))
    }
}

/// The value of a name that the standard itself gives.
pub(super) fn constant(name: &str) -> Option<String> {
    Some(match name {
        "sct" => String::from("http://snomed.info/sct"),
        "loinc" => String::from("http://loinc.org"),
        "ucum" => String::from("http://unitsofmeasure.org"),
        _ => match (name.strip_prefix("vs-"), name.strip_prefix("ext-")) {
            (Some(set), _) => format!("http://hl7.org/fhir/ValueSet/{set}"),
            (_, Some(extension)) => format!("http://hl7.org/fhir/StructureDefinition/{extension}"),
            _ => return None,
        },
    })
}
