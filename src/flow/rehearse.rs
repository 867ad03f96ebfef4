//! Tells the ledger again to rules, person by person and on a clock of its own: to try rules before they are live, and to decide
//! again what was decided. Nothing is recorded; memory holds one person at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::Teller;
use super::story::resource;
use crate::clock::Clock;
use crate::fhir::time::Moment;
use crate::ledger::{Asked, Error, How, Ledger, Line, Person, Scope, Told, Turn};
use crate::react::rehearsal::{Elsewhere, Entered, Fact, Learned, Refusals, Rehearsal, Said, Timetable, Trial, referred};
use crate::react::{self, Resource, Rules, Settings, Store};

/// The most entries of one person that are told; who has more is passed over, and counted.
pub const PERSON_ENTRIES_MAX: usize = 50_000;
/// So long an event may wait until the rules are asked about it (UTC milliseconds); then it is missed.
const WAITS_MAX_MS: i64 = 60_000;
/// So long before what is counted the calendar calls, where all is told as it happened: an imported life is decades long, and what
/// the calendar would have said in them is not asked. A year, so that a call of each season came before.
const CALLED_BEFORE_MS: i64 = 366 * 86_400_000;
/// Entries that are read at once.
const PAGE: i64 = 500;
/// Versions of a resource of others that are remembered.
const VERSIONS_MAX: i64 = 1_000;
/// So many resources of others stay in memory from one person to the next.
const ELSEWHERE_MAX: usize = 4_096;
/// What is said where a trial would cost more than it may.
const TOO_MUCH: Error = Error::TooCostly(
    "More would have to be decided than is bearable at once: try a shorter time (start, end), fewer persons (_count), or one (subject).",
);
/// In which order, and as of when, the ledger is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As it was learned: what was imported sets nothing off.
    #[default]
    Learned,
    /// The same, and the rules are asked when they were asked, with what they could see then: to decide again what was decided.
    Asked,
    /// As it happened, as if all of it had been learned then: for a ledger that was imported.
    Happened,
}

/// What is told, to which rules, and until when.
#[derive(Debug)]
pub struct Stage {
    /// The rules at the beginning.
    pub rules: Arc<Rules>,
    /// Those that take their place, and when.
    pub later: Vec<(i64, Arc<Rules>)>,
    /// In which order.
    pub order: Order,
    /// From when on it is asked what comes of it, UTC milliseconds.
    pub from: i64,
    /// Where the simulated clock ends, UTC milliseconds; what was learned later is not told.
    pub until: i64,
    /// What all of it may cost: entries that are told, questions to the rules, and resources that are looked at for them.
    pub steps_max: usize,
}

/// Tells the ledger of a tenant again.
pub struct Rehearser {
    pub(super) ledger: Ledger,
    pub(super) scope: Scope,
    pub(super) stage: Arc<Stage>,
    settings: Settings,
    zone: TimeZone,
    clock: Clock,
    /// How long the rules were asked so far, without reading what is told.
    pub decided_in: Duration,
    /// What may still be spent.
    steps_left: usize,
    /// When the calendar calls.
    timetable: Arc<Timetable>,
    /// What others said of being spoken to, as they are known.
    said: HashMap<Person, Vec<Said>>,
    /// Resources that stories refer to, of nobody or of others, all their versions.
    elsewhere: Elsewhere,
}

impl Rehearser {
    /// Gets ready. Nothing is read yet.
    #[must_use]
    pub fn new(teller: &Teller, scope: &Scope, stage: Stage) -> Self {
        Self {
            ledger: teller.ledger.clone(),
            scope: scope.clone(),
            steps_left: stage.steps_max,
            stage: Arc::new(stage),
            settings: teller.settings,
            zone: teller.zone.clone(),
            clock: teller.clock.clone(),
            decided_in: Duration::ZERO,
            timetable: Arc::default(),
            said: HashMap::new(),
            elsewhere: Elsewhere::new(),
        }
    }

    /// Persons as they are known, in their order, after one.
    pub async fn persons(&self, after: Person, count: i64) -> Result<Vec<Person>, Error> {
        self.ledger.survivors(&self.scope, after, count).await
    }

    /// All who are, or ever were, taken for one with a person, in their order. They are told together.
    async fn kin(&self, person: Person) -> Result<Vec<Person>, Error> {
        let mut kin: BTreeSet<Person> = BTreeSet::new();
        let mut next = vec![person];
        while let Some(person) = next.pop() {
            let united = self.ledger.united(&self.scope, person).await?;
            let parted = self.ledger.parted(&self.scope, person).await?;
            kin.insert(person);
            kin.extend(united);
            next.extend(parted.iter().map(|parting| parting.person).filter(|one| !kin.contains(one)));
        }
        Ok(kin.into_iter().collect())
    }

    /// Under whom a person is told of: the first of all who are, or ever were, taken for one with them.
    pub async fn told_under(&self, person: Person) -> Result<Person, Error> {
        Ok(self.kin(person).await?.first().copied().unwrap_or(person))
    }

    /// What comes of one person, with all who were united with them; `None` where more is known than is told.
    pub async fn trial(&mut self, person: Person) -> Result<Option<Trial>, Error> {
        let Some(told) = self.told(person).await? else { return Ok(None) };
        // Those who were taken for one for a time are told together, under the first of them.
        if told.persons.iter().any(|one| *one < person) {
            return Ok(Some(Trial::default()));
        }
        let mut trial = Trial { persons: told.persons.clone(), entries: told.entries, ..Trial::default() };
        let (stage, table, nobody) = (Arc::clone(&self.stage), Arc::clone(&self.timetable), Refusals::default());
        let played = self.play(&stage, &table, &told, &nobody)?;
        let Some(mut rehearsal) = played else { return Ok(Some(Trial { faults: 1, ..trial })) };
        // STOP binds all who share an address. Where somebody else ever said it for one of these, all is told again, with that in mind.
        let refusals = self.refusals(rehearsal.asked(), &told.persons).await?;
        if !refusals.is_empty() {
            let again = self.play(&stage, &table, &told, &refusals)?;
            let Some(again) = again else { return Ok(Some(Trial { faults: 1, ..trial })) };
            rehearsal = again;
        }
        trial.decisions = std::mem::take(&mut rehearsal.journal);
        (trial.faults, trial.traced) = (rehearsal.faults, rehearsal.traced);
        let stands = |resource: &&Resource| resource.kind == "Patient" && !resource.deleted;
        trial.patient = rehearsal.resources().find(stands).map(Resource::reference).unwrap_or_default();
        let ours = rehearsal.resources().filter(|resource| resource.how == How::Derived);
        trial.outputs = ours.map(|resource| resource.value.as_ref().clone()).collect();
        Ok(Some(trial))
    }

    /// What others said who ever refused for one of these addresses, as their own story tells it.
    async fn refusals(&mut self, addresses: &BTreeSet<String>, own: &[Person]) -> Result<Refusals, Error> {
        let mut others: BTreeSet<Person> = BTreeSet::new();
        for address in addresses {
            for person in self.ledger.refusers(&self.scope, address).await? {
                if !own.contains(&person) {
                    others.extend(self.ledger.united(&self.scope, person).await?.first());
                }
            }
        }
        let mut said = Vec::new();
        for other in others.into_iter().filter(|other| !own.contains(other)) {
            if !self.said.contains_key(&other) {
                let (stage, table, nobody) = (Arc::clone(&self.stage), Arc::clone(&self.timetable), Refusals::default());
                let theirs = match self.told(other).await? {
                    Some(told) => self.play(&stage, &table, &told, &nobody)?.map(|rehearsal| rehearsal.said().to_vec()),
                    None => None,
                };
                self.said.insert(other, theirs.unwrap_or_default());
            }
            said.extend(self.said.get(&other).into_iter().flatten().cloned());
        }
        Ok(Refusals::of(said))
    }

    /// Something was done; an error where it was more than may be.
    fn spend(&mut self, steps: usize, is_spent: bool) -> Result<(), Error> {
        self.steps_left = self.steps_left.checked_sub(steps).filter(|_| !is_spent).ok_or(TOO_MUCH)?;
        Ok(())
    }

    /// Plays what was told; `None` where a rule panicked, which must not stop the others.
    fn play<'a>(
        &mut self,
        stage: &'a Stage,
        timetable: &'a Timetable,
        told: &Account,
        refusals: &'a Refusals,
    ) -> Result<Option<Rehearsal<'a>>, Error> {
        let play = || {
            let later = stage.later.iter().map(|(since, rules)| (*since, rules.as_ref())).collect();
            let store = Store::unknown(&self.zone);
            let mut rehearsal = Rehearsal::new(&stage.rules, self.settings, store, i64::MIN)
                .of(&self.scope.tenant, later)
                .among(told.elsewhere.clone(), refusals)
                .sharing(timetable)
                .within(self.steps_left);
            if stage.order == Order::Happened {
                rehearsal = rehearsal.called_from(stage.from.saturating_sub(CALLED_BEFORE_MS));
            }
            if stage.order == Order::Asked {
                rehearsal.retrace(&told.turns, told.lines.clone(), stage.until - WAITS_MAX_MS);
                return rehearsal;
            }
            for together in told.lines.chunk_by(|one, other| one.at == other.at) {
                let Some(first) = together.first() else { continue };
                rehearsal.tell(first.at, together.iter().map(|line| line.learned.clone()));
            }
            rehearsal.advance(stage.until);
            rehearsal
        };
        let begun = self.clock.elapsed();
        let played = catch_unwind(AssertUnwindSafe(play));
        self.decided_in += self.clock.elapsed().saturating_sub(begun);
        let Ok(rehearsal) = played else { return Ok(None) };
        self.spend(rehearsal.steps, rehearsal.is_spent())?;
        Ok(Some(rehearsal))
    }
}

/// All that is told of those who are one in the end.
struct Account {
    persons: Vec<Person>,
    entries: usize,
    lines: Vec<Entered>,
    /// When the rules were asked, where they are asked again.
    turns: Vec<Turn>,
    elsewhere: Elsewhere,
}

/// Whether an entry tells when it happened. What does not is filed under the time at which it was learned.
fn has_time(told: &Told) -> bool {
    !told.entry.line.is_of_persons() && told.entry.happened != told.entry.learned
}

/// A Patient who is told from the beginning, and of whom it is known when they died, as they were before that. From then on they are
/// told as dead.
fn alive_before(line: &mut Entered) -> Option<Entered> {
    let Learned::Fact(fact) = &line.learned else { return None };
    let died = fact.resource.value.get("deceasedDateTime").and_then(Value::as_str).and_then(Moment::parse)?;
    let died = died.span(&TimeZone::UTC).low;
    if fact.resource.kind != "Patient" || died <= line.at {
        return None;
    }
    let mut before = line.clone();
    if let (Learned::Fact(was), Learned::Fact(is)) = (&mut before.learned, &mut line.learned) {
        let mut value = Value::clone(&was.resource.value);
        value.as_object_mut()?.shift_remove("deceasedDateTime");
        was.resource.value = Arc::new(value);
        (is.line, is.resource.learned) = (Line::Updated, died);
    }
    line.at = died;
    Some(before)
}

/// A resource that went over to somebody else.
#[derive(Default)]
struct Gone {
    /// The versions that were theirs.
    theirs: BTreeSet<i64>,
    /// Those that followed one of theirs elsewhere, with the entry that says so.
    followed: BTreeMap<i64, (Person, i64)>,
}

impl Rehearser {
    async fn told(&mut self, person: Person) -> Result<Option<Account>, Error> {
        let persons = self.kin(person).await?;
        let Some(told) = self.entries(&persons).await? else { return Ok(None) };
        let entries = told.len();
        self.spend(entries, false)?;
        let own: HashSet<String> = told.iter().map(|one| format!("{}/{}", one.entry.kind, one.entry.id)).collect();
        let left = self.left(&told, &persons).await?;
        let dawn = told.iter().filter(|one| has_time(one)).map(|one| one.entry.happened).min();
        let mut lines: Vec<Entered> = Vec::with_capacity(told.len());
        for mut line in told.into_iter().filter_map(|one| self.line(one, dawn)) {
            if self.stage.order == Order::Happened {
                lines.extend(alive_before(&mut line));
            }
            lines.push(line);
        }
        lines.extend(left);
        lines.retain(|line| line.at <= self.stage.until);
        // What has one time keeps its order.
        lines.sort_by_key(|line| line.at);
        let turns = if self.stage.order == Order::Asked { self.turns(&persons).await? } else { Vec::new() };
        let elsewhere = self.elsewhere(&lines, &turns, &own).await?;
        Ok(Some(Account { persons, entries, lines, turns, elsewhere }))
    }

    /// The entries of these persons in the order in which they were learned, as far as the clock goes.
    async fn entries(&self, persons: &[Person]) -> Result<Option<Vec<Told>>, Error> {
        let mut told: Vec<Told> = Vec::new();
        for person in persons {
            let mut after = 0;
            loop {
                let page = self.ledger.chain(&self.scope, *person, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.entry.ordinal;
                let is_over = self.stage.order != Order::Happened && last.entry.learned > self.stage.until;
                told.extend(page);
                if told.len() > PERSON_ENTRIES_MAX {
                    return Ok(None);
                }
                if is_over {
                    break;
                }
            }
        }
        told.retain(|one| self.stage.order == Order::Happened || one.entry.learned <= self.stage.until);
        told.sort_by_key(|one| (one.entry.learned, one.entry.person, one.entry.ordinal));
        Ok(Some(told))
    }

    /// When the rules were asked about these persons, in order.
    async fn turns(&self, persons: &[Person]) -> Result<Vec<Turn>, Error> {
        let mut turns: Vec<(i64, Turn)> = Vec::new();
        for person in persons {
            let mut after = 0;
            loop {
                let page = self.ledger.turns(&self.scope, *person, after, PAGE).await?;
                let Some((last, _)) = page.last() else { break };
                after = *last;
                turns.extend(page.into_iter().filter(|(_, turn)| turn.at <= self.stage.until));
            }
        }
        turns.sort_by_key(|(number, turn)| (turn.stamp, turn.person, *number));
        Ok(turns.into_iter().map(|(_, turn)| turn).collect())
    }

    /// When an entry is told, where the first thing that has a time of its own happened at `dawn`.
    fn at(&self, told: &Told, dawn: Option<i64>) -> i64 {
        let entry = &told.entry;
        match self.stage.order {
            Order::Learned | Order::Asked => entry.learned,
            // Who is who was so before we learned it.
            Order::Happened if entry.line.is_of_persons() => i64::MIN,
            // So was what says no time: a person was known when all of theirs happened.
            Order::Happened if entry.line == Line::Created && !has_time(told) => {
                dawn.map_or(entry.learned, |dawn| entry.learned.min(dawn - 1))
            }
            Order::Happened => entry.happened,
        }
    }

    /// An entry as it is told; nothing for what no decision hangs on.
    fn line(&self, told: Told, dawn: Option<i64>) -> Option<Entered> {
        let at = self.at(&told, dawn);
        let Told { entry, mut stored, .. } = told;
        let (person, ordinal) = (entry.person, entry.ordinal);
        if entry.line.is_of_persons() {
            let other = Person(entry.id.parse().ok()?);
            let learned = if entry.line == Line::Linked { Learned::United } else { Learned::Parted };
            return Some(Entered { person, ordinal, at, learned: learned(entry.person, other) });
        }
        let rules = || self.stage.later.iter().map(|(_, rules)| rules).chain([&self.stage.rules]);
        if entry.how == How::Derived || !rules().any(|rules| rules.knows(&entry.kind)) {
            return None;
        }
        if self.stage.order == Order::Happened {
            (stored.how, stored.updated) = (How::Live, at);
        }
        let is_read = entry.line.is_gone() || entry.kind == "CareTeam" || rules().any(|rules| rules.hears(&entry.kind));
        let (value, text) = if is_read { (stored.value(), None) } else { (Value::Null, Some(stored.text())) };
        let resource = react::Resource {
            kind: stored.kind,
            id: stored.id,
            version: stored.version,
            fact: stored.number,
            source: stored.source,
            how: stored.how,
            learned: stored.updated,
            person: stored.person,
            deleted: stored.deleted,
            value: Arc::new(value),
        };
        let fact = Fact { number: stored.number, line: entry.line, resource, text };
        Some(Entered { person, ordinal, at, learned: Learned::Fact(Box::new(fact)) })
    }

    /// What went over to somebody else, as it stood there: the versions of which these chains do not tell.
    async fn left(&self, told: &[Told], persons: &[Person]) -> Result<Vec<Entered>, Error> {
        let has_left = |one: &&Told| {
            let is_elsewhere = one.current.0 > one.entry.version && !persons.contains(&one.current.1);
            one.entry.line == Line::Left || (is_elsewhere && one.entry.line.is_of_version())
        };
        let names = told.iter().filter(has_left).map(|one| (one.entry.kind.as_str(), one.entry.id.as_str()));
        let mut gone: BTreeMap<(&str, &str), Gone> = names.map(|name| (name, Gone::default())).collect();
        for Told { entry, .. } in told {
            let Some(gone) = gone.get_mut(&(entry.kind.as_str(), entry.id.as_str())) else { continue };
            if entry.line == Line::Left {
                gone.followed.insert(entry.version + 1, (entry.person, entry.ordinal));
            } else {
                gone.theirs.insert(entry.version);
            }
        }
        let mut lines = Vec::new();
        for ((kind, id), Gone { theirs, followed }) in gone {
            let versions = self.ledger.history(&self.scope, kind, id, VERSIONS_MAX).await?;
            let first = theirs.first().copied().unwrap_or_default();
            for stored in versions.iter().rev().filter(|stored| stored.version > first && !theirs.contains(&stored.version)) {
                let line = if stored.deleted { Line::Deleted } else { Line::Updated };
                let mut resource = resource(stored, stored.deleted);
                // It may have come back since.
                if persons.contains(&resource.person) {
                    resource.person = Person::NOBODY;
                }
                // The first is known as soon as it is that it left; of what became of it there, nothing but its time is.
                let (person, ordinal) = followed.get(&stored.version).copied().unwrap_or((resource.person, 0));
                let fact = Fact { number: stored.number, line, resource, text: None };
                lines.push(Entered { person, ordinal, at: stored.updated, learned: Learned::Left(Box::new(fact)) });
            }
        }
        Ok(lines)
    }

    /// What the facts refer to and is not the persons' own, as it was over time.
    async fn elsewhere(&mut self, lines: &[Entered], turns: &[Turn], own: &HashSet<String>) -> Result<Elsewhere, Error> {
        let mut names: HashSet<String> = HashSet::new();
        for line in lines {
            if let Learned::Fact(fact) = &line.learned {
                names.extend(referred(&fact.resource).into_iter().filter(|name| !own.contains(name)));
            }
        }
        names.extend(turns.iter().filter_map(arrived));
        let mut found = Elsewhere::new();
        let mut names: Vec<String> = names.into_iter().collect();
        while let Some(name) = names.pop() {
            let known = match self.elsewhere.get(&name) {
                Some(known) => Arc::clone(known),
                None => {
                    let versions = self.versions(&name).await?;
                    if self.elsewhere.len() >= ELSEWHERE_MAX {
                        self.elsewhere.clear();
                    }
                    self.elsewhere.insert(name.clone(), Arc::clone(&versions));
                    versions
                }
            };
            // A role is named by who stands behind it.
            let roles = known.iter().filter(|version| version.kind == "PractitionerRole");
            let more = roles.flat_map(referred).filter(|more| !own.contains(more) && !found.contains_key(more));
            names.extend(more.collect::<HashSet<String>>());
            found.insert(name, known);
        }
        Ok(found)
    }

    async fn versions(&self, reference: &str) -> Result<Arc<[Resource]>, Error> {
        let Some((kind, id)) = reference.split_once('/') else { return Ok(Arc::from([])) };
        let mut versions = self.ledger.history(&self.scope, kind, id, VERSIONS_MAX).await?;
        versions.reverse();
        let mut resources: Vec<Resource> = versions.iter().map(|stored| resource(stored, stored.deleted)).collect();
        for at in 1..resources.len() {
            // As a story tells it of one that was deleted.
            if resources[at].deleted && kind == react::MEDICATION {
                resources[at].value = Arc::clone(&resources[at - 1].value);
            }
        }
        if self.stage.order == Order::Happened {
            // What nobody's resources say is taken for true from the beginning.
            resources.drain(..resources.len().saturating_sub(1));
            for resource in &mut resources {
                resource.learned = i64::MIN;
            }
        }
        Ok(resources.into())
    }
}

/// `Type/id` of what arrived, where the rules were called for that.
fn arrived(turn: &Turn) -> Option<String> {
    match &turn.asked {
        Asked::Called(kept) => react::called_for(kept)?.1,
        _ => None,
    }
}
