//! All that was handed over to a person, and the fills that it makes, counted once for all who ask.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::cover::{Fill, fills};
use crate::ledger::Supply;

/// Supply rows with their fills.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    rows: Vec<Supply>,
    fills: OnceCell<BTreeMap<String, Vec<Fill>>>,
    /// What `%supplies` is.
    pub(super) supplies: Told,
    /// What `%adherence` is.
    pub(super) adherence: Told,
}

/// What conditions are told of all that was handed over, counted once for the rules that ask on the same day.
#[derive(Debug, Default)]
pub(super) struct Told(OnceCell<(i64, Vec<Value>)>);

impl Told {
    /// What was counted for this day, or is counted now.
    pub(super) fn on(&self, day: i64, count: impl Fn() -> Vec<Value>) -> Vec<Cow<'_, Value>> {
        let (of, told) = self.0.get_or_init(|| (day, count()));
        if *of == day { told.iter().map(Cow::Borrowed).collect() } else { count().into_iter().map(Cow::Owned).collect() }
    }
}

impl Handed {
    /// These rows.
    pub(crate) fn of(rows: &[Supply]) -> Self {
        Self { rows: rows.to_vec(), ..Self::default() }
    }

    /// The rows, as they stand.
    pub(crate) fn rows(&self) -> &[Supply] {
        &self.rows
    }

    /// Puts this row in the place of all rows of its dispense; without one, the dispense supplies nothing any more.
    pub(crate) fn replace(&mut self, dispense: &str, row: Option<&Supply>) {
        self.rows.retain(|known| known.dispense != dispense);
        self.rows.extend(row.cloned());
        (self.fills, self.supplies, self.adherence) = Default::default();
    }

    /// The fills of every product group, in the order of the groups.
    pub(crate) fn by_product(&self) -> &BTreeMap<String, Vec<Fill>> {
        self.fills.get_or_init(|| {
            let mut rows: BTreeMap<&str, Vec<&Supply>> = BTreeMap::new();
            for row in &self.rows {
                rows.entry(row.product.as_str()).or_default().push(row);
            }
            rows.into_iter().map(|(product, rows)| (product.to_owned(), fills(&rows))).collect()
        })
    }

    /// The fills of a product group.
    pub(crate) fn fills(&self, product: &str) -> &[Fill] {
        self.by_product().get(product).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Person;

    fn row(dispense: &str, handed: i64) -> Supply {
        Supply {
            person: Person(1),
            product: String::from("p"),
            dispense: dispense.to_owned(),
            version: 1,
            fact: 0,
            source: String::new(),
            handed,
            days: 10,
            step: String::from("daysSupply"),
            quantity: String::new(),
        }
    }

    #[test]
    fn what_is_replaced_is_counted_anew() {
        let mut handed = Handed::of(&[row("a", 0), row("b", 50)]);
        let days = |handed: &Handed| handed.fills("p").iter().map(|fill| fill.handed).collect::<Vec<_>>();
        assert_eq!(days(&handed), [0, 50]);
        handed.replace("b", Some(&row("b", 20)));
        assert_eq!(days(&handed), [0, 20]);
        handed.replace("a", None);
        assert_eq!(days(&handed), [20]);
        assert!(handed.fills("q").is_empty());
    }

    #[test]
    fn what_is_told_is_of_its_day_and_of_what_stands() {
        let mut handed = Handed::of(&[row("a", 0)]);
        let told = |handed: &Handed, day: i64| {
            let count = || vec![Value::from(day + i64::try_from(handed.rows().len()).unwrap())];
            handed.adherence.on(day, count).into_iter().map(Cow::into_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            (told(&handed, 10), told(&handed, 20), told(&handed, 10)),
            (vec![11.into()], vec![21.into()], vec![11.into()])
        );
        handed.replace("a", None);
        assert_eq!(told(&handed, 10), [Value::from(10)]);
    }
}
