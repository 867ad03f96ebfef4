//! FHIRPath Patch: add, insert, delete, replace, move.
//! Follows <https://hl7.org/fhir/R4/fhirpatch.html>.

use serde_json::{Map, Value};

use super::members::{self, Both};
use super::parameters::{Act, Content, Operation};
use super::place::{self, Step};
use super::{DEPTH_MAX, too_large, weight};
use crate::fhir::definitions::{Flavour, Key};
use crate::fhir::outcome::Issue;
use crate::fhir::path::{Context, Expression, Item};

/// Applies all operations in their order.
pub(super) fn apply(operations: &[Operation], resource: &mut Value) -> Result<(), Issue> {
    for operation in operations {
        let done = one(operation, resource);
        done.map_err(|words| Issue::error("processing", "patch-not-applicable", operation.place.as_str(), words))?;
        // After each one: what many of them nest into each other could not even be weighed or dropped.
        if weight::of(resource).depth > DEPTH_MAX {
            return Err(too_large(&operation.place));
        }
    }
    Ok(())
}

type Done<T> = Result<T, String>;

fn one(operation: &Operation, resource: &mut Value) -> Done<()> {
    let path = &operation.path;
    match &operation.act {
        Act::Add(name, content) => {
            let steps = single(path, resource)?.ok_or(NOTHING)?;
            add(resource, &steps, name, content)
        }
        Act::Delete => match single(path, resource)? {
            Some(steps) => place::remove(resource, &steps).ok_or_else(|| String::from(WHOLE)),
            // The standard: "the element to delete (if found)".
            None => Ok(()),
        },
        Act::Replace(content) => {
            let steps = single(path, resource)?.ok_or(NOTHING)?;
            replace(resource, &steps, content)
        }
        Act::Insert(index, content) => insert(resource, path, *index, content),
        Act::Move(source, destination) => shift(resource, path, *source, *destination),
    }
}

const NOTHING: &str = "The path finds no element in the resource.";
const WHOLE: &str = "The path finds the resource itself; name an element of it.";
const UNTYPED: &str = "The type of the element is not known to R4.";

/// The elements that the path finds.
fn items<'v>(path: &'v Expression, resource: &'v Value) -> Done<Vec<Item<'v>>> {
    path.evaluate(&Context::new(), resource).map_err(|error| format!("The path cannot be followed: {error}."))
}

/// Where these elements stand.
fn places(items: &[Item<'_>], resource: &Value) -> Done<Vec<Vec<Step>>> {
    let place = |item: &Item<'_>| match item {
        Item::Node(node) => place::of(resource, node),
        _ => None,
    };
    let places: Option<Vec<_>> = items.iter().map(place).collect();
    places.ok_or_else(|| String::from("The path computes a value; it must find elements of the resource."))
}

/// The one element that the path finds; `None` if it finds none. Many are refused before any is looked for in the resource.
fn single(path: &Expression, resource: &Value) -> Done<Option<Vec<Step>>> {
    let items = items(path, resource)?;
    if items.len() > 1 {
        return Err(format!("The path finds {} elements; it must find one.", items.len()));
    }
    Ok(places(&items, resource)?.pop())
}

fn add(resource: &mut Value, steps: &[Step], name: &str, content: &Content) -> Done<()> {
    let node = place::node(resource, steps).ok_or(UNTYPED)?;
    let map = if node.flavour == Flavour::Primitive {
        beside(resource, steps).ok_or(NOTHING)?
    } else {
        place::value_mut(resource, steps).and_then(Value::as_object_mut).ok_or(NOTHING)?
    };
    Ok(members::put(map, node, name, content)?)
}

/// The object beside a primitive that holds its id and extensions; it is made where there is none.
fn beside<'v>(resource: &'v mut Value, steps: &[Step]) -> Option<&'v mut Map<String, Value>> {
    let held = place::held(steps)?;
    let map = place::holder_mut(resource, &held)?;
    let name = format!("_{}", held.key);
    let Some(index) = held.index else {
        return map.entry(name).or_insert_with(|| Value::Object(Map::new())).as_object_mut();
    };
    let length = members::length(map, held.key);
    let items = map.entry(name).or_insert_with(|| Value::Array(Vec::new())).as_array_mut()?;
    items.resize(length, Value::Null);
    let extra = items.get_mut(index)?;
    if extra.is_null() {
        *extra = Value::Object(Map::new());
    }
    extra.as_object_mut()
}

fn replace(resource: &mut Value, steps: &[Step], content: &Content) -> Done<()> {
    let held = place::held(steps).ok_or(WHOLE)?;
    let node = place::node(resource, held.holder).ok_or(UNTYPED)?;
    let element = node.key(held.key).map(|key| node.element_of(key)).ok_or(UNTYPED)?;
    let key = members::key(node, element.name, content)?;
    let written = members::written(key.node(), content)?;
    let map = place::holder_mut(resource, &held).ok_or(NOTHING)?;
    match held.index {
        None => {
            if key.name != held.key {
                map.shift_remove(held.key);
                map.shift_remove(&format!("_{}", held.key));
            }
            members::set(map, key, written);
        }
        Some(index) => {
            let length = members::length(map, held.key);
            let mut both = Both::take(map, held.key, length);
            both.values[index] = written.value.unwrap_or(Value::Null);
            both.extras[index] = written.extra.unwrap_or(Value::Null);
            both.give(map, held.key);
        }
    }
    Ok(())
}

/// A list: the steps to its holder, and its key.
struct List {
    holder: Vec<Step>,
    key: String,
}

impl List {
    /// The list that the path finds as a whole; `None` if it finds nothing.
    fn of(path: &Expression, resource: &mut Value) -> Done<Option<(Self, &'static Key)>> {
        const PART: &str = "The path must find all elements of one list, so that positions in it are clear.";
        let places = places(&items(path, resource)?, resource)?;
        let Some(first) = places.first() else { return Ok(None) };
        let held = place::held(first).ok_or(WHOLE)?;
        let list = Self { holder: held.holder.to_vec(), key: held.key.to_owned() };
        let own = |steps: &Vec<Step>| {
            place::held(steps).is_some_and(|held| held.index.is_some() && held.holder == list.holder && held.key == list.key)
        };
        let key = place::node(resource, &list.holder).and_then(|node| node.key(&list.key)).ok_or(UNTYPED)?;
        let whole = list.map(resource).is_some_and(|map| members::length(map, &list.key) == places.len());
        if whole && places.iter().all(own) { Ok(Some((list, key))) } else { Err(String::from(PART)) }
    }

    fn map<'v>(&self, resource: &'v mut Value) -> Option<&'v mut Map<String, Value>> {
        place::value_mut(resource, &self.holder)?.as_object_mut()
    }
}

fn insert(resource: &mut Value, path: &Expression, index: usize, content: &Content) -> Done<()> {
    let Some((list, key)) = List::of(path, resource)? else { return begin(resource, path, index, content) };
    let written = members::written(key.node(), content)?;
    let map = list.map(resource).ok_or(NOTHING)?;
    Ok(members::insert(map, key, index, written)?)
}

/// Inserts the first value of a list that is not there yet: `Patient.identifier` of a Patient without one.
fn begin(resource: &mut Value, path: &Expression, index: usize, content: &Content) -> Done<()> {
    let plain = |name: &&str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (before, name) = path.text().rsplit_once('.').ok_or(NOTHING)?;
    let name = Some(name.trim()).filter(plain).ok_or(NOTHING)?;
    let holder = Expression::parse(before).map_err(|_| NOTHING)?;
    let steps = single(&holder, resource)?.ok_or(NOTHING)?;
    if index > 0 {
        return Err(String::from("The index lies behind the end of the list, which is empty."));
    }
    let lists = place::node(resource, &steps).and_then(|node| node.element(name)).is_some_and(|element| element.list);
    if !lists {
        return Err(String::from("The path names no list; use add."));
    }
    add(resource, &steps, name, content)
}

fn shift(resource: &mut Value, path: &Expression, source: usize, destination: usize) -> Done<()> {
    let (list, key) = List::of(path, resource)?.ok_or(NOTHING)?;
    let map = list.map(resource).ok_or(NOTHING)?;
    let length = members::length(map, key.name);
    if source >= length || destination >= length {
        return Err(format!("source and destination are positions from 0 to {}.", length.saturating_sub(1)));
    }
    let mut both = Both::take(map, key.name, length);
    for items in [&mut both.values, &mut both.extras] {
        let item = items.remove(source);
        items.insert(destination, item);
    }
    both.give(map, key.name);
    Ok(())
}
