//! What was learned of profiles and terms, shared by all who ask: read from the ledger at the start and again whenever it changed.
//! Follows <https://hl7.org/fhir/R4/profiling.html>.
//!
//! A writer of a definition has it learned before it is answered; other gateways on the same database learn it within
//! [`LOOK_EVERY`] of their next request that could need it, from the stamps of the rows, so that no message can be missed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;

use super::{Flow, Refused, settle::broken};
use crate::check::canon::{Canon, KINDS};
use crate::ledger::{Scope, Stored};

/// What other gateways wrote is looked for at most so often.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Definitions that are read together.
const PAGE: i64 = 200;

/// A batch of another gateway may become visible so long after the stamp it carries.
const LATE_MS: i64 = 10_000;

/// What each tenant knows. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Library {
    /// What everybody knows from the start.
    base: Arc<Canon>,
    tenants: Arc<RwLock<HashMap<Arc<str>, Known>>>,
}

#[derive(Debug, Default)]
struct Known {
    canon: Arc<Canon>,
    /// For each of [`KINDS`], the stamp from which changes are asked for.
    since: [i64; KINDS.len()],
    /// When it was last looked at, on the clock that only goes on.
    looked: Option<Duration>,
    /// What was learned: version by type and id, so that nothing is read twice.
    versions: HashMap<(String, String), i64>,
}

/// A version of a definition; without a resource it was deleted.
pub(super) struct Lesson<'r> {
    pub(super) kind: &'r str,
    pub(super) id: &'r str,
    pub(super) version: i64,
    pub(super) resource: Option<Cow<'r, Value>>,
}

impl<'r> Lesson<'r> {
    fn of(stored: &'r Stored) -> Self {
        let resource = (!stored.deleted).then(|| Cow::Owned(stored.value()));
        Self { kind: &stored.kind, id: &stored.id, version: stored.version, resource }
    }
}

impl Flow {
    /// What is known to this tenant now; looks for what others changed first, unless that was done a moment ago.
    pub async fn canon(&self, scope: &Scope) -> Result<Arc<Canon>, Refused> {
        let now = self.clock.elapsed();
        let (canon, looked, _) = self.library.known(scope);
        if looked.is_some_and(|looked| now.saturating_sub(looked) < LOOK_EVERY) {
            return Ok(canon);
        }
        self.look(scope).await
    }

    /// Looks for what changed, and gives what is known then.
    pub(super) async fn look(&self, scope: &Scope) -> Result<Arc<Canon>, Refused> {
        let now = self.clock.elapsed();
        let (_, _, since) = self.library.known(scope);
        let mut marks = since;
        let mut found = Vec::new();
        for (at, kind) in KINDS.iter().enumerate() {
            // What is written while we read carries a stamp from here on.
            marks[at] = marks[at].max(self.ledger.horizon() - LATE_MS);
            let (mut since, mut after) = (since[at], 0);
            loop {
                let page = self.ledger.changed(scope, kind, since, after, PAGE).await.map_err(broken)?;
                let Some(last) = page.last() else { break };
                (since, after) = (last.updated, last.number);
                found.extend(page);
            }
        }
        self.library.learn(scope, found.iter().map(Lesson::of), Some((now, marks)));
        Ok(self.library.known(scope).0)
    }

    /// Learns what was just written, so that it holds before its writer is answered.
    pub(super) fn learn<'r>(&self, scope: &Scope, lessons: impl Iterator<Item = Lesson<'r>>) {
        self.library.learn(scope, lessons, None);
    }
}

impl Library {
    /// A library in which everybody knows these resources from the start; what is stored goes before them.
    pub(super) fn of(resources: &[Value]) -> Self {
        let mut canon = Canon::default();
        for (number, resource) in resources.iter().enumerate() {
            // No id of a stored resource has a colon.
            canon.learn(&format!("base:{number}"), resource);
        }
        Self { base: Arc::new(canon), tenants: Arc::default() }
    }

    fn known(&self, scope: &Scope) -> (Arc<Canon>, Option<Duration>, [i64; KINDS.len()]) {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        match tenants.get(&scope.tenant) {
            Some(known) => (Arc::clone(&known.canon), known.looked, known.since),
            None => (Arc::clone(&self.base), None, [0; KINDS.len()]),
        }
    }

    fn learn<'r>(
        &self,
        scope: &Scope,
        lessons: impl Iterator<Item = Lesson<'r>>,
        looked: Option<(Duration, [i64; KINDS.len()])>,
    ) {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Known { canon: Arc::clone(&self.base), ..Known::default() };
        let known = tenants.entry(Arc::clone(&scope.tenant)).or_insert_with(new);
        for Lesson { kind, id, version, resource } in lessons {
            let key = (kind.to_owned(), id.to_owned());
            if known.versions.get(&key).is_some_and(|known| *known >= version) {
                continue;
            }
            known.versions.insert(key, version);
            let canon = Arc::make_mut(&mut known.canon);
            match resource {
                Some(resource) => canon.learn(id, &resource),
                None => canon.forget(kind, id),
            }
        }
        if let Some((at, marks)) = looked {
            known.looked = known.looked.max(Some(at));
            known.since = marks;
        }
    }
}
