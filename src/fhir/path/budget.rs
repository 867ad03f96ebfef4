//! The work that evaluations may do and the texts that they may make: counted in steps and bytes, never in time.

use std::borrow::Cow;
use std::cell::Cell;

use super::Error;
use super::item::Item;

/// How many steps an evaluation may take before it is given up; an item that is looked at or made is one.
pub const STEPS_MAX: u64 = 1_000_000;

/// How many bytes a text may have that an expression makes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// So many bytes are read, compared or copied in one step.
const STEP_BYTES: usize = 16;

/// What is left of the work that one evaluation, or many together, may do.
#[derive(Debug, Default)]
pub struct Budget {
    steps: Cell<u64>,
}

impl Budget {
    /// A budget of which nothing is spent.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts work; an error once it is too much.
    pub fn charge(&self, steps: usize) -> Result<(), Error> {
        self.spend(steps.saturating_add(1));
        if self.is_spent() { Err(Error::Bound("work of the evaluation")) } else { Ok(()) }
    }

    /// Whether nothing is left of it.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.steps.get() > STEPS_MAX
    }

    /// Counts work that itself cannot fail: the next charge does.
    pub(super) fn spend(&self, steps: usize) {
        self.steps.set(self.steps.get().saturating_add(steps as u64));
    }

    /// Counts the reading of so many bytes.
    pub(super) fn read(&self, bytes: usize) {
        self.spend(bytes / STEP_BYTES);
    }

    /// Counts the comparison of two texts, with the copies that were made of those that are no part of a resource.
    pub(super) fn compare(&self, left: &Item<'_>, right: &Item<'_>) {
        let length = |item: &Item<'_>| item.as_text().map_or(0, str::len);
        self.read(length(left).min(length(right)) + own(left) + own(right));
    }

    /// Counts a text before it is made; an error if it is too long.
    pub(super) fn text(&self, bytes: usize) -> Result<(), Error> {
        fits(bytes)?;
        self.charge(bytes / STEP_BYTES)
    }

    /// Counts items that were made, and the bytes of the texts that are their own.
    pub(super) fn items(&self, items: &[Item<'_>]) -> Result<(), Error> {
        let mut bytes = 0_usize;
        for item in items {
            let length = own(item);
            fits(length)?;
            bytes = bytes.saturating_add(length);
        }
        self.charge(items.len().saturating_add(bytes / STEP_BYTES))
    }
}

/// Whether a text of so many bytes may be made.
pub(super) fn fits(bytes: usize) -> Result<(), Error> {
    if bytes > TEXT_BYTES_MAX { Err(Error::Bound("length of a text")) } else { Ok(()) }
}

/// The bytes of its text, where that is not borrowed from a resource or an expression.
fn own(item: &Item<'_>) -> usize {
    match item {
        Item::Text(Cow::Owned(text)) | Item::Kind(_, Cow::Owned(text)) => text.len(),
        Item::Quantity(quantity) => {
            if let Cow::Owned(unit) = &quantity.unit {
                unit.len()
            } else {
                0
            }
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_to_its_end_and_no_further() {
        let all = usize::try_from(STEPS_MAX).unwrap();
        let budget = Budget::new();
        assert_eq!(budget.charge(all - 1), Ok(()));
        assert!(budget.charge(0).is_err());
        let budget = Budget::new();
        budget.spend(all);
        assert!(budget.charge(0).is_err());
        budget.spend(usize::MAX);
        budget.spend(usize::MAX);
        assert!(budget.charge(0).is_err());
    }

    #[test]
    fn only_texts_of_its_own_are_made() {
        let long = "a".repeat(TEXT_BYTES_MAX + 1);
        let (borrowed, made) = (Item::Text(Cow::Borrowed(&long)), Item::text(long.as_str()));
        assert_eq!(Budget::new().items(&[borrowed]), Ok(()));
        assert_eq!(Budget::new().items(&[made]), Err(Error::Bound("length of a text")));
        let short = vec![Item::text(&long[..TEXT_BYTES_MAX]); 16];
        assert_eq!(Budget::new().items(&short), Err(Error::Bound("work of the evaluation")));
        assert_eq!(Budget::new().items(&short[..8]), Ok(()));
    }
}
