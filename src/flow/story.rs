//! Loads what the rules need to know of one person: for the beat, which decides, and for the door, which explains.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::clock::Clock;
use crate::ledger::{Chains, Decision, Error, Fresh, Ledger, Line, Parting, Person, Scope, Stored};
use crate::react::{self, Handed, Heard, Latest, Live, Parted, Planned, Store, Story, Wants};

/// The most records of a kind that are read of one who was parted.
const PARTED_MAX: i64 = 200;

/// So often a story is read until nothing was added to it meanwhile; after that it is taken as it is.
const READS_MAX: usize = 5;

/// Chains, each with the last entry that could be seen.
pub type Seen = Vec<(Person, i64)>;

/// Tells the story of a person, as far as somebody wants it.
#[derive(Clone)]
pub struct Teller {
    /// Where it is remembered.
    pub ledger: Ledger,
    /// What time it is.
    pub clock: Clock,
    /// The rules of all tenants.
    pub rules: Arc<Live>,
    /// The tenant's choices.
    pub settings: react::Settings,
    /// Zone of a store whose own is not known.
    pub zone: TimeZone,
}

impl Teller {
    /// The story of a person with what is wanted of it; `heard` are resources that need not be in it, whose stores belong to it.
    pub async fn story(&self, scope: &Scope, person: Person, wants: &Wants, heard: &[Heard]) -> Result<Story, Error> {
        Ok(self.told(scope, person, |_| wants.clone(), heard).await?.0)
    }

    /// The same, of what is wanted of somebody of whom this is due; and the last entry of the chain of each who is one with the person:
    /// the story holds all up to these, and nothing after them. Where it is not read in one state of the store, it is read again when
    /// something was added meanwhile.
    pub async fn told(
        &self,
        scope: &Scope,
        person: Person,
        wants: impl Fn(&[Planned]) -> Wants,
        heard: &[Heard],
    ) -> Result<(Story, Seen), Error> {
        for _ in 1..READS_MAX {
            let told = self.read(scope, person, &wants, heard).await?;
            if self.ledger.is_one_state() || self.ledger.chains(scope, person).await?.last == told.1 {
                return Ok(told);
            }
        }
        self.read(scope, person, &wants, heard).await
    }

    async fn read(
        &self,
        scope: &Scope,
        person: Person,
        wants: &impl Fn(&[Planned]) -> Wants,
        heard: &[Heard],
    ) -> Result<(Story, Seen), Error> {
        let ledger = &self.ledger;
        let now = self.clock.now();
        let Chains { last: seen, were_parted } = ledger.chains(scope, person).await?;
        let dues: Vec<Planned> = ledger.dues(scope, person).await?.into_iter().map(Planned::from).collect();
        let wants = wants(&dues);
        let united: Vec<Person> = seen.iter().map(|(person, _)| *person).collect();
        let person = united.first().copied().unwrap_or(person);
        let kinds: Vec<&str> = wants.kinds.iter().map(String::as_str).collect();
        let kind_max = i64::try_from(react::KIND_MAX).unwrap_or(i64::MAX);
        let held = ledger.held(scope, person, &kinds, kind_max).await?;
        let mut resources: Vec<react::Resource> =
            held.iter().map(|stored| resource(stored, false)).filter(react::Resource::is_about).collect();
        let partings = if were_parted { ledger.parted(scope, person).await? } else { Vec::new() };
        let fired = ledger.fired(scope, &partings).await?.into_iter();
        let mut decisions: Vec<Decision> = fired.map(|(until, decision)| react::shared(decision, person, until)).collect();
        decisions.extend(ledger.decisions(scope, person).await?);
        let decisions = Arc::new(Latest::of(decisions.into_iter().map(Arc::new)));
        let supplies = if wants.supplies { ledger.supplies(scope, person).await? } else { Vec::new() };
        let supplies = Arc::new(Handed::of(supplies.into_iter().map(Arc::new)));
        let named = react::pending(&dues, &decisions, now).into_iter().chain(react::members(&resources));
        let told = heard.iter().filter(|heard| heard.line == Line::Parted).map(|heard| heard.resource.learned).min();
        let parted = match told {
            Some(told) => self.parted(scope, &partings, told).await?,
            None => Parted::default(),
        };
        let named = wants.references.iter().cloned().chain(named).chain(react::told_again(&parted, &resources, &decisions, now));
        let named: Vec<String> = named.collect();
        self.look_up(scope, named, &mut resources).await?;
        let behind = react::behind(&resources);
        self.look_up(scope, behind, &mut resources).await?;
        react::leave(&mut resources, &united, heard);
        let stopped = ledger.stopped(scope, &react::stoppable(person, &united, &resources)).await?;
        let stores = self.stores(scope, heard, &resources).await?;
        let mut story = Story {
            tenant: Arc::clone(&scope.tenant),
            person,
            united,
            now,
            settings: self.settings,
            stores,
            resources,
            supplies,
            dues,
            decisions,
            stopped,
            halts: Vec::new(),
            taken: BTreeSet::new(),
            parted_at: partings
                .last()
                .map(|last| (last.until, partings.iter().filter(|parting| parting.until == last.until).count())),
            parted,
        };
        self.look_beside(scope, heard, &mut story).await?;
        Ok((story, seen))
    }

    /// Adds what is named so, unless it is there.
    async fn look_up(&self, scope: &Scope, named: Vec<String>, resources: &mut Vec<react::Resource>) -> Result<(), Error> {
        for reference in named {
            let Some((kind, id)) = reference.split_once('/') else { continue };
            if resources.iter().any(|known| known.kind == kind && known.id == id) {
                continue;
            }
            if let Some(stored) = self.ledger.read(scope, kind, id).await? {
                let mut known = resource(&stored, stored.deleted);
                // What was handed over stays what it was when the resource that says so is deleted.
                if stored.deleted && kind == react::MEDICATION {
                    let last = self.ledger.version(scope, kind, id, stored.version - 1).await?;
                    known.value = last.map_or(known.value, |last| Arc::new(last.value()));
                }
                resources.push(known);
            }
        }
        Ok(())
    }

    /// Adds the dispenses that those which were heard may make others of, what these refer to, and what their orders are about.
    async fn look_beside(&self, scope: &Scope, heard: &[Heard], story: &mut Story) -> Result<(), Error> {
        let beside = react::beside(&self.rules.of(&scope.tenant), story, heard);
        self.look_up(scope, beside.clone(), &mut story.resources).await?;
        let behind = react::behind_these(story, &beside);
        self.look_up(scope, behind, &mut story.resources).await?;
        let ordered = react::ordered(story, heard, &beside);
        if beside.is_empty() && ordered.is_empty() {
            return Ok(());
        }
        self.look_up(scope, ordered, &mut story.resources).await?;
        react::leave(&mut story.resources, &story.united, heard);
        story.stores = self.stores(scope, heard, &story.resources).await?;
        Ok(())
    }

    /// Those who were parted from a person at a time or later.
    async fn parted(&self, scope: &Scope, partings: &[Parting], from: i64) -> Result<Parted, Error> {
        let from = partings.last().map_or(from, |last| last.until.min(from));
        let mut parted = Parted { since: i64::MAX, from: i64::MAX, ..Parted::default() };
        for parting in partings.iter().filter(|parting| parting.until >= from) {
            parted.persons.push((parting.person, parting.since));
            parted.since = parted.since.min(parting.since);
            parted.from = parted.from.min(parting.until);
            let of_them = self.ledger.held(scope, parting.person, &["Patient", "RelatedPerson"], PARTED_MAX).await?;
            parted.addressed.extend(of_them.iter().map(|stored| resource(stored, false)));
        }
        Ok(parted)
    }

    /// The stores that the facts name, after the one that stands for all whose own is not known.
    async fn stores(&self, scope: &Scope, heard: &[Heard], resources: &[react::Resource]) -> Result<Vec<Store>, Error> {
        let rules = self.rules.of(&scope.tenant);
        let facts = resources.iter().chain(heard.iter().map(|event| &event.resource));
        let mut stores = vec![Store::unknown(&self.zone)];
        for id in react::organizations(facts).iter().take(react::STORES_MAX) {
            // An Organization that we were not told of is a store all the same: its Tasks wait under its name.
            let told = self.ledger.read(scope, "Organization", id).await?.map(|stored| stored.value());
            stores.push(Store::of(&rules, id, &told.unwrap_or_default(), &self.zone));
        }
        Ok(stores)
    }
}

/// A version that was just recorded, as the rules see it.
#[must_use]
pub fn fresh(fresh: Fresh) -> react::Resource {
    let stored = fresh.stored.clone();
    seen(&stored, false, fresh.value())
}

/// A stored version as the rules see it.
#[must_use]
pub fn resource(stored: &Stored, deleted: bool) -> react::Resource {
    seen(stored, deleted, stored.value())
}

fn seen(stored: &Stored, deleted: bool, value: Value) -> react::Resource {
    react::Resource {
        kind: stored.kind.clone(),
        id: stored.id.clone(),
        version: stored.version,
        fact: stored.fact,
        source: stored.source.clone(),
        how: stored.how,
        learned: stored.updated,
        person: stored.person,
        deleted,
        value: Arc::new(value),
    }
}
