//! At most one message a day and three a week, over all rules.

use std::borrow::Cow;

use jiff::tz::TimeZone;

use super::{Asked, Gate, Verdict};
use crate::ledger::Outcome;
use crate::react::zones;

pub(super) const GATE: Gate = Gate { name: "caps", mends: "Time: the next message may go out at the time named.", ask };

/// Messages in one day of the recipient.
const DAY_MAX: usize = 1;

/// Messages in seven days.
const WEEK_MAX: usize = 3;

const WEEK_MS: i64 = 7 * 86_400_000;

fn ask(asked: &Asked) -> Verdict {
    let Some(recipient) = asked.recipient.filter(|_| asked.speaks()) else { return Verdict::Pass };
    let now = asked.turn.story.now;
    let zones = recipient.zones(asked.turn.rules, &asked.store.zone, asked.turn.story.now);
    let zone = zones.first().cloned().unwrap_or(TimeZone::UTC);
    let said = asked.turn.decisions.all().filter(|decision| decision.spoken && decision.outcome == Outcome::Fired);
    let mut recent: Vec<i64> = said.map(|decision| decision.at).filter(|at| *at > now - WEEK_MS && *at <= now).collect();
    recent.sort_unstable();
    let today = zones::day(now, &zone);
    let of_today = recent.iter().filter(|at| zones::day(**at, &zone) == today).count();
    if recent.len() >= WEEK_MAX {
        let free = recent.get(recent.len() - WEEK_MAX).map_or(now, |at| at + WEEK_MS);
        let open = zones::open(free, &zones).unwrap_or(free);
        return Verdict::Hold(open, Cow::Borrowed("Three messages were sent within the week."));
    }
    if of_today >= DAY_MAX {
        let morning = zones::morning(zones::date(today + 1), &zone).unwrap_or(now + WEEK_MS);
        let open = zones::open(morning, &zones).unwrap_or(morning);
        return Verdict::Hold(open, Cow::Borrowed("A message was sent today."));
    }
    Verdict::Pass
}
