//! The task of one lane: takes its mail, takes up what waits ([`super::intake`]), makes the attempts that the lane allows, and
//! passes on how they ended.

use std::collections::{BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::task::{Id, JoinError, JoinSet};

use super::attempt::{attempt, send};
use super::behind::Behind;
use super::inbox::{Inbox, Mail, Order};
use super::lane::{Effect, Lane, Outcome};
use super::office::Office;
use super::queue::{Key, Letter};
use super::schedule::Standing;
use super::send::{Channel, Parcel};
use super::settle;
use crate::ledger::{self, Mark, Scope, Subscription};

/// Requested subscriptions of one lane that are probed at the same time.
const PROBES_MAX: usize = 8;
/// How long the ledger is left alone after it failed, in milliseconds.
const PAUSE: i64 = 1_000;

/// How long a lane that broke off rests before it begins again (real time).
const BEGIN_AGAIN: Duration = Duration::from_millis(100);
/// How long a stop waits for the answers of attempts under way (real time).
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Runs until nobody is carried for any more, or the office stops. What breaks off begins again from the ledger: of a lane on which
/// nobody works nothing would be carried until the next start.
pub(super) async fn run(office: Arc<Office>, scope: Scope, endpoint: String, inbox: Arc<Inbox>, mut standing: Standing) {
    loop {
        let carrier = Carrier::new(Arc::clone(&office), scope.clone(), endpoint.clone(), Arc::clone(&inbox), Lane::new(standing));
        if AssertUnwindSafe(carrier.run()).catch_unwind().await.is_ok() {
            return;
        }
        tracing::error!("a lane broke off; it begins again from the ledger");
        loop {
            office.clock.passes(BEGIN_AGAIN).await;
            if office.is_stopped() {
                office.close(&scope, &endpoint, &inbox, true);
                return;
            }
            match office.begin_again(&scope, &endpoint, &inbox).await {
                Ok(stands) => {
                    standing = stands;
                    break;
                }
                Err(fault) => tracing::warn!(%fault, "for whom a lane carries could not be read"),
            }
        }
    }
}

pub(super) struct Carrier {
    pub(super) office: Arc<Office>,
    pub(super) scope: Scope,
    endpoint: String,
    inbox: Arc<Inbox>,
    pub(super) lane: Lane,
    /// The active subscriptions.
    pub(super) members: HashMap<Arc<str>, Member>,
    /// Members of which more waits in the ledger and for which there is room.
    pub(super) hungry: BTreeSet<Arc<str>>,
    /// When to look at a subscription again: it ends, or the ledger had failed. One that comes for nothing does no harm.
    pub(super) timers: BTreeSet<(i64, Arc<str>)>,
    /// The requested subscriptions, which are being probed.
    asked: HashMap<Arc<str>, Subscription>,
    /// Those of them whose probe has not begun.
    unprobed: BTreeSet<Arc<str>>,
    /// Probes under way.
    probes: usize,
    attempts: JoinSet<Ended>,
    /// Which letter each attempt carries; a probe carries none.
    letters: HashMap<Id, Letter>,
    /// What time it was when it looked last.
    pub(super) looked_at: i64,
}

pub(super) struct Member {
    row: Subscription,
    channel: Arc<Channel>,
    /// Every notice up to this number has been taken up, or is known to stand behind one that was.
    pub(super) loaded: i64,
    /// Whether notices after it wait in the ledger.
    pub(super) more: bool,
    /// Those up to it that stand behind others.
    pub(super) behind: Behind,
    /// Queues that have come to an end in memory and go on behind it.
    pub(super) ended: BTreeSet<Key>,
}

impl Member {
    /// Whether its end has passed: it hears no more.
    pub(super) fn is_over(&self, now: i64) -> bool {
        self.row.ends != 0 && self.row.ends <= now
    }
}

enum Ended {
    Letter(Outcome),
    Probe(Box<Subscription>, Outcome),
}

impl Carrier {
    fn new(office: Arc<Office>, scope: Scope, endpoint: String, inbox: Arc<Inbox>, lane: Lane) -> Self {
        Self {
            looked_at: office.clock.now(),
            office,
            scope,
            endpoint,
            inbox,
            lane,
            members: HashMap::new(),
            hungry: BTreeSet::new(),
            timers: BTreeSet::new(),
            asked: HashMap::new(),
            unprobed: BTreeSet::new(),
            probes: 0,
            attempts: JoinSet::new(),
            letters: HashMap::new(),
        }
    }

    async fn run(mut self) {
        while !self.office.is_stopped() {
            let mail = self.inbox.take();
            self.heed(mail);
            self.look_again().await;
            self.load().await;
            self.lift().await;
            self.dispatch();
            let wakes_at = self.wakes_at();
            if self.attempts.is_empty() && !self.may_load() && self.inbox.idle_until(self.looked_at, wakes_at) {
                let is_empty = self.members.is_empty() && self.asked.is_empty();
                if is_empty && self.office.close(&self.scope, &self.endpoint, &self.inbox, false) {
                    return;
                }
                self.office.turn();
            }
            let clock = self.office.clock.clone();
            tokio::select! {
                () = self.inbox.arrives() => {}
                Some(ended) = self.attempts.join_next_with_id() => self.take_note(ended).await,
                () = std::future::ready(()), if self.may_load() => {}
                () = clock.leaves(self.looked_at, wakes_at.unwrap_or(i64::MAX)), if wakes_at.is_some() => {}
            }
        }
        self.hear_out().await;
        self.office.close(&self.scope, &self.endpoint, &self.inbox, true);
    }

    /// Takes note of how the attempts under way end, so that what was taken is not sent again after the next start. Those that are
    /// not answered soon are given up.
    async fn hear_out(&mut self) {
        let clock = self.office.clock.clone();
        let answers = async {
            while let Some(ended) = self.attempts.join_next_with_id().await {
                self.take_note(ended).await;
            }
        };
        tokio::select! {
            () = answers => {}
            () = clock.passes(LAST_ANSWERS) => {}
        }
        self.attempts.shutdown().await;
    }

    fn heed(&mut self, mail: Mail) {
        for order in mail.orders {
            match order {
                Order::Join(row) => self.join(*row),
                Order::Leave(id) => self.leave(&id),
            }
        }
        for offer in mail.offers {
            self.accept(offer);
        }
        for id in mail.woken {
            let id = Arc::from(id);
            if let Some(member) = self.members.get_mut(&id) {
                member.more = true;
                self.feed(&id);
            }
        }
    }

    fn join(&mut self, row: Subscription) {
        match row.status.as_str() {
            "active" => self.carry_for(row),
            "requested" => {
                self.leave(&row.id);
                let id: Arc<str> = Arc::from(row.id.as_str());
                self.unprobed.insert(Arc::clone(&id));
                self.asked.insert(id, row);
            }
            _ => self.leave(&row.id),
        }
    }

    /// What was taken up before stays; only the way it goes is that of the new row.
    fn carry_for(&mut self, row: Subscription) {
        self.asked.remove(row.id.as_str());
        let (id, channel): (Arc<str>, _) = (Arc::from(row.id.as_str()), Arc::new(Channel::new(&row)));
        if row.ends != 0 {
            self.timers.insert((row.ends, Arc::clone(&id)));
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.row = row;
            member.channel = channel;
        } else {
            let (behind, ended) = (Behind::default(), BTreeSet::new());
            self.members.insert(Arc::clone(&id), Member { row, channel, loaded: 0, more: true, behind, ended });
            self.hungry.insert(id);
        }
    }

    fn leave(&mut self, id: &str) {
        self.asked.remove(id);
        if self.members.remove(id).is_some() {
            self.lane.withdraw(id);
        }
    }

    /// An endpoint is down for what waits for it. When nothing does any more, who comes later is not charged with what was.
    async fn lift(&mut self) {
        let any_left = |member: &Member| member.more || !member.behind.is_empty();
        if !self.lane.is_down() || !self.lane.queues().is_empty() || self.members.values().any(any_left) {
            return;
        }
        if let Some(effect) = self.lane.answered() {
            self.tell(effect).await;
        }
    }

    /// Looks at the subscriptions whose time has come: turns off what has ended, tries again what the ledger failed at. After the clock
    /// was set back it looks at all: who waits for a time may have counted from a wrong one.
    async fn look_again(&mut self) {
        let now = self.office.clock.now();
        if now < self.looked_at {
            self.timers.extend(self.members.keys().chain(self.asked.keys()).map(|id| (now, Arc::clone(id))));
        }
        self.looked_at = now;
        while self.timers.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, id)) = self.timers.pop_first()
        {
            if self.asked.contains_key(&id) {
                self.unprobed.insert(id);
            } else if self.is_done(&id) {
                self.end(&id).await;
            } else {
                self.feed(&id);
            }
        }
    }

    /// Turns off one that is over, when all that was learned before its end is heard, and carried.
    async fn end(&mut self, id: &Arc<str>) {
        let Some(Member { row, loaded, .. }) = self.members.get(id) else { return };
        let (row, loaded) = (row.clone(), *loaded);
        let kind = row.criteria.split_once('?').map_or(row.criteria.as_str(), |(kind, _)| kind);
        let ledger = &self.office.ledger;
        // What waits is asked for when all is heard: what is heard meanwhile is among it.
        let left = match ledger.is_unheard(&self.scope, kind, row.ends).await {
            Ok(false) => ledger.waiting(&self.scope, id, loaded, 1).await.map(|waiting| Some(waiting.len())),
            Ok(true) => Ok(None),
            Err(fault) => Err(fault),
        };
        match left {
            Ok(Some(0)) => self.settle_status(row, "off", None).await,
            Ok(Some(_)) => {
                if let Some(member) = self.members.get_mut(id) {
                    member.more = true;
                }
                self.feed(id);
            }
            Ok(None) => self.pause(Arc::clone(id)),
            Err(fault) => {
                tracing::warn!(%fault, subscription = &**id, "what a subscription has still to hear could not be read");
                self.pause(Arc::clone(id));
            }
        }
    }

    /// Writes a new status and does what follows from it. While the ledger fails, an active one stays as it is.
    async fn settle_status(&mut self, row: Subscription, status: &str, error: Option<&str>) {
        let office = Arc::clone(&self.office);
        match settle::change_status(&office, &self.scope, &row, status, error).await {
            Ok(Some(changed)) => {
                tracing::info!(subscription = changed.id, status, "a subscription has another status");
                self.office.listen(&self.scope, &changed);
                self.join(changed);
            }
            Ok(None) => {
                // The client has changed it meanwhile; that change is told to this lane by who recorded it.
                self.leave(&row.id);
                office.listen_anew(&self.scope, &row.id).await;
            }
            Err(fault) => {
                tracing::warn!(%fault, subscription = row.id, status, "the status of a subscription could not be recorded");
                self.pause(Arc::from(row.id));
            }
        }
    }

    pub(super) fn pause(&mut self, id: Arc<str>) {
        self.timers.insert((self.office.clock.now() + PAUSE, id));
    }

    fn dispatch(&mut self) {
        let now = self.office.clock.now();
        while self.probes < PROBES_MAX
            && let Some(id) = self.unprobed.pop_first()
        {
            self.probe(&id);
        }
        while let Some(letter) = self.lane.next(now) {
            let Some(member) = self.members.get(&letter.subscription) else {
                continue;
            };
            let (office, scope, channel) = (Arc::clone(&self.office), self.scope.clone(), Arc::clone(&member.channel));
            let under_way = letter.clone();
            let task = self.attempts.spawn(async move { Ended::Letter(attempt(&office, &scope, &channel, letter).await) });
            self.letters.insert(task.id(), under_way);
        }
    }

    /// An empty request that finds out whether the endpoint is there and willing.
    fn probe(&mut self, id: &str) {
        let Some(row) = self.asked.get(id).cloned() else {
            return;
        };
        let (office, scope, row) = (Arc::clone(&self.office), self.scope.clone(), Box::new(row));
        self.probes += 1;
        self.attempts.spawn(async move {
            let parcel = Parcel {
                id: format!("{}.probe-{}", row.id, office.clock.now()),
                now: office.clock.now(),
                body: Bytes::new(),
                resource: String::new(),
            };
            let outcome = send(&office, &scope, &row.id, &Channel::new(&row), parcel).await;
            Ended::Probe(row, outcome)
        });
    }

    async fn take_note(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let (task, ended) = match ended {
            Ok(both) => both,
            Err(fault) => {
                tracing::error!(%fault, "an attempt broke");
                (fault.id(), Ended::Letter(Outcome::Failed(String::from("the attempt broke"))))
            }
        };
        match ended {
            Ended::Letter(outcome) => {
                let Some(letter) = self.letters.remove(&task) else {
                    // A probe broke, and nobody can say which: all are made again.
                    self.probes -= 1;
                    self.asked.keys().cloned().collect::<Vec<_>>().into_iter().for_each(|id| self.pause(id));
                    return;
                };
                let (now, chance) = (self.office.clock.now(), self.office.chance());
                if let Outcome::Failed(fault) = &outcome {
                    let (subscription, number) = (&*letter.subscription, letter.number);
                    tracing::error!(fault, subscription, number, "a notice could not be sent; it is tried again");
                }
                for effect in self.lane.ended(&letter, outcome, now, chance) {
                    self.tell(effect).await;
                }
                self.follow(&letter.key());
            }
            Ended::Probe(row, outcome) => {
                self.probes -= 1;
                self.probed(*row, outcome).await;
            }
        }
    }

    async fn probed(&mut self, row: Subscription, outcome: Outcome) {
        if self.asked.get(row.id.as_str()).is_none_or(|asked| *asked != row) {
            return;
        }
        match outcome {
            Outcome::Arrived => {
                if let Some(effect) = self.lane.answered() {
                    self.tell(effect).await;
                }
                // It hears from before its client can see that it is active.
                self.office.listen(&self.scope, &Subscription { status: String::from("active"), ..row.clone() });
                self.settle_status(row, "active", None).await;
            }
            Outcome::Refused(last) | Outcome::Shut(last) | Outcome::Unanswered(last) | Outcome::Gone(last) => {
                self.settle_status(row, "error", Some(&last)).await;
            }
            Outcome::Failed(fault) => {
                tracing::warn!(fault, subscription = row.id, "an endpoint could not be probed");
                self.pause(Arc::from(row.id));
            }
        }
    }

    async fn tell(&mut self, effect: Effect) {
        let mark = match effect {
            Effect::Delivered { subscription, number } => Mark::Delivered { subscription: subscription.to_string(), number },
            Effect::Refused { subscription, number, attempts, dead, last } => {
                if dead {
                    tracing::warn!(subscription = &*subscription, number, last, "a notice goes to the dead letters");
                }
                Mark::Refused { subscription: subscription.to_string(), number, attempts, dead, last }
            }
            Effect::Stands(standing) => self.standing(standing),
            Effect::Spent(last) => {
                self.give_up(&last).await;
                self.standing(Standing::default())
            }
        };
        self.office.mark(&self.scope, mark).await;
    }

    fn standing(&self, standing: Standing) -> Mark {
        Mark::Lane(ledger::Lane {
            endpoint: self.endpoint.clone(),
            failures: standing.failures,
            down_since: standing.down_since,
            next_attempt: standing.next_attempt,
        })
    }

    /// The schedule is spent: only their clients can bring the subscriptions back. What waits goes on waiting in the ledger.
    async fn give_up(&mut self, last: &str) {
        tracing::error!(
            lane = self.members.len(),
            last,
            "an endpoint did not answer for too long; its subscriptions are in error"
        );
        let rows: Vec<Subscription> = self.members.values().map(|member| member.row.clone()).collect();
        for row in rows {
            self.settle_status(row, "error", Some(last)).await;
        }
    }

    fn wakes_at(&self) -> Option<i64> {
        let timer = self.timers.first().map(|(at, _)| *at);
        timer.into_iter().chain(self.lane.wakes_at()).min()
    }
}
