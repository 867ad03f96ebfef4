//! Which days a person is covered by what was handed over: fills, in order, with early ones carried over.
//! Days are counted inclusively: thirty days from 1 January last until 30 January.

use std::collections::{BTreeMap, BTreeSet};

use crate::ledger::{Person, Supply};

use super::days::UNKNOWN;

/// What was handed over of one product group on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// Day handed over, days since 1970 in the store's zone.
    pub handed: i64,
    /// First covered day: the day handed over, or the day after the supply before it ends.
    pub first: i64,
    /// Last covered day, where the days are known.
    pub last: Option<i64>,
    /// Days of supply; 0 when unknown.
    pub days: i64,
    /// Which source told the days.
    pub step: String,
    /// The dispenses that make it, by id.
    pub dispenses: Vec<String>,
    /// Those that tell the same again, and do not count beside them.
    pub copies: Vec<String>,
}

impl Fill {
    /// All that tell of it.
    pub(crate) fn tellers(&self) -> impl Iterator<Item = &str> {
        self.dispenses.iter().chain(&self.copies).map(String::as_str)
    }
}

/// The source of days that were estimated from the person's own habit: good for a Task, never for a message.
pub const MEDIAN: &str = "own median";

/// Intervals between fills that are needed to speak of a habit.
const INTERVALS_MIN: usize = 3;

/// The fills of one product group, in order of time, whatever the order in which they became known.
#[must_use]
pub fn fills(rows: &[&Supply]) -> Vec<Fill> {
    let mut by_day: BTreeMap<i64, Vec<&Supply>> = BTreeMap::new();
    let mut told: BTreeMap<i64, i64> = BTreeMap::new();
    for row in facts(rows) {
        by_day.entry(row.handed).or_default().push(row);
        told.insert(row.fact, row.handed);
    }
    let mut ids: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
    for row in rows {
        // A copy is of the day that counts for its fact.
        let day = told.get(&row.fact).filter(|_| row.fact != 0).unwrap_or(&row.handed);
        ids.entry(*day).or_default().insert(&row.dispense);
    }
    let handed: Vec<i64> = by_day.keys().copied().collect();
    let mut fills: Vec<Fill> = Vec::new();
    // The first day that nothing known covers.
    let mut free = i64::MIN;
    for (at, (day, rows)) in by_day.into_iter().enumerate() {
        let rows = once_across_sources(rows);
        let known = rows.iter().all(|row| row.days > 0);
        let mut days = if known { rows.iter().map(|row| row.days).sum() } else { 0 };
        let mut step =
            rows.iter().map(|row| row.step.as_str()).find(|step| known || *step == UNKNOWN).unwrap_or(UNKNOWN).to_owned();
        let first = day.max(free);
        if known {
            free = first + days;
        } else if let Some(median) = median(&handed[..=at]) {
            // An estimate covers for a Task, but shifts nobody else's days.
            (days, step) = (median, MEDIAN.to_owned());
        }
        let mut dispenses: Vec<String> = rows.iter().map(|row| row.dispense.clone()).collect();
        dispenses.sort();
        let copies = ids.remove(&day).into_iter().flatten().map(str::to_owned);
        let copies = copies.filter(|id| dispenses.binary_search(id).is_err()).collect();
        fills.push(Fill { handed: day, first, last: (days > 0).then(|| first + days - 1), days, step, dispenses, copies });
    }
    fills
}

/// One row per fact: of several that state the same, the one with known days, then of the smallest id.
fn facts<'a>(rows: &[&'a Supply]) -> Vec<&'a Supply> {
    let mut sorted: Vec<&Supply> = rows.to_vec();
    sorted.sort_by(|a, b| (a.days == 0, &a.dispense).cmp(&(b.days == 0, &b.dispense)));
    let mut seen = BTreeSet::new();
    sorted.retain(|row| row.fact == 0 || seen.insert(row.fact));
    sorted
}

/// The same quantity on the same day from different sources is one fact; from the same source it adds up. Two records that tell the same
/// are like two sources; of which no quantity is known, the days are the same.
fn once_across_sources(rows: Vec<&Supply>) -> Vec<&Supply> {
    type Amount<'r> = (&'r str, i64);
    let mut counts: BTreeMap<(Amount, &str, Person), usize> = BTreeMap::new();
    let mut kept: BTreeMap<Amount, usize> = BTreeMap::new();
    let mut result = Vec::new();
    for row in rows {
        let is_told = !row.quantity.is_empty();
        let (amount, source) = if is_told { ((row.quantity.as_str(), 0), row.source.as_str()) } else { (("", row.days), "") };
        let of_source = counts.entry((amount, source, row.person)).or_default();
        *of_source += 1;
        let kept = kept.entry(amount).or_default();
        if *of_source > *kept {
            *kept += 1;
            result.push(row);
        }
    }
    result
}

/// The median of the intervals between these days, where there are enough of them.
fn median(handed: &[i64]) -> Option<i64> {
    let mut intervals: Vec<i64> = handed.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if intervals.len() < INTERVALS_MIN {
        return None;
    }
    intervals.sort_unstable();
    intervals.get((intervals.len() - 1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::Person;
    use crate::react::zones::number;

    fn row(dispense: &str, handed: i64, days: i64) -> Supply {
        Supply {
            person: Person(1),
            product: String::from("p"),
            dispense: dispense.to_owned(),
            version: 1,
            fact: i64::from(dispense.bytes().map(u32::from).sum::<u32>()),
            source: String::from("pharmacy"),
            handed,
            days,
            step: String::from(if days == 0 { UNKNOWN } else { "daysSupply" }),
            quantity: String::new(),
        }
    }

    fn covered(rows: &[Supply]) -> Vec<(i64, i64, Option<i64>)> {
        let rows: Vec<&Supply> = rows.iter().collect();
        fills(&rows).iter().map(|fill| (fill.handed, fill.first, fill.last)).collect()
    }

    fn january(day: i64) -> i64 {
        number(date(2024, 1, 1)) + day - 1
    }

    #[test]
    fn an_early_fill_begins_when_the_one_before_ends_and_a_late_one_on_its_own_day() {
        let march = number(date(2024, 3, 10));
        let fills = covered(&[row("a", january(1), 30), row("b", january(25), 30), row("c", march, 30)]);
        assert_eq!(
            fills,
            [
                (january(1), january(1), Some(january(30))),
                (january(25), january(31), Some(number(date(2024, 2, 29)))),
                (march, march, Some(number(date(2024, 4, 8)))),
            ]
        );
        let (from, to) = (january(1), number(date(2024, 3, 31)));
        let days = (from..=to).filter(|day| fills.iter().any(|(_, first, last)| first <= day && Some(*day) <= *last)).count();
        assert_eq!((days, to - from + 1), (82, 91));
    }

    #[test]
    fn two_halves_on_one_day_are_one_fill_of_the_whole() {
        assert_eq!(covered(&[row("a", 100, 15), row("b", 100, 15)]), [(100, 100, Some(129))]);
    }

    #[test]
    fn one_fact_counts_once_and_the_same_from_another_source_too() {
        let mut twin = row("b", 100, 30);
        twin.fact = row("a", 100, 30).fact;
        assert_eq!(covered(&[row("a", 100, 30), twin]), [(100, 100, Some(129))]);
        let mut one = row("a", 100, 30);
        let mut other = row("b", 100, 30);
        (one.quantity, other.quantity) = (String::from("30|TAB"), String::from("30|TAB"));
        assert_eq!(covered(&[one.clone(), other.clone()]), [(100, 100, Some(159))]);
        other.source = String::from("insurer");
        assert_eq!(covered(&[one, other]), [(100, 100, Some(129))]);
    }

    #[test]
    fn what_tells_the_same_again_is_a_copy() {
        let told = |rows: &[&Supply]| {
            let fills = fills(rows);
            fills.iter().map(|fill| (fill.handed, fill.dispenses.join(" "), fill.copies.join(" "))).collect::<Vec<_>>()
        };
        let (one, mut twin, mut half, mut other) = (row("a", 100, 30), row("b", 101, 30), row("c", 100, 30), row("d", 100, 30));
        twin.fact = one.fact;
        let make = |dispenses: &str, copies: &str| vec![(100, dispenses.to_owned(), copies.to_owned())];
        assert_eq!(told(&[&twin, &one]), make("a", "b"), "whatever day it tells itself");
        assert_eq!(told(&[&one, &half]), make("a c", ""));
        (half.quantity, other.quantity, other.source) = (String::from("30"), String::from("30"), String::from("insurer"));
        assert_eq!(told(&[&other, &half, &one, &twin]), make("a c", "b d"));
        (half.fact, other.fact) = (0, 0);
        assert_eq!(told(&[&half, &other]), make("c", "d"));
    }

    #[test]
    fn unknown_days_cover_nothing_until_there_is_a_habit() {
        assert_eq!(covered(&[row("a", 100, 30), row("b", 110, 0)]), [(100, 100, Some(129)), (110, 130, None)]);
        let habit = [row("a", 0, 0), row("b", 28, 0), row("c", 58, 0), row("d", 88, 0)];
        assert_eq!(covered(&habit).last(), Some(&(88, 88, Some(117))));
        let rows: Vec<&Supply> = habit.iter().collect();
        assert_eq!(fills(&rows).last().map(|fill| fill.step.clone()), Some(MEDIAN.to_owned()));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_order_and_any_repetition_of_the_same_facts_gives_the_same_days(
            facts in proptest::collection::vec((0i64..120, 0i64..40), 1..8),
            order in proptest::collection::vec(0usize..8, 0..24),
        ) {
            let rows: Vec<Supply> = facts.iter().enumerate().map(|(at, (handed, days))| {
                let mut row = row(&format!("d{at}"), *handed, *days);
                row.fact = i64::try_from(at).unwrap() + 1;
                row
            }).collect();
            let straight: Vec<&Supply> = rows.iter().collect();
            let mut shuffled: Vec<&Supply> = order.iter().map(|at| &rows[at % rows.len()]).collect();
            shuffled.extend(rows.iter().rev());
            prop_assert_eq!(fills(&straight), fills(&shuffled));
        }
    }
}
