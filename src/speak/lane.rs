//! The lane of one endpoint: what waits for it, what is under way, and how it stands. It decides what goes next; it sends
//! nothing itself, and is told how each attempt ended.
//!
//! Within one person and subscription the next notice goes only when the one before has arrived. While the endpoint does not
//! answer, only the oldest notice is tried, by the schedule; once it answers, everything that waits goes.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::schedule;
use crate::ledger::{self, Person};

/// Attempts under way at one time for one endpoint.
pub(super) const ATTEMPTS_MAX: usize = 8;

/// A notice on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) subscription: Arc<str>,
    pub(super) number: i64,
    pub(super) person: Person,
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) version: i64,
    /// When it was recorded, UTC milliseconds.
    pub(super) at: i64,
    /// Refusals so far.
    pub(super) attempts: i64,
    /// The resource, where it was at hand; else it is read when the letter goes.
    pub(super) body: Option<Bytes>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 2xx.
    Arrived,
    /// The endpoint answers, but does not want this notice.
    Refused(String),
    /// The endpoint does not answer, or asks for time.
    Unanswered(String),
    /// There is nothing to send any more.
    Gone(String),
}

/// What the store must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    Delivered {
        subscription: Arc<str>,
        number: i64,
    },
    Refused {
        subscription: Arc<str>,
        number: i64,
        attempts: i64,
        dead: bool,
        last: String,
    },
    /// The lane went down, is still down, or is up again.
    Stands(Standing),
    /// The schedule is spent: its subscriptions are in error, for this reason.
    Spent(String),
}

/// Whether the endpoint answers, and since when not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Standing {
    pub(super) failures: i64,
    pub(super) down_since: i64,
    pub(super) next_attempt: i64,
}

/// Notices of one person for one subscription.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    subscription: Arc<str>,
    person: Person,
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    standing: Standing,
    queues: HashMap<Key, VecDeque<Letter>>,
    /// Queues whose head may go, the oldest head first.
    ready: BTreeSet<(i64, i64, Key)>,
    /// Queues whose head was refused and is tried again at that time.
    later: BTreeSet<(i64, Key)>,
    /// Queues whose head is under way.
    sent: HashMap<Key, Sent>,
    /// How many wait, by subscription.
    waiting: HashMap<Arc<str>, usize>,
    total: usize,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    number: i64,
    /// Whether it is the one that finds out whether the endpoint answers again.
    is_probe: bool,
}

impl From<&ledger::Lane> for Standing {
    fn from(row: &ledger::Lane) -> Self {
        Self { failures: row.failures, down_since: row.down_since, next_attempt: row.next_attempt }
    }
}

impl Standing {
    fn is_down(self) -> bool {
        self.down_since != 0
    }
}

impl Letter {
    fn key(&self) -> Key {
        Key { subscription: Arc::clone(&self.subscription), person: self.person }
    }
}

impl Lane {
    pub(super) fn new(standing: Standing) -> Self {
        Self { standing, ..Self::default() }
    }

    /// Puts a letter behind those of the same person and subscription.
    pub(super) fn push(&mut self, letter: Letter) {
        let key = letter.key();
        *self.waiting.entry(Arc::clone(&key.subscription)).or_default() += 1;
        self.total += 1;
        let queue = self.queues.entry(key.clone()).or_default();
        if queue.is_empty() && !self.sent.contains_key(&key) {
            self.ready.insert((letter.at, letter.number, key));
        }
        queue.push_back(letter);
    }

    /// Takes away all that waits for a subscription; what is under way is no longer cared for.
    pub(super) fn withdraw(&mut self, subscription: &str) {
        self.total -= self.waiting.remove(subscription).unwrap_or(0);
        self.queues.retain(|key, _| &*key.subscription != subscription);
        self.ready.retain(|(_, _, key)| &*key.subscription != subscription);
        self.later.retain(|(_, key)| &*key.subscription != subscription);
        self.sent.retain(|key, _| &*key.subscription != subscription);
    }

    /// How many letters of a subscription wait or are under way.
    pub(super) fn waiting(&self, subscription: &str) -> usize {
        self.waiting.get(subscription).copied().unwrap_or(0)
    }

    /// How many letters of all subscriptions do.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// The letter that goes now, if one may.
    pub(super) fn next(&mut self, now: i64) -> Option<Letter> {
        while self.later.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, key)) = self.later.pop_first() {
                self.make_ready(key);
            }
        }
        let is_probe = self.standing.is_down();
        let may_go =
            if is_probe { now >= self.standing.next_attempt && !self.is_probing() } else { self.sent.len() < ATTEMPTS_MAX };
        if !may_go {
            return None;
        }
        let (_, _, key) = self.ready.pop_first()?;
        let letter = self.queues.get(&key)?.front()?.clone();
        self.sent.insert(key, Sent { number: letter.number, is_probe });
        Some(letter)
    }

    /// When to ask for the next letter again although nothing happened.
    pub(super) fn wakes_at(&self) -> Option<i64> {
        let retry = self.later.first().map(|(at, _)| *at);
        let probe =
            (self.standing.is_down() && !self.ready.is_empty() && !self.is_probing()).then_some(self.standing.next_attempt);
        [retry, probe].into_iter().flatten().min()
    }

    /// Whether the endpoint does not answer.
    pub(super) fn is_down(&self) -> bool {
        self.standing.is_down()
    }

    /// The endpoint answered something else than a letter, or nobody waits for its answer any more.
    pub(super) fn answered(&mut self) -> Option<Effect> {
        if !self.standing.is_down() {
            return None;
        }
        self.standing = Standing::default();
        Some(Effect::Stands(self.standing))
    }

    /// Takes note of how an attempt ended. `chance` spreads the next attempt.
    pub(super) fn ended(&mut self, letter: &Letter, outcome: Outcome, now: i64, chance: u64) -> Vec<Effect> {
        let key = letter.key();
        // After a withdrawal a letter may come back that nobody waits for.
        let sent = match self.sent.get(&key) {
            Some(sent) if sent.number == letter.number => *sent,
            _ => return Vec::new(),
        };
        self.sent.remove(&key);
        match outcome {
            Outcome::Arrived => {
                self.pop(&key);
                self.make_ready(key);
                let delivered = Effect::Delivered { subscription: Arc::clone(&letter.subscription), number: letter.number };
                [Some(delivered), self.answered()].into_iter().flatten().collect()
            }
            Outcome::Refused(last) => {
                let refused = self.refused(letter, key, last, now, chance);
                [Some(refused), self.answered()].into_iter().flatten().collect()
            }
            Outcome::Gone(last) => {
                self.pop(&key);
                self.make_ready(key);
                vec![refusal(letter, letter.attempts, true, last)]
            }
            Outcome::Unanswered(last) => {
                self.make_ready(key);
                self.unanswered(sent, &last, now, chance).into_iter().collect()
            }
        }
    }

    fn refused(&mut self, letter: &Letter, key: Key, last: String, now: i64, chance: u64) -> Effect {
        let attempts = letter.attempts + 1;
        let again = schedule::next_try(attempts, now, chance);
        if let Some(at) = again {
            if let Some(head) = self.queues.get_mut(&key).and_then(VecDeque::front_mut) {
                head.attempts = attempts;
            }
            self.later.insert((at, key));
        } else {
            self.pop(&key);
            self.make_ready(key);
        }
        refusal(letter, attempts, again.is_none(), last)
    }

    /// Only the letter that finds the endpoint silent, and then each probe, moves the schedule on; letters that were under way
    /// with the first say nothing new.
    fn unanswered(&mut self, sent: Sent, last: &str, now: i64, chance: u64) -> Option<Effect> {
        let was_down = self.standing.is_down();
        if was_down && !sent.is_probe {
            return None;
        }
        let failures = self.standing.failures + 1;
        let down_since = if was_down { self.standing.down_since } else { now };
        match schedule::next_attempt(failures, down_since, now, chance) {
            Some(next_attempt) => {
                self.standing = Standing { failures, down_since, next_attempt };
                Some(Effect::Stands(self.standing))
            }
            None => {
                self.standing = Standing::default();
                Some(Effect::Spent(last.to_owned()))
            }
        }
    }

    fn is_probing(&self) -> bool {
        self.sent.values().any(|sent| sent.is_probe)
    }

    fn pop(&mut self, key: &Key) {
        if self.queues.get_mut(key).and_then(VecDeque::pop_front).is_some()
            && let Some(waiting) = self.waiting.get_mut(&key.subscription)
        {
            *waiting -= 1;
            self.total -= 1;
            if *waiting == 0 {
                self.waiting.remove(&key.subscription);
            }
        }
    }

    fn make_ready(&mut self, key: Key) {
        match self.queues.get(&key).and_then(VecDeque::front) {
            Some(head) => {
                self.ready.insert((head.at, head.number, key));
            }
            None => {
                self.queues.remove(&key);
            }
        }
    }
}

fn refusal(letter: &Letter, attempts: i64, dead: bool, last: String) -> Effect {
    Effect::Refused { subscription: Arc::clone(&letter.subscription), number: letter.number, attempts, dead, last }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(number: i64, person: i64) -> Letter {
        Letter {
            subscription: Arc::from("s"),
            number,
            person: Person(person),
            kind: String::from("Condition"),
            id: format!("c{number}"),
            version: 1,
            at: number,
            attempts: 0,
            body: None,
        }
    }

    fn lane(letters: &[(i64, i64)]) -> Lane {
        let mut lane = Lane::default();
        for (number, person) in letters {
            lane.push(letter(*number, *person));
        }
        lane
    }

    fn going(lane: &mut Lane, now: i64) -> Vec<i64> {
        std::iter::from_fn(|| lane.next(now)).map(|letter| letter.number).collect()
    }

    fn silent() -> Outcome {
        Outcome::Unanswered(String::from("503"))
    }

    #[test]
    fn one_person_at_a_time_and_many_persons_at_once() {
        let mut lane = lane(&[(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)]);
        assert_eq!(going(&mut lane, 0), [1, 3, 5]);
        assert_eq!(going(&mut lane, 0), [0; 0]);
        assert_eq!(lane.ended(&letter(3, 2), Outcome::Arrived, 0, 0).len(), 1);
        assert_eq!(going(&mut lane, 0), [4]);
        assert_eq!(lane.waiting("s"), 4);
        let many: Vec<(i64, i64)> = (1..100).map(|number| (number, number)).collect();
        assert_eq!(going(&mut super::tests::lane(&many), 0).len(), ATTEMPTS_MAX);
    }

    #[test]
    fn a_silent_endpoint_is_probed_with_its_oldest_letter_and_then_drained_in_order() {
        let mut lane = lane(&[(1, 1), (2, 2), (3, 1)]);
        assert_eq!(going(&mut lane, 100), [1, 2]);
        let down = Standing { failures: 1, down_since: 100, next_attempt: 5_100 };
        assert_eq!(lane.ended(&letter(2, 2), silent(), 100, 0), [Effect::Stands(down)]);
        assert_eq!(lane.ended(&letter(1, 1), silent(), 200, 0), []);
        assert_eq!(lane.wakes_at(), Some(5_100));
        lane.push(letter(4, 3));
        assert_eq!(going(&mut lane, 5_099), [0; 0]);
        assert_eq!(going(&mut lane, 5_100), [1]);
        assert_eq!(lane.wakes_at(), None);
        lane.ended(&letter(1, 1), silent(), 5_100, 0);
        assert_eq!(lane.wakes_at(), Some(10_100));
        assert_eq!(going(&mut lane, 10_100), [1]);
        let effects = lane.ended(&letter(1, 1), Outcome::Arrived, 10_100, 0);
        assert_eq!(effects.last(), Some(&Effect::Stands(Standing::default())));
        assert_eq!(going(&mut lane, 10_100), [2, 3, 4]);
    }

    #[test]
    fn a_refused_letter_is_dead_after_three_tries_and_holds_only_its_person() {
        let mut lane = lane(&[(1, 1), (2, 1), (3, 2)]);
        let refused = || Outcome::Refused(String::from("422"));
        assert_eq!(going(&mut lane, 0), [1, 3]);
        lane.ended(&letter(1, 1), refused(), 0, 0);
        lane.ended(&letter(3, 2), Outcome::Arrived, 0, 0);
        assert_eq!((going(&mut lane, 4_999), lane.wakes_at()), (vec![], Some(5_000)));
        let again = lane.next(5_000).unwrap();
        assert_eq!((again.number, again.attempts), (1, 1));
        lane.ended(&again, refused(), 5_000, 0);
        let last = lane.next(15_000).unwrap();
        let effects = lane.ended(&last, refused(), 15_000, 0);
        assert_eq!(effects, [refusal(&last, 3, true, String::from("422"))]);
        assert_eq!(going(&mut lane, 15_000), [2]);
    }

    #[test]
    fn a_letter_without_a_resource_is_dead_at_once() {
        let mut lane = lane(&[(1, 1), (2, 1)]);
        let first = lane.next(0).unwrap();
        let effects = lane.ended(&first, Outcome::Gone(String::from("gone")), 0, 0);
        assert_eq!(effects, [refusal(&first, 0, true, String::from("gone"))]);
        assert_eq!(going(&mut lane, 0), [2]);
    }

    #[test]
    fn the_schedule_is_spent_after_28_hours() {
        let (mut lane, mut now, mut probes) = (lane(&[(1, 1)]), 1_000, 0);
        loop {
            let head = lane.next(now).unwrap();
            probes += 1;
            match &lane.ended(&head, silent(), now, 0)[..] {
                [Effect::Stands(standing)] => now = standing.next_attempt,
                [Effect::Spent(last)] => break assert_eq!(last, "503"),
                other => panic!("{other:?}"),
            }
        }
        assert!(now - 1_000 >= schedule::DOWN_MAX && probes > 100);
    }

    #[test]
    fn what_is_withdrawn_is_neither_sent_nor_counted() {
        let mut lane = lane(&[(1, 1), (2, 1), (3, 2)]);
        let first = lane.next(0).unwrap();
        lane.withdraw("s");
        assert_eq!(lane.ended(&first, Outcome::Arrived, 0, 0), []);
        assert_eq!((going(&mut lane, 0), lane.waiting("s"), lane.wakes_at()), (vec![], 0, None));
    }
}
