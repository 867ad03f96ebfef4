//! When an endpoint that does not answer is tried again, and when a notice that was refused is.

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// How long an endpoint is tried before its subscriptions are in error.
pub(super) const DOWN_MAX: i64 = 28 * HOUR;
/// Tries of a notice that its receiver refuses for itself.
pub(super) const TRIES_MAX: i64 = 3;
/// Parts in a hundred by which a wait may be longer than planned.
const JITTER: u64 = 20;

/// When the endpoint is tried again; `None` when the schedule is spent.
///
/// The tries lie 5, 10 and 20 seconds after it went down, then 30 seconds apart in the first hour, later further apart. A
/// wait is only ever lengthened by chance, so an endpoint that is back by the planned time is found by that try.
pub(super) fn next_attempt(failures: i64, down_since: i64, now: i64, chance: u64) -> Option<i64> {
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
    Some(now + lengthened(wait, chance))
}

/// When a refused notice is tried again; `None` when it goes to the dead letters.
pub(super) fn next_try(attempts: i64, now: i64, chance: u64) -> Option<i64> {
    (attempts < TRIES_MAX).then(|| now + lengthened(5 * SECOND * attempts.max(1), chance))
}

fn lengthened(wait: i64, chance: u64) -> i64 {
    let hundredths = i64::try_from(chance % (JITTER + 1)).unwrap_or(0);
    wait + wait * hundredths / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(chance: u64) -> Vec<i64> {
        let (mut now, mut failures, mut found) = (0, 1, Vec::new());
        while let Some(next) = next_attempt(failures, 0, now, chance) {
            found.push(next);
            (now, failures) = (next, failures + 1);
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
            let at = next_attempt(3, 0, 10_000, chance).unwrap();
            assert!((20_000..=22_000).contains(&at));
        }
        assert!(tries(20)[2] <= 24_000);
    }

    #[test]
    fn a_refused_notice_is_tried_three_times() {
        assert_eq!(next_try(1, 0, 0), Some(5_000));
        assert_eq!(next_try(2, 0, 0), Some(10_000));
        assert_eq!(next_try(3, 0, 0), None);
    }
}
