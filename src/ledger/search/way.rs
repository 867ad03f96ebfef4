//! Which way a search goes: by the criterion with the fewest rows, counted up to a small bound.

use std::fmt::{self, Write};

use super::asker::Asker;
use super::test::{Exact, Form, SOUGHT_MAX, Test};
use super::walk::{Ground, LANES_MAX, Way};
use crate::fhir::search::numbered;
use crate::fhir::search::query::{Criterion, Cursor, When, Word};
use crate::ledger::Error;

/// Rows of a way that are counted when several could be gone; and how many, where all of them have as many as that.
const COUNTED_MAX: [usize; 2] = [256, 4_096];

/// The name by which a later page finds a way again: how it is walked, and by which criterion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    letter: char,
    index: Option<usize>,
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_char(self.letter)?;
        self.index.map_or(Ok(()), |index| write!(out, "{index}"))
    }
}

/// A way with its name.
pub(super) struct Named {
    pub(super) way: Way,
    pub(super) name: Name,
}

/// The way of a first page.
pub(super) async fn choose(asker: &mut impl Asker, ground: &Ground<'_>) -> Result<Named, Error> {
    let mut ways: Vec<Named> = Vec::with_capacity(ground.tests.len());
    for named in (0..ground.tests.len()).filter_map(|index| lead(ground, index)) {
        // Two ends of a date are one way.
        if !ways.iter().any(|known| known.way == named.way) {
            ways.push(named);
        }
    }
    match told(ground, &ways) {
        Some(at) => Ok(ways.swap_remove(at)),
        None if ways.is_empty() => Ok(all_of_kind()),
        None => Box::pin(fewest(asker, ground, ways)).await,
    }
}

/// Which of the ways is gone without a look at any.
fn told(ground: &Ground<'_>, ways: &[Named]) -> Option<usize> {
    if let Some(at) = ways.iter().position(|named| matches!(named.way, Way::Ids { .. })) {
        return Some(at);
    }
    if ways.len() == 1 {
        return Some(0);
    }
    // What a person or an identifier leads to is little: it is not worth counting.
    let mut exact = (0..ways.len()).filter(|at| matches!(ways[*at].way, Way::Words { .. }));
    match (exact.next(), exact.next()) {
        (Some(only), None) if is_narrow(ground, &ways[only].way) => Some(only),
        _ => None,
    }
}

/// The way with the fewest rows.
async fn fewest(asker: &mut impl Asker, ground: &Ground<'_>, mut ways: Vec<Named>) -> Result<Named, Error> {
    for most in COUNTED_MAX {
        let mut best = (most, None);
        for (at, named) in ways.iter().enumerate() {
            let rows = rows(asker, ground, &named.way, most).await?;
            if rows < best.0 {
                best = (rows, Some(at));
            }
        }
        if let Some(at) = best.1 {
            return Ok(ways.swap_remove(at));
        }
    }
    // All are long. Words that were named one by one, or must be looked at, are more likely to be rare than others.
    let is_rare = |named: &Named| matches!(named.way, Way::Many { .. } | Way::Scan { .. });
    let at = ways.iter().position(is_rare).unwrap_or(0);
    Ok(ways.swap_remove(at))
}

/// How many rows lie on a way, counted up to a bound.
async fn rows(asker: &mut impl Asker, ground: &Ground<'_>, way: &Way, most: usize) -> Result<usize, Error> {
    match way {
        // Only a part of these is counted: it stands for the rest.
        Way::Many { words, .. } if words.len() > LANES_MAX => {
            let some = way.count(asker, ground, most).await?;
            Ok((some * words.len()).div_ceil(LANES_MAX).min(most))
        }
        // How many words must be looked at for it is not known.
        Way::Scan { .. } => Ok(most),
        way => way.count(asker, ground, most).await,
    }
}

/// The same way so that it goes on on a later page whatever is written meanwhile: the words that a chain comes to may be few and
/// then many, so they are walked word by word. Not where a resource may refer to several: it counts at the first of its words, and
/// which that is may change.
pub(super) fn lasting(ground: &Ground<'_>, named: Named, criteria: &[Criterion]) -> Named {
    match &named.way {
        Way::Words { test } if criteria.get(*test).is_some_and(is_chained) && is_single(ground, &named.way) => {
            again(ground, Name { letter: 'm', index: Some(*test) }).unwrap_or(named)
        }
        _ => named,
    }
}

fn is_single(ground: &Ground<'_>, way: &Way) -> bool {
    let is_single = |(parameter, _): &(u32, Vec<String>)| numbered(ground.kind, *parameter).is_some_and(|of| of.is_single);
    way.exact(ground.tests).is_some_and(|exact| exact.words.iter().all(is_single))
}

/// Whether what a criterion finds depends on other resources.
pub(super) fn is_chained(criterion: &Criterion) -> bool {
    match criterion {
        Criterion::Chain(_) => true,
        Criterion::Either(any) => any.iter().any(is_chained),
        Criterion::Not(inner) => is_chained(inner),
        _ => false,
    }
}

/// The name of the way that a page goes on.
pub(super) fn name(after: &Cursor) -> Option<Name> {
    let (name, _) = after.key.strip_prefix('n')?.split_once(':')?;
    let letter = name.chars().next()?;
    let index = name.get(letter.len_utf8()..)?;
    let index = if index.is_empty() { None } else { Some(index.parse().ok()?) };
    Some(Name { letter, index })
}

/// Which criterion leads the way that a page goes on.
pub(super) fn led_by(after: &Cursor) -> Option<usize> {
    name(after)?.index
}

/// All resources of the type.
pub(super) fn all_of_kind() -> Named {
    Named { way: Way::Ids { ids: Vec::new(), descending: false }, name: Name { letter: 'i', index: None } }
}

/// The way that a later page goes on, by its name.
pub(super) fn again(ground: &Ground<'_>, name: Name) -> Option<Named> {
    let Some(index) = name.index else { return (name.letter == 'i').then(all_of_kind) };
    let test = ground.tests.get(index)?;
    let way = match name.letter {
        'w' => match &test.form {
            Form::Words(_) => Way::Words { test: index },
            _ => return None,
        },
        'm' => many(index, test)?,
        'r' => match &*test.criterion {
            Criterion::Word { parameter, any } => range(index, *parameter, any),
            _ => return None,
        },
        'o' => match &test.form {
            Form::NoWords(exact) => others(ground, index, exact)?,
            _ => return None,
        },
        _ => return lead(ground, index).filter(|found| found.name == name),
    };
    Some(Named { way, name })
}

/// The way that a test can lead along.
fn lead(ground: &Ground<'_>, index: usize) -> Option<Named> {
    let test = ground.tests.get(index)?;
    let (letter, way) = match (&test.form, &*test.criterion) {
        // Words of several parameters cannot be walked one after the other: a compartment, of a person with several records.
        (Form::Words(exact), _) if exact.len() <= if exact.words.len() > 1 { SOUGHT_MAX } else { LANES_MAX } => {
            ('w', Way::Words { test: index })
        }
        (Form::Words(_), _) => ('m', many(index, test)?),
        (Form::NoWords(exact), _) if exact.len() < LANES_MAX => ('o', others(ground, index, exact)?),
        (Form::Id(ids), _) => ('x', Way::Ids { ids: ids.clone(), descending: false }),
        (Form::Dates { parameter, any }, _) => match any.as_slice() {
            [when] => ('d', Way::Dates { parameter: *parameter, whens: whens(ground, *parameter, *when), descending: true }),
            _ => return None,
        },
        (Form::Updated(any), _) if any.len() == 1 => ('u', Way::Updated { whens: updated(ground), descending: false }),
        (Form::Look, Criterion::Word { parameter, any }) => match many(index, test) {
            Some(way) => ('m', way),
            None if any.len() <= LANES_MAX => ('r', range(index, *parameter, any)),
            None => return None,
        },
        (Form::Look, Criterion::Amount { parameter, any }) => match any.as_slice() {
            [much] => ('a', Way::Amounts { parameter: *parameter, much: Some(much.clone()), descending: false }),
            _ => return None,
        },
        _ => return None,
    };
    Some(Named { way, name: Name { letter, index: Some(index) } })
}

/// All words but these: where a resource has a row in any case, nobody is left out.
fn others(ground: &Ground<'_>, test: usize, exact: &Exact) -> Option<Way> {
    let [(parameter, words)] = exact.words.as_slice() else { return None };
    let is_complete = exact.ids.is_empty() && numbered(ground.kind, *parameter)?.is_required;
    if !is_complete {
        return None;
    }
    let (mut any, mut low) = (Vec::with_capacity(words.len() + 1), String::new());
    for word in words {
        any.push(Word::Between { low, high: word.clone() });
        low = format!("{word}\u{1}");
    }
    any.push(Word::Between { low, high: char::MAX.to_string() });
    Some(Way::Range { test, parameter: *parameter, any })
}

/// Words that lie in ranges, or are told by a look at each.
fn range(test: usize, parameter: u32, any: &[Word]) -> Way {
    let any = any.to_vec();
    if any.iter().any(|word| matches!(word, Word::Ends(_) | Word::Holds(_))) {
        return Way::Scan { test, parameter, any, stretches: Vec::new() };
    }
    Way::Range { test, parameter, any }
}

/// The words of a test, one after the other; `None` if they are not known one by one or of several parameters.
fn many(index: usize, test: &Test<'_>) -> Option<Way> {
    let (parameter, mut words) = match (&test.form, &*test.criterion) {
        (Form::Words(exact), _) => match exact.words.as_slice() {
            [(parameter, words)] if exact.ids.is_empty() => (*parameter, words.clone()),
            _ => return None,
        },
        (_, Criterion::Word { parameter, any }) => {
            let is = |word: &Word| if let Word::Is(word) = word { Some(word.clone()) } else { None };
            (*parameter, any.iter().map(is).collect::<Option<Vec<String>>>()?)
        }
        _ => return None,
    };
    words.sort_unstable();
    words.dedup();
    Some(Way::Many { test: index, parameter, words })
}

/// What is asked of a date parameter by this test, and by the others where a resource has one value at most: then it must
/// meet all of them.
pub(super) fn whens(ground: &Ground<'_>, parameter: u32, when: When) -> Vec<When> {
    if !numbered(ground.kind, parameter).is_some_and(|parameter| parameter.is_single) {
        return vec![when];
    }
    all_whens(ground, parameter)
}

/// What all tests with one alternative ask of a date parameter.
pub(super) fn all_whens(ground: &Ground<'_>, parameter: u32) -> Vec<When> {
    let of = |test: &Test<'_>| match &test.form {
        Form::Dates { parameter: of, any } if *of == parameter && any.len() == 1 => any.first().copied(),
        _ => None,
    };
    ground.tests.iter().filter_map(of).collect()
}

/// What is asked of the stamp.
pub(super) fn updated(ground: &Ground<'_>) -> Vec<When> {
    let of = |test: &Test<'_>| match &test.form {
        Form::Updated(any) if any.len() == 1 => any.first().copied(),
        _ => None,
    };
    ground.tests.iter().filter_map(of).collect()
}

/// Whether a way is that of one person or one identifier.
pub(super) fn is_narrow(ground: &Ground<'_>, way: &Way) -> bool {
    let Some(exact) = way.exact(ground.tests) else { return false };
    let is_identifier = |number: u32| numbered(ground.kind, number).is_some_and(|parameter| parameter.code == "identifier");
    let narrow = |(parameter, words): &(u32, Vec<String>)| {
        is_identifier(*parameter) || words.iter().all(|word| word.starts_with("Patient/"))
    };
    exact.words.iter().all(narrow)
}
