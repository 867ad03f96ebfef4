//! How far a step lies from what it is anchored to, and which moment that is.
//! Follows <https://hl7.org/fhir/R4/plandefinition-definitions.html#PlanDefinition.action.relatedAction.offset_x_>.
//!
//! Days, weeks, months and years are counted in the calendar of the store, so a change to summer time moves nothing, and the last
//! day of a month stands for a day that a shorter month lacks. Hours are hours: a moment stays one, also where none are said.

use jiff::Span;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::json::{number, text};
use super::zones;

const HOUR_MS: i64 = 3_600_000;

/// No step lies further off than so many years.
const YEARS_MAX: i64 = 10;

/// How far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offset {
    /// So many hours; of a moment its time of day counts.
    Hours(i64),
    /// So far in the calendar; of a moment only its day counts.
    Calendar { months: i64, days: i64 },
}

/// From where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// A day, days since 1970 in the store's zone.
    Day(i64),
    /// A moment, UTC milliseconds.
    Moment(i64),
}

/// Which moment it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// When that day opens, days since 1970.
    Day(i64),
    /// This moment, UTC milliseconds.
    Moment(i64),
}

impl Offset {
    /// None at all: what comes with a moment comes at that moment, what comes with a day as it opens.
    pub(crate) const NONE: Self = Self::Hours(0);

    /// Reads a Duration: a whole number of hours, days, weeks, months or years.
    pub(super) fn read(duration: &Value) -> Option<Self> {
        let value = number(duration.get("value")?)?;
        #[expect(clippy::cast_possible_truncation, reason = "a whole number within bounds")]
        let whole = value as i64;
        let (offset, per_year) = match text(duration, "code").or_else(|| text(duration, "unit"))? {
            "h" => (Self::Hours(whole), 8_766),
            "d" => (Self::days(whole), 366),
            "wk" => (Self::days(whole.checked_mul(7)?), 53),
            "mo" => (Self::months(whole), 12),
            "a" => (Self::months(whole.checked_mul(12)?), 1),
            _ => return None,
        };
        (value >= 0.0 && value.fract() == 0.0 && whole <= per_year * YEARS_MAX).then_some(offset)
    }

    /// So many months.
    fn months(months: i64) -> Self {
        Self::Calendar { months, days: 0 }
    }

    /// So many days.
    pub(crate) fn days(days: i64) -> Self {
        Self::Calendar { months: 0, days }
    }

    /// As far in the other direction.
    pub(super) fn back(self) -> Self {
        match self {
            Self::Hours(hours) => Self::Hours(-hours),
            Self::Calendar { months, days } => Self::Calendar { months: -months, days: -days },
        }
    }

    /// Whether it leads back in time.
    pub(crate) fn is_back(self) -> bool {
        match self {
            Self::Hours(hours) => hours < 0,
            Self::Calendar { months, days } => months < 0 || days < 0,
        }
    }

    /// The moment so far from there; `None` beyond the calendar.
    pub(crate) fn from(self, base: Base, zone: &TimeZone) -> Option<When> {
        match (self, base) {
            (Self::Hours(hours), Base::Moment(at)) => Some(When::Moment(at.checked_add(hours * HOUR_MS)?)),
            (Self::NONE, Base::Day(day)) => Some(When::Day(day)),
            (Self::Hours(hours), Base::Day(day)) => Some(When::Moment(zones::morning(zones::date(day), zone)? + hours * HOUR_MS)),
            (Self::Calendar { months, days }, base) => {
                let by = Span::new().try_months(months).ok()?.try_days(days).ok()?;
                let day = match base {
                    Base::Day(day) => day,
                    Base::Moment(at) => zones::day(at, zone),
                };
                Some(When::Day(zones::number(zones::date(day).checked_add(by).ok()?)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::date;
    use serde_json::json;

    use super::*;

    fn day(from: (i16, i8, i8), value: i64, code: &str) -> String {
        let offset = Offset::read(&json!({"value": value, "code": code})).unwrap();
        let base = Base::Day(zones::number(date(from.0, from.1, from.2)));
        match offset.from(base, &TimeZone::UTC).unwrap() {
            When::Day(day) => zones::date(day).to_string(),
            When::Moment(at) => Timestamp::from_millisecond(at).unwrap().to_string(),
        }
    }

    #[test]
    fn months_and_years_end_on_the_last_day_of_a_shorter_month() {
        assert_eq!(day((2028, 1, 31), 1, "mo"), "2028-02-29");
        assert_eq!(day((2027, 1, 31), 1, "mo"), "2027-02-28");
        assert_eq!(day((2028, 2, 29), 1, "a"), "2029-02-28");
        assert_eq!(day((2027, 2, 27), 2, "d"), "2027-03-01");
        assert_eq!(day((2028, 2, 27), 2, "wk"), "2028-03-12");
        assert_eq!(day((2026, 1, 1), 4, "h"), "2026-01-01T12:00:00Z");
    }

    #[test]
    fn a_change_to_summer_time_moves_no_day_and_no_hour() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let offset = |value: i64, code: &str| Offset::read(&json!({"value": value, "code": code})).unwrap();
        // The clocks went forward in the night to 8 March 2026.
        let evening = Base::Moment(at("2026-03-08T03:30:00Z"));
        assert_eq!(offset(1, "d").from(evening, &zone), Some(When::Day(zones::number(date(2026, 3, 8)))));
        assert_eq!(offset(24, "h").from(evening, &zone), Some(When::Moment(at("2026-03-09T03:30:00Z"))));
    }

    // Who says no offset, or no hours, means the very moment; who says no days means the day.
    #[test]
    fn a_moment_that_nothing_is_added_to_stays_a_moment() {
        let at = "2026-03-08T19:30:00Z".parse::<Timestamp>().unwrap().as_millisecond();
        let day = zones::number(date(2026, 3, 8));
        let offset = |code: &str| Offset::read(&json!({"value": 0, "code": code})).unwrap();
        for (offset, base, expected) in [
            (Offset::NONE, Base::Moment(at), When::Moment(at)),
            (offset("h"), Base::Moment(at), When::Moment(at)),
            (offset("d"), Base::Moment(at), When::Day(day)),
            (Offset::NONE, Base::Day(day), When::Day(day)),
            (offset("h"), Base::Day(day), When::Day(day)),
        ] {
            assert_eq!(offset.from(base, &TimeZone::UTC), Some(expected), "{offset:?} {base:?}");
        }
    }

    #[test]
    fn what_is_no_whole_number_of_a_known_unit_or_too_far_is_no_offset() {
        for (value, code) in [(json!(1.5), "d"), (json!(-1), "d"), (json!(3), "mg"), (json!(11), "a"), (json!(1e300), "wk")] {
            assert_eq!(Offset::read(&json!({"value": value, "code": code})), None, "{value} {code}");
        }
        assert_eq!(Offset::read(&json!({"value": 3, "unit": "d"})), Some(Offset::days(3)));
    }
}
