//! The loop: takes what was recorded or has come due, lets `react` decide, records what it decided, and hands notices to `speak`.
//!
//! It wakes on a commit and at the next due time. What it does is in the store before and after, so a crash at any moment loses
//! nothing: an event is settled in the same unit as everything that came of it.

mod asked;
mod decide;
mod dues;
mod events;
mod fault;
mod people;
mod rules;
mod story;
mod sweep;
mod waiting;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::tz::TimeZone;
use people::Whom;
use sweep::Calendar;
use tokio::sync::watch;
use waiting::Waiting;

use crate::clock::Clock;
use crate::flow::Flow;
use crate::ledger::{self, Ledger};
use crate::react;
use crate::speak::Deliverer;

/// What can be set about the loop.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The tenant's choices about deciding.
    pub react: react::Settings,
    /// Zone of a store whose own is not known.
    pub zone: TimeZone,
    /// How often all heads are sealed under a signed checkpoint (real time).
    pub seal_every: Duration,
    /// Events that may wait for the rules in memory; beyond, they wait in the store unheard.
    pub waiting_max: usize,
}

/// Events that are taken together; those of one person are decided on in one story, so a backlog costs less per event.
pub const EVENTS_MAX: i64 = 8_192;
/// Dues of persons that are looked at at once.
pub const DUES_MAX: i64 = 256;
/// Dues among which those are looked for of whom nothing is held back.
pub const LOOKED_MAX: i64 = 16_384;
/// Tenants whose first sweep is looked at in a round; the next round goes on behind the last of them.
pub const SWEEPS_MAX: i64 = 256;
/// [`Settings::waiting_max`] of a gateway that serves.
pub const WAITING_MAX: usize = 65_536;
/// After deciding on so many events the rules rest three times as long as they took, so that a storm of writes is answered first and decided
/// on together. Notices never wait for it.
const CROWDED: usize = 256;
/// The longest such rest (real time).
const BREATH_MAX: Duration = Duration::from_millis(1_500);
/// So often what was recorded while the rules were busy is heard before something is said.
const HEARINGS_MAX: usize = 8;
/// A reaction that found its story changed is decided anew so often.
pub const RETRIES_MAX: usize = 5;
/// The next look at what was recorded comes so much later for each event that was just heard, and at most [`PACE_MAX`] later (real
/// time): in a storm events are heard by the handful, since each look has its price, and so has the commit of what it says.
const PACE: Duration = Duration::from_micros(500);
/// The longest pause between two looks in a storm (real time).
const PACE_MAX: Duration = Duration::from_millis(10);
/// After a failure of the database, the loop rests so long before it tries again (real time).
const REST: Duration = Duration::from_secs(1);

/// The loop of one gateway.
#[derive(Clone)]
pub struct Beat {
    /// Into memory.
    pub flow: Flow,
    /// Who carries notices out.
    pub deliverer: Deliverer,
    /// What was set.
    pub settings: Settings,
    waiting: Arc<Mutex<Waiting>>,
    calendar: Arc<Mutex<Calendar>>,
}

impl Beat {
    /// A loop over this way into memory. Nothing runs yet.
    #[must_use]
    pub fn new(flow: Flow, deliverer: Deliverer, settings: Settings) -> Self {
        Self { flow, deliverer, settings, waiting: Arc::default(), calendar: Arc::default() }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.flow.ledger
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.flow.clock
    }

    /// Runs until `stop` says so; then seals what is new and ends. Of a round on its way only what it handed to the ledger becomes
    /// true: what waits may take the rules many seconds, it is in the store, and the next start hears it again.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut committed = self.ledger().committed();
        let mut sealed = self.clock().elapsed();
        let mut crowded_until = Duration::ZERO;
        loop {
            committed.borrow_and_update();
            let round = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                round = self.round(&mut crowded_until) => round,
            };
            let pause = match round {
                Ok(0) => None,
                Ok(done) => Some(PACE.saturating_mul(u32::try_from(done).unwrap_or(u32::MAX)).min(PACE_MAX)),
                Err(error) => {
                    tracing::error!(%error, "the beat could not reach the ledger; it tries again");
                    Some(REST)
                }
            };
            let elapsed = self.clock().elapsed();
            if elapsed.saturating_sub(sealed) >= self.settings.seal_every {
                sealed = elapsed;
                self.seal().await;
            }
            match pause {
                Some(pause) => self.clock().passes(pause).await,
                None => self.wait(&mut committed, &mut stop, crowded_until).await,
            }
        }
        self.forget();
        self.seal().await;
    }

    /// Does what is there to be done now; tells how much it was. After 0 nothing is left until the clock moves or something arrives.
    pub async fn turn(&self) -> Result<usize, ledger::Error> {
        let heard = self.hear().await?;
        let decided = if heard == 0 { self.decide_waiting(Whom::All).await? } else { 0 };
        if heard + decided > 0 {
            return Ok(heard + decided);
        }
        self.look_at_dues().await
    }

    /// One round: hear and tell; then decide, unless the last deciding was long and lies too near; then what is due.
    async fn round(&self, crowded_until: &mut Duration) -> Result<usize, ledger::Error> {
        let mut done = self.hear().await?;
        let begun = self.clock().elapsed();
        if self.someone_waits() {
            if begun < *crowded_until {
                return Ok(done);
            }
            let decided = self.decide_waiting(Whom::All).await?;
            let taken = self.clock().elapsed().saturating_sub(begun);
            if decided >= CROWDED {
                *crowded_until = self.clock().elapsed() + (taken * 3).min(BREATH_MAX);
            }
            done += decided + self.hear_again().await?;
        }
        // Also while much is heard of which no rule asks: a reminder has its window.
        Ok(done + self.look_at_dues().await?)
    }

    /// Hears what was recorded while something else was done, and has decided who may refuse in it: a STOP that was answered binds
    /// all that is said from then on.
    async fn hear_again(&self) -> Result<usize, ledger::Error> {
        let mut done = 0;
        for _ in 0..HEARINGS_MAX {
            let heard = self.hear().await?;
            done += heard;
            let refuses = self.someone_refuses();
            if refuses {
                done += self.decide_waiting(Whom::Refusing).await?;
            }
            if heard == 0 || !(refuses || self.waiting(|waiting| waiting.behind)) {
                break;
            }
        }
        Ok(done)
    }

    async fn seal(&self) {
        if let Err(error) = self.ledger().seal().await {
            tracing::error!(%error, "the heads could not be sealed");
        }
    }

    async fn wait(&self, committed: &mut watch::Receiver<u64>, stop: &mut watch::Receiver<bool>, crowded_until: Duration) {
        // What was due at the last look and is still there is held back, until something else is heard or tried again.
        let due = self.ledger().next_due_after(self.waiting(|waiting| waiting.looked)).await.ok().flatten();
        let next = due.into_iter().chain(self.next_try()).min().unwrap_or(i64::MAX);
        let waits = self.someone_waits();
        let longest = if waits { crowded_until.saturating_sub(self.clock().elapsed()) } else { self.settings.seal_every };
        tokio::select! {
            _ = committed.changed() => {}
            _ = stop.changed() => {}
            () = self.clock().reaches(next), if next != i64::MAX && !waits => {}
            () = self.clock().passes(longest) => {}
        }
    }
}
