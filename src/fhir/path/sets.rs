//! Functions on whole collections: counting, picking, combining, and what holds of all of them.
//! Follows <https://hl7.org/fhirpath/N1/#existence> and <https://hl7.org/fhirpath/N1/#subsetting>.

use std::collections::HashSet;

use super::Error;
use super::decimal::Decimal;
use super::evaluate::{Frame, Machine, single, truth};
use super::functions::Function as F;
use super::item::{Collection, Item};
use super::operators;
use super::tree::Tree;

pub(super) fn call<'a>(
    machine: &Machine<'_, 'a>,
    function: F,
    input: &[Item<'a>],
    arguments: &'a [Tree],
    frame: &Frame<'_, 'a>,
) -> Result<Collection<'a>, Error> {
    let Some(argument) = arguments.first() else { return alone(machine, function, input) };
    Ok(match function {
        F::Skip => input.iter().skip(machine.integer(argument, frame)?.map_or(0, positive)).cloned().collect(),
        F::Take => input.iter().take(machine.integer(argument, frame)?.map_or(0, positive)).cloned().collect(),
        _ => {
            let other = machine.eval(argument, frame)?;
            match function {
                F::Union => {
                    let mut all = Seen::of(machine, input)?;
                    all.extend(machine, &other)?;
                    all.items
                }
                F::Combine => input.iter().cloned().chain(other).collect(),
                F::Intersect => {
                    let other = Seen::of(machine, &other)?;
                    let mut both = Seen::default();
                    for item in input {
                        if other.has(machine, item)? {
                            both.insert(machine, item)?;
                        }
                    }
                    both.items
                }
                F::Exclude => {
                    let other = Seen::of(machine, &other)?;
                    let mut out = Vec::new();
                    for item in input {
                        if !other.has(machine, item)? {
                            out.push(item.clone());
                        }
                    }
                    out
                }
                F::SubsetOf => vec![Item::Boolean(is_subset(machine, input, &other)?)],
                F::SupersetOf => vec![Item::Boolean(is_subset(machine, &other, input)?)],
                other => return Err(Error::Unsupported(other.name())),
            }
        }
    })
}

/// Functions without arguments.
fn alone<'a>(machine: &Machine<'_, 'a>, function: F, input: &[Item<'a>]) -> Result<Collection<'a>, Error> {
    let answer = |value: bool| Ok(vec![Item::Boolean(value)]);
    Ok(match function {
        F::Empty => return answer(input.is_empty()),
        F::Not => truth(input)?.map(|truth| Item::Boolean(!truth)).into_iter().collect(),
        F::Count => i64::try_from(input.len()).map(Item::Integer).into_iter().collect(),
        F::Distinct => Seen::of(machine, input)?.items,
        F::IsDistinct => return answer(Seen::of(machine, input)?.items.len() == input.len()),
        F::First => input.first().cloned().into_iter().collect(),
        F::Last => input.last().cloned().into_iter().collect(),
        F::Tail => input.iter().skip(1).cloned().collect(),
        F::Single => single(input)?.cloned().into_iter().collect(),
        F::AllTrue => return answer(booleans(input)?.iter().all(|value| *value)),
        F::AnyTrue => return answer(booleans(input)?.iter().any(|value| *value)),
        F::AllFalse => return answer(booleans(input)?.iter().all(|value| !*value)),
        F::AnyFalse => return answer(booleans(input)?.iter().any(|value| !*value)),
        F::Children => children(machine, input)?,
        F::Descendants => {
            let mut all = children(machine, input)?;
            let mut at = 0;
            while let Some(item) = all.get(at).cloned() {
                all.extend(children(machine, &[item])?);
                at += 1;
            }
            all
        }
        other => return Err(Error::Unsupported(other.name())),
    })
}

fn positive(count: i64) -> usize {
    usize::try_from(count.max(0)).unwrap_or(usize::MAX)
}

fn booleans(input: &[Item<'_>]) -> Result<Vec<bool>, Error> {
    let read = |item: &Item<'_>| {
        item.as_boolean().ok_or_else(|| Error::Meaning(format!("true or false is asked for, not {}", item.kind_name())))
    };
    input.iter().map(read).collect()
}

fn children<'a>(machine: &Machine<'_, 'a>, input: &[Item<'a>]) -> Result<Collection<'a>, Error> {
    let mut out = Vec::new();
    for item in input {
        let before = out.len();
        if let Item::Node(node) = item {
            node.each(|child| out.push(Item::Node(child)));
        }
        machine.charge((out.len() - before).saturating_sub(1))?;
    }
    Ok(out)
}

fn is_subset<'a>(machine: &Machine<'_, 'a>, small: &[Item<'a>], large: &[Item<'a>]) -> Result<bool, Error> {
    let large = Seen::of(machine, large)?;
    for item in small {
        if !large.has(machine, item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Items seen so far, each once. Plain values are found by a key, so that a thousand of them are not compared pair by pair.
#[derive(Default)]
pub(super) struct Seen<'a> {
    pub(super) items: Collection<'a>,
    keys: HashSet<Key>,
    /// Positions of the items that have no key.
    others: Vec<usize>,
}

#[derive(PartialEq, Eq, Hash)]
enum Key {
    Boolean(bool),
    Number(i128, u32),
    Text(String),
}

/// Few items are compared faster than keyed.
const KEYED_MIN: usize = 8;

impl<'a> Seen<'a> {
    /// The different items of a collection.
    pub(super) fn of(machine: &Machine<'_, 'a>, items: &[Item<'a>]) -> Result<Self, Error> {
        let mut seen = Self::default();
        seen.extend(machine, items)?;
        Ok(seen)
    }

    /// Adds what is not there yet.
    pub(super) fn extend(&mut self, machine: &Machine<'_, 'a>, items: &[Item<'a>]) -> Result<(), Error> {
        for item in items {
            self.insert(machine, item)?;
        }
        Ok(())
    }

    /// Whether an equal item is there.
    pub(super) fn has(&self, machine: &Machine<'_, 'a>, item: &Item<'a>) -> Result<bool, Error> {
        if self.items.len() < KEYED_MIN {
            machine.charge(self.items.len())?;
            return Ok(self.items.iter().any(|known| operators::equal(machine.budget, known, item) == Some(true)));
        }
        if let Some(key) = key(item) {
            let bytes = if let Key::Text(text) = &key { text.len() } else { 0 };
            machine.budget.read(bytes);
            machine.charge(1)?;
            return Ok(self.keys.contains(&key));
        }
        for known in self.others.iter().filter_map(|at| self.items.get(*at)) {
            machine.charge(0)?;
            if operators::equal(machine.budget, known, item) == Some(true) {
                return Ok(true);
            }
        }
        machine.charge(0)?;
        Ok(false)
    }

    /// Adds the item; `false` if an equal one was there.
    pub(super) fn insert(&mut self, machine: &Machine<'_, 'a>, item: &Item<'a>) -> Result<bool, Error> {
        if self.has(machine, item)? {
            return Ok(false);
        }
        self.items.push(item.clone());
        if self.items.len() == KEYED_MIN {
            for at in 0..KEYED_MIN {
                self.file(at);
            }
        } else if self.items.len() > KEYED_MIN {
            self.file(self.items.len() - 1);
        }
        Ok(true)
    }

    fn file(&mut self, at: usize) {
        match self.items.get(at).and_then(key) {
            Some(key) => {
                self.keys.insert(key);
            }
            None => self.others.push(at),
        }
    }
}

/// A key that is equal for equal plain values; `None` for what must be compared.
fn key(item: &Item<'_>) -> Option<Key> {
    let number = |value: Decimal| {
        let (mantissa, scale) = value.normal();
        Key::Number(mantissa, scale)
    };
    match item.plain() {
        Item::Boolean(value) => Some(Key::Boolean(value)),
        Item::Integer(value) => Some(number(value.into())),
        Item::Decimal(value) => Some(number(value)),
        Item::Text(text) => Some(Key::Text(text.into_owned())),
        _ => None,
    }
}
