//! The two clocks: what time it is, which tests and simulations move, and how much time has passed, which nobody moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Tells the time. Clones share the same hands.
#[derive(Clone)]
pub struct Clock {
    hands: Arc<Hands>,
}

struct Hands {
    /// Milliseconds since 1970 while the clock is stopped; negative while it follows the machine.
    stopped_at: AtomicI64,
    /// Milliseconds that it is ahead of the machine while it runs.
    ahead: AtomicI64,
    started: Instant,
    moved: watch::Sender<u64>,
}

const RUNNING: i64 = i64::MIN;
/// How often who waits for a time looks whether the machine's clock was set (real time).
const LOOK: Duration = Duration::from_mins(1);

impl Clock {
    /// A clock that follows the machine's.
    #[must_use]
    pub fn running() -> Self {
        Self::with(RUNNING)
    }

    /// A clock that stands still at this time (UTC milliseconds) until it is moved.
    #[must_use]
    pub fn stopped(at: i64) -> Self {
        Self::with(at)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine for the time")]
    fn with(stopped_at: i64) -> Self {
        let (moved, _) = watch::channel(0);
        let (stopped_at, ahead) = (AtomicI64::new(stopped_at), AtomicI64::new(0));
        Self { hands: Arc::new(Hands { stopped_at, ahead, started: Instant::now(), moved }) }
    }

    /// The time as the house understands it, in UTC milliseconds: what is recorded, due, quiet.
    #[must_use]
    pub fn now(&self) -> i64 {
        match self.hands.stopped_at.load(Ordering::Acquire) {
            RUNNING => machine().saturating_add(self.hands.ahead.load(Ordering::Acquire)),
            at => at,
        }
    }

    /// Real time since the start, for leases, time limits and figures. Never moved.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.hands.started.elapsed()
    }

    /// Sets a stopped clock to a later time, or stops a running one there, and wakes who waits on it.
    pub fn set(&self, at: i64) {
        self.hands.stopped_at.store(at, Ordering::Release);
        self.hands.moved.send_modify(|turn| *turn += 1);
    }

    /// Moves a stopped clock on.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)));
    }

    /// Lets it follow the machine from now on.
    pub fn run(&self) {
        self.run_ahead(0);
    }

    /// Lets it run from where it stands, as fast as the machine's.
    pub fn go_on(&self) {
        self.run_ahead(self.now().saturating_sub(machine()));
    }

    fn run_ahead(&self, ahead: i64) {
        self.hands.ahead.store(ahead, Ordering::Release);
        self.hands.stopped_at.store(RUNNING, Ordering::Release);
        self.hands.moved.send_modify(|turn| *turn += 1);
    }

    /// Returns when so much real time has passed, whatever the hands say: for rests after a failure, never for what is due.
    pub async fn passes(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Returns when it is `at` or later by this clock.
    pub async fn reaches(&self, at: i64) {
        self.leaves(i64::MIN, at).await;
    }

    /// Returns when it is `until` or later by this clock, or earlier than `from`: then it was set back, and who waits looks anew.
    pub async fn leaves(&self, from: i64, until: i64) {
        let mut moved = self.hands.moved.subscribe();
        loop {
            let now = self.now();
            if now >= until || now < from {
                return;
            }
            if self.hands.stopped_at.load(Ordering::Acquire) == RUNNING {
                let wait = Duration::from_millis(u64::try_from(until.saturating_sub(now)).unwrap_or(0)).min(LOOK);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    _ = moved.changed() => {}
                }
            } else if moved.changed().await.is_err() {
                return;
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine for the time")]
fn machine() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_on_begins_where_it_stood() {
        let clock = Clock::stopped(1_000);
        clock.go_on();
        let early = clock.now();
        assert!((1_000..1_000 + 3_600_000).contains(&early), "{early}");
        while clock.now() == early {}
        clock.run();
        assert!(clock.now() > 1_700_000_000_000);
    }

    #[tokio::test]
    async fn who_waits_is_told_that_the_clock_was_set_back() {
        let clock = Clock::stopped(1_000);
        let (waits, sets) = (clock.leaves(1_000, 5_000), async { clock.set(999) });
        tokio::join!(waits, sets);
        let (waits, sets) = (clock.leaves(999, 5_000), async { clock.set(5_000) });
        tokio::join!(waits, sets);
    }

    #[test]
    fn a_stopped_clock_moves_only_when_told() {
        let clock = Clock::stopped(1_000);
        let twin = clock.clone();
        assert_eq!(clock.now(), 1_000);
        twin.advance(Duration::from_millis(500));
        assert_eq!(clock.now(), 1_500);
    }
}
