//! All that was handed over to a person, and the fills that it makes, counted once for all who ask.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::cover::{Fill, fills};
use crate::ledger::Supply;

/// Supply rows with their fills. What was counted of a product stays counted until one of its rows changes, also from one telling of
/// a story to the next.
#[derive(Debug, Clone, Default)]
pub struct Handed {
    products: BTreeMap<String, Arc<Product>>,
    /// What `%supplies` is.
    pub(super) supplies: Told,
    /// What `%adherence` is.
    pub(super) adherence: Told,
}

/// What was handed over of a product group.
#[derive(Debug, Default)]
struct Product {
    rows: Vec<Arc<Supply>>,
    fills: OnceLock<Arc<[Fill]>>,
}

/// What conditions are told of all that was handed over, counted once for the rules that ask on the same day.
#[derive(Debug, Clone, Default)]
pub(super) struct Told(Arc<OnceLock<(i64, Vec<Value>)>>);

impl Told {
    /// What was counted for this day, or is counted now.
    pub(super) fn on(&self, day: i64, count: impl Fn() -> Vec<Value>) -> Vec<Cow<'_, Value>> {
        let (of, told) = self.0.get_or_init(|| (day, count()));
        if *of == day { told.iter().map(Cow::Borrowed).collect() } else { count().into_iter().map(Cow::Owned).collect() }
    }
}

impl Handed {
    /// These rows.
    pub fn of(rows: impl IntoIterator<Item = Arc<Supply>>) -> Self {
        let mut products: BTreeMap<String, Product> = BTreeMap::new();
        for row in rows {
            products.entry(row.product.clone()).or_default().rows.push(row);
        }
        let products = products.into_iter().map(|(name, product)| (name, Arc::new(product))).collect();
        Self { products, ..Self::default() }
    }

    /// The same for a reaction, which changes its own alone. What is told of a day is counted anew: another may have come.
    pub(super) fn again(&self) -> Self {
        Self { adherence: Told::default(), ..self.clone() }
    }

    /// The rows, as they stand, product by product.
    pub fn rows(&self) -> impl Iterator<Item = &Supply> {
        self.products.values().flat_map(|product| &product.rows).map(Arc::as_ref)
    }

    /// The rows of a product group.
    pub(crate) fn rows_of(&self, product: &str) -> impl Iterator<Item = &Supply> {
        self.products.get(product).into_iter().flat_map(|product| &product.rows).map(Arc::as_ref)
    }

    /// Puts this row in the place of all rows of its dispense; without one, the dispense supplies nothing any more.
    pub fn replace(&mut self, dispense: &str, row: Option<Arc<Supply>>) {
        let gone = |product: &Product| product.rows.iter().any(|known| known.dispense == dispense);
        for product in self.products.values_mut().filter(|product| gone(product)) {
            let rows = product.rows.iter().filter(|known| known.dispense != dispense).cloned().collect();
            *product = Arc::new(Product { rows, ..Product::default() });
        }
        if let Some(row) = row {
            let product = self.products.entry(row.product.clone()).or_default();
            let rows = product.rows.iter().cloned().chain([row]).collect();
            *product = Arc::new(Product { rows, ..Product::default() });
        }
        self.products.retain(|_, product| !product.rows.is_empty());
        (self.supplies, self.adherence) = Default::default();
    }

    /// The fills of every product group, in the order of the groups.
    pub(crate) fn by_product(&self) -> impl Iterator<Item = (&str, &[Fill])> {
        self.products.iter().map(|(name, product)| (name.as_str(), product.fills().as_ref()))
    }

    /// The fills of a product group.
    pub(crate) fn fills(&self, product: &str) -> &[Fill] {
        self.products.get(product).map_or(&[], |product| product.fills().as_ref())
    }

    /// The same, as they are now, whatever changes after that.
    pub(crate) fn fills_now(&self, product: &str) -> Arc<[Fill]> {
        self.products.get(product).map_or_else(|| Arc::from([]), |product| Arc::clone(product.fills()))
    }
}

impl Product {
    fn fills(&self) -> &Arc<[Fill]> {
        self.fills.get_or_init(|| fills(&self.rows.iter().map(Arc::as_ref).collect::<Vec<_>>()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Person;

    fn row(dispense: &str, handed: i64) -> Arc<Supply> {
        Arc::new(Supply {
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
        })
    }

    #[test]
    fn what_is_replaced_is_counted_anew() {
        let mut handed = Handed::of([row("a", 0), row("b", 50)]);
        let days = |handed: &Handed| handed.fills("p").iter().map(|fill| fill.handed).collect::<Vec<_>>();
        assert_eq!(days(&handed), [0, 50]);
        handed.replace("b", Some(row("b", 20)));
        assert_eq!(days(&handed), [0, 20]);
        handed.replace("a", None);
        assert_eq!(days(&handed), [20]);
        assert!(handed.fills("q").is_empty());
    }

    #[test]
    fn what_is_told_is_of_its_day_and_of_what_stands() {
        let mut handed = Handed::of([row("a", 0)]);
        let told = |handed: &Handed, day: i64| {
            let count = || vec![Value::from(day + i64::try_from(handed.rows().count()).unwrap())];
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
