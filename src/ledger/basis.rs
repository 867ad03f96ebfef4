//! What a decision was built on: where it is written, nobody may have said meanwhile what would make it another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::record::Batch;
use super::{Error, Ledger, Person, Refusal, Unit, entries, people};

/// What a unit was decided on; where that has changed it is refused as [`Refusal::Stale`]. Empty where it does not matter.
#[derive(Debug, Clone, Default)]
pub struct Basis {
    /// All who were one person, the one they are known as first, each with the last entry of their chain that was seen: they must
    /// still be one, and nobody else with them.
    pub seen: Vec<(Person, i64)>,
    /// Types of what may bind a decision about them: nobody may have said any of it since. At most four are looked for.
    pub kinds: &'static [&'static str],
    /// The last event up to which every STOP of the tenant was heard: it binds others than who said it.
    pub heard: i64,
}

/// The last event of each tenant in which somebody said STOP to this gateway.
#[derive(Default)]
pub(super) struct Stops {
    last: Mutex<HashMap<Arc<str>, i64>>,
}

impl Stops {
    /// Takes in events that are committed.
    pub(super) fn learn(&self, events: impl IntoIterator<Item = (Arc<str>, i64)>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        for (tenant, event) in events {
            let known = last.entry(tenant).or_default();
            *known = event.max(*known);
        }
    }

    /// The last one of a tenant; 0 where there is none.
    pub(super) fn of(&self, tenant: &str) -> i64 {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).copied().unwrap_or_default()
    }
}

impl Batch<'_, '_> {
    /// Refuses a unit that was decided on something else than is true now.
    pub(super) async fn still_stands(&mut self, unit: &Unit) -> Result<(), Error> {
        let (tenant, basis) = (&unit.scope.tenant, &unit.basis);
        let Some((known_as, _)) = basis.seen.first() else { return Ok(()) };
        let said_here = self.said.iter().filter(|(of, _)| of == tenant).map(|(_, event)| *event).max();
        let heads = people::heads(&mut self.transaction, tenant, *known_as).await?;
        let are_same = heads.iter().map(|(person, _)| person).eq(basis.seen.iter().map(|(person, _)| person));
        if !are_same || self.stops.of(tenant).max(said_here.unwrap_or_default()) > basis.heard {
            return Err(Error::Refused(Refusal::Stale));
        }
        for ((person, stored), (_, seen)) in heads.into_iter().zip(&basis.seen) {
            let head = self.heads.get(&(Arc::clone(tenant), person)).map_or(stored, |head| head.ordinal);
            if head > *seen && entries::are_after(&mut self.transaction, tenant, (person, *seen), basis.kinds).await? {
                return Err(Error::Refused(Refusal::Stale));
            }
        }
        Ok(())
    }
}

impl Ledger {
    /// The last event of a tenant in which somebody said STOP, as far as it is known here; 0 where there is none.
    #[must_use]
    pub fn last_stop(&self, tenant: &str) -> i64 {
        self.shared.stops.of(tenant)
    }

    /// The last event of any tenant in which somebody said STOP. Whoever reads events after this was asked finds it, if it is not settled.
    #[must_use]
    pub fn last_of_stops(&self) -> i64 {
        self.shared.stops.last.lock().unwrap_or_else(PoisonError::into_inner).values().copied().max().unwrap_or_default()
    }
}
