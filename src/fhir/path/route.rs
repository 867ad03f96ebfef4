//! The plain form of an expression that is only steps: JSON keys known beforehand, run straight over the value.
//! Follows <https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.expression>.

use serde_json::Value;

use crate::fhir::definitions::{self, Flavour};

use super::fhir::target_kind;
use super::functions::Function;
use super::kinds;
use super::tree::{Kind, Link, Operator, Step, Tree};

/// One way through the JSON of a type to values of one type.
#[derive(Debug, Clone)]
pub struct Route {
    hops: Vec<Hop>,
    kind: &'static definitions::Node,
    /// Whether it passes no list.
    single: bool,
    /// The element that it ends at, whichever of its types.
    element: (&'static str, &'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hop {
    /// The value under this key; each of them if it is an array.
    Key(&'static str),
    /// Only where the text under this key is this one.
    Equals(&'static str, String),
    /// Only references to a resource of this type.
    Target(String),
}

impl Route {
    /// The type that it leads to.
    #[must_use]
    pub fn kind(&self) -> &'static definitions::Node {
        self.kind
    }

    /// Whether these ways together lead to one value at most.
    #[must_use]
    pub fn are_single<'r>(mut routes: impl Iterator<Item = &'r Self>) -> bool {
        let Some(first) = routes.next() else { return true };
        first.single && routes.all(|route| route.single && route.element == first.element)
    }

    /// Whether the standard demands that there is something at its end.
    #[must_use]
    pub fn is_required(&self) -> bool {
        let (parent, name) = self.element;
        let element = definitions::node(parent).and_then(|node| node.element(name));
        self.hops.len() == 1 && element.is_some_and(|element| element.required)
    }

    /// Hands over each value of a resource that it leads to; what is `null` or absent is passed by.
    pub fn each<'a>(&self, resource: &'a Value, take: &mut impl FnMut(&'a Value)) {
        walk(resource, resource, &self.hops, take);
    }

    /// For tests: the JSON in which the route leads to this value.
    #[cfg(test)]
    pub(crate) fn build(&self, value: Value) -> Value {
        self.hops.iter().rev().fold(value, |mut value, hop| match hop {
            Hop::Key(key) => serde_json::json!({ (*key): value }),
            Hop::Equals(key, text) => {
                value[*key] = text.as_str().into();
                value
            }
            Hop::Target(_) => value,
        })
    }

    /// For tests: the type of the references that it keeps.
    #[cfg(test)]
    pub(crate) fn target(&self) -> Option<&'static str> {
        let target = self.hops.iter().find_map(|hop| if let Hop::Target(kind) = hop { Some(kind.as_str()) } else { None });
        target.and_then(definitions::node).map(|node| node.name)
    }

    /// The type of the references that this route keeps, if all else of it is the other route.
    #[must_use]
    pub fn narrows(&self, other: &Self) -> Option<&str> {
        let (last, before) = self.hops.split_last()?;
        match last {
            Hop::Target(kind) if before == other.hops => Some(kind),
            _ => None,
        }
    }

    /// Whether both lead the same way.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.hops == other.hops
    }
}

fn walk<'a>(resource: &Value, value: &'a Value, hops: &[Hop], take: &mut impl FnMut(&'a Value)) {
    let Some((hop, rest)) = hops.split_first() else {
        if !value.is_null() {
            take(value);
        }
        return;
    };
    match hop {
        Hop::Key(key) => match value.get(key) {
            Some(Value::Array(all)) => all.iter().for_each(|value| walk(resource, value, rest, take)),
            Some(value) => walk(resource, value, rest, take),
            None => {}
        },
        Hop::Equals(key, text) => {
            if value.get(key).and_then(Value::as_str) == Some(text) {
                walk(resource, value, rest, take);
            }
        }
        Hop::Target(kind) => {
            if reference_kind(resource, value) == Some(kind) {
                walk(resource, value, rest, take);
            }
        }
    }
}

/// The resource type that a Reference or canonical names, also one of what the resource contains.
fn reference_kind<'a>(resource: &'a Value, value: &'a Value) -> Option<&'a str> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let reference = value.as_str().or_else(|| text("reference"));
    let contained = |reference: &str| {
        let id = reference.strip_prefix('#').filter(|id| !id.is_empty())?;
        let inside = resource.get("contained")?.as_array()?;
        let named = inside.iter().find(|one| one.get("id").and_then(Value::as_str) == Some(id))?;
        named.get("resourceType").and_then(Value::as_str)
    };
    reference.and_then(|reference| target_kind(reference).or_else(|| contained(reference))).or_else(|| text("type"))
}

/// The routes of an expression for one resource type; `None` if it is more than steps.
pub(super) fn routes(tree: &Tree, kind: &str) -> Option<Vec<Route>> {
    match tree {
        Tree::Path(head, steps) => {
            let (start, steps) = match (head, steps.split_first()?) {
                (Some(head), _) => (routes(head, kind)?, steps.as_slice()),
                (None, (Step::Member(name), rest)) => (begin(name, kind)?, rest),
                (None, _) => return None,
            };
            steps.iter().try_fold(start, next)
        }
        Tree::Chain(first, links) => {
            let mut all = routes(first, kind)?;
            for link in links {
                match link {
                    Link::As(kind) => all = narrowed(all, kind),
                    Link::Binary(Operator::Union, other) => all.extend(routes(other, kind)?),
                    _ => return None,
                }
            }
            Some(all)
        }
        _ => None,
    }
}

/// Where a path begins: at the resource itself by its type's name, or at one of its elements.
fn begin(name: &str, kind: &str) -> Option<Vec<Route>> {
    let start = Route { hops: Vec::new(), kind: definitions::node(kind)?, single: true, element: ("", "") };
    if kinds::is_a(kind, name) { Some(vec![start]) } else { member(&start, name) }
}

fn next(routes: Vec<Route>, step: &Step) -> Option<Vec<Route>> {
    let Step::Call(function, arguments) = step else {
        let Step::Member(name) = step else { return None };
        let mut all = Vec::new();
        for route in &routes {
            all.extend(member(route, name)?);
        }
        return Some(all);
    };
    match (function, arguments.first()) {
        (Function::As | Function::OfType, Some(Tree::Kind(kind))) => Some(narrowed(routes, kind)),
        (Function::Extension, Some(Tree::Text(url))) => {
            let routes = next(routes, &Step::Member(String::from("extension")))?;
            routes.into_iter().map(|route| filtered(route, "url", url)).collect()
        }
        (Function::Where, Some(criterion)) => routes.into_iter().map(|route| matching(route, criterion)).collect(),
        _ => None,
    }
}

/// The ways on from a route: one for a plain element, one for each type of a choice.
fn member(route: &Route, name: &str) -> Option<Vec<Route>> {
    if route.kind.flavour == Flavour::Abstract {
        return None;
    }
    let go = |key: &'static definitions::Key| {
        let mut hops = route.hops.clone();
        hops.push(Hop::Key(key.name));
        let element = route.kind.element_of(key);
        Route { hops, kind: key.node(), single: route.single && !element.list, element: (route.kind.name, element.name) }
    };
    Some(route.kind.choices(name).iter().map(go).collect())
}

fn narrowed(routes: Vec<Route>, kind: &Kind) -> Vec<Route> {
    routes.into_iter().filter(|route| route.kind.name == kind.name).collect()
}

fn filtered(mut route: Route, key: &str, text: &str) -> Option<Route> {
    let key = route.kind.key(key)?;
    route.hops.push(Hop::Equals(key.name, text.to_owned()));
    Some(route)
}

/// `where(key = 'text')` and `where(resolve() is Kind)`.
fn matching(mut route: Route, criterion: &Tree) -> Option<Route> {
    let Tree::Chain(first, links) = criterion else { return None };
    let Tree::Path(None, steps) = first.as_ref() else { return None };
    match (steps.as_slice(), links.as_slice()) {
        ([Step::Member(key)], [Link::Binary(Operator::Equal, Tree::Text(text))]) => filtered(route, key, text),
        ([Step::Call(Function::Resolve, _)], [Link::Is(kind)]) => {
            route.hops.push(Hop::Target(kind.name.clone()));
            Some(route)
        }
        _ => None,
    }
}
