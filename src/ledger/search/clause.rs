//! Clauses of a search statement: text with numbered placeholders, and the cells that belong to them.

use std::borrow::Cow;

use crate::fhir::search::coarse;
use crate::fhir::search::query::{Compare, Much, When};
use crate::ledger::Error;
use crate::ledger::dialect::Cell;

/// Values that one statement binds at most; SQLite takes 32,766, PostgreSQL 65,535.
pub(super) const BOUND_MAX: usize = 30_000;

/// Letters and values that most statements have room in.
const ROOM: (usize, usize) = (1_280, 16);

/// A value that waits to be bound.
#[derive(Debug)]
enum Bound<'a> {
    Int(i64),
    Text(Cow<'a, str>),
}

/// A statement in the making.
#[derive(Debug)]
pub(super) struct Sql<'a> {
    pub(super) text: String,
    bound: Vec<Bound<'a>>,
}

impl Default for Sql<'_> {
    fn default() -> Self {
        Self { text: String::with_capacity(ROOM.0), bound: Vec::with_capacity(ROOM.1) }
    }
}

impl<'a> Sql<'a> {
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
    pub(super) fn text(&mut self, value: &'a str) -> &mut Self {
        self.bind(Bound::Text(Cow::Borrowed(value)))
    }

    /// The same for a text that may be made for it.
    pub(super) fn made(&mut self, value: Cow<'a, str>) -> &mut Self {
        self.bind(Bound::Text(value))
    }

    /// Adds a number as part of the text.
    pub(super) fn number(&mut self, number: usize) -> &mut Self {
        push_number(&mut self.text, number);
        self
    }

    fn bind(&mut self, value: Bound<'a>) -> &mut Self {
        self.bound.push(value);
        let place = self.bound.len();
        self.push("$").number(place)
    }

    /// Adds a list of text placeholders. Its length is filled up to the next power of two, so that lists of many lengths
    /// make few statements.
    pub(super) fn texts(&mut self, values: &'a [String]) -> &mut Self {
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

/// Adds a number, digit by digit: a statement has some of them, and each search makes one or two.
fn push_number(text: &mut String, number: usize) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.extend(u32::try_from(number % 10).ok().and_then(|digit| char::from_digit(digit, 10)));
}

/// A stamp is a span of one millisecond: none of them is longer.
pub(super) const STAMP: i64 = 0;

/// The range of `low` in which spans so much longer than a millisecond, at most, can satisfy a comparison: what the index is
/// asked for.
pub(super) fn low_range(when: &When, slack: i64, now: i64) -> (i64, i64) {
    let asked = when.span;
    // What ends behind a moment begins so much before it at most; what has no bound to its length, at any time, or at none that is
    // known.
    let ends_behind = |moment: i64| if slack == i64::MAX { i64::MIN } else { moment.saturating_sub(slack) };
    match when.compare {
        Compare::Equal => (asked.low, asked.high),
        Compare::NotEqual => (i64::MIN, i64::MAX),
        Compare::Greater => (ends_behind(asked.high), i64::MAX),
        Compare::GreaterOrEqual => (ends_behind(asked.high).min(asked.low), i64::MAX),
        Compare::Less | Compare::EndsBefore => (i64::MIN, asked.low),
        Compare::LessOrEqual => (i64::MIN, asked.high),
        Compare::StartsAfter => (asked.high, i64::MAX),
        Compare::Approximately => {
            let near = (now - asked.low).abs() / 10;
            (ends_behind(asked.low.saturating_sub(near)), asked.high.saturating_add(near))
        }
    }
}

/// The range of `low`, as rows hold it, in which amounts of this width (0: one number, 1: a range) can satisfy a comparison. Several
/// numbers are one there: what lies in it is looked at.
pub(super) fn amount_range(much: &Much, wide: i64) -> (i64, i64) {
    let (low, high) = much.bounds();
    let (at, behind) = (coarse(much.at), |number: i128| coarse(number).saturating_add(1));
    let upward = if wide == 0 { at } else { i64::MIN };
    match much.compare {
        Compare::Equal | Compare::Approximately => (coarse(low), behind(high.saturating_sub(1))),
        Compare::NotEqual => (i64::MIN, i64::MAX),
        Compare::Greater | Compare::GreaterOrEqual => (upward, i64::MAX),
        Compare::StartsAfter => (at, i64::MAX),
        Compare::Less | Compare::LessOrEqual | Compare::EndsBefore => (i64::MIN, behind(much.at)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{WIDTHS, width};
    use super::*;
    use crate::fhir::time::Span;

    const DAY: i64 = 86_400_000;

    fn asked(compare: Compare, low: i64, high: i64) -> When {
        When { compare, span: Span { low, high } }
    }

    /// What satisfies a comparison lies in the range of the index, whatever its width.
    #[test]
    fn a_range_leaves_out_nothing_that_is_meant() {
        use Compare::{Approximately, EndsBefore, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual, StartsAfter};
        let all = [Equal, NotEqual, Greater, Less, GreaterOrEqual, LessOrEqual, StartsAfter, EndsBefore, Approximately];
        let mut tried = 0;
        for compare in all {
            for (low, high) in [(0, 1), (0, 1_000), (0, DAY), (0, 31 * DAY), (20_000 * DAY, 20_001 * DAY)] {
                let when = asked(compare, low, high);
                let mut is_kept = |found: Span| {
                    let slack = WIDTHS.iter().find(|(wide, _)| *wide == width(found.low, found.high)).unwrap().1;
                    let (first, end) = low_range(&when, slack, DAY);
                    let lies = first <= found.low && (found.low < end || end == i64::MAX);
                    tried += usize::from(when.holds(found, DAY));
                    lies || !when.holds(found, DAY)
                };
                for length in [1, 999, 1_000, 1_001, DAY - 1, DAY, DAY + 1, 366 * DAY, 367 * DAY] {
                    for at in [low - length, low, high - length, high, high - DAY, low - DAY] {
                        for from in at - 2..=at + 2 {
                            let found = Span { low: from, high: from + length };
                            assert!(is_kept(found), "{compare:?} {low}..{high}: {from}+{length}");
                        }
                    }
                }
                for end in [low - 1, low, low + 1, high - 1, high, high + 1, high + 2 * DAY] {
                    for found in [Span { low: i64::MIN, high: end }, Span { low: end, high: i64::MAX }] {
                        assert!(is_kept(found), "{compare:?} {low}..{high}: {found:?}");
                    }
                }
            }
        }
        assert!(tried > 1_000, "{tried}");
    }

    /// And it begins as late as it can: with the day itself for days, with the moment itself for stamps.
    #[test]
    fn a_range_begins_with_what_is_asked() {
        let (day, moment) = (asked(Compare::GreaterOrEqual, DAY, 2 * DAY), asked(Compare::GreaterOrEqual, DAY, DAY + 1));
        assert_eq!(low_range(&day, DAY - 1, 0).0, DAY);
        assert_eq!(low_range(&asked(Compare::Greater, DAY, 2 * DAY), DAY - 1, 0).0, DAY + 1);
        assert_eq!(low_range(&moment, STAMP, 0).0, DAY);
        assert_eq!(low_range(&asked(Compare::Greater, DAY, DAY + 1), STAMP, 0).0, DAY + 1);
        assert_eq!(low_range(&moment, 999, 0).0, DAY + 1 - 999);
    }

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
