//! Reading when the calendar calls a rule: the part of a Timing that is understood, and a sentence about each other part.
//! Follows <https://hl7.org/fhir/R4/metadatatypes-definitions.html#TriggerDefinition.timing_x_>.

use jiff::civil::{Date, Time, Weekday};
use serde_json::Value;

use super::Reader;
use crate::react::json::{each, number, text};
use crate::react::period::{Every, Length, Period};

/// What is understood of `Timing.repeat`.
const REPEAT: &[&str] =
    &["boundsPeriod", "frequency", "period", "periodUnit", "dayOfWeek", "timeOfDay", "duration", "durationUnit", "id"];

/// The most times of a day.
const TIMES_MAX: usize = 24;

/// Any first day serves where none is named: a day is counted from itself.
const EPOCH: Date = Date::constant(1970, 1, 1);

impl Reader<'_> {
    /// When the calendar calls, or what is wrong with what is written about it.
    pub(super) fn period(&mut self, value: &Value, place: &str) -> Option<Period> {
        let (timing, written) = (value.get("timingTiming"), value.get("timingDate").and_then(Value::as_str));
        let read = match (timing, written) {
            (Some(timing), None) => of_timing(timing),
            (None, Some(written)) => match written.parse::<Date>() {
                Ok(day) => Ok(at(Every::Once(day), written)),
                Err(_) => Err(String::from("timingDate must name a whole day, for example 2026-10-01")),
            },
            _ => Err(String::from(
                "a periodic trigger needs timingTiming, or timingDate for a single day; times and schedules are not understood",
            )),
        };
        read.map_err(|why| self.fault("bad-timing", place, &why)).ok()
    }
}

/// On such days, at the hour from which on one may speak.
fn at(every: Every, written: &str) -> Period {
    let times = vec![Time::constant(crate::react::zones::OPENS, 0, 0, 0)];
    Period { every, times, from: None, until: None, lasts: None, written: written.to_owned() }
}

fn of_timing(timing: &Value) -> Result<Period, String> {
    let beside = timing.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).find(|name| *name != "repeat");
    if let Some(beside) = beside {
        return Err(format!("Timing.{beside} is not understood; say it by Timing.repeat"));
    }
    let repeat = timing.get("repeat").ok_or("timingTiming needs a repeat")?;
    let names = repeat.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    if let Some(unknown) = names.into_iter().find(|name| !REPEAT.contains(name)) {
        return Err(format!("Timing.repeat.{unknown} is not understood; these are: {}", REPEAT[..8].join(", ")));
    }
    if repeat.get("frequency").is_some_and(|frequency| frequency.as_u64() != Some(1)) {
        return Err(String::from("frequency must be 1; several times of a day are named by timeOfDay"));
    }
    let count =
        repeat.get("period").map_or(Some(1.0), number).filter(|count| count.fract() == 0.0 && (1.0..=366.0).contains(count));
    #[expect(clippy::cast_possible_truncation, reason = "a whole number within bounds")]
    let count = count.ok_or("period must be a whole number from 1 to 366")? as i64;
    let bounds = repeat.get("boundsPeriod");
    let (from, until) = (edge(bounds, "boundsPeriod", "start")?, edge(bounds, "boundsPeriod", "end")?);
    let mut period = at(every(repeat, count, from)?, &timing.to_string());
    (period.from, period.until) = (from, until);
    times(repeat, &mut period)?;
    period.lasts = lasts(repeat, &period.every)?;
    Ok(period)
}

/// The first or the last day of a Period under this name.
pub(super) fn edge(period: Option<&Value>, of: &str, name: &str) -> Result<Option<Date>, String> {
    let Some(written) = period.and_then(|period| text(period, name)) else { return Ok(None) };
    // Of a time that is longer than a day only the day would be read.
    let day = written.parse::<Date>().ok().filter(|day| day.to_string() == written);
    day.map(Some).ok_or_else(|| format!("{of}.{name} must be a whole day, for example 2026-10-01"))
}

fn every(repeat: &Value, count: i64, from: Option<Date>) -> Result<Every, String> {
    let days = each(repeat, "dayOfWeek").iter().map(weekday).collect::<Option<Vec<Weekday>>>();
    let days = days.ok_or("dayOfWeek must be mon, tue, wed, thu, fri, sat or sun")?;
    let unit = text(repeat, "periodUnit");
    if !days.is_empty() && unit != Some("wk") {
        return Err(String::from("dayOfWeek goes with the periodUnit wk"));
    }
    let anchor = || from.ok_or("without boundsPeriod.start it is not known which day is meant");
    match unit {
        Some("d") if count == 1 => Ok(Every::Days(1, from.unwrap_or(EPOCH))),
        Some("d") => Ok(Every::Days(count, anchor()?)),
        Some("wk") if count == 1 && !days.is_empty() => Ok(Every::Weeks(1, from.unwrap_or(EPOCH), days)),
        Some("wk") => {
            let first = anchor()?;
            Ok(Every::Weeks(count, first, if days.is_empty() { vec![first.weekday()] } else { days }))
        }
        Some("mo") if count <= 120 => Ok(Every::Months(count, if count == 1 { from.unwrap_or(EPOCH) } else { anchor()? })),
        Some("a") if count <= 10 => Ok(Every::Months(count * 12, anchor()?)),
        _ => Err(String::from("periodUnit must be d, wk, mo or a, and no period longer than ten years")),
    }
}

fn weekday(day: &Value) -> Option<Weekday> {
    Some(match day.as_str()? {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

fn times(repeat: &Value, period: &mut Period) -> Result<(), String> {
    let written = each(repeat, "timeOfDay");
    if written.is_empty() {
        return Ok(());
    }
    let times = written.iter().map(|time| time.as_str()?.parse::<Time>().ok()).collect::<Option<Vec<Time>>>();
    let mut times =
        times.filter(|times| times.len() <= TIMES_MAX).ok_or("timeOfDay must be up to 24 times, for example 08:00:00")?;
    times.sort();
    times.dedup();
    period.times = times;
    Ok(())
}

/// How long it lasts: shorter than until it comes again.
fn lasts(repeat: &Value, every: &Every) -> Result<Option<Length>, String> {
    let Some(duration) = repeat.get("duration") else { return Ok(None) };
    let count = number(duration).filter(|count| count.fract() == 0.0 && (1.0..=366.0).contains(count));
    #[expect(clippy::cast_possible_truncation, reason = "a whole number within bounds")]
    let count = count.ok_or("duration must be a whole number from 1 to 366")? as i64;
    let length = match text(repeat, "durationUnit") {
        Some("d") => Length { months: 0, days: count },
        Some("wk") => Length { months: 0, days: count * 7 },
        Some("mo") => Length { months: count, days: 0 },
        _ => return Err(String::from("durationUnit must be d, wk or mo")),
    };
    match every {
        Every::Months(months, _) if length.months * 31 + length.days <= months * 28 => Ok(Some(length)),
        _ => Err(String::from("a duration goes with months and years, and must be over before it comes again")),
    }
}
