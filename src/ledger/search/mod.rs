//! Search rows: what a resource can be found by, kept true with every write.

mod clause;
mod exact;
mod page;

pub use page::Page;
pub(super) use page::{find, page};

use super::dialect::{Cell, Transaction};
use super::{Draft, Error, Person, Scope, Stored};
use crate::fhir::search::{self, Value};

/// One search row of a resource, without its number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
}

const ADD_WORD: &str = "INSERT INTO words (tenant, parameter, word, number) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const DROP_WORD: &str = "DELETE FROM words WHERE tenant = $1 AND parameter = $2 AND word = $3 AND number = $4";
const ADD_SPAN: &str =
    "INSERT INTO spans (tenant, parameter, wide, low, high, number) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
const DROP_SPAN: &str =
    "DELETE FROM spans WHERE tenant = $1 AND parameter = $2 AND wide = $3 AND low = $4 AND high = $5 AND number = $6";
const SAME_FACT: &str = "SELECT COALESCE(MIN(r.fact), 0) FROM words w JOIN resources r ON r.number = w.number
    JOIN people p ON p.tenant = r.tenant AND p.person = r.person
    WHERE w.tenant = $1 AND w.parameter = $2 AND w.word = $3 AND p.survivor = $4";

const DAY: i64 = 86_400_000;

/// The search rows of a resource.
#[must_use]
pub fn lines(kind: &str, resource: &serde_json::Value) -> Vec<Line> {
    let mut lines: Vec<Line> = search::extract(kind, resource)
        .into_iter()
        .filter_map(|row| match row.value {
            Value::Word(word) => Some(Line::Word { parameter: row.parameter, word }),
            Value::Span { low, high } => Some(Line::Span { parameter: row.parameter, low, high }),
            Value::Amount { .. } => None,
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

/// How wide a span is, as the index has it: 0 up to a day, 1 up to 366 days, 2 longer.
pub(super) fn width(low: i64, high: i64) -> i64 {
    match high.saturating_sub(low) {
        width if width <= DAY => 0,
        width if width <= 366 * DAY => 1,
        _ => 2,
    }
}

/// Adds search rows.
pub(super) async fn add(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    number: i64,
    lines: impl Iterator<Item = &Line>,
) -> Result<(), Error> {
    write(transaction, tenant, number, lines, ADD_WORD, ADD_SPAN).await
}

/// Puts the rows of a new version in the place of the old one's; what is the same stays untouched.
pub(super) async fn change(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    number: i64,
    old: &[Line],
    new: &[Line],
) -> Result<(), Error> {
    write(transaction, tenant, number, old.iter().filter(|line| !new.contains(line)), DROP_WORD, DROP_SPAN).await?;
    add(transaction, tenant, number, new.iter().filter(|line| !old.contains(line))).await
}

async fn write(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    number: i64,
    lines: impl Iterator<Item = &Line>,
    word_sql: &str,
    span_sql: &str,
) -> Result<(), Error> {
    let (tenant, number) = (Cell::Text(tenant), Cell::Int(number));
    for line in lines {
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
        }
    }
    Ok(())
}

/// The first resource of this type and person that shares an identifier (with system) with the draft.
pub(super) async fn same_fact(
    transaction: &mut Transaction<'_>,
    scope: &Scope,
    kind: &str,
    draft: &Draft,
    person: Person,
) -> Result<Option<i64>, Error> {
    let Some(parameter) = search::parameter(kind, "identifier") else { return Ok(None) };
    let mut first: Option<i64> = None;
    for (system, value) in &draft.identifiers {
        let word = search::token(system, value);
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
