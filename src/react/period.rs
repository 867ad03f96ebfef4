//! The periods of a rule that the calendar calls: every so many days, weeks, months or years, or once, perhaps for a while.
//! Follows <https://hl7.org/fhir/R4/datatypes.html#Timing>.
//!
//! Days are those of the house's own zone. The last day of a month stands for a day that a shorter month lacks, so what comes
//! every year on 29 February comes on 28 February in other years.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

use super::zones;

/// While a period lasts, who may have come to be meant is asked for again after so many days.
const AGAIN_DAYS: i64 = 7;

/// Days, or months, that are tried for one that fits. Beyond, there is none: no period is longer than ten years.
const TRIES_MAX: i64 = 3_700;

/// When a rule is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Period {
    /// On which days.
    pub(crate) every: Every,
    /// At which times of such a day, in order; never empty.
    pub(crate) times: Vec<Time>,
    /// The first day on which it may be.
    pub(crate) from: Option<Date>,
    /// The last day on which it may be.
    pub(crate) until: Option<Date>,
    /// How long it lasts; `None` for a moment.
    pub(crate) lasts: Option<Length>,
    /// As the rule's author wrote it: when that changes, the calendar is made anew.
    pub(crate) written: String,
}

/// How long a period lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Length {
    pub(crate) months: i64,
    pub(crate) days: i64,
}

/// On which days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Every {
    /// Every so many days from that one on.
    Days(i64, Date),
    /// Every so many weeks from that of this day on, on these days.
    Weeks(i64, Date, Vec<Weekday>),
    /// Every so many months from this day on.
    Months(i64, Date),
    /// Once.
    Once(Date),
}

/// One of its calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Occurrence {
    /// What episodes are told apart by: its day, and the time where a day has several.
    pub(crate) name: String,
    /// When it calls, UTC milliseconds.
    pub(crate) at: i64,
    /// When the period ends, UTC milliseconds, where it lasts.
    pub(crate) ends: Option<i64>,
}

impl Period {
    /// The first call after a moment. What lasts calls again each week.
    pub(crate) fn next(&self, after: i64, zone: &TimeZone) -> Option<Occurrence> {
        let mut day = zones::date(zones::day(after, zone));
        if let Some(lasts) = self.lasts {
            day = day.checked_sub((lasts.months * 31 + lasts.days).days()).ok()?;
        }
        if let Some(from) = self.from {
            day = day.max(from);
        }
        for _ in 0..TRIES_MAX {
            day = self.every.on_or_after(day)?;
            if self.until.is_some_and(|until| day > until) {
                return None;
            }
            let found = self.calls_of(day, zone)?.into_iter().find(|one| one.at > after);
            if found.is_some() {
                return found;
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    /// The calls of the period that begins on a day, in order.
    fn calls_of(&self, day: Date, zone: &TimeZone) -> Option<Vec<Occurrence>> {
        let moment = |day: Date, time: Time| zone.to_timestamp(day.to_datetime(time)).ok().map(Timestamp::as_millisecond);
        let last = match self.lasts {
            Some(lasts) => day.checked_add(Span::new().try_months(lasts.months).ok()?.try_days(lasts.days).ok()?).ok()?,
            None => day.tomorrow().ok()?,
        };
        let ends = self.lasts.and_then(|_| moment(last, Time::midnight()));
        let mut calls = Vec::new();
        let mut again = day;
        while again < last {
            for time in &self.times {
                let name = if self.times.len() > 1 { format!("{day}T{}", time.strftime("%H:%M")) } else { day.to_string() };
                calls.push(Occurrence { name, at: moment(again, *time)?, ends });
            }
            again = again.checked_add(AGAIN_DAYS.days()).ok()?;
        }
        Some(calls)
    }
}

impl Every {
    /// The first of its days that is not before this one.
    fn on_or_after(&self, day: Date) -> Option<Date> {
        match self {
            Self::Once(once) => (*once >= day).then_some(*once),
            Self::Days(count, first) => {
                let behind = zones::number(day) - zones::number(*first);
                if behind <= 0 {
                    return Some(*first);
                }
                first.checked_add(((behind + count - 1) / count * count).days()).ok()
            }
            Self::Weeks(count, first, days) => {
                let week = |day: Date| (zones::number(day) - i64::from(day.weekday().to_monday_zero_offset())).div_euclid(7);
                let mut day = day.max(*first);
                for _ in 0..TRIES_MAX {
                    if days.contains(&day.weekday()) && (week(day) - week(*first)) % count == 0 {
                        return Some(day);
                    }
                    day = day.tomorrow().ok()?;
                }
                None
            }
            Self::Months(count, first) => {
                let months = |day: Date| i64::from(day.year()) * 12 + i64::from(day.month());
                let turn = ((months(day) - months(*first)) / count).max(0);
                // Counted from the first day each time, so that a short month shortens only itself.
                let days = (turn..turn + 3).map_while(|turn| first.checked_add((turn * count).months()).ok());
                days.into_iter().find(|found| *found >= day)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::date;

    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn period(every: Every) -> Period {
        let times = vec![Time::constant(8, 0, 0, 0)];
        Period { every, times, from: None, until: None, lasts: None, written: String::new() }
    }

    /// The names of the next few.
    fn names(period: &Period, after: &str, count: usize, zone: &TimeZone) -> Vec<String> {
        let mut after = at(after);
        let mut names = Vec::new();
        while let Some(next) = period.next(after, zone).filter(|_| names.len() < count) {
            after = next.at;
            names.push(next.name);
        }
        names
    }

    #[test]
    fn a_day_that_a_month_lacks_is_its_last_one() {
        let yearly = period(Every::Months(12, date(2024, 2, 29)));
        let days = names(&yearly, "2024-01-01T00:00:00Z", 5, &TimeZone::UTC);
        assert_eq!(days, ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]);
        let monthly = period(Every::Months(1, date(2026, 1, 31)));
        let days = names(&monthly, "2026-01-31T09:00:00Z", 3, &TimeZone::UTC);
        assert_eq!(days, ["2026-02-28", "2026-03-31", "2026-04-30"]);
    }

    #[test]
    fn days_weeks_and_single_days_are_counted_from_their_first() {
        let third = period(Every::Days(3, date(2026, 1, 1)));
        assert_eq!(names(&third, "2026-01-02T00:00:00Z", 2, &TimeZone::UTC), ["2026-01-04", "2026-01-07"]);
        assert_eq!(names(&third, "2025-06-01T00:00:00Z", 1, &TimeZone::UTC), ["2026-01-01"]);
        let weeks = period(Every::Weeks(2, date(2026, 1, 1), vec![Weekday::Monday, Weekday::Friday]));
        let days = names(&weeks, "2026-01-01T00:00:00Z", 4, &TimeZone::UTC);
        assert_eq!(days, ["2026-01-02", "2026-01-12", "2026-01-16", "2026-01-26"]);
        let once = period(Every::Once(date(2026, 3, 1)));
        assert_eq!(names(&once, "2026-01-01T00:00:00Z", 4, &TimeZone::UTC), ["2026-03-01"]);
        assert_eq!(names(&once, "2026-03-01T08:00:00Z", 4, &TimeZone::UTC), [""; 0]);
    }

    #[test]
    fn several_times_of_a_day_have_names_of_their_own_and_bounds_bind() {
        let mut daily = period(Every::Days(1, date(2026, 1, 1)));
        daily.times.push(Time::constant(20, 30, 0, 0));
        (daily.from, daily.until) = (Some(date(2026, 5, 1)), Some(date(2026, 5, 2)));
        let found = names(&daily, "2026-01-01T00:00:00Z", 9, &TimeZone::UTC);
        assert_eq!(found, ["2026-05-01T08:00", "2026-05-01T20:30", "2026-05-02T08:00", "2026-05-02T20:30"]);
    }

    #[test]
    fn a_change_to_summer_time_moves_no_day() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let daily = period(Every::Days(1, date(2026, 1, 1)));
        assert_eq!(names(&daily, "2026-03-07T18:00:00Z", 2, &zone), ["2026-03-08", "2026-03-09"]);
        assert_eq!(daily.next(at("2026-03-07T18:00:00Z"), &zone).unwrap().at, at("2026-03-08T12:00:00Z"));
    }

    #[test]
    fn a_season_calls_each_week_from_its_first_morning_until_it_is_over() {
        let mut season = period(Every::Months(12, date(2020, 10, 1)));
        season.lasts = Some(Length { months: 0, days: 15 });
        let next = |text: &str| season.next(at(text), &TimeZone::UTC).map(|one| (one.name, one.at, one.ends.unwrap()));
        let call = |name: &str, time: &str, ends: &str| Some((name.to_owned(), at(time), at(ends)));
        let this = |time: &str| call("2026-10-01", time, "2026-10-16T00:00:00Z");
        assert_eq!(next("2026-05-01T00:00:00Z"), this("2026-10-01T08:00:00Z"));
        assert_eq!(next("2026-10-01T08:00:00Z"), this("2026-10-08T08:00:00Z"));
        assert_eq!(next("2026-10-09T00:00:00Z"), this("2026-10-15T08:00:00Z"));
        assert_eq!(next("2026-10-15T08:00:00Z"), call("2027-10-01", "2027-10-01T08:00:00Z", "2027-10-16T00:00:00Z"));
    }
}
