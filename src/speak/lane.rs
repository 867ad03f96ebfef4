//! The lane of one endpoint: what waits for it, what is under way, and how it stands. It decides what goes next; it sends
//! nothing itself, and is told how each attempt ended.
//!
//! While the endpoint does not answer, one notice after the other is tried, by the schedule; once it answers, everything that waits
//! goes. A notice at which it fails although others arrive has a schedule of its own, and is no reason to hold back the others.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::queue::{Key, Letter, Queues, Silence};
use super::schedule::{self, Standing};

/// Attempts under way at one time for one endpoint.
pub(super) const ATTEMPTS_MAX: usize = 8;

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 2xx.
    Arrived,
    /// The endpoint answers, but does not want this notice.
    Refused(String),
    /// The endpoint answers, but lets nobody in, or is not there.
    Shut(String),
    /// The endpoint does not answer, or asks for time.
    Unanswered(String),
    /// There is nothing to send any more.
    Gone(String),
    /// We could not send it; that says nothing of the endpoint.
    Failed(String),
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

#[derive(Debug, Default)]
pub(super) struct Lane {
    standing: Standing,
    queues: Queues,
    /// Queues whose head is under way.
    sent: HashMap<Key, Sent>,
    /// How many letters have arrived.
    arrived: u64,
    /// How many attempts in a row were not answered, but those of letters that are to blame for it themselves.
    silent: usize,
    /// While the endpoint is down: the only letter that says so.
    witness: Option<(Key, i64)>,
    /// Heads that were refused since the endpoint was shut: until when they are put off, and when they may be tried at the earliest.
    shut: BTreeMap<Key, (i64, i64)>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    number: i64,
    /// Whether it is the one that finds out whether the endpoint answers again.
    is_probe: bool,
}

impl Lane {
    pub(super) fn new(standing: Standing) -> Self {
        Self { standing, ..Self::default() }
    }

    /// Puts a letter behind those of the same person and subscription.
    pub(super) fn push(&mut self, letter: Letter) {
        self.queues.push(letter);
    }

    /// Takes away all that waits for a subscription; what is under way is no longer cared for.
    pub(super) fn withdraw(&mut self, subscription: &str) {
        self.queues.withdraw(subscription);
        self.sent.retain(|key, _| &*key.subscription != subscription);
        self.shut.retain(|key, _| &*key.subscription != subscription);
        self.witness.take_if(|(key, _)| &*key.subscription == subscription);
    }

    /// What waits and is under way.
    pub(super) fn queues(&self) -> &Queues {
        &self.queues
    }

    /// The letter that goes now, if one may.
    pub(super) fn next(&mut self, now: i64) -> Option<Letter> {
        self.queues.bring_up(now);
        self.standing = self.standing.seen_at(now);
        let is_probe = self.standing.is_down() && now >= self.standing.next_attempt && !self.is_probing();
        // What only one letter says may be due to that letter: another is asked, as soon as there is one.
        let may_ask = self.witness.is_some() && self.sent.values().all(|sent| sent.is_probe);
        let letter = if is_probe {
            self.queues.take_least_tried(false)
        } else if self.standing.is_down() {
            if may_ask { self.queues.take_least_tried(true) } else { None }
        } else if self.sent.len() < ATTEMPTS_MAX {
            self.queues.take_oldest()
        } else {
            None
        };
        let letter = letter?;
        self.sent.insert(letter.key(), Sent { number: letter.number, is_probe });
        Some(letter)
    }

    /// When to ask for the next letter again although nothing happened.
    pub(super) fn wakes_at(&self) -> Option<i64> {
        let probe =
            (self.standing.is_down() && self.queues.is_any_ready() && !self.is_probing()).then_some(self.standing.next_attempt);
        [self.queues.next_later(), probe].into_iter().flatten().min()
    }

    /// Whether the endpoint does not answer.
    pub(super) fn is_down(&self) -> bool {
        self.standing.is_down()
    }

    /// The endpoint answered something else than a letter, or nobody waits for its answer any more.
    pub(super) fn answered(&mut self) -> Option<Effect> {
        (self.silent, self.witness) = (0, None);
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
                self.queues.pop(&key);
                self.arrived += 1;
                for (key, (until, soon)) in std::mem::take(&mut self.shut) {
                    self.queues.hasten(key, until, soon);
                }
                let delivered = Effect::Delivered { subscription: Arc::clone(&letter.subscription), number: letter.number };
                [Some(delivered), self.answered()].into_iter().flatten().collect()
            }
            Outcome::Refused(last) => {
                let refused = self.refused(letter, key, (last, false), now, chance);
                [Some(refused), self.answered()].into_iter().flatten().collect()
            }
            Outcome::Shut(last) => {
                let refused = self.refused(letter, key, (last, true), now, chance);
                [Some(refused), self.answered()].into_iter().flatten().collect()
            }
            Outcome::Gone(last) => {
                self.queues.pop(&key);
                vec![refusal(letter, letter.attempts, true, last)]
            }
            Outcome::Unanswered(last) => {
                if self.is_to_blame(letter) {
                    self.silent += usize::from(!letter.silence.standing.is_down());
                    return self.blame(letter, key, last, now, chance).into_iter().collect();
                }
                self.unanswered(letter, key, sent, &last, (now, chance)).into_iter().collect()
            }
            Outcome::Failed(_) => {
                let faults = letter.silence.faults + 1;
                if let Some(head) = self.queues.head_mut(&key) {
                    head.silence.faults = faults;
                }
                self.queues.put_off(key, schedule::next_after_fault(faults, now, chance));
                Vec::new()
            }
        }
    }

    fn refused(&mut self, letter: &Letter, key: Key, (last, is_shut): (String, bool), now: i64, chance: u64) -> Effect {
        let attempts = letter.attempts + i64::from(!letter.is_known);
        let again = schedule::next_try(attempts, is_shut, now, chance);
        if let Some(at) = again {
            if let Some(head) = self.queues.head_mut(&key) {
                (head.attempts, head.is_known) = (attempts, false);
            }
            if is_shut {
                self.shut.insert(key.clone(), (at, schedule::soonest(attempts, now)));
            }
            self.queues.put_off(key, at);
        } else {
            self.shut.remove(&key);
            self.queues.pop(&key);
        }
        refusal(letter, attempts, again.is_none(), last)
    }

    /// Whether the endpoint fails at this letter alone: others arrived since it was tried last.
    fn is_to_blame(&self, letter: &Letter) -> bool {
        let Silence { standing, arrived, .. } = letter.silence;
        standing.is_down() || (standing.failures > 0 && self.arrived > arrived && self.silent < ATTEMPTS_MAX)
    }

    /// The letter is tried again by a schedule of its own, and is dead when that is spent.
    fn blame(&mut self, letter: &Letter, key: Key, last: String, now: i64, chance: u64) -> Option<Effect> {
        let Some(standing) = letter.silence.standing.failed(now, chance) else {
            self.queues.pop(&key);
            return Some(refusal(letter, letter.attempts, true, last));
        };
        if let Some(head) = self.queues.head_mut(&key) {
            head.silence = Silence { standing, arrived: self.arrived, ..head.silence };
        }
        self.queues.put_off(key, standing.next_attempt);
        None
    }

    /// Only the letter that finds the endpoint silent, and then each probe, moves the schedule on; letters that were under way
    /// with the first say nothing new.
    fn unanswered(&mut self, letter: &Letter, key: Key, sent: Sent, last: &str, (now, chance): (i64, u64)) -> Option<Effect> {
        if let Some(head) = self.queues.head_mut(&key) {
            head.silence.standing.failures += 1;
            head.silence.arrived = self.arrived;
        }
        self.silent += 1;
        self.queues.make_ready(key.clone());
        let was_down = self.standing.is_down();
        let is_witness = self.witness.as_ref().is_some_and(|(of, number)| *of == key && *number == letter.number);
        self.witness = (!was_down || is_witness).then_some((key, letter.number));
        if was_down && !sent.is_probe {
            return None;
        }
        if let Some(standing) = self.standing.failed(now, chance) {
            self.standing = standing;
            return Some(Effect::Stands(standing));
        }
        (self.standing, self.witness) = (Standing::default(), None);
        Some(Effect::Spent(last.to_owned()))
    }

    fn is_probing(&self) -> bool {
        self.sent.values().any(|sent| sent.is_probe)
    }
}

pub(super) fn refusal(letter: &Letter, attempts: i64, dead: bool, last: String) -> Effect {
    Effect::Refused { subscription: Arc::clone(&letter.subscription), number: letter.number, attempts, dead, last }
}
