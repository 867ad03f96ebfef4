//! Chains over references and `_has`: from their end to their beginning where few resources stand on the way, else forward from
//! each candidate.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use super::asker::Asker;
use super::page::{EXAMINED_MAX, LOOKS_MAX, prepare};
use super::test::{Form, Test};
use super::united::{PATIENT, is_of_person, kin};
use super::walk::{Ground, Met, Spot, Way};
use super::way::{choose, is_chained, led_by};
use crate::fhir::search::query::{Chain, Criterion, Hop, Query, Word};
use crate::fhir::search::{Value, numbered};
use crate::ledger::{Error, Scope, Stored};

/// Resources that may stand at each step of a chain that is followed from its end.
pub(super) const ON_THE_WAY_MAX: usize = 1_000;
/// The same on a later page of an answer that began with this chain: it must go on although others wrote meanwhile.
pub(super) const ON_THE_WAY_LATER_MAX: usize = 10_000;
/// Rows that may be looked at for each resource that may stand at a step.
const LOOKS_EACH_MAX: usize = 10;
/// Resources that may be met at each step of chains that are followed from several candidates.
const FORWARD_MAX: usize = 5_000;
/// Ids that are asked for at once, and candidates that chains are followed from at once.
pub(super) const AT_ONCE_MAX: usize = 256;
/// From so many candidates chains are followed first: how far that leads tells how many may be next.
const AT_ONCE_MIN: usize = 4;

const TOO_MANY: Error =
    Error::TooCostly("A chain leads over too many resources: narrow the search by a parameter of its own type.");

/// How far a chain may lead.
struct Reach {
    /// Resources at each of its steps.
    most: usize,
    /// Rows that may still be looked at, over all steps.
    left: usize,
    /// Whether it leads over all records of a person.
    is_united: bool,
}

/// The criteria of a search with its chains turned into words and ids, where few resources stand on their way.
pub(super) async fn resolve<'q>(
    asker: &mut impl Asker,
    scope: &Scope,
    query: &'q Query,
    (now, is_united): (i64, bool),
) -> Result<Cow<'q, [Criterion]>, Error> {
    if !query.criteria.iter().any(is_chained) {
        return Ok(Cow::Borrowed(&query.criteria));
    }
    // An answer by several keys is gathered anew for each of its pages.
    let is_gathered = query.after.as_ref().is_some_and(|after| after.key.starts_with("k:"));
    let led_by = query.after.as_ref().and_then(led_by);
    let mut reach = Reach { most: ON_THE_WAY_MAX, left: LOOKS_MAX, is_united };
    let mut later = Reach { most: ON_THE_WAY_LATER_MAX, left: ON_THE_WAY_LATER_MAX * LOOKS_EACH_MAX, is_united };
    let mut criteria = Vec::with_capacity(query.criteria.len());
    for (index, criterion) in query.criteria.iter().enumerate() {
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
        let reach = if is_gathered || led_by == Some(index) { &mut later } else { &mut reach };
        for chain in chains {
            match (backward(asker, (scope, &query.kind), chain, reach, now).await?, &mut resolved) {
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
    Ok(Cow::Owned(criteria))
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
    (scope, kind): (&Scope, &str),
    chain: &Chain,
    reach: &mut Reach,
    now: i64,
) -> Result<Option<Criterion>, Error> {
    let mut wanted = chain.last.clone();
    for (index, hop) in chain.hops.iter().enumerate().rev() {
        let Some(found) = few(asker, (scope, hop.kind()), &wanted, reach, now).await? else { return Ok(None) };
        let before = if index == 0 { kind } else { chain.hops.get(index - 1).map_or(kind, |hop| hop.kind()) };
        wanted = vec![match hop {
            Hop::To { parameter, kind } => {
                let mut names: BTreeSet<String> = found.iter().map(|stored| format!("{kind}/{}", stored.id)).collect();
                if reach.is_united && is_of_person(before, *parameter) {
                    names.extend(kin(asker, scope, &names).await?.into_iter().flat_map(|one| one.records));
                }
                Criterion::Word { parameter: *parameter, any: names.into_iter().map(Word::Is).collect() }
            }
            Hop::From { parameter, kind } => {
                let mut ids: BTreeSet<String> = found.iter().flat_map(|stored| referred(stored, *parameter, before)).collect();
                if reach.is_united && before == "Patient" && is_of_person(kind, *parameter) {
                    let names = ids.iter().map(|id| format!("{PATIENT}{id}")).collect();
                    let records = kin(asker, scope, &names).await?.into_iter().flat_map(|one| one.records);
                    ids.extend(records.filter_map(|name| name.strip_prefix(PATIENT).map(str::to_owned)));
                }
                // Few resources may refer to many: a List or a Group names thousands.
                if ids.len() > reach.most {
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
    (scope, kind): (&Scope, &str),
    criteria: &[Criterion],
    reach: &mut Reach,
    now: i64,
) -> Result<Option<Vec<Stored>>, Error> {
    let Some(tests) = prepare(asker, (scope, kind), criteria, false).await? else { return Ok(Some(Vec::new())) };
    let ground = Ground { scope, kind, tests: &tests, now, is_united: reach.is_united };
    let way = choose(asker, &ground).await?.way;
    let is_told = matches!(
        (tests.as_slice(), &way),
        (
            [Test { form: Form::Words(_) | Form::Dates { .. } | Form::Updated(_), .. }],
            Way::Words { .. } | Way::Dates { .. } | Way::Updated { .. }
        )
    );
    if is_told && way.count(asker, &ground, reach.most + 1).await? > reach.most {
        return Ok(None);
    }
    let may = reach.left.min(reach.most * LOOKS_EACH_MAX);
    let mut step = Reach { left: may, ..*reach };
    let found = collect(asker, &ground, &way, &mut step, usize::MAX).await?;
    reach.left -= may - step.left;
    Ok(found)
}

/// All resources on a way that pass, or as many as are enough; `None` if they are too many, or lie too deep.
async fn collect(
    asker: &mut impl Asker,
    ground: &Ground<'_>,
    way: &Way,
    reach: &mut Reach,
    enough: usize,
) -> Result<Option<Vec<Stored>>, Error> {
    let (mut found, mut spot, mut depth) = (Vec::new(), None, 128);
    loop {
        let step = way.step(asker, ground, spot.as_ref(), depth.min(reach.left.max(1))).await?;
        reach.left = reach.left.saturating_sub(step.examined.max(1));
        found.extend(step.met.into_iter().map(|met| met.stored));
        match step.end {
            _ if found.len() >= enough => return Ok(Some(found)),
            _ if found.len() > reach.most => return Ok(None),
            None => return Ok(Some(found)),
            Some(_) if reach.left == 0 => return Ok(None),
            end => spot = end,
        }
        depth = (depth * 4).min(reach.most + 1);
    }
}

/// The rows that a page may still look at.
pub(super) struct Looks {
    pub(super) left: usize,
    /// Whether a candidate was followed for it.
    is_begun: bool,
}

impl Looks {
    pub(super) fn new(most: usize) -> Self {
        Self { left: most, is_begun: false }
    }

    pub(super) fn take(&mut self, rows: usize) {
        self.left = self.left.saturating_sub(rows);
    }
}

/// What of the candidates passes.
pub(super) struct Kept {
    pub(super) met: Vec<Met>,
    /// Up to where they were looked at, if not all were.
    pub(super) stopped: Option<Spot>,
}

/// Of what was met behind a place, what passes the chains that could not be turned into words. Takes the rows that are looked at
/// for it from those that are left; when they do not suffice, it stops after some of the candidates. Only the first of a page is
/// followed as far as one may lead, so that each page comes further.
pub(super) async fn keep(
    asker: &mut impl Asker,
    ground: &Ground<'_>,
    after: Option<&Spot>,
    met: Vec<Met>,
    looks: &mut Looks,
) -> Result<Kept, Error> {
    let (mut kept, mut rest) = (Kept { met: Vec::new(), stopped: None }, met);
    if !ground.tests.iter().any(|test| matches!(test.form, Form::Chains(_))) {
        return Ok(Kept { met: rest, ..kept });
    }
    let (mut some, mut last) = (AT_ONCE_MIN, after.cloned());
    while !rest.is_empty() {
        let part = some.min(rest.len());
        let is_first = last.is_none() || !looks.is_begun;
        let may = match part {
            1 if is_first => LOOKS_MAX,
            1 => looks.left,
            // Where these lead over too much, there is something left to follow fewer of them.
            _ => EXAMINED_MAX.min(looks.left / 2),
        };
        let mut reach = Reach { most: FORWARD_MAX, left: may, is_united: ground.is_united };
        let passed = passing(asker, ground, rest.get(..part).unwrap_or_default(), &mut reach).await?;
        let looked = may - reach.left;
        looks.take(looked);
        match passed {
            None if part > 1 => some = part.div_ceil(4),
            None if is_first => return Err(TOO_MANY),
            None => return Ok(Kept { stopped: last, ..kept }),
            Some(numbers) => {
                // So many that they will not be too many for one look.
                some = (FORWARD_MAX / 2 / looked.div_ceil(part).max(1)).clamp(1, part * 4).min(AT_ONCE_MAX);
                let behind = rest.split_off(part);
                last = rest.last().map(|one| one.spot.clone());
                looks.is_begun = true;
                kept.met.extend(rest.into_iter().filter(|one| numbers.contains(&one.stored.number)));
                rest = behind;
                if looks.left == 0 && !rest.is_empty() {
                    return Ok(Kept { stopped: last, ..kept });
                }
            }
        }
    }
    Ok(kept)
}

/// The numbers of the candidates that pass all chains; `None` if these lead over too much.
async fn passing(
    asker: &mut impl Asker,
    ground: &Ground<'_>,
    part: &[Met],
    reach: &mut Reach,
) -> Result<Option<BTreeSet<i64>>, Error> {
    let mut stay: Vec<&Stored> = part.iter().map(|one| &one.stored).collect();
    for test in ground.tests {
        let Form::Chains(chains) = &test.form else { continue };
        let mut passed = BTreeSet::new();
        for chain in chains {
            let start: Vec<&Stored> = stay.iter().filter(|one| !passed.contains(&one.number)).copied().collect();
            if start.is_empty() {
                break;
            }
            let Some(found) = forward(asker, ground, chain, &start, reach).await? else { return Ok(None) };
            passed.extend(found);
        }
        stay.retain(|one| passed.contains(&one.number));
    }
    Ok(Some(stay.into_iter().map(|one| one.number).collect()))
}

/// The numbers of those from which a chain leads to something; `None` if it leads over too much.
async fn forward(
    asker: &mut impl Asker,
    ground: &Ground<'_>,
    chain: &Chain,
    start: &[&Stored],
    reach: &mut Reach,
) -> Result<Option<BTreeSet<i64>>, Error> {
    // Where each path stands, with the numbers of the candidates that it comes from.
    let mut front: Vec<(Stored, BTreeSet<i64>)> =
        start.iter().map(|stored| ((*stored).clone(), BTreeSet::from([stored.number]))).collect();
    for (index, hop) in chain.hops.iter().enumerate() {
        let is_last = index + 1 == chain.hops.len();
        let before = if index == 0 { ground.kind } else { chain.hops.get(index - 1).map_or(ground.kind, |hop| hop.kind()) };
        let last: &[Criterion] = if is_last { &chain.last } else { &[] };
        // Of a single candidate one resource at the end tells all.
        let enough = if is_last && start.len() == 1 { 1 } else { usize::MAX };
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
        if reach.is_united && leads_over_persons(hop, before) {
            unite(asker, ground.scope, &mut wanted, hop).await?;
        }
        let mut names: Vec<String> = wanted.keys().cloned().collect();
        names.sort_unstable();
        let mut next = Vec::new();
        for some in names.chunks(AT_ONCE_MAX) {
            // Where names lead to nothing, no row is looked at.
            if reach.left == 0 {
                return Ok(None);
            }
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
            let Some(found) = collect(asker, &there, &way, reach, enough).await? else { return Ok(None) };
            for stored in found {
                let origins = match hop {
                    Hop::To { .. } => wanted.get(&stored.id).cloned().unwrap_or_default(),
                    Hop::From { parameter, .. } => {
                        let names = referred(&stored, *parameter, before).into_iter();
                        names.filter_map(|id| wanted.get(&format!("{before}/{id}"))).flatten().copied().collect()
                    }
                };
                next.push((stored, origins));
            }
        }
        if next.len() > reach.most && next.len() > enough {
            return Ok(None);
        }
        front = next;
    }
    Ok(Some(front.into_iter().flat_map(|(_, origins)| origins).collect()))
}

/// Whether a step begins or ends at the records of persons.
fn leads_over_persons(hop: &Hop, before: &str) -> bool {
    match hop {
        Hop::To { parameter, kind } => *kind == "Patient" && is_of_person(before, *parameter),
        Hop::From { parameter, kind } => before == "Patient" && is_of_person(kind, *parameter),
    }
}

/// Lets what leads to one record of a person lead to all of them. What is wanted are ids behind a reference, and names before one.
async fn unite(
    asker: &mut impl Asker,
    scope: &Scope,
    wanted: &mut HashMap<String, BTreeSet<i64>>,
    hop: &Hop,
) -> Result<(), Error> {
    let prefix = if matches!(hop, Hop::To { .. }) { PATIENT } else { "" };
    let names = wanted.keys().map(|key| format!("{prefix}{key}")).collect();
    let mut more: Vec<(String, BTreeSet<i64>)> = Vec::new();
    for one in kin(asker, scope, &names).await? {
        let origins: BTreeSet<i64> = one.named(prefix).filter_map(|key| wanted.get(key)).flatten().copied().collect();
        let keys = one.records.iter().filter_map(|record| record.strip_prefix(prefix));
        more.extend(keys.map(|key| (key.to_owned(), origins.clone())));
    }
    for (key, origins) in more {
        wanted.entry(key).or_default().extend(origins);
    }
    Ok(())
}
