//! Keeps the rules as they are kept: what was recorded of them is taken in before anything recorded later is decided.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Beat;
use super::waiting::Patience;
use crate::fhir::kinds::ARTEFACTS;
use crate::flow::Refused;
use crate::ledger::{Beyond, Error, Event, Halt, Scope};

impl Beat {
    /// Rules changed: all changes that were read together are taken in together, since each version of a rule knows what it acts on.
    pub(super) async fn learn_rules(&self, events: &[Event]) -> Result<(), Error> {
        let now = self.clock().now();
        let mut changed: BTreeMap<Arc<str>, BTreeSet<(String, String)>> = BTreeMap::new();
        self.waiting(|waiting| {
            let over = waiting.unlearned.iter().filter(|(_, patience)| patience.is_over(now));
            for ((tenant, resource), _) in over {
                changed.entry(Arc::clone(tenant)).or_default().insert(resource.clone());
            }
        });
        for event in events.iter().filter(|event| ARTEFACTS.contains(&event.kind.as_str())) {
            changed.entry(Arc::clone(&event.scope.tenant)).or_default().insert((event.kind.clone(), event.id.clone()));
        }
        for (tenant, changed) in changed {
            let unread = self.flow.learn_rules(&Scope { tenant: Arc::clone(&tenant) }, &changed).await?;
            self.waiting(|waiting| {
                for resource in changed {
                    let is_unread = unread.contains(&resource);
                    let key = (Arc::clone(&tenant), resource);
                    let patience = waiting.unlearned.remove(&key).unwrap_or_default();
                    if is_unread {
                        waiting.unlearned.insert(key, patience.after(now));
                    }
                }
            });
        }
        Ok(())
    }

    /// What could not be read of the rules at the start is read again.
    pub fn learn_later(&self, unread: Vec<(Arc<str>, (String, String))>) {
        let patience = Patience::default().after(self.clock().now());
        self.waiting(|waiting| waiting.unlearned.extend(unread.into_iter().map(|one| (one, patience))));
    }

    /// A rule would have fired more often than it may: it is stopped, unless it is already. Returns the rules that are.
    pub(super) async fn halt(&self, scope: &Scope, beyond: &Beyond) -> Result<Vec<Halt>, Error> {
        let halts = self.ledger().halts(scope).await?;
        if halts.iter().any(|halt| halt.holds(&beyond.rule)) {
            return Ok(halts);
        }
        match self.flow.halt(scope, beyond).await {
            Ok(()) | Err(Refused::Busy) => self.ledger().halts(scope).await,
            Err(refused) => Err(Error::Broken(format!("a rule could not be stopped: {refused:?}"))),
        }
    }
}
