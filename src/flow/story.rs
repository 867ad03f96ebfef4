//! Loads what the rules need to know of one person: for the beat, which decides, and for the door, which explains.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::clock::Clock;
use crate::ledger::{Error, Fresh, Ledger, Person, Scope, Stored};
use crate::react::{self, Heard, Live, Store, Story, Wants};

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
        let ledger = &self.ledger;
        let now = self.clock.now();
        let kinds: Vec<&str> = wants.kinds.iter().map(String::as_str).collect();
        let kind_max = i64::try_from(react::KIND_MAX).unwrap_or(i64::MAX);
        let mut resources: Vec<react::Resource> =
            ledger.held(scope, person, &kinds, kind_max).await?.iter().map(|stored| resource(stored, false)).collect();
        let dues = ledger.dues(scope, person).await?;
        let decisions = ledger.decisions(scope, person).await?;
        let supplies = if wants.supplies { ledger.supplies(scope, person).await? } else { Vec::new() };
        let united = ledger.united(scope, person).await?;
        for reference in
            wants.references.iter().cloned().chain(react::pending(&dues, &decisions, now)).chain(react::members(&resources))
        {
            let Some((kind, id)) = reference.split_once('/') else { continue };
            if resources.iter().any(|known| known.kind == kind && known.id == id) {
                continue;
            }
            if let Some(stored) = ledger.read(scope, kind, id).await? {
                resources.push(resource(&stored, stored.deleted));
            }
        }
        let mut stopped = Vec::new();
        for address in react::stoppable(person, &united, &resources) {
            if ledger.stopped(scope, std::slice::from_ref(&address)).await? {
                stopped.push(address);
            }
        }
        let stores = self.stores(scope, heard, &resources).await?;
        Ok(Story {
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
        })
    }

    /// The stores that the facts name, after the one that stands for all whose own is not known.
    async fn stores(&self, scope: &Scope, heard: &[Heard], resources: &[react::Resource]) -> Result<Vec<Store>, Error> {
        let rules = self.rules.of(&scope.tenant);
        let facts = resources.iter().chain(heard.iter().map(|event| &event.resource));
        let mut stores = vec![Store { organization: String::new(), zone: self.zone.clone() }];
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
