//! Makes the words of a search exact: a prefix is spread into the words that really occur, so that an index can be walked.

use super::page::Asker;
use crate::fhir::search::query::{Criterion, Query, When, Word};
use crate::ledger::dialect::Cell;
use crate::ledger::{Error, Scope};

/// The most words that one alternative with a prefix is spread into.
const WORDS_MAX: usize = 64;
/// A criterion with its prefixes spread into words.
pub(super) enum Test<'q> {
    Id(&'q [String]),
    Updated(&'q [When]),
    Words { parameter: u32, words: Vec<String> },
    Ranges { parameter: u32, ranges: Vec<(String, String)> },
    Dates { parameter: u32, any: &'q [When] },
    Missing { parameter: u32, dates: bool, missing: bool },
}

/// Spreads prefixes into words; `None` when nothing can match.
pub(super) async fn tests<'q>(asker: &mut impl Asker, scope: &Scope, query: &'q Query) -> Result<Option<Vec<Test<'q>>>, Error> {
    let mut tests = Vec::with_capacity(query.criteria.len());
    for criterion in &query.criteria {
        tests.push(match criterion {
            Criterion::Id(ids) => Test::Id(ids),
            Criterion::Updated(any) => Test::Updated(any),
            Criterion::Date { parameter, any } => Test::Dates { parameter: *parameter, any },
            Criterion::Missing { parameter, dates, missing } => {
                Test::Missing { parameter: *parameter, dates: *dates, missing: *missing }
            }
            Criterion::Word { parameter, any } => match spread(asker, scope, *parameter, any).await? {
                Some(words) if words.is_empty() => return Ok(None),
                Some(words) => Test::Words { parameter: *parameter, words },
                None => Test::Ranges { parameter: *parameter, ranges: any.iter().map(range_of).collect() },
            },
        });
    }
    Ok(Some(tests))
}

fn range_of(word: &Word) -> (String, String) {
    match word {
        Word::Is(word) => (word.clone(), format!("{word}\u{1}")),
        Word::Between { low, high } => (low.clone(), high.clone()),
    }
}

/// The words that really occur for these alternatives, by one seek each; `None` when they are too many.
async fn spread(asker: &mut impl Asker, scope: &Scope, parameter: u32, any: &[Word]) -> Result<Option<Vec<String>>, Error> {
    const NEXT: &str =
        "SELECT word FROM words WHERE tenant = $1 AND parameter = $2 AND word >= $3 AND word < $4 ORDER BY word LIMIT 1";
    const AFTER: &str =
        "SELECT word FROM words WHERE tenant = $1 AND parameter = $2 AND word > $3 AND word < $4 ORDER BY word LIMIT 1";
    let mut words: Vec<String> = Vec::new();
    for word in any {
        let (low, high) = match word {
            Word::Is(word) => {
                words.push(word.clone());
                continue;
            }
            Word::Between { low, high } => (low, high),
        };
        let (mut sql, mut from) = (NEXT, low.clone());
        loop {
            let cells = [Cell::Text(&scope.tenant), Cell::Int(i64::from(parameter)), Cell::Text(&from), Cell::Text(high)];
            let Some(row) = asker.rows(sql, &cells).await?.pop() else { break };
            from = { row }.text()?;
            words.push(from.clone());
            sql = AFTER;
            if words.len() > WORDS_MAX {
                return Ok(None);
            }
        }
    }
    words.sort_unstable();
    words.dedup();
    Ok(Some(words))
}
