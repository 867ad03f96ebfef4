//! Loads what the rules need to know of one person.

use std::sync::Arc;

use super::Beat;
use crate::ledger::{Error, Person, Scope, Stored};
use crate::react::{self, Occasion, Store, Story};

/// The most resources of one kind that go into a story.
const KIND_MAX: i64 = 200;

/// The most stores of one story.
const STORES_MAX: usize = 32;

impl Beat {
    /// The story of a person, as far as the rules want it for this occasion.
    pub(super) async fn story(&self, scope: &Scope, person: Person, occasion: &Occasion) -> Result<Story, Error> {
        let ledger = self.ledger();
        let now = self.clock().now();
        let wants = self.rules.wants(occasion);
        let kinds: Vec<&str> = wants.kinds.iter().map(String::as_str).collect();
        let mut resources: Vec<react::Resource> =
            ledger.held(scope, person, &kinds, KIND_MAX).await?.iter().map(|stored| resource(stored, false)).collect();
        let dues = ledger.dues(scope, person).await?;
        let decisions = ledger.decisions(scope, person).await?;
        let supplies = if wants.supplies { ledger.supplies(scope, person).await? } else { Vec::new() };
        let united = ledger.united(scope, person).await?;
        for reference in wants.references.iter().cloned().chain(react::pending(&dues, &decisions, now)) {
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
        let stores = self.stores(scope, occasion, &resources).await?;
        Ok(Story {
            tenant: Arc::clone(&scope.tenant),
            person,
            united,
            now,
            settings: self.settings.react,
            stores,
            resources,
            supplies,
            dues,
            decisions,
            stopped,
        })
    }

    /// The stores that the facts name, after the one that stands for all whose own is not known.
    async fn stores(&self, scope: &Scope, occasion: &Occasion, resources: &[react::Resource]) -> Result<Vec<Store>, Error> {
        let zone = &self.settings.zone;
        let heard = match occasion {
            Occasion::Heard(events) => events.as_slice(),
            Occasion::Due(_) => &[],
        };
        let facts = resources.iter().chain(heard.iter().map(|event| &event.resource));
        let mut stores = vec![Store { organization: String::new(), zone: zone.clone() }];
        for id in react::organizations(facts).iter().take(STORES_MAX) {
            // An Organization that we were not told of is a store all the same: its Tasks wait under its name.
            let told = self.ledger().read(scope, "Organization", id).await?.map(|stored| stored.value());
            stores.push(Store::of(&self.rules, id, &told.unwrap_or_default(), zone));
        }
        Ok(stores)
    }
}

/// A stored version as the rules see it.
pub(super) fn resource(stored: &Stored, deleted: bool) -> react::Resource {
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
        value: Arc::new(stored.value()),
    }
}
