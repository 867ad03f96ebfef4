//! Days in runs: which days are covered, without a list of every one of them.

/// Days since 1970, as runs of them: in order, and none touches the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Runs(Vec<(i64, i64)>);

impl FromIterator<(i64, i64)> for Runs {
    /// The days of all these runs, first and last day of each; one whose last day lies before its first is none.
    fn from_iter<I: IntoIterator<Item = (i64, i64)>>(runs: I) -> Self {
        let mut sorted: Vec<(i64, i64)> = runs.into_iter().filter(|(first, last)| first <= last).collect();
        sorted.sort_unstable();
        sorted.dedup_by(|next, known| {
            let touches = next.0 <= known.1.saturating_add(1);
            known.1 = if touches { known.1.max(next.1) } else { known.1 };
            touches
        });
        Self(sorted)
    }
}

impl Runs {
    /// The runs, first and last day of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.0.iter().copied()
    }

    /// How many of these days lie from `first` to `last`.
    pub(crate) fn within(&self, first: i64, last: i64) -> i64 {
        self.iter().map(|run| (run.1.min(last) - run.0.max(first) + 1).max(0)).sum()
    }

    /// The last of these days.
    pub(crate) fn last(&self) -> Option<i64> {
        self.0.last().map(|(_, last)| *last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn runs_are_the_days_they_stand_for(
            list in proptest::collection::vec((0i64..60, -2i64..12), 0..9), first in -5i64..70, length in -2i64..40,
        ) {
            let runs: Runs = list.iter().map(|(first, length)| (*first, first + length)).collect();
            let days: BTreeSet<i64> = list.iter().flat_map(|(first, length)| *first..=first + length).collect();
            let last = first + length;
            prop_assert_eq!(runs.within(first, last), i64::try_from(days.iter().filter(|day| (first..=last).contains(*day)).count()).unwrap());
            prop_assert_eq!(runs.last(), days.last().copied());
            prop_assert_eq!(runs.iter().flat_map(|(first, last)| first..=last).collect::<Vec<_>>(), days.into_iter().collect::<Vec<_>>());
            prop_assert!(runs.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    }
}
