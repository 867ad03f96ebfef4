//! The letters that wait for one endpoint, in order: of one person and subscription, and of one resource, the next goes only when
//! the one before has arrived or is given up.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::schedule::{self, Standing};
use crate::ledger::Person;

/// A notice on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) subscription: Arc<str>,
    pub(super) number: i64,
    /// Whose it is, as they are known after all unions.
    pub(super) person: Person,
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) version: i64,
    /// When it was recorded, UTC milliseconds.
    pub(super) at: i64,
    /// Refusals so far.
    pub(super) attempts: i64,
    /// Whether it was refused before it was read, nobody knows when: the next refusal may come too soon after to count.
    pub(super) is_known: bool,
    /// The resource, where it was at hand; else it is read when the letter goes.
    pub(super) body: Option<Bytes>,
    pub(super) silence: Silence,
}

/// What became of a letter to which nothing was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Silence {
    /// Its own tries, and since when it alone is to blame for them.
    pub(super) standing: Standing,
    /// How many letters had arrived at its endpoint when it was tried last.
    pub(super) arrived: u64,
    /// How often we failed to send it.
    pub(super) faults: i64,
}

/// Notices of one person for one subscription; of what is nobody's, those of one resource: it has nothing to do with any other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) subscription: Arc<str>,
    pub(super) person: Person,
    /// `Type/id` of what is nobody's.
    resource: Option<Arc<str>>,
}

/// A resource that a subscription is told of: its type and id.
type Topic = (Arc<str>, String, String);

#[derive(Debug, Default)]
pub(super) struct Queues {
    letters: HashMap<Key, VecDeque<Letter>>,
    /// Queues whose head may go, the oldest head first.
    ready: BTreeSet<(i64, i64, Key)>,
    /// Queues whose head is tried again at that time.
    later: BTreeSet<(i64, Key)>,
    /// What waits of each resource, by number; it may stand in several queues, since a resource may become another person's.
    topics: HashMap<Topic, BTreeMap<i64, Key>>,
    /// Queues whose head was put off, until it is done with: what stands behind it cannot go, and takes no room of what can.
    resting: HashSet<Key>,
    counts: HashMap<Arc<str>, Counts>,
    /// How many letters of all subscriptions wait or are under way in queues that do not rest.
    going: usize,
}

/// What there is of one subscription.
#[derive(Debug, Default)]
struct Counts {
    letters: usize,
    /// Those in queues that do not rest.
    going: usize,
    /// Queues that do.
    resting: usize,
}

impl Letter {
    pub(super) fn key(&self) -> Key {
        let is_nobodys = self.person == Person::NOBODY;
        let resource = is_nobodys.then(|| Arc::from(format!("{}/{}", self.kind, self.id)));
        Key { subscription: Arc::clone(&self.subscription), person: self.person, resource }
    }

    fn topic(&self) -> Topic {
        (Arc::clone(&self.subscription), self.kind.clone(), self.id.clone())
    }
}

impl Queues {
    /// Puts a letter behind those of the same person and subscription.
    pub(super) fn push(&mut self, letter: Letter) {
        let key = letter.key();
        let goes = usize::from(!self.resting.contains(&key));
        let counts = self.counts.entry(Arc::clone(&key.subscription)).or_default();
        counts.letters += 1;
        counts.going += goes;
        self.going += goes;
        self.topics.entry(letter.topic()).or_default().insert(letter.number, key.clone());
        let queue = self.letters.entry(key.clone()).or_default();
        queue.push_back(letter);
        if queue.len() == 1 {
            self.make_ready(key);
        }
    }

    /// Takes away all that waits for a subscription.
    pub(super) fn withdraw(&mut self, subscription: &str) {
        self.going -= self.counts.remove(subscription).map_or(0, |counts| counts.going);
        self.resting.retain(|key| &*key.subscription != subscription);
        self.letters.retain(|key, _| &*key.subscription != subscription);
        self.topics.retain(|(of, _, _), _| &**of != subscription);
        self.ready.retain(|(_, _, key)| &*key.subscription != subscription);
        self.later.retain(|(_, key)| &*key.subscription != subscription);
    }

    /// How many letters of a subscription wait or are under way in queues that do not rest.
    pub(super) fn going(&self, subscription: &str) -> usize {
        self.counts.get(subscription).map_or(0, |counts| counts.going)
    }

    /// How many letters of all subscriptions do.
    pub(super) fn all_going(&self) -> usize {
        self.going
    }

    /// How many queues of a subscription rest.
    pub(super) fn resting(&self, subscription: &str) -> usize {
        self.counts.get(subscription).map_or(0, |counts| counts.resting)
    }

    /// Whether any letter of a subscription is here.
    pub(super) fn has_any(&self, subscription: &str) -> bool {
        self.counts.contains_key(subscription)
    }

    /// Whether there is no letter at all.
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How many letters are in a queue.
    pub(super) fn depth(&self, key: &Key) -> usize {
        self.letters.get(key).map_or(0, VecDeque::len)
    }

    /// The first letter of a queue.
    pub(super) fn head(&self, key: &Key) -> Option<&Letter> {
        self.letters.get(key)?.front()
    }

    /// The same, to be written on.
    pub(super) fn head_mut(&mut self, key: &Key) -> Option<&mut Letter> {
        self.letters.get_mut(key)?.front_mut()
    }

    /// What was put off and whose time has come may go; also what was put off for longer than anything ever is: the clock was wrong.
    pub(super) fn bring_up(&mut self, now: i64) {
        while let Some(key) = self.take_over(now) {
            self.make_ready(key);
        }
    }

    fn take_over(&mut self, now: i64) -> Option<Key> {
        let found = if self.later.first().is_some_and(|(at, _)| *at <= now) {
            self.later.pop_first()
        } else if self.later.last().is_some_and(|(at, _)| *at > now + schedule::LATER_MAX) {
            self.later.pop_last()
        } else {
            None
        };
        found.map(|(_, key)| key)
    }

    /// When the next of what was put off may go.
    pub(super) fn next_later(&self) -> Option<i64> {
        self.later.first().map(|(at, _)| *at)
    }

    /// Whether any head may go.
    pub(super) fn is_any_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes the oldest head that may go.
    pub(super) fn take_oldest(&mut self) -> Option<Letter> {
        let (_, _, key) = self.ready.pop_first()?;
        self.head(&key).cloned()
    }

    /// Takes the head that was tried least in vain; of those the oldest. Only one that was never tried, where that is asked.
    pub(super) fn take_least_tried(&mut self, untried: bool) -> Option<Letter> {
        let tries = |key: &Key| self.head(key).map_or(0, |head| head.silence.standing.failures);
        let least =
            self.ready.iter().min_by_key(|(_, _, key)| tries(key)).filter(|(_, _, key)| !untried || tries(key) == 0)?.clone();
        self.ready.remove(&least);
        self.head(&least.2).cloned()
    }

    /// Puts the head of a queue off until then. The queue rests until it is done with.
    pub(super) fn put_off(&mut self, key: Key, until: i64) {
        let depth = self.depth(&key);
        if self.resting.insert(key.clone())
            && let Some(counts) = self.counts.get_mut(&key.subscription)
        {
            counts.resting += 1;
            counts.going -= depth;
            self.going -= depth;
        }
        self.later.insert((until, key));
    }

    /// Moves what was put off until one time to another.
    pub(super) fn hasten(&mut self, key: Key, from: i64, to: i64) {
        let was = (from, key);
        if self.later.remove(&was) {
            self.later.insert((to, was.1));
        }
    }

    /// The head of a queue is done with; what it held back may go.
    pub(super) fn pop(&mut self, key: &Key) {
        let Some(letter) = self.letters.get_mut(key).and_then(VecDeque::pop_front) else { return };
        self.count_off(key);
        let topic = letter.topic();
        let next = self.topics.get_mut(&topic).and_then(|numbers| {
            numbers.remove(&letter.number);
            numbers.first_key_value().map(|(number, key)| (*number, key.clone()))
        });
        match next {
            // It was held back where it stands at the head of another queue.
            Some((number, of)) if of != *key && self.head(&of).is_some_and(|head| head.number == number) => self.make_ready(of),
            Some(_) => {}
            None => drop(self.topics.remove(&topic)),
        }
        self.make_ready(key.clone());
    }

    /// One letter fewer is in a queue; if it rested, what is left of it goes again.
    fn count_off(&mut self, key: &Key) {
        let (depth, rested) = (self.depth(key), self.resting.remove(key));
        let Some(counts) = self.counts.get_mut(&key.subscription) else { return };
        counts.letters -= 1;
        if rested {
            counts.resting -= 1;
            counts.going += depth;
            self.going += depth;
        } else {
            counts.going -= 1;
            self.going -= 1;
        }
        if counts.letters == 0 {
            self.counts.remove(&key.subscription);
        }
    }

    /// Lets the head of a queue go, unless an earlier letter of its resource waits in another queue.
    pub(super) fn make_ready(&mut self, key: Key) {
        let Some(head) = self.letters.get(&key).and_then(VecDeque::front) else {
            self.letters.remove(&key);
            return;
        };
        let first = self.topics.get(&head.topic()).and_then(|numbers| numbers.keys().next());
        if first.is_none_or(|first| *first == head.number) {
            self.ready.insert((head.at, head.number, key));
        }
    }
}
