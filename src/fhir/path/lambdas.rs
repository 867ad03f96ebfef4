//! Functions whose argument is evaluated once per item: `where`, `select`, `repeat` and their kin.
//! Follows <https://hl7.org/fhirpath/N1/#filtering-and-projection>.

use std::cmp::Ordering;

use super::Error;
use super::evaluate::{Frame, Machine, single, truth};
use super::functions::Function as F;
use super::item::{Collection, Item};
use super::operators;
use super::sets::Seen;
use super::tree::Tree;

pub(super) fn call<'a>(
    machine: &Machine<'_, 'a>,
    function: F,
    input: &[Item<'a>],
    arguments: &'a [Tree],
    frame: &Frame<'_, 'a>,
) -> Result<Collection<'a>, Error> {
    let Some(argument) = arguments.first() else {
        return match function {
            F::Sort => sort(machine, input, arguments, frame),
            _ => Ok(vec![Item::Boolean(!input.is_empty())]),
        };
    };
    match function {
        F::Where => {
            let mut out = Vec::new();
            for (index, item) in input.iter().enumerate() {
                if truth(&each(machine, item, index, argument, frame)?)? == Some(true) {
                    out.push(item.clone());
                }
            }
            Ok(out)
        }
        F::Exists | F::All => {
            let wanted = function == F::Exists;
            for (index, item) in input.iter().enumerate() {
                if (truth(&each(machine, item, index, argument, frame)?)? == Some(true)) == wanted {
                    return Ok(vec![Item::Boolean(wanted)]);
                }
            }
            Ok(vec![Item::Boolean(!wanted)])
        }
        F::Select => {
            let mut out = Vec::new();
            for (index, item) in input.iter().enumerate() {
                out.extend(each(machine, item, index, argument, frame)?);
            }
            Ok(out)
        }
        F::Repeat => repeat(machine, input, argument, frame),
        F::Aggregate => aggregate(machine, input, arguments, frame),
        F::Sort => sort(machine, input, arguments, frame),
        F::Iif => iif(machine, input, arguments, frame),
        // A trace is for who debugs an expression; what it would say is patient data, so nothing is said.
        _ => Ok(input.to_vec()),
    }
}

/// The argument evaluated on one item.
fn each<'a>(
    machine: &Machine<'_, 'a>,
    item: &Item<'a>,
    index: usize,
    argument: &'a Tree,
    frame: &Frame<'_, 'a>,
) -> Result<Collection<'a>, Error> {
    machine.eval(argument, &Frame { focus: std::slice::from_ref(item), index: Some(index), total: frame.total })
}

fn repeat<'a>(
    machine: &Machine<'_, 'a>,
    input: &[Item<'a>],
    argument: &'a Tree,
    frame: &Frame<'_, 'a>,
) -> Result<Collection<'a>, Error> {
    let mut seen = Seen::default();
    let mut at = 0;
    let mut queue: Collection<'a> = input.to_vec();
    while let Some(item) = queue.get(at).cloned() {
        for found in each(machine, &item, at, argument, frame)? {
            if seen.insert(machine, &found)? {
                queue.push(found);
            }
        }
        at += 1;
    }
    Ok(seen.items)
}

fn aggregate<'a>(
    machine: &Machine<'_, 'a>,
    input: &[Item<'a>],
    arguments: &'a [Tree],
    frame: &Frame<'_, 'a>,
) -> Result<Collection<'a>, Error> {
    let [argument, rest @ ..] = arguments else { return Ok(Vec::new()) };
    let mut total = match rest.first() {
        Some(start) => machine.eval(start, frame)?,
        None => Vec::new(),
    };
    for (index, item) in input.iter().enumerate() {
        let inner = Frame { focus: std::slice::from_ref(item), index: Some(index), total: Some(&total) };
        total = machine.eval(argument, &inner)?;
    }
    Ok(total)
}

fn iif<'a>(
    machine: &Machine<'_, 'a>,
    input: &[Item<'a>],
    arguments: &'a [Tree],
    frame: &Frame<'_, 'a>,
) -> Result<Collection<'a>, Error> {
    single(input)?;
    // Called on an item, the item is `$this`; `{}.iif(…)` and a call at the beginning keep what they stand in.
    let inner = if input.is_empty() { *frame } else { Frame { focus: input, ..*frame } };
    let [criterion, rest @ ..] = arguments else { return Ok(Vec::new()) };
    let answer = machine.eval(criterion, &inner)?;
    let chosen = match single(&answer)? {
        None => rest.get(1),
        Some(item) => match item.as_boolean() {
            Some(true) => rest.first(),
            Some(false) => rest.get(1),
            None => return Err(Error::Meaning(String::from("the criterion of iif() is true or false"))),
        },
    };
    chosen.map_or(Ok(Vec::new()), |chosen| machine.eval(chosen, &inner))
}

/// Sorts by the keys in turn; a minus before a key turns its order round.
fn sort<'a>(
    machine: &Machine<'_, 'a>,
    input: &[Item<'a>],
    arguments: &'a [Tree],
    frame: &Frame<'_, 'a>,
) -> Result<Collection<'a>, Error> {
    let mut rows: Vec<Row<'a>> = Vec::new();
    for (index, item) in input.iter().enumerate() {
        let mut keys = Vec::new();
        for argument in arguments {
            let (key, falling) = match argument {
                Tree::Negated(inner) => (inner.as_ref(), true),
                other => (other, false),
            };
            keys.push((single(&each(machine, item, index, key, frame)?)?.cloned(), falling));
        }
        if arguments.is_empty() {
            keys.push((Some(item.clone()), false));
        }
        rows.push((keys, item.clone()));
    }
    let order = |(left, _): &Row<'a>, (right, _): &Row<'a>| by_keys(machine, left, right);
    Ok(sorted(rows, &order)?.into_iter().map(|(_, item)| item).collect())
}

/// An item behind its keys, each with whether its order is turned round.
type Row<'a> = (Vec<(Option<Item<'a>>, bool)>, Item<'a>);

fn by_keys<'a>(
    machine: &Machine<'_, 'a>,
    left: &[(Option<Item<'a>>, bool)],
    right: &[(Option<Item<'a>>, bool)],
) -> Result<Ordering, Error> {
    for ((left, falling), (right, _)) in left.iter().zip(right) {
        machine.charge(0)?;
        let order = match (left, right) {
            (None, None) => Ordering::Equal,
            // What has no key comes first in either direction.
            (None, Some(_)) => return Ok(Ordering::Less),
            (Some(_), None) => return Ok(Ordering::Greater),
            (Some(left), Some(right)) => operators::order(machine.budget, left, right)?.unwrap_or(Ordering::Equal),
        };
        if order != Ordering::Equal {
            return Ok(if *falling { order.reverse() } else { order });
        }
    }
    Ok(Ordering::Equal)
}

/// Merges halves that were sorted. Of dates that are only partly known some have no order, so that this one need not be total,
/// and it may be given up: the sort of the standard library knows neither.
fn sorted<T>(mut rows: Vec<T>, order: &impl Fn(&T, &T) -> Result<Ordering, Error>) -> Result<Vec<T>, Error> {
    if rows.len() < 2 {
        return Ok(rows);
    }
    let behind = rows.split_off(rows.len() / 2);
    let mut all = Vec::with_capacity(rows.len() + behind.len());
    let mut left = sorted(rows, order)?.into_iter().peekable();
    let mut right = sorted(behind, order)?.into_iter().peekable();
    while let (Some(here), Some(there)) = (left.peek(), right.peek()) {
        let next = if order(here, there)?.is_gt() { right.next() } else { left.next() };
        all.extend(next);
    }
    all.extend(left.chain(right));
    Ok(all)
}
