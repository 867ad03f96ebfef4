//! What one version of a resource is found by and another is not.

use std::collections::HashSet;
use std::hash::Hash;

/// Those that the others do not have, in their order. The work grows as the number of both does, not as its square.
pub(super) fn without<'a, T: Eq + Hash>(all: &'a [T], others: &'a [T]) -> impl Iterator<Item = &'a T> {
    let others: HashSet<&T> = others.iter().collect();
    all.iter().filter(move |one| !others.contains(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::search::counted::{Counted, compared};

    #[test]
    fn only_what_the_others_lack_is_left() {
        for (all, others, expected) in
            [(&[3, 1, 2][..], &[][..], &[3, 1, 2][..]), (&[3, 1, 2], &[2, 4, 3], &[1]), (&[1, 2], &[2, 1], &[]), (&[], &[1], &[])]
        {
            assert_eq!(without(all, others).copied().collect::<Vec<_>>(), expected, "{all:?} without {others:?}");
        }
    }

    #[test]
    fn many_are_not_each_compared_with_all() {
        const MANY: usize = 5_000;
        let (old, new): (Vec<_>, Vec<_>) = (0..MANY).map(|at| (Counted(at), Counted(at + 1))).unzip();
        assert_eq!(without(&old, &new).chain(without(&new, &old)).cloned().collect::<Vec<_>>(), [Counted(0), Counted(MANY)]);
        assert!(compared() < 6 * MANY, "{} comparisons", compared());
    }
}
