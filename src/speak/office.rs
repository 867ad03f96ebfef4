//! What the lanes share: the ledger, the clock, the way out, and the list of lanes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, watch};

use super::carrier;
use super::inbox::{Inbox, Mail, Order};
use super::listeners::Listeners;
use super::schedule::Standing;
use super::send::Sender;
use super::{Error, Settings, subscription};
use crate::clock::Clock;
use crate::fhir::search::query::Query;
use crate::ledger::{self, Draft, Lane, Ledger, Mark, Scope, Subscription};

/// Marks that wait to be recorded.
const MARKS_MAX: usize = 4_096;

/// What delivery needs from rooms it does not know.
#[derive(Clone)]
pub struct Means {
    /// Makes a Subscription ready for the store when its status changes.
    pub draft: fn(&Value) -> Draft,
    /// Reads criteria: type and query string.
    pub parse: fn(&str, &str) -> Result<Query, String>,
    /// Chance, which spreads the tries of many endpoints over time.
    pub chance: Arc<dyn Fn() -> u64 + Send + Sync>,
}

pub(super) struct Office {
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    pub(super) means: Means,
    pub(super) sender: Sender,
    pub(super) listeners: Listeners,
    marks: mpsc::Sender<(Scope, Mark)>,
    /// Marks handed over and not yet recorded.
    unsettled: AtomicUsize,
    /// When what could not be recorded is tried again.
    pub(super) again_at: AtomicI64,
    directory: Mutex<Directory>,
    /// Changes whenever something may have come to rest.
    turned: watch::Sender<u64>,
    stopped: AtomicBool,
    /// Said once, when nothing more will be marked.
    pub(super) closed: Notify,
    runtime: Handle,
}

/// Which lane is whose. A lane is one endpoint of one tenant.
#[derive(Default)]
struct Directory {
    lanes: HashMap<(Arc<str>, String), Arc<Inbox>>,
    /// The endpoint of each subscription.
    endpoints: HashMap<(Arc<str>, String), String>,
    /// How endpoints stood when the house was last closed.
    standings: HashMap<(Arc<str>, String), Standing>,
}

impl Directory {
    /// Takes a subscription off the lane that it is on, unless that is the one of this endpoint.
    fn take_off(&mut self, scope: &Scope, subscription: &str, unless: Option<&String>) {
        let key = (Arc::clone(&scope.tenant), subscription.to_owned());
        if self.endpoints.get(&key) == unless {
            return;
        }
        if let Some(before) = self.endpoints.remove(&key)
            && let Some(inbox) = self.lanes.get(&(Arc::clone(&scope.tenant), before))
        {
            inbox.post(|mail| mail.orders.push(Order::Leave(subscription.to_owned())));
        }
    }
}

impl Office {
    pub(super) fn open(
        ledger: Ledger,
        clock: Clock,
        settings: Settings,
        means: Means,
        lanes: &[(Scope, Lane)],
    ) -> Result<(Self, mpsc::Receiver<(Scope, Mark)>), Error> {
        let (marks, marked) = mpsc::channel(MARKS_MAX);
        let standings = lanes
            .iter()
            .map(|(scope, lane)| ((Arc::clone(&scope.tenant), lane.endpoint.clone()), Standing::from(lane)))
            .collect();
        let (turned, _) = watch::channel(0);
        let office = Self {
            ledger,
            clock,
            means,
            sender: Sender::new(Arc::new(settings))?,
            listeners: Listeners::default(),
            marks,
            unsettled: AtomicUsize::new(0),
            again_at: AtomicI64::new(i64::MAX),
            directory: Mutex::new(Directory { standings, ..Directory::default() }),
            turned,
            stopped: AtomicBool::new(false),
            closed: Notify::new(),
            runtime: Handle::current(),
        };
        Ok((office, marked))
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears for a subscription as its row says.
    pub(super) fn listen(&self, scope: &Scope, row: &Subscription) {
        match subscription::query(&row.criteria, self.means.parse) {
            Ok(query) => self.listeners.set(scope, row, query),
            Err(fault) => {
                tracing::warn!(subscription = row.id, fault, "the criteria of a subscription are not understood any more");
                self.listeners.remove(scope, &row.id);
            }
        }
    }

    /// Hears for a subscription as the ledger has it by now.
    pub(super) async fn listen_anew(&self, scope: &Scope, subscription: &str) {
        match self.ledger.subscription(scope, subscription).await {
            Ok(Some(row)) => self.listen(scope, &row),
            Ok(None) => self.listeners.remove(scope, subscription),
            // Who recorded the change tells of it.
            Err(fault) => tracing::warn!(%fault, subscription, "what a subscription hears could not be read"),
        }
    }

    /// Puts subscriptions on the lanes of their endpoints, and takes them off those that they were on. What is neither carried nor
    /// asked for is on no lane. A lane begins with all that are put on it together: what waits for any of them, it knows at once.
    pub(super) fn place(self: &Arc<Self>, rows: Vec<(Scope, Subscription)>) {
        if self.is_stopped() {
            return;
        }
        let mut directory = self.directory();
        let mut opened = Vec::new();
        for (scope, row) in rows {
            let is_carried = matches!(row.status.as_str(), "active" | "requested");
            directory.take_off(&scope, &row.id, is_carried.then_some(&row.endpoint));
            if !is_carried {
                continue;
            }
            let key = (Arc::clone(&scope.tenant), row.endpoint.clone());
            directory.endpoints.insert((Arc::clone(&scope.tenant), row.id.clone()), row.endpoint.clone());
            if !directory.lanes.contains_key(&key) {
                let standing = directory.standings.remove(&key).unwrap_or_default();
                opened.push((scope, row.endpoint.clone(), standing));
            }
            let inbox = directory.lanes.entry(key).or_default();
            inbox.post(|mail| mail.orders.push(Order::Join(Box::new(row))));
        }
        for (scope, endpoint, standing) in opened {
            if let Some(inbox) = directory.lanes.get(&(Arc::clone(&scope.tenant), endpoint.clone())) {
                self.runtime.spawn(carrier::run(Arc::clone(self), scope, endpoint, Arc::clone(inbox), standing));
            }
        }
    }

    /// Tells the lane of a subscription something; one that is on no lane needs to hear nothing.
    pub(super) fn tell(&self, scope: &Scope, subscription: &str, put: impl FnOnce(&mut Mail)) {
        let directory = self.directory();
        let endpoint = directory.endpoints.get(&(Arc::clone(&scope.tenant), subscription.to_owned()));
        if let Some(inbox) = endpoint.and_then(|endpoint| directory.lanes.get(&(Arc::clone(&scope.tenant), endpoint.clone()))) {
            inbox.post(put);
        }
    }

    /// Has every lane look into the ledger for what waits.
    pub(super) fn wake_all(&self) {
        let directory = self.directory();
        for ((tenant, subscription), endpoint) in &directory.endpoints {
            if let Some(inbox) = directory.lanes.get(&(Arc::clone(tenant), endpoint.clone())) {
                inbox.post(|mail| {
                    mail.woken.insert(subscription.clone());
                });
            }
        }
    }

    /// Tells a lane that broke off for whom it carries, as the ledger has it; how its endpoint stands.
    pub(super) async fn begin_again(&self, scope: &Scope, endpoint: &str, inbox: &Inbox) -> Result<Standing, ledger::Error> {
        let subscriptions = self.ledger.subscriptions().await?;
        let lanes = self.ledger.lanes().await?;
        let is_its = |of: &Scope, at: &str| of.tenant == scope.tenant && at == endpoint;
        for (_, row) in subscriptions.into_iter().filter(|(of, row)| is_its(of, &row.endpoint)) {
            inbox.post(|mail| mail.orders.push(Order::Join(Box::new(row))));
        }
        let standing = lanes.iter().find(|(of, lane)| is_its(of, &lane.endpoint)).map(|(_, lane)| Standing::from(lane));
        Ok(standing.unwrap_or_default())
    }

    /// Closes a lane that carries for nobody; `false` when somebody has come meanwhile.
    pub(super) fn close(&self, scope: &Scope, endpoint: &str, inbox: &Inbox, force: bool) -> bool {
        let mut directory = self.directory();
        if !force && !inbox.is_empty() {
            return false;
        }
        directory.lanes.remove(&(Arc::clone(&scope.tenant), endpoint.to_owned()));
        directory.endpoints.retain(|(tenant, _), of| *tenant != scope.tenant || of != endpoint);
        drop(directory);
        self.turn();
        true
    }

    /// Has a mark recorded soon, together with others.
    pub(super) async fn mark(&self, scope: &Scope, mark: Mark) {
        // Counted when there is room for it: who gives up waiting for that leaves nothing to be waited for.
        let Ok(room) = self.marks.reserve().await else { return };
        self.unsettled.fetch_add(1, Ordering::SeqCst);
        room.send((scope.clone(), mark));
    }

    /// So many marks are recorded (or given up).
    pub(super) fn settled(&self, count: usize) {
        self.unsettled.fetch_sub(count, Ordering::SeqCst);
        self.turn();
    }

    /// Something may have come to rest.
    pub(super) fn turn(&self) {
        self.turned.send_modify(|turn| *turn = turn.wrapping_add(1));
    }

    pub(super) fn chance(&self) -> u64 {
        (self.means.chance)()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    pub(super) async fn rest(&self) {
        self.until(|office| {
            let now = office.clock.now();
            let is_settled = office.unsettled.load(Ordering::SeqCst) == 0 && office.again_at.load(Ordering::SeqCst) > now;
            is_settled && office.directory().lanes.values().all(|inbox| inbox.is_quiet(now))
        })
        .await;
    }

    pub(super) async fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.directory().lanes.values().for_each(|inbox| inbox.nudge());
        self.until(|office| office.directory().lanes.is_empty() && office.unsettled.load(Ordering::SeqCst) == 0).await;
        self.closed.notify_one();
    }

    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let mut turned = self.turned.subscribe();
        while !holds(self) {
            if turned.changed().await.is_err() {
                return;
            }
        }
    }
}
