//! The criteria of a search made ready: those that an index answers row by row, and those that only the resource shows.

use std::borrow::Cow;

use super::asker::Asker;
use crate::fhir::search::query::{Chain, Criterion, When, Word};
use crate::fhir::search::{NONE, ParameterKind, numbered};
use crate::ledger::dialect::Cell;
use crate::ledger::{Error, Scope};

/// The most words that the prefixes of one criterion are spread into.
const SPREAD_MAX: usize = 16;
/// The same on a later page, which must go on as the first one began although others wrote words meanwhile.
const SPREAD_LATER_MAX: usize = 256;
/// Beyond so many words a row is compared in memory: the index would be asked once for each of them.
pub(super) const SOUGHT_MAX: usize = 64;

/// A criterion made ready.
#[derive(Debug, Clone)]
pub(super) struct Test<'q> {
    pub(super) criterion: Cow<'q, Criterion>,
    pub(super) form: Form,
}

/// How a criterion is answered for a row that another one led to.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// By the row's own id.
    Id(Vec<String>),
    /// By the row's own stamp.
    Updated(Vec<When>),
    /// One of these words (by parameter) has the row, or it has one of these ids.
    Words(Exact),
    /// None of these words has the row.
    NoWords(Exact),
    /// By the row's spans.
    Dates { parameter: u32, any: Vec<When> },
    /// By whether the row has any span of the parameter.
    Dated { parameter: u32, is_missing: bool },
    /// Only the resource itself shows it.
    Look,
    /// Only the store as a whole tells: one of these chains leads to something.
    Chains(Vec<Chain>),
}

/// Words and ids, one of which is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Exact {
    pub(super) words: Vec<(u32, Vec<String>)>,
    pub(super) ids: Vec<String>,
}

impl Exact {
    pub(super) fn len(&self) -> usize {
        self.words.iter().map(|(_, words)| words.len()).sum::<usize>() + self.ids.len()
    }

    fn add(&mut self, parameter: u32, words: Vec<String>) {
        match self.words.iter_mut().find(|(known, _)| *known == parameter) {
            Some((_, known)) => known.extend(words),
            None => self.words.push((parameter, words)),
        }
        for (_, words) in &mut self.words {
            words.sort_unstable();
            words.dedup();
        }
    }
}

/// Makes a criterion ready; on a later page as it was on the first.
pub(super) async fn ready<'q>(
    asker: &mut impl Asker,
    (scope, kind): (&Scope, &str),
    criterion: &'q Criterion,
    later: bool,
) -> Result<Test<'q>, Error> {
    let spread_max = if later { SPREAD_LATER_MAX } else { SPREAD_MAX };
    let form = match criterion {
        Criterion::Id(ids) => Form::Id(ids.clone()),
        Criterion::Updated(any) => Form::Updated(any.clone()),
        Criterion::Date { parameter, any } => Form::Dates { parameter: *parameter, any: any.clone() },
        Criterion::Either(any) if any.iter().all(|one| matches!(one, Criterion::Chain(_))) => Form::Chains(
            any.iter().filter_map(|one| if let Criterion::Chain(chain) = one { Some(chain.clone()) } else { None }).collect(),
        ),
        Criterion::Word { .. } | Criterion::Either(_) => match exact(asker, scope, criterion, spread_max).await? {
            Some(exact) if exact.len() <= SOUGHT_MAX.max(spread_max) => Form::Words(exact),
            _ => Form::Look,
        },
        Criterion::Not(inner) => match exact(asker, scope, inner, spread_max).await? {
            Some(exact) if exact.len() <= SOUGHT_MAX.max(spread_max) && exact.ids.is_empty() => Form::NoWords(exact),
            _ => Form::Look,
        },
        Criterion::Chain(chain) => Form::Chains(vec![chain.clone()]),
        Criterion::Missing { parameter, missing: is_missing } => missing(kind, *parameter, *is_missing),
        Criterion::Amount { .. } | Criterion::Seen { .. } | Criterion::Composite { .. } => Form::Look,
    };
    Ok(Test { criterion: Cow::Borrowed(criterion), form })
}

/// How `:missing` is answered: by the row that a required token leaves, or by the spans of a date. All else only the resource
/// shows.
pub(super) fn missing(kind: &str, parameter: u32, is_missing: bool) -> Form {
    let Some(of) = numbered(kind, parameter) else { return Form::Look };
    let mark = || Exact { words: vec![(parameter, vec![NONE.to_owned()])], ids: Vec::new() };
    match of.kind {
        _ if of.is_required && is_missing => Form::Words(mark()),
        _ if of.is_required => Form::NoWords(mark()),
        ParameterKind::Date => Form::Dated { parameter, is_missing },
        _ => Form::Look,
    }
}

/// The words and ids that a criterion comes to, with its prefixes spread; `None` if they are too many or it is about others.
async fn exact(asker: &mut impl Asker, scope: &Scope, criterion: &Criterion, spread_max: usize) -> Result<Option<Exact>, Error> {
    let parts = match criterion {
        Criterion::Either(any) => any.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut found = Exact::default();
    for part in parts {
        match part {
            Criterion::Id(ids) => found.ids.extend(ids.iter().cloned()),
            Criterion::Word { parameter, any } => {
                let words = match plain(any) {
                    Some(words) => Some(words),
                    // Apart, so that what most searches do not need takes no room in them.
                    None => Box::pin(spread(asker, scope, *parameter, any, spread_max)).await?,
                };
                let Some(words) = words else { return Ok(None) };
                found.add(*parameter, words);
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// The words, where all are named.
fn plain(any: &[Word]) -> Option<Vec<String>> {
    any.iter().map(|word| if let Word::Is(word) = word { Some(word.clone()) } else { None }).collect()
}

/// The words that really occur for these alternatives, by one seek each; `None` when they are too many.
async fn spread(
    asker: &mut impl Asker,
    scope: &Scope,
    parameter: u32,
    any: &[Word],
    spread_max: usize,
) -> Result<Option<Vec<String>>, Error> {
    const NEXT: &str =
        "SELECT word FROM words WHERE tenant = $1 AND parameter = $2 AND word >= $3 AND word < $4 ORDER BY word LIMIT 1";
    const AFTER: &str =
        "SELECT word FROM words WHERE tenant = $1 AND parameter = $2 AND word > $3 AND word < $4 ORDER BY word LIMIT 1";
    let mut words: Vec<String> = Vec::new();
    let mut sought = 0;
    for word in any {
        let (low, high) = match word {
            Word::Is(word) => {
                words.push(word.clone());
                continue;
            }
            Word::Between { low, high } => (low, high),
            Word::Ends(_) | Word::Holds(_) => return Ok(None),
        };
        let (mut sql, mut from) = (NEXT, low.clone());
        loop {
            let cells = [Cell::Text(&scope.tenant), Cell::Int(i64::from(parameter)), Cell::Text(&from), Cell::Text(high)];
            let Some(row) = asker.rows(sql, &cells).await?.pop() else { break };
            from = { row }.text()?;
            words.push(from.clone());
            sql = AFTER;
            sought += 1;
            if sought > spread_max {
                return Ok(None);
            }
        }
    }
    words.sort_unstable();
    words.dedup();
    Ok(Some(words))
}
