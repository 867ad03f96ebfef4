//! Chains over references and `_has`: from their end to their beginning where few resources stand on the way, else forward from
//! each candidate.

use std::collections::{BTreeSet, HashMap};

use super::asker::Asker;
use super::page::{EXAMINED_MAX, prepare};
use super::test::{Form, Test};
use super::walk::{Ground, Met, Way};
use super::way::choose;
use crate::fhir::search::query::{Chain, Criterion, Hop, Query, Word};
use crate::fhir::search::{Value, numbered};
use crate::ledger::{Error, Scope, Stored};

/// Resources that may stand at each step of a chain that is followed from its end.
pub(super) const ON_THE_WAY_MAX: usize = 1_000;
/// Resources that may be met at each step of chains that are followed from candidates.
const FORWARD_MAX: usize = 5_000;
/// Ids that are asked for at once, and candidates that chains are followed from at once.
pub(super) const AT_ONCE_MAX: usize = 256;

const TOO_MANY: Error =
    Error::TooCostly("A chain leads over too many resources: narrow the search by a parameter of its own type.");

/// The criteria of a search with its chains turned into words and ids, where few resources stand on their way.
pub(super) async fn resolve(asker: &mut impl Asker, scope: &Scope, query: &Query, now: i64) -> Result<Vec<Criterion>, Error> {
    let mut criteria = Vec::with_capacity(query.criteria.len());
    for criterion in &query.criteria {
        let chains: Vec<&Chain> = match criterion {
            Criterion::Chain(chain) => vec![chain],
            Criterion::Either(any) => {
                any.iter().filter_map(|one| if let Criterion::Chain(chain) = one { Some(chain) } else { None }).collect()
            }
            _ => Vec::new(),
        };
        if chains.is_empty() {
            criteria.push(criterion.clone());
            continue;
        }
        let mut resolved = Some(Vec::new());
        for chain in chains {
            match (backward(asker, scope, &query.kind, chain, now).await?, &mut resolved) {
                (Some(one), Some(any)) => any.push(one),
                _ => {
                    resolved = None;
                    break;
                }
            }
        }
        criteria.push(match resolved {
            Some(mut any) if any.len() == 1 => any.remove(0),
            Some(any) => joined(any),
            None => criterion.clone(),
        });
    }
    Ok(criteria)
}

/// Alternatives as one criterion.
fn joined(any: Vec<Criterion>) -> Criterion {
    let mut words: HashMap<u32, Vec<Word>> = HashMap::new();
    let mut rest = Vec::new();
    for one in any {
        match one {
            Criterion::Word { parameter, any } => words.entry(parameter).or_default().extend(any),
            other => rest.push(other),
        }
    }
    let mut all: Vec<Criterion> =
        words.into_iter().map(|(parameter, any)| Criterion::Word { parameter, any }).chain(rest).collect();
    match all.len() {
        1 => all.remove(0),
        _ => Criterion::Either(all),
    }
}

/// What a chain asks of its first resource; `None` when too many resources stand on its way.
async fn backward(
    asker: &mut impl Asker,
    scope: &Scope,
    kind: &str,
    chain: &Chain,
    now: i64,
) -> Result<Option<Criterion>, Error> {
    let mut wanted = chain.last.clone();
    for (index, hop) in chain.hops.iter().enumerate().rev() {
        let Some(found) = few(asker, scope, hop.kind(), &wanted, now).await? else { return Ok(None) };
        let before = if index == 0 { kind } else { chain.hops.get(index - 1).map_or(kind, |hop| hop.kind()) };
        wanted = vec![match hop {
            Hop::To { parameter, kind } => {
                let any = found.iter().map(|stored| Word::Is(format!("{kind}/{}", stored.id))).collect();
                Criterion::Word { parameter: *parameter, any }
            }
            Hop::From { parameter, .. } => {
                let ids: BTreeSet<String> = found.iter().flat_map(|stored| referred(stored, *parameter, before)).collect();
                // Few resources may refer to many: a List or a Group names thousands.
                if ids.len() > ON_THE_WAY_MAX {
                    return Ok(None);
                }
                Criterion::Id(ids.into_iter().collect())
            }
        }];
    }
    Ok(wanted.pop())
}

/// The ids of one type that a resource refers to by a parameter.
fn referred(stored: &Stored, parameter: u32, kind: &str) -> Vec<String> {
    let Some(parameter) = numbered(&stored.kind, parameter) else { return Vec::new() };
    let id = |value| match value {
        Value::Word(word) => word.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned),
        _ => None,
    };
    parameter.values(&stored.value()).into_iter().filter_map(id).collect()
}

/// The resources of a type that meet criteria without chains; `None` if they are not few. Where an index tells all of it, its rows
/// are counted before a resource is read.
async fn few(
    asker: &mut impl Asker,
    scope: &Scope,
    kind: &str,
    criteria: &[Criterion],
    now: i64,
) -> Result<Option<Vec<Stored>>, Error> {
    let Some(tests) = prepare(asker, (scope, kind), criteria, false).await? else { return Ok(Some(Vec::new())) };
    let ground = Ground { scope, kind, tests: &tests, now };
    let way = choose(asker, &ground).await?.way;
    let is_told = matches!(
        (tests.as_slice(), &way),
        (
            [Test { form: Form::Words(_) | Form::Dates { .. } | Form::Updated(_), .. }],
            Way::Words { .. } | Way::Dates { .. } | Way::Updated { .. }
        )
    );
    if is_told && way.count(asker, &ground, ON_THE_WAY_MAX + 1).await? > ON_THE_WAY_MAX {
        return Ok(None);
    }
    collect(asker, &ground, &way, ON_THE_WAY_MAX, &mut 0).await
}

/// All resources on a way that pass; `None` if they are more than a bound, or lie too deep.
async fn collect(
    asker: &mut impl Asker,
    ground: &Ground<'_>,
    way: &Way,
    bound: usize,
    examined: &mut usize,
) -> Result<Option<Vec<Stored>>, Error> {
    let (mut found, mut spot, mut depth, start) = (Vec::new(), None, 128, *examined);
    loop {
        let step = way.step(asker, ground, spot.as_ref(), depth).await?;
        *examined += step.examined.max(1);
        found.extend(step.met.into_iter().map(|met| met.stored));
        if found.len() > bound {
            return Ok(None);
        }
        match step.end {
            None => return Ok(Some(found)),
            Some(_) if *examined - start >= EXAMINED_MAX => return Ok(None),
            end => spot = end,
        }
        depth = (depth * 4).min(bound + 1);
    }
}

/// Of what was met, what passes the chains that could not be turned into words; with how many rows were looked at for it.
pub(super) async fn keep(asker: &mut impl Asker, ground: &Ground<'_>, mut met: Vec<Met>) -> Result<(Vec<Met>, usize), Error> {
    let mut examined = 0;
    for test in ground.tests {
        let Form::Chains(chains) = &test.form else { continue };
        let mut passed = BTreeSet::new();
        for chain in chains {
            let start: Vec<&Stored> = met.iter().map(|one| &one.stored).filter(|one| !passed.contains(&one.number)).collect();
            for some in start.chunks(AT_ONCE_MAX) {
                passed.extend(forward(asker, ground, chain, some, &mut examined).await?);
            }
        }
        met.retain(|one| passed.contains(&one.stored.number));
    }
    Ok((met, examined))
}

/// The numbers of those from which a chain leads to something.
async fn forward(
    asker: &mut impl Asker,
    ground: &Ground<'_>,
    chain: &Chain,
    start: &[&Stored],
    examined: &mut usize,
) -> Result<BTreeSet<i64>, Error> {
    // Where each path stands, with the numbers of the candidates that it comes from.
    let mut front: Vec<(Stored, BTreeSet<i64>)> =
        start.iter().map(|stored| ((*stored).clone(), BTreeSet::from([stored.number]))).collect();
    for (index, hop) in chain.hops.iter().enumerate() {
        let last: &[Criterion] = if index + 1 == chain.hops.len() { &chain.last } else { &[] };
        let mut wanted: HashMap<String, BTreeSet<i64>> = HashMap::new();
        for (stored, origins) in &front {
            let names = match hop {
                Hop::To { parameter, kind } => referred(stored, *parameter, kind),
                Hop::From { .. } => vec![format!("{}/{}", stored.kind, stored.id)],
            };
            for name in names {
                wanted.entry(name).or_default().extend(origins);
            }
        }
        let mut names: Vec<String> = wanted.keys().cloned().collect();
        names.sort_unstable();
        let mut next = Vec::new();
        for some in names.chunks(AT_ONCE_MAX) {
            let first = match hop {
                Hop::To { .. } => Criterion::Id(some.to_vec()),
                Hop::From { parameter, .. } => {
                    Criterion::Word { parameter: *parameter, any: some.iter().cloned().map(Word::Is).collect() }
                }
            };
            let criteria: Vec<Criterion> = std::iter::once(first).chain(last.iter().cloned()).collect();
            let Some(tests) = prepare(asker, (ground.scope, hop.kind()), &criteria, false).await? else { continue };
            let there = Ground { kind: hop.kind(), tests: &tests, ..*ground };
            let way = choose(asker, &there).await?.way;
            for stored in collect(asker, &there, &way, FORWARD_MAX, examined).await?.ok_or(TOO_MANY)? {
                let origins = match hop {
                    Hop::To { .. } => wanted.get(&stored.id).cloned().unwrap_or_default(),
                    Hop::From { parameter, .. } => {
                        let before = if index == 0 {
                            ground.kind
                        } else {
                            chain.hops.get(index - 1).map_or(ground.kind, |hop| hop.kind())
                        };
                        let names = referred(&stored, *parameter, before).into_iter();
                        names.filter_map(|id| wanted.get(&format!("{before}/{id}"))).flatten().copied().collect()
                    }
                };
                next.push((stored, origins));
            }
        }
        if next.len() > FORWARD_MAX {
            return Err(TOO_MANY);
        }
        front = next;
    }
    Ok(front.into_iter().flat_map(|(_, origins)| origins).collect())
}
