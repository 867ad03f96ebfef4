//! Search rows: what a resource can be found by, kept true with every write.

mod asker;
pub(super) mod beside;
#[cfg(test)]
mod both;
#[cfg(test)]
mod bounds;
mod chain;
mod clause;
mod count;
mod filter;
#[cfg(test)]
mod flat;
pub(super) mod include;
mod lane;
pub(super) mod late;
mod order;
mod page;
#[cfg(test)]
mod plans;
pub(super) mod rebuild;
mod scan;
mod test;
#[cfg(test)]
mod tests;
mod united;
mod walk;
mod way;
mod without;

pub use beside::Beside;
pub use page::Page;
pub(super) use page::{find, still};

use self::late::Late;
use self::without::without;
use super::dialect::{Cell, Transaction};
use super::{Draft, Error, Person, Scope, Stored};
use crate::fhir::search::{self, Amount, Value, coarse};

/// One search row of a resource, without its number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Line {
    /// A row of `words`.
    Word {
        /// Number of the parameter.
        parameter: u32,
        /// Token, reference, uri or folded string.
        word: String,
    },
    /// A row of `spans`.
    Span {
        /// Number of the parameter.
        parameter: u32,
        /// First millisecond.
        low: i64,
        /// First millisecond after it.
        high: i64,
    },
    /// A row of `amounts`.
    Amount {
        /// Number of the parameter.
        parameter: u32,
        /// The number, or the lower end of a range, in millionths.
        low: i64,
        /// The number, or the upper end.
        high: i64,
        /// The unit, as a token's word.
        unit: String,
    },
}

const ADD_WORD: &str = "INSERT INTO words (tenant, parameter, word, number) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const DROP_WORD: &str = "DELETE FROM words WHERE tenant = $1 AND parameter = $2 AND word = $3 AND number = $4";
const ADD_SPAN: &str =
    "INSERT INTO spans (tenant, parameter, wide, low, high, number) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
const DROP_SPAN: &str =
    "DELETE FROM spans WHERE tenant = $1 AND parameter = $2 AND wide = $3 AND low = $4 AND high = $5 AND number = $6";
const ADD_AMOUNT: &str = "INSERT INTO amounts (tenant, parameter, wide, low, high, unit, number) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
const DROP_AMOUNT: &str = "DELETE FROM amounts WHERE tenant = $1 AND parameter = $2 AND wide = $3 AND low = $4 AND high = $5
    AND unit = $6 AND number = $7";
const SAME_FACT: &str = "SELECT COALESCE(MIN(r.fact), 0) FROM words w JOIN resources r ON r.number = w.number
    JOIN people p ON p.tenant = r.tenant AND p.person = r.person
    WHERE w.tenant = $1 AND w.parameter = $2 AND w.word = $3
    AND p.survivor = (SELECT q.survivor FROM people q WHERE q.tenant = $1 AND q.person = $4)";

const SECOND: i64 = 1_000;
const DAY: i64 = 24 * 3_600 * SECOND;

/// The search rows of a resource.
#[must_use]
pub fn lines(kind: &str, resource: &serde_json::Value) -> Vec<Line> {
    let mut lines: Vec<Line> = search::extract(kind, resource)
        .into_iter()
        .map(|row| match row.value {
            Value::Word(word) => Line::Word { parameter: row.parameter, word },
            Value::Span { low, high } => Line::Span { parameter: row.parameter, low, high },
            Value::Amount(Amount { low, high, unit }) => {
                Line::Amount { parameter: row.parameter, low: coarse(low), high: coarse(high), unit }
            }
        })
        .collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// The search rows that stand for a stored version.
pub(super) fn lines_of(stored: &Stored) -> Vec<Line> {
    if stored.deleted {
        return Vec::new();
    }
    lines(&stored.kind, &stored.value())
}

/// How wide spans are, as the index has it, each with how much longer than a millisecond they can be: a second, a day, 366 days,
/// more than that.
const WIDTHS: [(i64, i64); 4] = [(3, SECOND - 1), (0, DAY - 1), (1, 366 * DAY - 1), (2, i64::MAX)];

/// How wide a span is, as the index has it.
pub(super) fn width(low: i64, high: i64) -> i64 {
    match high.saturating_sub(low) {
        width if width <= SECOND => 3,
        width if width <= DAY => 0,
        width if width <= 366 * DAY => 1,
        _ => 2,
    }
}

/// How wide an amount is, as the index has it: 0 one number, 1 a range.
fn amount_width(amount: &Amount) -> i64 {
    i64::from(coarse(amount.low) != coarse(amount.high))
}

/// Adds search rows.
pub(super) async fn add<'l>(
    transaction: &mut Transaction<'_>,
    tenant: &'l str,
    number: i64,
    lines: impl Iterator<Item = &'l Line>,
) -> Result<(), Error> {
    write(transaction, lines.map(|line| (tenant, line, number)), &[ADD_WORD, ADD_SPAN, ADD_AMOUNT]).await
}

/// Puts the rows of a new version in the place of the old one's; what is the same stays untouched.
pub(super) async fn change(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    number: i64,
    old: &[Line],
    new: &[Line],
) -> Result<(), Error> {
    let gone = without(old, new).map(|line| (tenant, line, number));
    write(transaction, gone, &[DROP_WORD, DROP_SPAN, DROP_AMOUNT]).await?;
    add(transaction, tenant, number, without(new, old)).await
}

/// Adds or drops rows, each with its tenant and number.
async fn write<'l>(
    transaction: &mut Transaction<'_>,
    rows: impl Iterator<Item = (&'l str, &'l Line, i64)>,
    [word_sql, span_sql, amount_sql]: &[&str; 3],
) -> Result<(), Error> {
    for (tenant, line, number) in rows {
        let (tenant, number) = (Cell::Text(tenant), Cell::Int(number));
        match line {
            Line::Word { parameter, word } => {
                let cells = [tenant, Cell::Int(i64::from(*parameter)), Cell::Text(word), number];
                transaction.run(word_sql, &cells).await?;
            }
            Line::Span { parameter, low, high } => {
                let wide = Cell::Int(width(*low, *high));
                let cells = [tenant, Cell::Int(i64::from(*parameter)), wide, Cell::Int(*low), Cell::Int(*high), number];
                transaction.run(span_sql, &cells).await?;
            }
            Line::Amount { parameter, low, high, unit } => {
                let wide = Cell::Int(i64::from(low != high));
                let parameter = Cell::Int(i64::from(*parameter));
                let cells = [tenant, parameter, wide, Cell::Int(*low), Cell::Int(*high), Cell::Text(unit), number];
                transaction.run(amount_sql, &cells).await?;
            }
        }
    }
    Ok(())
}

/// The first resource of this type and person that shares an identifier (with system) with the draft.
pub(super) async fn same_fact(
    transaction: &mut Transaction<'_>,
    late: &mut Late,
    scope: &Scope,
    kind: &str,
    draft: &Draft,
    person: Person,
) -> Result<Option<i64>, Error> {
    let Some(parameter) = search::parameter(kind, "identifier") else { return Ok(None) };
    let mut first: Option<i64> = None;
    for (system, value) in &draft.identifiers {
        let word = search::token(system, value);
        if late.has(&scope.tenant, parameter.number, &word) {
            late.write(transaction).await?;
        }
        let cells = [Cell::Text(&scope.tenant), Cell::Int(i64::from(parameter.number)), Cell::Text(&word), Cell::Int(person.0)];
        if let Some(mut row) = transaction.row(SAME_FACT, &cells).await? {
            let fact = row.int()?;
            if fact > 0 {
                first = Some(first.map_or(fact, |first| first.min(fact)));
            }
        }
    }
    Ok(first)
}
