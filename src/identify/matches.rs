//! Whether a resource that is not stored yet answers a search: for references to what the same Bundle creates.
//! Follows <https://hl7.org/fhir/R4/search.html>.

use crate::fhir::search::query::{Criterion, Query, Word};
use crate::fhir::time::Span;
use crate::ledger::search::Line;

/// Whether the resource with these search rows answers the query. It has no id and no stamp yet, so criteria that ask
/// for them are not answered.
#[must_use]
pub fn matches(rows: &[Line], query: &Query, now: i64) -> bool {
    query.criteria.iter().all(|criterion| holds(rows, criterion, now))
}

fn holds(rows: &[Line], criterion: &Criterion, now: i64) -> bool {
    match criterion {
        Criterion::Word { parameter, any } => words(rows, *parameter).any(|found| any.iter().any(|asked| is(found, asked))),
        Criterion::Date { parameter, any } => {
            spans(rows, *parameter).any(|found| any.iter().any(|asked| asked.holds(found, now)))
        }
        Criterion::Missing { parameter, dates, missing } => {
            let none = if *dates { spans(rows, *parameter).next().is_none() } else { words(rows, *parameter).next().is_none() };
            none == *missing
        }
        _ => false,
    }
}

fn is(found: &str, asked: &Word) -> bool {
    match asked {
        Word::Is(word) => found == word,
        Word::Between { low, high } => found >= low.as_str() && found < high.as_str(),
    }
}

fn words(rows: &[Line], parameter: u32) -> impl Iterator<Item = &str> {
    rows.iter().filter_map(move |row| match row {
        Line::Word { parameter: own, word, .. } if *own == parameter => Some(word.as_str()),
        _ => None,
    })
}

fn spans(rows: &[Line], parameter: u32) -> impl Iterator<Item = Span> {
    rows.iter().filter_map(move |row| match row {
        Line::Span { parameter: own, low, high } if *own == parameter => Some(Span { low: *low, high: *high }),
        _ => None,
    })
}
