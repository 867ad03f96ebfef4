//! When an endpoint that does not answer is tried again, and when a notice that was refused is.

use crate::ledger;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// How long an endpoint is tried before its subscriptions are in error, and a notice at which it alone fails before it is dead.
pub(super) const DOWN_MAX: i64 = 28 * HOUR;
/// Tries of a notice that its receiver refuses for itself.
pub(super) const TRIES_MAX: i64 = 3;
/// How soon a notice is tried again that its receiver refused for itself.
const SOON: i64 = 5 * SECOND;
/// Parts in a hundred by which a wait may be longer than planned.
const JITTER: u32 = 20;
/// The longest wait between two tries of an endpoint.
const WAIT_MAX: i64 = 2 * HOUR * (100 + JITTER as i64) / 100;
/// The longest wait before the next try of a notice.
pub(super) const LATER_MAX: i64 = 6 * HOUR * (100 + JITTER as i64) / 100;

/// Whether an endpoint answers, and since when not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Standing {
    pub(super) failures: i64,
    pub(super) down_since: i64,
    pub(super) next_attempt: i64,
}

impl From<&ledger::Lane> for Standing {
    fn from(row: &ledger::Lane) -> Self {
        Self { failures: row.failures, down_since: row.down_since, next_attempt: row.next_attempt }
    }
}

impl Standing {
    /// Whether it does not answer.
    pub(super) fn is_down(self) -> bool {
        self.down_since != 0
    }

    /// The same by a clock that shows this. Time in which nobody tried, since the house was closed or its clock wrong, does not count,
    /// and no try lies further ahead than the schedule would put it.
    pub(super) fn seen_at(self, now: i64) -> Self {
        if !self.is_down() {
            return self;
        }
        let missed = Some(now - self.next_attempt).filter(|late| *late > WAIT_MAX).unwrap_or(0);
        let down_since = (self.down_since + missed).min(now);
        Self { down_since, next_attempt: (self.next_attempt + missed).min(now + WAIT_MAX), ..self }
    }

    /// After one more failure; `None` when the schedule is spent.
    ///
    /// The tries lie 5, 10 and 20 seconds after it went down, then 30 seconds apart in the first hour, later further apart. A
    /// wait is only ever lengthened by chance, so an endpoint that is back by the planned time is found by that try.
    pub(super) fn failed(self, now: i64, chance: u64) -> Option<Self> {
        let seen = self.seen_at(now);
        let (failures, down_since) = (seen.failures + 1, if seen.is_down() { seen.down_since } else { now });
        let down = now - down_since;
        if down >= DOWN_MAX {
            return None;
        }
        let wait = match failures {
            ..=2 => 5 * SECOND,
            3 => 10 * SECOND,
            _ if down < HOUR => 30 * SECOND,
            _ if down < HOUR + 5 * MINUTE => 5 * MINUTE,
            _ if down < 2 * HOUR => 30 * MINUTE,
            _ => 2 * HOUR,
        };
        Some(Self { failures, down_since, next_attempt: now + lengthened(wait, chance) })
    }
}

/// When a refused notice is tried again; `None` when it goes to the dead letters. Where the endpoint lets nobody in, or is not there,
/// it may be under repair, and the tries lie hours apart.
pub(super) fn next_try(attempts: i64, is_shut: bool, now: i64, chance: u64) -> Option<i64> {
    let wait = match (attempts, is_shut) {
        (TRIES_MAX.., _) => return None,
        (..=1, true) => MINUTE,
        (_, true) => 6 * HOUR,
        (..=1, false) => SOON,
        (_, false) => 2 * SOON,
    };
    Some(now + lengthened(wait, chance))
}

/// The earliest time for that, where another notice shows that the endpoint is open again. Half of it may be under repair still, so the
/// last try keeps its distance.
pub(super) fn soonest(attempts: i64, now: i64) -> i64 {
    now + if attempts <= 1 { SOON } else { HOUR }
}

/// When a notice is tried again that we failed to send.
pub(super) fn next_after_fault(faults: i64, now: i64, chance: u64) -> i64 {
    now + lengthened(if faults <= 3 { SOON } else { 30 * SECOND }, chance)
}

fn lengthened(wait: i64, chance: u64) -> i64 {
    let hundredths = i64::try_from(chance % u64::from(JITTER + 1)).unwrap_or(0);
    wait + wait * hundredths / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: i64 = 1_000_000;

    fn tries(chance: u64) -> Vec<i64> {
        let (mut now, mut standing, mut found) = (BEGIN, Standing::default(), Vec::new());
        while let Some(next) = standing.failed(now, chance) {
            (now, standing) = (next.next_attempt, next);
            found.push(now - BEGIN);
        }
        found
    }

    #[test]
    fn the_first_tries_come_soon_and_the_last_after_a_day() {
        let planned = tries(0);
        assert_eq!(planned[..5], [5_000, 10_000, 20_000, 50_000, 80_000]);
        assert!(planned.windows(2).filter(|pair| pair[1] <= HOUR).all(|pair| pair[1] - pair[0] <= 30_000));
        let later: Vec<i64> = planned.iter().filter(|at| **at > HOUR).map(|at| (at - HOUR) / MINUTE).collect();
        assert_eq!(later[..3], [0, 5, 35]);
        assert!(*planned.last().unwrap() >= DOWN_MAX);
        assert!(planned.len() < 150);
    }

    #[test]
    fn chance_only_lengthens_and_by_a_fifth_at_most() {
        for chance in 0..50 {
            let standing = Standing { failures: 2, down_since: BEGIN, next_attempt: BEGIN + 10_000 };
            let at = standing.failed(BEGIN + 10_000, chance).unwrap().next_attempt - BEGIN;
            assert!((20_000..=22_000).contains(&at));
        }
        assert!(tries(20)[2] <= 24_000);
    }

    #[test]
    fn a_clock_that_was_wrong_neither_mutes_nor_spends() {
        let down = Standing { failures: 9, down_since: 100 * DOWN_MAX, next_attempt: 100 * DOWN_MAX + HOUR };
        let set_back = down.seen_at(BEGIN);
        assert_eq!((set_back.down_since, set_back.next_attempt), (BEGIN, BEGIN + WAIT_MAX));
        let set_on = down.seen_at(1_000 * DOWN_MAX);
        assert_eq!((set_on.down_since, set_on.next_attempt), (1_000 * DOWN_MAX - HOUR, 1_000 * DOWN_MAX));
        // A try that comes a little late is no wrong clock.
        let late = down.next_attempt + WAIT_MAX;
        assert_eq!((down.seen_at(late), Standing::default().seen_at(late)), (down, Standing::default()));
    }

    #[test]
    fn a_refused_notice_is_tried_three_times() {
        for (is_shut, first, second) in [(false, 5 * SECOND, 10 * SECOND), (true, MINUTE, 6 * HOUR)] {
            assert_eq!(next_try(1, is_shut, 0, 0), Some(first));
            assert_eq!(next_try(2, is_shut, 0, 0), Some(second));
            assert_eq!(next_try(3, is_shut, 0, 0), None);
            assert!(next_try(2, is_shut, 0, 20).unwrap() <= LATER_MAX);
            assert!(soonest(1, 0) <= first && soonest(2, 0) <= 6 * HOUR);
        }
    }
}
