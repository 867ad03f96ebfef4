//! Values, each once, in the order in which they were first seen; the work grows as their number does, not as its square.

use std::collections::HashSet;
use std::hash::Hash;

/// So many are compared one by one: it is faster than to hash them, and most resources have no more.
const FEW: usize = 16;

/// Gathers values.
#[derive(Debug)]
pub(super) struct Distinct<T> {
    values: Vec<T>,
    /// All of them again, once they are more than few.
    known: HashSet<T>,
}

impl<T: Clone + Eq + Hash> Distinct<T> {
    pub(super) fn new() -> Self {
        Self { values: Vec::new(), known: HashSet::new() }
    }

    /// Adds a value that is not there yet.
    pub(super) fn add(&mut self, value: T) {
        let is_new = if self.values.len() < FEW {
            !self.values.contains(&value)
        } else {
            if self.known.is_empty() {
                self.known.extend(self.values.iter().cloned());
            }
            self.known.insert(value.clone())
        };
        if is_new {
            self.values.push(value);
        }
    }

    pub(super) fn into_values(self) -> Vec<T> {
        self.values
    }
}

/// For tests: a number that counts how often one is compared with another.
#[cfg(test)]
pub(crate) mod counted {
    use std::cell::Cell;
    use std::hash::{Hash, Hasher};

    thread_local! {
        static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    #[derive(Debug, Clone, Eq)]
    pub(crate) struct Counted(pub(crate) usize);

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            COMPARED.set(COMPARED.get() + 1);
            self.0 == other.0
        }
    }

    impl Hash for Counted {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    /// How often this thread compared two.
    pub(crate) fn compared() -> usize {
        COMPARED.get()
    }
}

#[cfg(test)]
mod tests {
    use super::counted::{Counted, compared};
    use super::*;

    #[test]
    fn each_value_stays_once_where_it_was_first_seen() {
        for count in [0, 1, FEW - 1, FEW, FEW + 1, 3 * FEW] {
            let mut all = Distinct::new();
            (0..count).rev().chain(0..count).for_each(|value| all.add(value));
            assert_eq!(all.into_values(), (0..count).rev().collect::<Vec<_>>());
        }
    }

    #[test]
    fn many_values_are_not_each_compared_with_all() {
        const MANY: usize = 5_000;
        let mut all = Distinct::new();
        (0..MANY).chain(0..MANY).map(Counted).for_each(|value| all.add(value));
        assert_eq!(all.into_values().len(), MANY);
        assert!(compared() < 4 * MANY, "{} comparisons", compared());
    }
}
