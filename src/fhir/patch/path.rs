//! FHIRPath Patch: add, insert, delete, replace, move.
//! Follows <https://hl7.org/fhir/R4/fhirpatch.html>.

use serde_json::{Map, Value};

use super::members::{self, Both};
use super::parameters::{Act, Content, Operation};
use super::place::{self, Step};
use super::{DEPTH_MAX, too_large, weight};
use crate::fhir::definitions::{Flavour, Key};
use crate::fhir::outcome::Issue;
use crate::fhir::path::{Budget, Context, Error, Expression, Item};

/// So many bytes of the resource are weighed, and looked through for a place, in the time of one step of an evaluation.
const STEP_BYTES: usize = 256;

/// Applies all operations in their order.
pub(super) fn apply(operations: &[Operation], resource: &mut Value) -> Result<(), Issue> {
    let budget = Budget::new();
    for operation in operations {
        let done = one(operation, resource, &budget);
        let refused = |words| Issue::error("processing", "patch-not-applicable", operation.place.as_str(), words);
        done.map_err(refused)?;
        // After each one: what many of them nest into each other could not even be weighed or dropped.
        let weight = weight::of(resource);
        if weight.depth > DEPTH_MAX {
            return Err(too_large(&operation.place));
        }
        budget.charge(weight.bytes / STEP_BYTES).map_err(|error| refused(untraceable(&error)))?;
    }
    Ok(())
}

type Done<T> = Result<T, String>;

fn one(operation: &Operation, resource: &mut Value, budget: &Budget) -> Done<()> {
    let path = &operation.path;
    match &operation.act {
        Act::Add(name, content) => {
            let steps = single(path, resource, budget)?.ok_or(NOTHING)?;
            add(resource, &steps, name, content)
        }
        Act::Delete => match single(path, resource, budget)? {
            Some(steps) => place::remove(resource, &steps).ok_or_else(|| String::from(WHOLE)),
            // The standard: "the element to delete (if found)".
            None => Ok(()),
        },
        Act::Replace(content) => {
            let steps = single(path, resource, budget)?.ok_or(NOTHING)?;
            replace(resource, &steps, content)
        }
        Act::Insert(index, content) => insert(resource, path, budget, *index, content),
        Act::Move(source, destination) => shift(resource, path, budget, *source, *destination),
    }
}

const NOTHING: &str = "The path finds no element in the resource.";
const WHOLE: &str = "The path finds the resource itself; name an element of it.";
const UNTYPED: &str = "The type of the element is not known to R4.";

/// The elements that the path finds.
fn items<'v>(path: &'v Expression, resource: &'v Value, budget: &Budget) -> Done<Vec<Item<'v>>> {
    path.evaluate_within(&Context::new(), resource, budget).map_err(|error| untraceable(&error))
}

fn untraceable(error: &Error) -> String {
    format!("The path cannot be followed: {error}.")
}

/// Where an element stands.
fn place(item: &Item<'_>, resource: &Value) -> Done<Vec<Step>> {
    let steps = if let Item::Node(node) = item { place::of(resource, node) } else { None };
    steps.ok_or_else(|| String::from("The path computes a value; it must find elements of the resource."))
}

/// The one element that the path finds; `None` if it finds none. Many are refused before any is looked for in the resource.
fn single(path: &Expression, resource: &Value, budget: &Budget) -> Done<Option<Vec<Step>>> {
    let items = items(path, resource, budget)?;
    if items.len() > 1 {
        return Err(format!("The path finds {} elements; it must find one.", items.len()));
    }
    items.first().map(|item| place(item, resource)).transpose()
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
    fn of(path: &Expression, resource: &Value, budget: &Budget) -> Done<Option<(Self, &'static Key)>> {
        const PART: &str = "The path must find all elements of one list, so that positions in it are clear.";
        let items = items(path, resource, budget)?;
        let Some(first) = items.first() else { return Ok(None) };
        let steps = place(first, resource)?;
        let held = place::held(&steps).ok_or(WHOLE)?;
        let list = Self { holder: held.holder.to_vec(), key: held.key.to_owned() };
        let key = place::node(resource, &list.holder).and_then(|node| node.key(&list.key)).ok_or(UNTYPED)?;
        let map = place::value(resource, &list.holder).and_then(Value::as_object).ok_or(NOTHING)?;
        if held.index.is_some() && is_all_of(map, &list.key, &items) { Ok(Some((list, key))) } else { Err(String::from(PART)) }
    }

    fn map<'v>(&self, resource: &'v mut Value) -> Option<&'v mut Map<String, Value>> {
        place::value_mut(resource, &self.holder)?.as_object_mut()
    }
}

/// Whether these are the elements of a list, all of them in their order.
fn is_all_of(map: &Map<String, Value>, key: &str, items: &[Item<'_>]) -> bool {
    let list = |name: &str| map.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let (values, extras) = (list(key), list(&format!("_{key}")));
    let is = |one: Option<&Value>, other: Option<&Value>| one.zip(other).is_some_and(|(one, other)| std::ptr::eq(one, other));
    let is_own = |(at, item): (usize, &Item<'_>)| match item {
        Item::Node(node) => is(node.value(), values.get(at)) || is(node.extra(), extras.get(at)),
        _ => false,
    };
    members::length(map, key) == items.len() && items.iter().enumerate().all(is_own)
}

fn insert(resource: &mut Value, path: &Expression, budget: &Budget, index: usize, content: &Content) -> Done<()> {
    let Some((list, key)) = List::of(path, resource, budget)? else { return begin(resource, path, budget, index, content) };
    let written = members::written(key.node(), content)?;
    let map = list.map(resource).ok_or(NOTHING)?;
    Ok(members::insert(map, key, index, written)?)
}

/// Inserts the first value of a list that is not there yet: `Patient.identifier` of a Patient without one.
fn begin(resource: &mut Value, path: &Expression, budget: &Budget, index: usize, content: &Content) -> Done<()> {
    let plain = |name: &&str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (before, name) = path.text().rsplit_once('.').ok_or(NOTHING)?;
    let name = Some(name.trim()).filter(plain).ok_or(NOTHING)?;
    let holder = Expression::parse(before).map_err(|_| NOTHING)?;
    let steps = single(&holder, resource, budget)?.ok_or(NOTHING)?;
    if index > 0 {
        return Err(String::from("The index lies behind the end of the list, which is empty."));
    }
    let lists = place::node(resource, &steps).and_then(|node| node.element(name)).is_some_and(|element| element.list);
    if !lists {
        return Err(String::from("The path names no list; use add."));
    }
    add(resource, &steps, name, content)
}

fn shift(resource: &mut Value, path: &Expression, budget: &Budget, source: usize, destination: usize) -> Done<()> {
    let (list, key) = List::of(path, resource, budget)?.ok_or(NOTHING)?;
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
