//! What was heard and waits: for the rules, or, where it could not be recorded, for its next try. All of it is in the store too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem::take;
use std::sync::{Arc, PoisonError};

use super::Beat;
use super::events::{Claimed, Saying, may_refuse, may_stop};
use crate::ledger::{Error, Event, Person, Refusal, Scope};
use crate::{flow, react};

/// A person of a tenant.
pub(super) type Key = (Arc<str>, Person);

/// Events by tenant and person, in the order they were recorded.
pub(super) type ByPerson = BTreeMap<Key, Vec<Claimed>>;

/// What was heard of persons who were parted, or of whom something else was said meanwhile, is decided anew so often at once.
pub(super) const STALE_TRIES_MAX: u32 = 3;
/// The first pause after something could not be recorded; each further one is twice as long.
const PAUSE_MS: i64 = 1_000;
/// The longest such pause.
const PAUSE_MS_MAX: i64 = 600_000;
/// What may refuse holds back all that is due in its tenant, until it was tried so often in vain. A STOP binds others, too: it holds back
/// all until it is known whom.
const REFUSALS_TRIED_MAX: u32 = 4;

/// Records of a kind that are read of one who said STOP.
const ADDRESSED_MAX: i64 = 1_000;

/// How often something was tried in vain, and when it is tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Patience {
    pub(super) tries: u32,
    next: i64,
}

impl Patience {
    /// After one more try.
    #[must_use]
    pub(super) fn after(self, now: i64) -> Self {
        let pause = PAUSE_MS.saturating_mul(1_i64.checked_shl(self.tries.min(32)).unwrap_or(i64::MAX)).min(PAUSE_MS_MAX);
        Self { tries: self.tries.saturating_add(1), next: now.saturating_add(pause) }
    }

    /// After one more try of what changed meanwhile: a few times it is decided anew at once.
    #[must_use]
    pub(super) fn after_change(self, now: i64) -> Self {
        if self.tries < STALE_TRIES_MAX { Self { tries: self.tries + 1, next: now } } else { self.after(now) }
    }

    /// Whether it is time for the next try; also when that lies further ahead than any pause is long: the clock was wrong.
    pub(super) fn is_over(self, now: i64) -> bool {
        now >= self.next || self.next > now.saturating_add(PAUSE_MS_MAX)
    }
}

/// A person, as they are known, of whom so many events could not be decided on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    pub(super) events: usize,
    pub(super) patience: Patience,
}

/// What is said of an event and could not be recorded.
#[derive(Debug)]
pub(super) struct Untold {
    pub(super) scope: Scope,
    pub(super) saying: Saying,
    pub(super) patience: Patience,
}

/// Events that were read and not heard yet.
pub(super) struct Ahead {
    pub(super) events: VecDeque<Event>,
    /// Whether there may be more after them.
    pub(super) is_cut: bool,
    /// The last STOP before they were read.
    pub(super) stops: i64,
}

impl Ahead {
    /// Whether anything is left to be heard.
    pub(super) fn has_more(&self) -> bool {
        self.is_cut || !self.events.is_empty()
    }
}

/// What was heard and waits. After a restart it is heard again.
#[derive(Default)]
pub(super) struct Waiting {
    /// Number of the last event that was heard.
    pub(super) cursor: i64,
    /// Every STOP up to this event was heard.
    pub(super) heard: i64,
    pub(super) ahead: Option<Ahead>,
    pub(super) people: ByPerson,
    pub(super) events: usize,
    /// Events that were taken from them to be decided on, and are not decided yet.
    pub(super) taken: usize,
    /// Whether more is recorded than was heard. Nothing that is due is said meanwhile: a STOP may be among it.
    pub(super) behind: bool,
    /// Of those who wait, whose story could not be recorded.
    pub(super) held: BTreeMap<Key, Held>,
    /// By number of the event.
    pub(super) untold: BTreeMap<i64, Untold>,
    /// Subscriptions for which a notice may be recorded that nobody carries: the answer to its commit was lost.
    pub(super) unsure: BTreeSet<(Arc<str>, String)>,
    /// Events that could not be read.
    pub(super) unread: BTreeMap<i64, (Event, Patience)>,
    /// Resources of rules that could not be read, by tenant, type and id.
    pub(super) unlearned: BTreeMap<(Arc<str>, (String, String)), Patience>,
    /// Addresses for which somebody said STOP in an event that could not be decided on, by number of the event.
    pub(super) bound: BTreeMap<i64, (Arc<str>, Vec<String>)>,
    /// Dues that could neither be decided on nor put off, by tenant and output.
    pub(super) dues: BTreeMap<(Arc<str>, String), Patience>,
    /// How often each sweep failed at the page where it stands, by tenant and output.
    pub(super) sweeps: BTreeMap<(Arc<str>, String), u32>,
    /// Until then everything that is due was looked at, but what is held back.
    pub(super) looked: i64,
}

impl Waiting {
    /// Whether as much is kept in memory as may be.
    pub(super) fn is_full(&self, max: usize) -> bool {
        self.events + self.taken + self.untold.len() + self.unread.len() >= max
    }

    /// Whether the rules can look now at something that waits for them.
    fn is_wanted(&self, now: i64) -> bool {
        let rests = self.held.values().filter(|held| !held.patience.is_over(now)).map(|held| held.events);
        self.events > rests.sum()
    }

    /// When something is tried again.
    fn next_try(&self) -> Option<i64> {
        let held = self.held.values().map(|held| held.patience);
        let untold = self.untold.values().map(|untold| untold.patience);
        let unread = self.unread.values().map(|(_, patience)| *patience);
        // A due whose time was over at the last look waits for something else.
        let dues = self.dues.values().copied().filter(|patience| !patience.is_over(self.looked));
        let unlearned = self.unlearned.values().copied();
        held.chain(untold).chain(unread).chain(unlearned).chain(dues).map(|patience| patience.next).min()
    }

    /// Puts back what waits for the rules on.
    pub(super) fn put_back(&mut self, tenant: &Arc<str>, claimed: impl IntoIterator<Item = Claimed>) {
        for one in claimed {
            self.events += 1;
            self.people.entry((Arc::clone(tenant), one.event.person)).or_default().push(one);
        }
    }

    /// Tenants of whom somebody may have refused to be spoken to, and it is not decided.
    pub(super) fn refusing(&self) -> BTreeSet<Arc<str>> {
        let is_open = |event: &Event, tries, may_stop| {
            may_refuse(event) && (tries < REFUSALS_TRIED_MAX || (may_stop && !self.bound.contains_key(&event.number)))
        };
        let refuses = |claimed: &Claimed| is_open(&claimed.event, claimed.tries, claimed.is_stop);
        let people = self.people.iter().filter(|(_, claimed)| claimed.iter().any(refuses));
        let unread = self.unread.values().filter(|(event, patience)| is_open(event, patience.tries, may_stop(event)));
        let tenants = people.map(|((tenant, _), _)| tenant).chain(unread.map(|(event, _)| &event.scope.tenant));
        tenants.cloned().collect()
    }

    /// Addresses in a tenant for which somebody said STOP, and it is not decided.
    pub(super) fn bound_in(&self, tenant: &Arc<str>) -> impl Iterator<Item = &String> {
        self.bound.values().filter(move |(of, _)| of == tenant).flat_map(|(_, addresses)| addresses)
    }

    /// What was decided on meanwhile binds by what is in the store.
    pub(super) fn unbind(&mut self) {
        if self.bound.is_empty() {
            return;
        }
        let waits: BTreeSet<i64> = self.people.values().flatten().map(|claimed| claimed.event.number).collect();
        self.bound.retain(|event, _| waits.contains(event) || self.unread.contains_key(event));
    }
}

impl Beat {
    /// Looks at what waits, or changes it.
    pub(super) fn waiting<T>(&self, act: impl FnOnce(&mut Waiting) -> T) -> T {
        act(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets what was heard and not decided: all of it is in the store and is heard again.
    pub fn forget(&self) {
        // What rules could not be read is in no event that is still to be heard.
        self.waiting(|waiting| {
            let (unsure, unlearned) = (take(&mut waiting.unsure), take(&mut waiting.unlearned));
            *waiting = Waiting { unsure, unlearned, ..Waiting::default() };
        });
    }

    /// Begins again from the store, after the loop broke off: what it recorded may not have been handed on.
    pub fn begin_again(&self) {
        self.forget();
        self.deliverer.wake_all();
    }

    /// Whether the rules can look now at something that was heard.
    pub(super) fn someone_waits(&self) -> bool {
        let now = self.clock().now();
        self.waiting(|waiting| waiting.is_wanted(now))
    }

    /// The last event up to which every STOP was heard. While too much waits to hear more, that is not asked for: nothing that is due
    /// is said, and what was heard must be decided on, until there is room to hear more.
    pub(super) fn heard(&self) -> i64 {
        self.waiting(|waiting| if waiting.is_full(self.settings.waiting_max) { i64::MAX } else { waiting.heard })
    }

    /// Whether somebody said STOP in a tenant, and it was not heard: nothing that is decided before it would be recorded.
    pub(super) fn is_deaf(&self, tenant: &str) -> bool {
        self.ledger().last_stop(tenant) > self.heard()
    }

    /// Whether something could only not be recorded because a STOP was not heard yet: that is no fault, and once it is heard all of it
    /// is decided anew.
    pub(super) fn waits_for_stop(&self, tenant: &str, error: &Error) -> bool {
        matches!(error, Error::Refused(Refusal::Stale)) && self.is_deaf(tenant)
    }

    /// Whether somebody who was not decided on yet may have refused to be spoken to.
    pub(super) fn someone_refuses(&self) -> bool {
        self.waiting(|waiting| waiting.people.values().flatten().any(|claimed| claimed.may_refuse() && claimed.tries == 0))
    }

    /// When something is tried again.
    pub(super) fn next_try(&self) -> Option<i64> {
        self.waiting(|waiting| waiting.next_try())
    }

    /// Who waits, as they are known now; of them only those who were tried in vain, where that is asked.
    pub(super) async fn who_waits(&self, tried: bool) -> Result<BTreeSet<Key>, Error> {
        let mut tenants: BTreeMap<Arc<str>, BTreeSet<Person>> = BTreeMap::new();
        self.waiting(|waiting| {
            let is_meant = |claimed: &[Claimed]| !tried || claimed.iter().any(|one| one.tries > 0);
            let people = waiting.people.iter().filter(|(_, claimed)| is_meant(claimed)).map(|(key, _)| key.clone());
            let unread = waiting.unread.values().map(|(event, _)| (Arc::clone(&event.scope.tenant), event.person));
            for (tenant, person) in people.chain(unread) {
                tenants.entry(tenant).or_default().insert(person);
            }
        });
        let mut known = BTreeSet::new();
        for (tenant, persons) in tenants {
            let (scope, persons) = (Scope { tenant }, persons.into_iter().collect::<Vec<_>>());
            let survivors = self.ledger().known_as(&scope, &persons).await?;
            known.extend(survivors.into_values().map(|survivor| (Arc::clone(&scope.tenant), survivor)));
        }
        Ok(known)
    }

    /// Keeps in mind for whom a STOP is meant that cannot be decided on, so that nobody who shares an address is spoken to meanwhile.
    /// Where that cannot be read, nothing is said that is due in the tenant.
    pub(super) async fn bind(&self, event: &Event) {
        if self.waiting(|waiting| waiting.bound.contains_key(&event.number)) {
            return;
        }
        let said = self.resource_of(event, None).await.ok().flatten();
        match self.ledger().held(&event.scope, event.person, react::ADDRESSED, ADDRESSED_MAX).await {
            Ok(held) => {
                let held: Vec<react::Resource> = held.iter().map(|stored| flow::resource(stored, false)).collect();
                let addresses = react::bound_by(event.person, said.as_ref(), &held);
                self.waiting(|waiting| waiting.bound.insert(event.number, (Arc::clone(&event.scope.tenant), addresses)));
            }
            Err(error) => tracing::error!(%error, event = event.number, "whom a STOP binds could not be read"),
        }
    }

    /// The error, where the database lives and refuses only this; `Err` where it is the database that failed, as when its disk is full:
    /// what it can read tells nothing of that.
    pub(super) async fn alone(&self, error: Error) -> Result<Error, Error> {
        match error {
            Error::Refused(_) | Error::TooCostly(_) => Ok(error),
            Error::Broken(_) if self.ledger().takes().await => Ok(error),
            error => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound() {
        let mut patience = Patience::default();
        assert!(patience.is_over(0));
        let changed = (0..4).scan(patience, |changed, _| {
            *changed = changed.after_change(5);
            Some(changed.next)
        });
        assert_eq!(changed.collect::<Vec<_>>(), [5, 5, 5, 8_005]);
        let mut pauses = Vec::new();
        for _ in 0..40 {
            patience = patience.after(5);
            assert!(!patience.is_over(patience.next - 1) && patience.is_over(patience.next));
            assert!(!patience.is_over(patience.next - PAUSE_MS_MAX) && patience.is_over(patience.next - PAUSE_MS_MAX - 1));
            pauses.push(patience.next - 5);
        }
        assert_eq!(pauses[..4], [1_000, 2_000, 4_000, 8_000]);
        assert!(pauses.is_sorted() && pauses[10..].iter().all(|pause| *pause == PAUSE_MS_MAX));
    }
}
