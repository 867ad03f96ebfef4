//! Dates and times as FHIR writes them: `date`, `dateTime` and `instant`, with their precision.
//! Follows <https://hl7.org/fhir/R4/datatypes.html#dateTime>.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan};

/// How much of a moment was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// `2024`
    Year,
    /// `2024-02`
    Month,
    /// `2024-02-29`
    Day,
    /// `2024-02-29T10:00Z`: FHIR wants seconds, search allows minutes.
    Minute,
    /// `2024-02-29T10:00:00Z`
    Second,
    /// `2024-02-29T10:00:00.123Z`
    Fraction,
}

/// A moment as it was written: the civil fields, how precise, and the offset if there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The fields as written; what was not written is the earliest.
    pub civil: DateTime,
    /// How much was written.
    pub precision: Precision,
    /// `Z` or `±hh:mm`, where written.
    pub offset: Option<Offset>,
}

/// A stretch of time in UTC milliseconds: from `low`, up to but without `high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// First millisecond.
    pub low: i64,
    /// First millisecond after it.
    pub high: i64,
}

impl Moment {
    /// Reads a `date`, `dateTime` or `instant`, on the real calendar; `None` if it is none of them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if !text.is_ascii() {
            return None;
        }
        let (day, rest) = match text.split_once('T') {
            Some((day, rest)) => (day, Some(rest)),
            None => (text, None),
        };
        let mut parts = day.split('-');
        let year = digits(parts.next()?, 4)?;
        let month = parts.next().map(|part| digits(part, 2)).map_or(Some(None), |m| m.map(Some))?;
        let date = parts.next().map(|part| digits(part, 2)).map_or(Some(None), |d| d.map(Some))?;
        if parts.next().is_some() || year == 0 {
            return None;
        }
        let precision = match (month, date) {
            (None, _) => Precision::Year,
            (_, None) => Precision::Month,
            _ => Precision::Day,
        };
        let civil = Date::new(year, i8::try_from(month.unwrap_or(1)).ok()?, i8::try_from(date.unwrap_or(1)).ok()?).ok()?;
        match rest {
            None => Some(Self { civil: civil.to_datetime(Time::midnight()), precision, offset: None }),
            Some(rest) if precision == Precision::Day => Self::with_time(civil, rest),
            Some(_) => None,
        }
    }

    fn with_time(day: Date, rest: &str) -> Option<Self> {
        let cut = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
        let (clock, zone) = rest.split_at(cut);
        let (clock, fraction) = match clock.split_once('.') {
            Some((clock, fraction)) => (clock, Some(fraction)),
            None => (clock, None),
        };
        let mut parts = clock.split(':');
        let hour = i8::try_from(digits(parts.next()?, 2)?).ok()?;
        let minute = i8::try_from(digits(parts.next()?, 2)?).ok()?;
        let second = match parts.next() {
            Some(part) => Some(i8::try_from(digits(part, 2)?).ok()?),
            None => None,
        };
        if parts.next().is_some() || (fraction.is_some() && second.is_none()) {
            return None;
        }
        let nanoseconds = fraction.map_or(Some(0), nanoseconds)?;
        let precision = match (second, fraction) {
            (None, _) => Precision::Minute,
            (Some(_), None) => Precision::Second,
            _ => Precision::Fraction,
        };
        // FHIR allows the leap second 60; it is the last second of its minute here.
        let time = Time::new(hour, minute, second.unwrap_or(0).min(59), nanoseconds).ok()?;
        if second.is_some_and(|second| second > 60) {
            return None;
        }
        let offset = match zone {
            "" => None,
            "Z" => Some(Offset::UTC),
            zone => Some(parse_offset(zone)?),
        };
        Some(Self { civil: day.to_datetime(time), precision, offset })
    }

    /// The stretch of time that was meant; where no offset was written, the fields are read in `zone`.
    #[must_use]
    pub fn span(&self, zone: &TimeZone) -> Span {
        let end = match self.precision {
            Precision::Year => self.civil.checked_add(1.year()),
            Precision::Month => self.civil.checked_add(1.month()),
            Precision::Day => self.civil.checked_add(1.day()),
            Precision::Minute => self.civil.checked_add(1.minute()),
            Precision::Second => self.civil.checked_add(1.second()),
            Precision::Fraction => self.civil.checked_add(1.millisecond()),
        };
        let low = self.instant(self.civil, zone);
        let high = end.map_or(i64::MAX, |end| self.instant(end, zone));
        Span { low, high }
    }

    /// The day that was written, in the zone it was written in.
    #[must_use]
    pub fn day(&self) -> Date {
        self.civil.date()
    }

    fn instant(&self, civil: DateTime, zone: &TimeZone) -> i64 {
        let stamp = match self.offset {
            Some(offset) => offset.to_timestamp(civil),
            None => zone.to_timestamp(civil),
        };
        stamp.map_or(i64::MAX, Timestamp::as_millisecond)
    }
}

/// `2026-11-22T08:00:00.000Z` of UTC milliseconds.
#[must_use]
pub fn instant(milliseconds: i64) -> String {
    let Ok(stamp) = Timestamp::from_millisecond(milliseconds) else { return String::from("1970-01-01T00:00:00.000Z") };
    let at = Offset::UTC.to_datetime(stamp);
    if at.year() < 0 {
        return format!("{stamp:.3}");
    }
    // Every resource that is shown or stamped has one: it is put together digit by digit, without a formatter.
    let mut text = String::with_capacity(24);
    push_digits(&mut text, at.year(), 1_000, '-');
    push_digits(&mut text, i16::from(at.month()), 10, '-');
    push_digits(&mut text, i16::from(at.day()), 10, 'T');
    push_digits(&mut text, i16::from(at.hour()), 10, ':');
    push_digits(&mut text, i16::from(at.minute()), 10, ':');
    push_digits(&mut text, i16::from(at.second()), 10, '.');
    push_digits(&mut text, at.millisecond(), 100, 'Z');
    text
}

/// Appends a number that is not negative, from the digit of this place on, and what stands behind it.
fn push_digits(text: &mut String, number: i16, mut place: i16, behind: char) {
    while place > 0 {
        text.push(char::from(b'0' + u8::try_from(number / place % 10).unwrap_or_default()));
        place /= 10;
    }
    text.push(behind);
}

fn digits(text: &str, count: usize) -> Option<i16> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn nanoseconds(fraction: &str) -> Option<i32> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nine: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    nine.parse().ok()
}

fn parse_offset(zone: &str) -> Option<Offset> {
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_precision_on_the_real_calendar() {
        for (text, precision) in [
            ("2024", Precision::Year),
            ("2024-02", Precision::Month),
            ("2024-02-29", Precision::Day),
            ("2024-02-29T10:00:00+08:00", Precision::Second),
            ("2024-02-29T10:00:00.1234567Z", Precision::Fraction),
        ] {
            assert_eq!(Moment::parse(text).map(|moment| moment.precision), Some(precision), "{text}");
        }
        for text in ["2023-02-30", "2024-13", "24", "2024-02-29T", "2024-02T10:00:00Z", "2024-02-29T25:00:00Z", "x"] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_instant_is_written_as_the_calendar_has_it() {
        assert_eq!(instant(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(instant(1_709_164_799_007), "2024-02-28T23:59:59.007Z");
        let ends =
            [Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_second() * 1_000, -1, -62_135_596_800_000, -62_167_219_200_001];
        for at in ends.into_iter().chain((0..2_900).map(|step| step * 86_399_987_651)) {
            let stamp = Timestamp::from_millisecond(at).unwrap();
            assert_eq!(instant(at), format!("{stamp:.3}"), "{at}");
        }
        assert_eq!(instant(i64::MAX), "1970-01-01T00:00:00.000Z", "beyond the calendar");
    }

    #[test]
    fn a_span_covers_its_precision() {
        let day = Moment::parse("2024-02-29").map(|moment| moment.span(&TimeZone::UTC));
        assert_eq!(day, Some(Span { low: 1_709_164_800_000, high: 1_709_251_200_000 }));
        let zoned = Moment::parse("2024-02-29T08:00:00+08:00").map(|moment| moment.span(&TimeZone::UTC).low);
        assert_eq!(zoned, Some(1_709_164_800_000));
        assert_eq!(instant(1_709_164_800_000), "2024-02-29T00:00:00.000Z");
    }
}
