//! JSON Patch: add, remove, replace, move, copy, test.
//! Follows RFC 6902 and <https://hl7.org/fhir/R4/http.html#patch>.

use serde_json::{Map, Value};

use super::pointer::{self, Pointer};
use super::vacated::Vacated;
use super::weight::{self, Weight};
use super::{DEPTH_MAX, RESULT_BYTES_MAX, bounded, too_large};
use crate::fhir::outcome::Issue;

/// One operation.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    path: Pointer,
    act: Act,
}

#[derive(Debug, Clone)]
enum Act {
    Add(Value),
    Remove,
    Replace(Value),
    Move(Pointer),
    Copy(Pointer),
    Test(Value),
}

/// Reads a patch; all its faults at once.
pub(super) fn read(document: Value) -> Result<Vec<Operation>, Vec<Issue>> {
    let Value::Array(items) = document else {
        return Err(vec![fault("patch", "A JSON Patch is an array of operations.")]);
    };
    bounded(items.len(), "patch")?;
    let mut operations = Vec::with_capacity(items.len());
    let mut issues = Vec::new();
    for (position, item) in items.into_iter().enumerate() {
        match operation(item) {
            Ok(operation) => operations.push(operation),
            Err(words) => issues.push(fault(&place(position), words)),
        }
    }
    if issues.is_empty() { Ok(operations) } else { Err(issues) }
}

fn place(position: usize) -> String {
    format!("patch[{position}]")
}

fn fault(place: &str, words: &str) -> Issue {
    Issue::error("structure", "invalid-patch", place, words)
}

fn operation(item: Value) -> Result<Operation, &'static str> {
    let Value::Object(mut map) = item else { return Err("Each operation is an object with op and path.") };
    let op = map.get("op").and_then(Value::as_str).unwrap_or_default().to_owned();
    let path = pointer(&map, "path").ok_or("path is a JSON Pointer: empty, or /name/0/family.")?;
    let from = pointer(&map, "from").ok_or("move and copy need from, a JSON Pointer.");
    let value = map.shift_remove("value").ok_or("add, replace and test need a value.");
    let act = match op.as_str() {
        "add" => Act::Add(value?),
        "remove" => Act::Remove,
        "replace" => Act::Replace(value?),
        "move" => Act::Move(from?),
        "copy" => Act::Copy(from?),
        "test" => Act::Test(value?),
        _ => return Err("op is one of add, remove, replace, move, copy, test."),
    };
    if matches!(&act, Act::Move(from) if from.holds(&path)) {
        return Err("Nothing can be moved into itself.");
    }
    Ok(Operation { path, act })
}

fn pointer(map: &Map<String, Value>, name: &str) -> Option<Pointer> {
    map.get(name).and_then(Value::as_str).and_then(Pointer::parse)
}

/// Applies all operations in their order. What holds nothing any more after a removal goes, too: FHIR knows no empty element.
pub(super) fn apply(operations: &[Operation], document: &mut Value) -> Result<(), Issue> {
    let mut carried = 0_usize;
    let mut vacated = Vacated::default();
    for (position, operation) in operations.iter().enumerate() {
        let refused = |words: &str| Issue::error("processing", "patch-not-applicable", place(position), words);
        let path = &operation.path;
        match &operation.act {
            Act::Add(value) => {
                fits(path, value, position)?;
                let (place, is_list) = add(document, path, value.clone()).map_err(refused)?;
                vacated.came(&place, is_list, Vec::new());
            }
            Act::Remove => {
                let (_, is_list) = remove(document, path).map_err(refused)?;
                vacated.left(path, is_list);
            }
            Act::Replace(value) => {
                fits(path, value, position)?;
                *path.find_mut(document).ok_or_else(|| refused(NOWHERE))? = value.clone();
                vacated.came(path, false, Vec::new());
            }
            Act::Move(from) if from == path => {
                from.find(document).ok_or_else(|| refused(NOWHERE))?;
            }
            Act::Move(from) => {
                let (value, is_list) = remove(document, from).map_err(refused)?;
                let along = vacated.left(from, is_list);
                carry(path, &value, position, &mut carried)?;
                let (place, is_list) = add(document, path, value).map_err(refused)?;
                vacated.came(&place, is_list, along);
            }
            Act::Copy(from) => {
                let value = from.find(document).ok_or_else(|| refused(NOWHERE))?;
                carry(path, value, position, &mut carried)?;
                let (place, is_list) = add(document, path, value.clone()).map_err(refused)?;
                vacated.came(&place, is_list, Vec::new());
            }
            Act::Test(value) => {
                if !path.find(document).is_some_and(|found| pointer::is_equal(found, value)) {
                    let words = "The test failed: the resource does not have this value there. Read it and try again.";
                    return Err(Issue::error("processing", "patch-test-failed", place(position), words));
                }
            }
        }
    }
    prune(document, vacated);
    Ok(())
}

/// What is written stays within the depth, operation by operation: a deeper value could not even be weighed or dropped.
fn fits(path: &Pointer, value: &Value, position: usize) -> Result<Weight, Issue> {
    let weight = weight::of(value);
    if weight.depth + path.0.len() > DEPTH_MAX { Err(too_large(&place(position))) } else { Ok(weight) }
}

/// What is copied or moved is weighed each time, so that all of it together is bounded, too.
fn carry(path: &Pointer, value: &Value, position: usize, carried: &mut usize) -> Result<(), Issue> {
    *carried += fits(path, value, position)?.bytes;
    if *carried > RESULT_BYTES_MAX { Err(too_large(&place(position))) } else { Ok(()) }
}

const NOWHERE: &str = "The pointer leads to nothing in the resource; what it names must be there.";

/// Tells where the value stands now, and whether that is a list.
fn add(document: &mut Value, path: &Pointer, value: Value) -> Result<(Pointer, bool), &'static str> {
    let Some((mut holder, last)) = path.split() else {
        *document = value;
        return Ok((path.clone(), false));
    };
    match holder.find_mut(document).ok_or(NOWHERE)? {
        Value::Object(map) => {
            map.insert(last.to_owned(), value);
            Ok((path.clone(), false))
        }
        Value::Array(items) => {
            let at = if last == "-" { items.len() } else { pointer::index(last).ok_or(NOWHERE)? };
            if at > items.len() {
                return Err("The position lies behind the end of the list; '-' adds at its end.");
            }
            items.insert(at, value);
            holder.0.push(at.to_string());
            Ok((holder, true))
        }
        _ => Err("What the pointer leads to has no members."),
    }
}

/// Gives what was there, and whether that was in a list.
fn remove(document: &mut Value, path: &Pointer) -> Result<(Value, bool), &'static str> {
    let (holder, last) = path.split().ok_or("The resource itself cannot be removed by a patch; delete it.")?;
    match holder.find_mut(document).ok_or(NOWHERE)? {
        Value::Object(map) => map.shift_remove(last).map(|value| (value, false)).ok_or(NOWHERE),
        Value::Array(items) => {
            let at = pointer::index(last).filter(|at| *at < items.len()).ok_or(NOWHERE)?;
            Ok((items.remove(at), true))
        }
        _ => Err(NOWHERE),
    }
}

/// Takes away what is empty at these places and then above them, up to the resource.
fn prune(document: &mut Value, mut vacated: Vacated) {
    while let Some(place) = vacated.next() {
        let empty = match place.find(document) {
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Array(items)) => items.is_empty(),
            _ => false,
        };
        if empty && let Ok((_, is_list)) = remove(document, &place) {
            vacated.left(&place, is_list);
        }
    }
}
