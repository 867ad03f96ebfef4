//! Dates, date-times and times of FHIRPath: every precision, comparison that may be undecided, calendar arithmetic.
//! Follows <https://hl7.org/fhirpath/N1/#datetime-arithmetic>.

use std::cmp::Ordering;
use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

/// Which of the three types a value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// `@2024-02-29`
    Date,
    /// `@2024-02-29T10:00Z`
    DateTime,
    /// `@T10:00`
    Time,
}

/// How much was written; a fraction of a second counts as one precision with the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grain {
    /// `2024`
    Year,
    /// `2024-02`
    Month,
    /// `2024-02-29`
    Day,
    /// `T10`
    Hour,
    /// `T10:00`
    Minute,
    /// `T10:00:00`, with or without a fraction
    Second,
}

/// A point of calendar or clock, as precise as it was written.
#[derive(Debug, Clone, Copy)]
pub struct Temporal {
    /// Its type.
    pub sort: Sort,
    /// How much was written.
    pub grain: Grain,
    pub(super) civil: DateTime,
    /// Digits of the second's fraction, as written.
    pub(super) fraction: u8,
    /// Minutes east of Greenwich, where written.
    pub(super) offset: Option<i16>,
}

/// The furthest that two zones can lie from Greenwich, in minutes.
const OFFSET_MAX: i16 = 14 * 60;

impl Temporal {
    /// Reads a date or, with a `T`, a date-time.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (day, clock) = text.split_once('T').map_or((text, None), |(day, clock)| (day, Some(clock)));
        let mut parts = day.split('-');
        let year = number(parts.next()?, 4)?;
        let month = parts.next().map(|part| number(part, 2));
        let date = parts.next().map(|part| number(part, 2));
        if parts.next().is_some() || year == 0 {
            return None;
        }
        let (month, date, grain) = match (month, date) {
            (None, _) => (1, 1, Grain::Year),
            (Some(month), None) => (month?, 1, Grain::Month),
            (Some(month), Some(date)) => (month?, date?, Grain::Day),
        };
        let day = Date::new(year, i8::try_from(month).ok()?, i8::try_from(date).ok()?).ok()?;
        let mut all = Self { sort: Sort::Date, grain, civil: day.to_datetime(Time::midnight()), fraction: 0, offset: None };
        let Some(clock) = clock else { return Some(all) };
        all.sort = Sort::DateTime;
        if clock.is_empty() {
            return Some(all);
        }
        if grain != Grain::Day {
            return None;
        }
        let cut = clock.find(['Z', '+', '-']).unwrap_or(clock.len());
        let (clock, zone) = clock.split_at(cut);
        all.offset = match zone {
            "" => None,
            "Z" => Some(0),
            zone => Some(offset(zone)?),
        };
        all.with_clock(clock)
    }

    /// Reads a time of day, without its `T`.
    #[must_use]
    pub fn parse_time(text: &str) -> Option<Self> {
        let midnight = DateTime::new(1, 1, 1, 0, 0, 0, 0).ok()?;
        Self { sort: Sort::Time, grain: Grain::Hour, civil: midnight, fraction: 0, offset: None }.with_clock(text)
    }

    fn with_clock(mut self, clock: &str) -> Option<Self> {
        let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(clock, fraction)| (clock, Some(fraction)));
        let mut parts = clock.split(':');
        let hour = i8::try_from(number(parts.next()?, 2)?).ok()?;
        let minute = parts.next().map(|part| number(part, 2));
        let second = parts.next().map(|part| number(part, 2));
        if parts.next().is_some() || (fraction.is_some() && second.is_none()) {
            return None;
        }
        self.grain = match (minute, second) {
            (None, _) => Grain::Hour,
            (_, None) => Grain::Minute,
            _ => Grain::Second,
        };
        let minute = i8::try_from(minute.map_or(Some(0), |minute| minute)?).ok()?;
        let second = i8::try_from(second.map_or(Some(0), |second| second)?).ok()?;
        let nanosecond = match fraction {
            Some(digits) if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) => return None,
            Some(digits) => {
                self.fraction = u8::try_from(digits.len().min(9)).ok()?;
                format!("{digits:0<9}").get(..9)?.parse().ok()?
            }
            None => 0,
        };
        // A leap second is the last second of its minute here; no calendar library counts it.
        let time = Time::new(hour, minute, if second == 60 { 59 } else { second }, nanosecond).ok()?;
        self.civil = self.civil.date().to_datetime(time);
        Some(self)
    }

    /// The date-time of UTC milliseconds, as a clock in `zone` shows it.
    #[must_use]
    pub fn at(milliseconds: i64, zone: &TimeZone) -> Option<Self> {
        let zoned = Timestamp::from_millisecond(milliseconds).ok()?.to_zoned(zone.clone());
        let offset = i16::try_from(zoned.offset().seconds() / 60).ok();
        Some(Self { sort: Sort::DateTime, grain: Grain::Second, civil: zoned.datetime(), fraction: 3, offset })
    }

    /// Only its date.
    #[must_use]
    pub fn date(self) -> Self {
        let civil = self.civil.date().to_datetime(Time::midnight());
        Self { sort: Sort::Date, grain: self.grain.min(Grain::Day), civil, fraction: 0, offset: None }
    }

    /// Only its time of day.
    #[must_use]
    pub fn time(self) -> Option<Self> {
        let civil = Date::new(1, 1, 1).ok()?.to_datetime(self.civil.time());
        (self.grain >= Grain::Hour).then_some(Self { sort: Sort::Time, civil, offset: None, ..self })
    }

    /// The same as a date-time.
    #[must_use]
    pub fn date_time(self) -> Self {
        Self { sort: Sort::DateTime, ..self }
    }

    /// Which comes first; `None` where what was written does not decide it.
    #[must_use]
    pub fn order(self, other: Self) -> Option<Ordering> {
        let clocks = self.grain >= Grain::Hour && other.grain >= Grain::Hour && self.sort != Sort::Time;
        match (self.offset, other.offset) {
            (Some(here), Some(there)) if clocks => Self { civil: moved(self.civil, -here)?, ..self }
                .order_fields(Self { civil: moved(other.civil, -there)?, ..other }),
            (Some(here), None) if clocks => Self { civil: moved(self.civil, -here)?, ..self }.order_about(other),
            (None, Some(there)) if clocks => {
                Self { civil: moved(other.civil, -there)?, ..other }.order_about(self).map(Ordering::reverse)
            }
            _ => self.order_fields(other),
        }
    }

    /// Compares one in UTC with one of an unknown zone: decided only if no zone could change it.
    fn order_about(self, unknown: Self) -> Option<Ordering> {
        let early = self.order_fields(Self { civil: moved(unknown.civil, -OFFSET_MAX)?, ..unknown })?;
        let late = self.order_fields(Self { civil: moved(unknown.civil, OFFSET_MAX)?, ..unknown })?;
        (early == late).then_some(early)
    }

    fn order_fields(self, other: Self) -> Option<Ordering> {
        let common = self.grain.min(other.grain);
        let ordered = start_of(self.civil, common)?.cmp(&start_of(other.civil, common)?);
        (ordered != Ordering::Equal || self.grain == other.grain).then_some(ordered)
    }

    /// Moved by a whole number of a calendar unit (a UCUM code such as `d`); a finer unit than was written counts in full only.
    #[must_use]
    pub fn plus(self, count: i64, code: &str) -> Option<Self> {
        let (count, unit) = coarsened(count, unit_of(code)?, self.grain)?;
        let span = match unit {
            Unit::Month => Span::new().try_months(count).ok()?,
            Unit::Day => Span::new().try_days(count).ok()?,
            Unit::Millisecond => Span::new().try_milliseconds(count).ok()?,
        };
        let civil = match self.sort {
            Sort::Time => self.civil.date().to_datetime(self.civil.time().wrapping_add(span_of_clock(unit, span)?)),
            Sort::Date | Sort::DateTime => self.civil.checked_add(span).ok()?,
        };
        let fine = unit == Unit::Millisecond && count % 1000 != 0;
        let fraction = if fine { self.fraction.max(3) } else { self.fraction };
        (civil.year() > 0).then_some(Self { civil, fraction, ..self })
    }

    /// The earliest (or latest) point it may mean, written as precisely as `digits` asks (4, 6, 8, 10, 12, 14 or 17).
    #[must_use]
    pub fn boundary(self, digits: i64, latest: bool) -> Option<Self> {
        let (grain, fraction) = match (self.sort, digits) {
            (Sort::Date | Sort::DateTime, 4) => (Grain::Year, 0),
            (Sort::Date | Sort::DateTime, 6) => (Grain::Month, 0),
            (Sort::Date | Sort::DateTime, 8) => (Grain::Day, 0),
            (Sort::DateTime, 10) | (Sort::Time, 2) => (Grain::Hour, 0),
            (Sort::DateTime, 12) | (Sort::Time, 4) => (Grain::Minute, 0),
            (Sort::DateTime, 14) | (Sort::Time, 6) => (Grain::Second, 0),
            (Sort::DateTime, 17) | (Sort::Time, 9) => (Grain::Second, 3),
            _ => return None,
        };
        let mut all = self;
        let milliseconds = self.grain == Grain::Second && self.fraction > 0;
        if latest && !milliseconds {
            let next = match self.grain {
                Grain::Year => self.civil.checked_add(1.year()),
                Grain::Month => self.civil.checked_add(1.month()),
                Grain::Day => self.civil.checked_add(1.day()),
                Grain::Hour => self.civil.checked_add(1.hour()),
                Grain::Minute => self.civil.checked_add(1.minute()),
                Grain::Second => self.civil.checked_add(1.second()),
            };
            all.civil = next.and_then(|next| next.checked_sub(1.millisecond())).ok()?;
        }
        if grain >= Grain::Hour && self.sort == Sort::DateTime && self.offset.is_none() {
            all.offset = Some(if latest { -12 * 60 } else { OFFSET_MAX });
        }
        if grain < Grain::Hour {
            all.offset = None;
        }
        Some(Self { grain, fraction, civil: start_of(all.civil, if fraction > 0 { Grain::Second } else { grain })?, ..all })
    }

    /// How many digits were written.
    #[must_use]
    pub fn digits(self) -> i64 {
        let all = match self.grain {
            Grain::Year => 4,
            Grain::Month => 6,
            Grain::Day => 8,
            Grain::Hour => 10,
            Grain::Minute => 12,
            Grain::Second => 14 + i64::from(self.fraction),
        };
        if self.sort == Sort::Time { all - 8 } else { all }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Month,
    Day,
    Millisecond,
}

/// The unit that a code counts in, and how many of it one is.
fn unit_of(code: &str) -> Option<(Unit, i64)> {
    Some(match code {
        "a" => (Unit::Month, 12),
        "mo" => (Unit::Month, 1),
        "wk" => (Unit::Day, 7),
        "d" => (Unit::Day, 1),
        "h" => (Unit::Millisecond, 3_600_000),
        "min" => (Unit::Millisecond, 60_000),
        "s" => (Unit::Millisecond, 1000),
        "ms" => (Unit::Millisecond, 1),
        _ => return None,
    })
}

/// A count in a unit that the written precision can carry: to a year, 24 months are 2 years and 23 are 1.
fn coarsened(count: i64, (unit, size): (Unit, i64), grain: Grain) -> Option<(i64, Unit)> {
    let count = count.checked_mul(size)?;
    let day = 86_400_000;
    Some(match (grain, unit) {
        (Grain::Year, Unit::Month) => (count / 12 * 12, Unit::Month),
        (Grain::Year, Unit::Day) => (count / 365 * 12, Unit::Month),
        (Grain::Year, Unit::Millisecond) => (count / (365 * day) * 12, Unit::Month),
        (Grain::Month, Unit::Day) => (count / 30, Unit::Month),
        (Grain::Month, Unit::Millisecond) => (count / (30 * day), Unit::Month),
        (Grain::Day, Unit::Millisecond) => (count / day, Unit::Day),
        (Grain::Hour, Unit::Millisecond) => (count / 3_600_000 * 3_600_000, Unit::Millisecond),
        (Grain::Minute, Unit::Millisecond) => (count / 60_000 * 60_000, Unit::Millisecond),
        _ => (count, unit),
    })
}

/// A time of day turns round at midnight; only clock units move it.
fn span_of_clock(unit: Unit, span: Span) -> Option<Span> {
    (unit == Unit::Millisecond).then_some(span)
}

fn moved(civil: DateTime, minutes: i16) -> Option<DateTime> {
    civil.checked_add(i64::from(minutes).minutes()).ok()
}

fn start_of(civil: DateTime, grain: Grain) -> Option<DateTime> {
    let (year, month, day) = (civil.year(), civil.month(), civil.day());
    match grain {
        Grain::Year => DateTime::new(year, 1, 1, 0, 0, 0, 0).ok(),
        Grain::Month => DateTime::new(year, month, 1, 0, 0, 0, 0).ok(),
        Grain::Day => DateTime::new(year, month, day, 0, 0, 0, 0).ok(),
        Grain::Hour => DateTime::new(year, month, day, civil.hour(), 0, 0, 0).ok(),
        Grain::Minute => DateTime::new(year, month, day, civil.hour(), civil.minute(), 0, 0).ok(),
        Grain::Second => Some(civil),
    }
}

fn number(text: &str, count: usize) -> Option<i16> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// Minutes of `+08:00`.
fn offset(zone: &str) -> Option<i16> {
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let total = number(hours, 2)? * 60 + number(minutes, 2).filter(|minutes| *minutes < 60)?;
    (total <= OFFSET_MAX).then_some(if zone.starts_with('-') { -total } else { total })
}

impl fmt::Display for Temporal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (civil, grain) = (self.civil, self.grain);
        if self.sort != Sort::Time {
            write!(out, "{:04}", civil.year())?;
            if grain >= Grain::Month {
                write!(out, "-{:02}", civil.month())?;
            }
            if grain >= Grain::Day {
                write!(out, "-{:02}", civil.day())?;
            }
        }
        if grain < Grain::Hour {
            return Ok(());
        }
        let start = if self.sort == Sort::DateTime { "T" } else { "" };
        write!(out, "{start}{:02}", civil.hour())?;
        if grain >= Grain::Minute {
            write!(out, ":{:02}", civil.minute())?;
        }
        if grain >= Grain::Second {
            write!(out, ":{:02}", civil.second())?;
        }
        if self.fraction > 0 {
            let nanoseconds = format!("{:09}", civil.subsec_nanosecond());
            write!(out, ".{}", nanoseconds.get(..usize::from(self.fraction)).unwrap_or_default())?;
        }
        match self.offset {
            Some(0) => write!(out, "Z"),
            Some(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(out, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
            None => Ok(()),
        }
    }
}
