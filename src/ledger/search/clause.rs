//! Clauses of a search statement: text with numbered placeholders, and the cells that belong to them.

use crate::fhir::search::query::{Compare, Much, When};
use crate::ledger::Error;
use crate::ledger::dialect::Cell;

/// Values that one statement binds at most; SQLite takes 32,766, PostgreSQL 65,535.
pub(super) const BOUND_MAX: usize = 30_000;

/// A value that waits to be bound.
#[derive(Debug, Clone)]
pub(super) enum Bound {
    Int(i64),
    Text(String),
}

/// A statement in the making.
#[derive(Debug, Default)]
pub(super) struct Sql {
    pub(super) text: String,
    bound: Vec<Bound>,
}

impl Sql {
    /// Adds plain text.
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a placeholder for a number.
    pub(super) fn int(&mut self, value: i64) -> &mut Self {
        self.bind(Bound::Int(value))
    }

    /// Adds a placeholder for a text.
    pub(super) fn text(&mut self, value: &str) -> &mut Self {
        self.bind(Bound::Text(value.to_owned()))
    }

    fn bind(&mut self, value: Bound) -> &mut Self {
        self.bound.push(value);
        self.text.push('$');
        self.text.push_str(&self.bound.len().to_string());
        self
    }

    /// Adds a list of text placeholders. Its length is filled up to the next power of two, so that lists of many lengths
    /// make few statements.
    pub(super) fn texts(&mut self, values: &[String]) -> &mut Self {
        let Some(last) = values.last() else { return self.push("''") };
        let filled = std::iter::repeat_n(last, values.len().next_power_of_two() - values.len());
        for (index, value) in values.iter().chain(filled).enumerate() {
            if index > 0 {
                self.push(", ");
            }
            self.text(value);
        }
        self
    }

    /// The cells in the order of their placeholders; a statement with more of them than a database takes is refused.
    pub(super) fn cells(&self) -> Result<Vec<Cell<'_>>, Error> {
        if self.bound.len() > BOUND_MAX {
            return Err(Error::TooCostly("The search asks for too many values at once: name fewer alternatives."));
        }
        let cells = self.bound.iter().map(|bound| match bound {
            Bound::Int(value) => Cell::Int(*value),
            Bound::Text(value) => Cell::Text(value),
        });
        Ok(cells.collect())
    }

    /// Adds a condition on a span in the columns `low` and `high`.
    pub(super) fn compare(&mut self, low: &str, high: &str, when: &When, now: i64) -> &mut Self {
        let asked = when.span;
        match when.compare {
            Compare::Equal => self.within(low, high, when),
            Compare::NotEqual => self.push("(").below(low, asked.low).push(" OR ").above(high, asked.high).push(")"),
            Compare::Greater => self.above(high, asked.high),
            Compare::Less => self.below(low, asked.low),
            Compare::GreaterOrEqual => self.push("(").above(high, asked.high).push(" OR ").within(low, high, when).push(")"),
            Compare::LessOrEqual => self.push("(").below(low, asked.low).push(" OR ").within(low, high, when).push(")"),
            Compare::StartsAfter => self.push(low).push(" >= ").int(asked.high),
            Compare::EndsBefore => self.push(high).push(" <= ").int(asked.low),
            Compare::Approximately => {
                let slack = (now - asked.low).abs() / 10;
                self.push("(").below(low, asked.high.saturating_add(slack)).push(" AND ");
                self.above(high, asked.low.saturating_sub(slack)).push(")")
            }
        }
    }

    fn within(&mut self, low: &str, high: &str, when: &When) -> &mut Self {
        self.push("(")
            .push(low)
            .push(" >= ")
            .int(when.span.low)
            .push(" AND ")
            .push(high)
            .push(" <= ")
            .int(when.span.high)
            .push(")")
    }

    fn below(&mut self, column: &str, value: i64) -> &mut Self {
        self.push(column).push(" < ").int(value)
    }

    fn above(&mut self, column: &str, value: i64) -> &mut Self {
        self.push(column).push(" > ").int(value)
    }
}

/// A pattern of `LIKE` for what stands between `before` and `after`, whatever it holds; its escape is a backslash.
pub(super) fn pattern(before: &str, text: &str, after: &str) -> String {
    let mut pattern = String::from(before);
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push_str(after);
    pattern
}

/// The range of `low` in which spans of this width can satisfy a comparison: what the index is asked for.
pub(super) fn low_range(when: &When, wide: i64, now: i64) -> (i64, i64) {
    let slack = match wide {
        0 => 86_400_000,
        1 => 366 * 86_400_000,
        _ => i64::MAX,
    };
    let asked = when.span;
    match when.compare {
        Compare::Equal => (asked.low, asked.high),
        Compare::NotEqual => (i64::MIN, i64::MAX),
        Compare::Greater => (asked.high.saturating_sub(slack), i64::MAX),
        Compare::GreaterOrEqual => (asked.low.saturating_sub(slack), i64::MAX),
        Compare::Less | Compare::EndsBefore => (i64::MIN, asked.low),
        Compare::LessOrEqual => (i64::MIN, asked.high),
        Compare::StartsAfter => (asked.high, i64::MAX),
        Compare::Approximately => {
            let near = (now - asked.low).abs() / 10;
            (asked.low.saturating_sub(near).saturating_sub(slack), asked.high.saturating_add(near))
        }
    }
}

/// The range of `low` in which amounts of this width (0: one number, 1: a range) can satisfy a comparison.
pub(super) fn amount_range(much: &Much, wide: i64) -> (i64, i64) {
    let (low, high) = much.bounds();
    let upward = if wide == 0 { much.at } else { i64::MIN };
    match much.compare {
        Compare::Equal | Compare::Approximately => (low, high),
        Compare::NotEqual => (i64::MIN, i64::MAX),
        Compare::Greater | Compare::GreaterOrEqual => (upward, i64::MAX),
        Compare::StartsAfter => (much.at, i64::MAX),
        Compare::Less | Compare::LessOrEqual | Compare::EndsBefore => (i64::MIN, much.at.saturating_add(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_binds_a_bounded_number_of_values() {
        let mut sql = Sql::default();
        for value in 0..BOUND_MAX {
            sql.int(i64::try_from(value).unwrap());
        }
        assert_eq!(sql.cells().map(|cells| cells.len()).ok(), Some(BOUND_MAX));
        sql.text("one more");
        assert!(matches!(sql.cells(), Err(Error::TooCostly(_))));
    }
}
