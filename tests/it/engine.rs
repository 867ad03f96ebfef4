//! The one place where stories know how a gateway is put together.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;

use signa::clock::Clock;
use signa::command::gateway::Gateway;
use signa::config::Config;
use signa::flow::Teller;
use signa::ledger::Scope;

use crate::database::Database;

/// A gateway that runs in this process; its beat turns only when the story says so.
pub(crate) struct Engine {
    gateway: Gateway,
    lock: Option<PathBuf>,
}

impl Engine {
    pub(crate) async fn start(database: &Database, clock: &Clock) -> Self {
        Self::with(database, clock, |_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn with(database: &Database, clock: &Clock, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::read(None, |_| None).unwrap();
        config.listen = String::from("127.0.0.1:0");
        config.ledger.database.clone_from(&database.url);
        config.ledger.key = database.key();
        config.speak.loopback = true;
        change(&mut config);
        let gateway = Gateway::open(&config, clock.clone(), None).await.unwrap();
        Self { gateway, lock: database.lock() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.address
    }

    /// Turns until nothing is left, lets the deliveries end, and looks again for what they led to.
    pub(crate) async fn beat(&self) {
        loop {
            let mut done = 0;
            loop {
                let turn = self.gateway.beat.turn().await.unwrap();
                if turn == 0 {
                    break;
                }
                done += turn;
            }
            self.gateway.beat.deliverer.rest().await;
            if done == 0 {
                break;
            }
        }
    }

    /// Lets the beat run by itself.
    pub(crate) fn start_beat(&mut self) {
        self.gateway.start_beat();
    }

    /// Lets the beat run by itself, and tells it to stop as soon as it has recorded anything; how many events it leaves undecided.
    pub(crate) async fn stop_amid(&self) -> usize {
        let ledger = &self.gateway.flow.ledger;
        let mut written = ledger.written();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let told = async {
            written.changed().await.unwrap();
            stop.send_replace(true);
        };
        tokio::join!(self.gateway.beat.clone().run(stopped), told);
        ledger.events(0, 10_000).await.unwrap().len()
    }

    /// Returns when a beat that runs by itself has nothing left to do now: nothing waits to be heard, and nothing is due.
    pub(crate) async fn idle(&self) {
        let ledger = &self.gateway.flow.ledger;
        let mut written = ledger.written();
        loop {
            written.borrow_and_update();
            let waits = !ledger.events(0, 1).await.unwrap().is_empty();
            if !waits && ledger.next_due().await.unwrap().is_none_or(|due| due > self.gateway.flow.clock.now()) {
                return;
            }
            written.changed().await.unwrap();
        }
    }

    /// Changes whenever something was recorded.
    pub(crate) fn written(&self) -> tokio::sync::watch::Receiver<u64> {
        self.gateway.flow.ledger.written()
    }

    /// When something is due next.
    pub(crate) async fn next_due(&self) -> Option<i64> {
        self.gateway.flow.ledger.next_due().await.unwrap()
    }

    /// Who tells stories to the rules, and whose.
    pub(crate) fn teller(&self) -> (Scope, Teller) {
        (Scope { tenant: Config::read(None, |_| None).unwrap().arrive.tenant.as_str().into() }, self.gateway.beat.teller())
    }

    /// When something is due next of this person.
    pub(crate) async fn next_due_of(&self, person: &str) -> i64 {
        let (scope, _) = self.teller();
        let dues = self.gateway.flow.ledger.dues(&scope, signa::ledger::Person(person.parse().unwrap())).await.unwrap();
        dues.iter().map(|due| due.due).min().unwrap()
    }

    /// Turn after turn until nothing is left to be done now, or one fails.
    pub(crate) async fn tries(&self) {
        while self.gateway.beat.turn().await.is_ok_and(|done| done > 0) {}
    }

    /// One turn alone.
    pub(crate) async fn turn(&self) -> usize {
        self.gateway.beat.turn().await.unwrap()
    }

    /// One turn alone, which the database may keep from being done.
    pub(crate) async fn try_turn(&self) -> Result<usize, signa::ledger::Error> {
        self.gateway.beat.turn().await
    }

    /// Lets the deliveries end, while the beat does nothing.
    pub(crate) async fn rest(&self) {
        self.gateway.beat.deliverer.rest().await;
    }

    /// Signs a checkpoint over all that was written.
    pub(crate) async fn seal(&self) {
        self.gateway.flow.ledger.seal().await.unwrap();
    }

    /// Stops, and returns when the database is free for another.
    pub(crate) async fn stop(self) {
        self.gateway.stop().await;
        if let Some(lock) = self.lock {
            tokio::task::spawn_blocking(|| File::open(lock).unwrap().lock().unwrap()).await.unwrap();
        }
    }
}
