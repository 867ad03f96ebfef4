//! What a lane's task is told while it is busy: bounded, and never a reason to wait for who tells it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::ledger::{Notice, Subscription};

/// Notices handed over and not yet taken up; what comes beyond is read from the ledger instead.
pub(super) const OFFERS_MAX: usize = 1_000;

/// A notice handed over with its resource.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) subscription: String,
    pub(super) notice: Notice,
    pub(super) body: Option<Bytes>,
}

/// A change of who is carried for.
#[derive(Debug)]
pub(super) enum Order {
    Join(Box<Subscription>),
    Leave(String),
}

/// Everything that has come in since it was last taken.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// In the order they came.
    pub(super) orders: Vec<Order>,
    /// Subscriptions for which something waits in the ledger.
    pub(super) woken: BTreeSet<String>,
    pub(super) offers: VecDeque<Offer>,
}

#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    mail: Mail,
    /// Whether the task waits and has nothing under way.
    idle: bool,
    /// What time it was when it looked last, and when it goes on by itself.
    looked_at: i64,
    wakes_at: Option<i64>,
}

impl Mail {
    /// Takes a notice, or remembers that it must be read.
    pub(super) fn offer(&mut self, offer: Offer) {
        if self.offers.len() < OFFERS_MAX {
            self.offers.push_back(offer);
        } else {
            self.woken.insert(offer.subscription);
        }
    }

    fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.woken.is_empty() && self.offers.is_empty()
    }
}

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something in.
    pub(super) fn post(&self, put: impl FnOnce(&mut Mail)) {
        put(&mut self.state().mail);
        self.arrived.notify_one();
    }

    /// Takes everything out; the task is busy from here on.
    pub(super) fn take(&self) -> Mail {
        let mut state = self.state();
        state.idle = false;
        std::mem::take(&mut state.mail)
    }

    /// Says that the task has nothing to do until `wakes_at`; not so when something has come in meanwhile.
    pub(super) fn idle_until(&self, now: i64, wakes_at: Option<i64>) -> bool {
        let mut state = self.state();
        state.idle = state.mail.is_empty();
        (state.looked_at, state.wakes_at) = (now, wakes_at);
        state.idle
    }

    /// Whether nothing happens here before the clock moves on; when it was set back, the task looks anew.
    pub(super) fn is_quiet(&self, now: i64) -> bool {
        let state = self.state();
        state.idle && state.mail.is_empty() && state.wakes_at.is_none_or(|at| now >= state.looked_at && at > now)
    }

    /// Whether nothing has come in.
    pub(super) fn is_empty(&self) -> bool {
        self.state().mail.is_empty()
    }

    /// Returns when something has come in.
    pub(super) async fn arrives(&self) {
        self.arrived.notified().await;
    }

    /// Makes the task look up although nothing has come in.
    pub(super) fn nudge(&self) {
        self.arrived.notify_one();
    }
}
