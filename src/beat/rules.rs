//! Keeps the rules as they are kept: what was recorded of them is taken in before anything recorded later is decided.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Beat;
use crate::fhir::kinds::ARTEFACTS;
use crate::ledger::{Error, Event, Scope};

impl Beat {
    /// Rules changed: all changes that were read together are taken in together, since each version of a rule knows what it acts on.
    pub(super) async fn learn_rules(&self, events: &[Event]) -> Result<(), Error> {
        let mut changed: BTreeMap<Arc<str>, BTreeSet<(String, String)>> = BTreeMap::new();
        for event in events.iter().filter(|event| ARTEFACTS.contains(&event.kind.as_str())) {
            changed.entry(Arc::clone(&event.scope.tenant)).or_default().insert((event.kind.clone(), event.id.clone()));
        }
        for (tenant, changed) in changed {
            self.flow.learn_rules(&Scope { tenant }, &changed).await?;
        }
        Ok(())
    }
}
