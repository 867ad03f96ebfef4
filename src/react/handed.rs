//! All that was handed over to a person, and the fills that it makes, counted once for all who ask.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::cover::{Fill, fills};
use crate::ledger::Supply;

/// Supply rows with their fills.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    rows: Vec<Supply>,
    fills: OnceCell<BTreeMap<String, Vec<Fill>>>,
}

impl Handed {
    /// These rows.
    pub(crate) fn of(rows: &[Supply]) -> Self {
        Self { rows: rows.to_vec(), fills: OnceCell::new() }
    }

    /// The rows, as they stand.
    pub(crate) fn rows(&self) -> &[Supply] {
        &self.rows
    }

    /// Puts this row in the place of all rows of its dispense; without one, the dispense supplies nothing any more.
    pub(crate) fn replace(&mut self, dispense: &str, row: Option<&Supply>) {
        self.rows.retain(|known| known.dispense != dispense);
        self.rows.extend(row.cloned());
        self.fills = OnceCell::new();
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
}
