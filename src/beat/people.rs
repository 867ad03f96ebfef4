//! Who waits for the rules has their turn: all that was heard of one person is decided on together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::Beat;
use super::decide::Question;
use super::events::Claimed;
use super::waiting::{ByPerson, Key, STALE_TRIES_MAX, Waiting};
use crate::flow::Seen;
use crate::ledger::{Error, Person, Refusal, Scope};
use crate::react::Story;

/// Persons whose stories are read in one state of the store and decided at the same time, so that their commits are gathered.
pub(super) const STORIES_AT_ONCE: usize = 32;
/// After so many events of one person that could not be recorded alone the others wait, too.
const ALONE_MAX: usize = 16;

/// The events of one person.
type OfPerson = (Key, Vec<Claimed>);

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    /// All who wait.
    All,
    /// Who may have refused to be spoken to.
    Refusing,
}

/// What the decision on one person left.
struct Left {
    key: Key,
    /// What is not decided.
    claimed: Vec<Claimed>,
    error: Option<Error>,
}

/// How many events they are.
fn events_of<'a>(claimed: impl Iterator<Item = &'a Vec<Claimed>>) -> usize {
    claimed.map(Vec::len).sum()
}

impl Beat {
    /// Lets the rules look at what waits; tells how many events it was. All of one person become true in one unit; persons do not
    /// wait for each other. What the database refuses of one person waits for its next try; if the database itself fails,
    /// everything is heard again from the store.
    pub(super) async fn decide_waiting(&self, whom: Whom) -> Result<usize, Error> {
        let people = self.waiting(|waiting| {
            waiting.taken = std::mem::take(&mut waiting.events);
            std::mem::take(&mut waiting.people)
        });
        let decided = self.decide_taken(people, whom).await;
        if decided.is_err() {
            self.forget();
        }
        decided
    }

    async fn decide_taken(&self, people: ByPerson, whom: Whom) -> Result<usize, Error> {
        let now = self.clock().now();
        let known = self.as_known(people).await?;
        let (wanted, others): (Vec<OfPerson>, Vec<OfPerson>) = self.waiting(|waiting| {
            waiting.held.retain(|key, _| known.contains_key(key));
            known.into_iter().partition(|(key, claimed)| {
                // Where something new was heard, all of it is tried again.
                let held = waiting.held.get(key).filter(|held| held.events == claimed.len());
                let rests = held.is_some_and(|held| !held.patience.is_over(now));
                !rests && (whom == Whom::All || claimed.iter().any(Claimed::may_refuse))
            })
        });
        let count = events_of(wanted.iter().map(|(_, claimed)| claimed));
        self.waiting(|waiting| {
            waiting.taken = count;
            for ((tenant, _), claimed) in others {
                waiting.put_back(&tenant, claimed);
            }
        });
        let mut waits = 0;
        let all_left = self.decide_people(wanted).await;
        self.waiting(|waiting| waiting.taken = 0);
        for left in all_left? {
            waits += self.take_back(left).await?;
        }
        self.waiting(Waiting::unbind);
        Ok(count - waits)
    }

    /// Takes back what could not be decided on; how much of it waits for its next try.
    async fn take_back(&self, left: Left) -> Result<usize, Error> {
        let Left { key, mut claimed, error } = left;
        let Some(error) = error.filter(|error| !self.waits_for_stop(&key.0, error)) else {
            self.waiting(|waiting| {
                waiting.held.remove(&key);
                waiting.put_back(&key.0, claimed);
            });
            return Ok(0);
        };
        let (scope, now) = (Scope { tenant: Arc::clone(&key.0) }, self.clock().now());
        // Persons who were parted meanwhile are heard again, each in their own story. If it is so again and again, it waits as well.
        let may_be_anew = claimed.iter().all(|one| one.tries < STALE_TRIES_MAX);
        if may_be_anew && matches!(error, Error::Refused(Refusal::Stale)) {
            for one in &mut claimed {
                one.tries += 1;
            }
            self.waiting(|waiting| waiting.put_back(&scope.tenant, claimed));
            return Ok(0);
        }
        let error = self.alone(error).await?;
        let mut unsettled = BTreeSet::new();
        for one in &claimed {
            // Whether a commit that was not answered took place is seen in the store.
            if self.ledger().is_unsettled(one.event.number).await? {
                unsettled.insert(one.event.number);
            }
        }
        claimed.retain(|one| unsettled.contains(&one.event.number));
        for one in &mut claimed {
            one.tries = one.tries.saturating_add(1);
        }
        let events = claimed.len();
        if events == 0 {
            self.waiting(|waiting| waiting.held.remove(&key));
            return Ok(0);
        }
        let tries = self.waiting(|waiting| {
            let held = waiting.held.entry(key).or_default();
            (held.events, held.patience) = (events, held.patience.after(now));
            let tries = held.patience.tries;
            waiting.put_back(&scope.tenant, claimed);
            tries
        });
        tracing::error!(%error, events, tries, "what was heard of a person could not be decided on; it is tried again");
        Ok(events)
    }

    /// Who may have refused comes first: a STOP binds others too, and none of them may be spoken to beside it. Who said STOP is
    /// decided alone: the story of the next, who may share the address, is read after it.
    async fn decide_people(&self, people: Vec<OfPerson>) -> Result<Vec<Left>, Error> {
        let (first, rest): (Vec<OfPerson>, Vec<OfPerson>) =
            people.into_iter().partition(|(_, claimed)| claimed.iter().any(Claimed::may_refuse));
        let (stops, first): (Vec<OfPerson>, Vec<OfPerson>) =
            first.into_iter().partition(|(_, claimed)| claimed.iter().any(|claimed| claimed.is_stop));
        let mut left = Vec::new();
        for (mut people, at_once) in [(stops, 1), (first, STORIES_AT_ONCE), (rest, STORIES_AT_ONCE)] {
            while !people.is_empty() {
                // Nothing would be recorded that is decided before a STOP is heard.
                let deaf = people.extract_if(.., |((tenant, _), _)| self.is_deaf(tenant));
                left.extend(deaf.map(|(key, claimed)| Left { key, claimed, error: None }));
                let together = people.split_off(people.len().saturating_sub(at_once));
                let count = events_of(together.iter().map(|(_, claimed)| claimed));
                let undecided = self.decide_together(together).await?;
                let decided = count - events_of(undecided.iter().map(|left| &left.claimed));
                self.waiting(|waiting| waiting.taken = waiting.taken.saturating_sub(decided));
                self.bind_all(&undecided).await;
                left.extend(undecided);
            }
        }
        Ok(left)
    }

    /// A STOP that could not be decided on binds those who are decided on after it all the same.
    async fn bind_all(&self, undecided: &[Left]) {
        for left in undecided.iter().filter(|left| left.error.is_some()) {
            for stop in left.claimed.iter().filter(|claimed| claimed.is_stop) {
                self.bind(&stop.event).await;
            }
        }
    }

    /// The stories of these persons are read in one state of the store; what came of them is recorded together. Where one of them
    /// cannot be read, each is read alone.
    async fn decide_together(&self, mut people: Vec<OfPerson>) -> Result<Vec<Left>, Error> {
        let mut read = Vec::with_capacity(people.len());
        let reading = async {
            for (key, claimed) in &mut people {
                read.push(Some(self.asked(key, claimed).await?));
            }
            Ok(())
        };
        if let Err(error) = self.ledger().together(reading).await {
            self.alone(error).await?;
            read.clear();
        }
        let read = read.into_iter().chain(std::iter::repeat_with(|| None));
        // All are brought to their end: a person whose story fails holds up nobody else.
        let left: Vec<Result<Left, Error>> = stream::iter(people.into_iter().zip(read))
            .map(|((key, claimed), read)| self.decide_heard(key, claimed, read))
            .buffer_unordered(STORIES_AT_ONCE)
            .collect()
            .await;
        left.into_iter().collect()
    }

    /// What the rules are asked about these events, and the story of whom they are about.
    async fn asked(&self, (tenant, person): &Key, claimed: &mut [Claimed]) -> Result<(Question, (Story, Seen)), Error> {
        let question = self.question(claimed).await?;
        let told = self.story(&Scope { tenant: Arc::clone(tenant) }, *person, &question.occasion).await?;
        Ok((question, told))
    }

    async fn decide_heard(
        &self,
        key: Key,
        mut claimed: Vec<Claimed>,
        read: Option<(Question, (Story, Seen))>,
    ) -> Result<Left, Error> {
        let mut first = match self.attempt(&key, &mut claimed, read).await {
            Ok(true) => return Ok(Left { key, claimed: Vec::new(), error: None }),
            Err(error @ Error::Refused(_)) => return Ok(Left { key, claimed, error: Some(error) }),
            Err(error) => Some(Err(self.alone(error).await?)),
            Ok(false) => Some(Ok(false)),
        };
        // One of them may be at fault: alone, it cannot take the others with it.
        let is_single = claimed.len() == 1;
        let mut left = Left { key, claimed: Vec::new(), error: None };
        for mut one in claimed {
            if left.claimed.len() >= ALONE_MAX {
                left.claimed.push(one);
                continue;
            }
            let done = match first.take().filter(|_| is_single) {
                Some(done) => done,
                None => self.attempt(&left.key, std::slice::from_mut(&mut one), None).await,
            };
            let done = match done {
                Ok(false) => self.give_up(&Scope { tenant: Arc::clone(&left.key.0) }, &one.event).await,
                done => done.map(|_| ()),
            };
            if let Err(error) = done {
                left.claimed.push(one);
                left.error = Some(error);
            }
        }
        Ok(left)
    }

    /// One try; `false` where a fault of ours keeps it from being decided.
    async fn attempt(&self, key: &Key, claimed: &mut [Claimed], read: Option<(Question, (Story, Seen))>) -> Result<bool, Error> {
        let (question, told) = match read {
            Some((question, told)) => (question, Some(told)),
            None => (self.question(claimed).await?, None),
        };
        let is_decided = self.decide(&Scope { tenant: Arc::clone(&key.0) }, key.1, &question, told).await?;
        if is_decided {
            self.were_decided(claimed.iter().map(|one| one.event.number));
        }
        Ok(is_decided)
    }

    /// Events of persons who are one by now are decided in one story: two at once would each say the same.
    async fn as_known(&self, people: ByPerson) -> Result<ByPerson, Error> {
        self.ledger().together(self.known(people)).await
    }

    async fn known(&self, people: ByPerson) -> Result<ByPerson, Error> {
        let mut survivors: BTreeMap<Arc<str>, BTreeMap<Person, Person>> = BTreeMap::new();
        for of_tenant in people.keys().collect::<Vec<_>>().chunk_by(|one, other| one.0 == other.0) {
            let Some((tenant, _)) = of_tenant.first() else { continue };
            let scope = Scope { tenant: Arc::clone(tenant) };
            let persons: Vec<Person> = of_tenant.iter().map(|(_, person)| *person).collect();
            survivors.insert(scope.tenant.clone(), self.ledger().known_as(&scope, &persons).await?);
        }
        let mut known = ByPerson::new();
        for ((tenant, person), mut claimed) in people {
            let survivor = survivors.get(&tenant).and_then(|known| known.get(&person)).copied().unwrap_or(person);
            known.entry((tenant, survivor)).or_default().append(&mut claimed);
        }
        for claimed in known.values_mut() {
            claimed.sort_by_key(|claimed| claimed.event.number);
        }
        Ok(known)
    }
}
