//! How well a person is covered by what was handed over: proportion of days covered and medication possession ratio.
//!
//! The figures are named by their definitions: `pdc` is CMA7 of the AdhereR family (each day counted once, early fills carried over, also
//! from before the window), `mpr` is CMA1 (all supplies but the last, through the days from first to last fill), `mpr-to-end` is CMA2.

use std::collections::BTreeSet;

use super::cover::{Fill, MEDIAN};
use super::runs::Runs;

/// A fraction whose parts are shown beside its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ratio {
    /// Days above the line.
    pub(crate) over: i64,
    /// Days below it; never 0.
    pub(crate) under: i64,
}

impl Ratio {
    fn of(over: i64, under: i64) -> Option<Self> {
        (under > 0).then_some(Self { over, under })
    }

    /// The fraction itself.
    #[expect(clippy::cast_precision_loss, reason = "days of a lifetime")]
    pub(crate) fn value(self) -> f64 {
        self.over as f64 / self.under as f64
    }

    /// With six decimals, as a JSON number: `0.901099`.
    pub(crate) fn decimal(self) -> String {
        format!("{:.6}", self.value())
    }
}

/// Which days are asked about, as numbers since 1970, both inclusive, and how they are counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    /// The first day.
    pub(crate) from: i64,
    /// The last day.
    pub(crate) to: i64,
    /// Days spent in hospital: they come out of both parts, and supply in hand lasts longer by them.
    pub(crate) away: BTreeSet<i64>,
}

/// What a product group comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Days covered through days of the window.
    pub(crate) pdc: Option<Ratio>,
    /// Supplies but the last through days from first to last fill of the window.
    pub(crate) mpr: Option<Ratio>,
    /// All supplies of the window through days from its first fill to its end.
    pub(crate) mpr_to_end: Option<Ratio>,
    /// Different days on which something was handed over in the window.
    pub(crate) fills: usize,
    /// The last covered day that is known, also when it lies after the window.
    pub(crate) runs_out: Option<i64>,
}

/// Whether the days of a fill were told, and not only guessed from the person's habit.
pub(crate) fn is_counted(fill: &Fill) -> bool {
    fill.last.is_some() && fill.step != MEDIAN
}

/// The days that these fills cover, early ones carried over; on days away nothing is used up.
pub(crate) fn covered(fills: &[Fill], away: &BTreeSet<i64>) -> Runs {
    let mut runs = Vec::with_capacity(fills.len());
    let mut free = i64::MIN;
    for fill in fills.iter().filter(|fill| is_counted(fill)) {
        let (mut day, mut left) = (fill.handed.max(free), fill.days);
        for gone in away.range(day..) {
            if left <= gone - day {
                break;
            }
            runs.push((day, gone - 1));
            left -= gone - day;
            day = gone + 1;
        }
        runs.push((day, day + left - 1));
        free = day + left;
    }
    runs.into_iter().collect()
}

/// Days of the window that count at all.
pub(crate) fn days(window: &Window) -> i64 {
    let away = window.away.range(window.from..=window.to).count();
    (window.to - window.from + 1) - i64::try_from(away).unwrap_or(i64::MAX)
}

/// Days of the window that are among these.
pub(crate) fn within(covered: &Runs, window: &Window) -> i64 {
    covered.within(window.from, window.to)
}

/// What the fills of one product group come to in a window.
pub(crate) fn figures(fills: &[Fill], window: &Window) -> Figures {
    let known: Vec<&Fill> = fills.iter().filter(|fill| is_counted(fill)).collect();
    let covered = covered(fills, &window.away);
    let inside: Vec<&Fill> = known.iter().filter(|fill| (window.from..=window.to).contains(&fill.handed)).copied().collect();
    let sum = |fills: &[&Fill]| fills.iter().map(|fill| fill.days).sum::<i64>();
    let span = inside.first().zip(inside.last()).map_or(0, |(first, last)| last.handed - first.handed);
    let but_last = inside.split_last().map_or(&[][..], |(_, rest)| rest);
    let to_end = inside.first().map_or(0, |first| window.to - first.handed + 1);
    Figures {
        pdc: Ratio::of(within(&covered, window), days(window)).filter(|_| !known.is_empty()),
        mpr: Ratio::of(sum(but_last), span),
        mpr_to_end: Ratio::of(sum(&inside), to_end),
        fills: fills.iter().filter(|fill| (window.from..=window.to).contains(&fill.handed)).count(),
        runs_out: covered.last(),
    }
}

/// Days of the window on which any of these products was in hand, through its days; different products do not shift each other.
/// Nothing when the days of no fill are known.
pub(crate) fn covered_by_any(products: &[impl AsRef<[Fill]>], window: &Window) -> Option<Ratio> {
    let covered = any_of(products, &window.away);
    let is_known = products.iter().flat_map(AsRef::as_ref).any(is_counted);
    Ratio::of(within(&covered, window), days(window)).filter(|_| is_known)
}

/// The days on which any of these products was in hand.
pub(crate) fn any_of(products: &[impl AsRef<[Fill]>], away: &BTreeSet<i64>) -> Runs {
    products.iter().flat_map(|fills| covered(fills.as_ref(), away).iter().collect::<Vec<_>>()).collect()
}

/// Whether a fill was handed over in the window, or covers a day of it.
pub(crate) fn reaches(covered: &Runs, fills: &[Fill], window: &Window) -> bool {
    within(covered, window) > 0 || fills.iter().any(|fill| (window.from..=window.to).contains(&fill.handed))
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::{Person, Supply};
    use crate::react::cover::fills;
    use crate::react::zones::{date, number};

    fn day(text: &str) -> i64 {
        number(text.parse::<Date>().unwrap())
    }

    fn supplies(list: &[(&str, i64)]) -> Vec<Supply> {
        let supply = |(at, (handed, days)): (usize, &(&str, i64))| Supply {
            person: Person(1),
            product: String::from("p"),
            dispense: format!("d{at}"),
            version: 1,
            fact: i64::try_from(at).unwrap() + 1,
            source: String::from("pharmacy"),
            handed: day(handed),
            days: *days,
            step: String::from(if *days == 0 { "unknown" } else { "daysSupply" }),
            quantity: String::new(),
        };
        list.iter().enumerate().map(supply).collect()
    }

    fn window(from: &str, to: &str) -> Window {
        Window { from: day(from), to: day(to), away: BTreeSet::new() }
    }

    fn of(list: &[(&str, i64)], window: &Window) -> Figures {
        let rows = supplies(list);
        figures(&fills(&rows.iter().collect::<Vec<_>>()), window)
    }

    fn ratio(ratio: Option<Ratio>) -> (i64, i64, String) {
        let ratio = ratio.unwrap();
        (ratio.over, ratio.under, ratio.decimal())
    }

    #[test]
    fn early_fills_carry_over() {
        let found = of(&[("2024-01-01", 30), ("2024-01-25", 30), ("2024-03-10", 30)], &window("2024-01-01", "2024-03-31"));
        assert_eq!(ratio(found.pdc), (82, 91, String::from("0.901099")));
        assert_eq!(found.runs_out.map(|last| date(last).to_string()).as_deref(), Some("2024-04-08"));
        assert_eq!(found.fills, 3);
    }

    /// The two patients of the AdhereR vignette, with the figures printed there.
    const P76: &[(&str, i64)] = &[
        ("2035-12-13", 30),
        ("2036-01-18", 30),
        ("2036-01-23", 60),
        ("2036-04-25", 60),
        ("2036-08-08", 60),
        ("2036-10-03", 60),
        ("2036-11-29", 60),
        ("2036-12-21", 30),
        ("2037-01-05", 30),
    ];
    const P37: &[(&str, i64)] = &[
        ("2036-04-10", 50),
        ("2036-07-30", 50),
        ("2036-09-15", 50),
        ("2037-01-02", 30),
        ("2037-01-31", 30),
        ("2037-05-09", 30),
        ("2037-08-13", 30),
    ];

    #[test]
    fn the_published_possession_ratios_are_met() {
        let found = of(P76, &window("2036-06-12", "2037-06-11"));
        assert_eq!(ratio(found.mpr), (210, 150, String::from("1.400000")));
        assert_eq!(ratio(found.mpr_to_end), (240, 308, String::from("0.779221")));
        assert_eq!(ratio(of(P37, &window("2036-10-09", "2037-10-08")).mpr), (90, 223, String::from("0.403587")));
    }

    #[test]
    fn the_published_covered_days_are_met_with_what_reaches_into_the_window() {
        assert_eq!(ratio(of(P76, &window("2036-06-12", "2037-06-11")).pdc), (252, 365, String::from("0.690411")));
        assert_eq!(ratio(of(P37, &window("2036-10-09", "2037-10-08")).pdc), (149, 365, String::from("0.408219")));
    }

    #[test]
    fn what_reaches_over_the_end_of_the_window_does_not_count() {
        let list = [("2005-02-17", 30), ("2005-06-13", 30), ("2005-08-11", 30)];
        assert_eq!(ratio(of(&list, &window("2005-02-17", "2005-08-15")).pdc), (65, 180, String::from("0.361111")));
    }

    #[test]
    fn days_in_hospital_come_out_and_what_is_in_hand_lasts_longer() {
        let mut stay = window("2024-01-01", "2024-02-29");
        assert_eq!(ratio(of(&[("2024-01-01", 30)], &stay).pdc), (30, 60, String::from("0.500000")));
        stay.away = (day("2024-01-11")..=day("2024-01-20")).collect();
        let found = of(&[("2024-01-01", 30)], &stay);
        assert_eq!(ratio(found.pdc), (30, 50, String::from("0.600000")));
        assert_eq!(found.runs_out, Some(day("2024-02-09")));
    }

    #[test]
    fn unknown_days_are_no_cover_and_no_zero() {
        let none = of(&[("2024-01-01", 0)], &window("2024-01-01", "2024-01-31"));
        assert_eq!((none.pdc, none.mpr, none.fills, none.runs_out), (None, None, 1, None));
        let habit = [("2024-01-01", 0), ("2024-01-31", 0), ("2024-03-01", 0), ("2024-03-31", 0)];
        assert_eq!(of(&habit, &window("2024-01-01", "2024-04-30")).pdc, None);
    }

    #[test]
    fn different_products_of_a_class_do_not_shift_each_other_and_a_day_counts_once() {
        let fills_of = |list: &[(&str, i64)]| fills(&supplies(list).iter().collect::<Vec<_>>());
        let products = [fills_of(&[("2024-01-01", 30)]), fills_of(&[("2024-01-16", 30)])];
        let window = window("2024-01-01", "2024-02-29");
        // 1 to 30 January and 16 January to 14 February: 45 days, and not the 60 of one product.
        assert_eq!(ratio(covered_by_any(&products, &window)), (45, 60, String::from("0.750000")));
        let same = [fills_of(&[("2024-01-01", 30), ("2024-01-16", 30)])];
        assert_eq!(ratio(covered_by_any(&same, &window)), (60, 60, String::from("1.000000")));
        assert_eq!(covered_by_any(&[fills_of(&[("2024-01-01", 0)])], &window), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_day_is_covered_once_and_no_more_than_was_handed_over(
            list in proptest::collection::vec((0i64..200, 1i64..60), 0..10),
            from in 0i64..100, length in 1i64..200,
            stay in 0i64..200, nights in 0i64..20,
        ) {
            let rows: Vec<Supply> = supplies(&vec![("2024-01-01", 1); list.len()]).into_iter().zip(&list)
                .map(|(row, (handed, days))| Supply { handed: *handed, days: *days, ..row }).collect();
            let fills = fills(&rows.iter().collect::<Vec<_>>());
            let window = Window { from, to: from + length - 1, away: (stay..stay + nights).collect() };
            let found = figures(&fills, &window);
            if let Some(pdc) = found.pdc {
                prop_assert!(pdc.over <= pdc.under && pdc.under <= length);
                prop_assert!(pdc.over <= list.iter().map(|(_, days)| days).sum::<i64>());
            }
            let all = covered(&fills, &window.away);
            let all: BTreeSet<i64> = all.iter().flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(i64::try_from(all.len()).unwrap(), list.iter().map(|(_, days)| days).sum::<i64>());
            prop_assert!(all.is_disjoint(&window.away));
        }
    }
}
