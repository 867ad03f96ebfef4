//! The sample month: what two systems send, on which day and at what time. Days are counted from 31 days ago.

use anyhow::{Context, Result, anyhow, ensure};
use jiff::ToSpan;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use crate::fhir::time::Moment;

/// So many days before today the month begins.
pub(super) const DAYS: i64 = 31;

const SHIPPED: &str = include_str!("month.json");

/// What is sent in the month.
#[derive(Debug, Deserialize)]
pub(super) struct Month {
    /// Where its stores stand and its times of day are told.
    zone: String,
    /// In the order in which they are sent.
    pub(super) inputs: Vec<Input>,
}

/// Something that is sent.
#[derive(Debug, Deserialize)]
pub(super) struct Input {
    /// On which day; 0 is the first.
    pub(super) day: i64,
    /// At what time of day.
    at: String,
    /// The system that sends it.
    pub(super) from: String,
    /// What it says, in words.
    pub(super) says: String,
    /// Criteria of a conditional update; without them, a resource with an id is put and one without is created.
    #[serde(rename = "where")]
    pub(super) criteria: Option<String>,
    /// What is sent. `@now` stands for the time of sending, `@day 1` for a day and `@day 1 09:30` for a time of the month.
    resource: Value,
}

/// The days of a month that ends now.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    /// Where days begin and end.
    pub(super) zone: TimeZone,
    /// The first day.
    pub(super) first: Date,
}

impl Month {
    /// The month that is shipped.
    pub(super) fn shipped() -> Result<Self> {
        serde_json::from_str(SHIPPED).context("the sample month")
    }

    /// Its days, when today is the last of them.
    pub(super) fn calendar(&self, now: i64) -> Result<Calendar> {
        let zone = TimeZone::get(&self.zone).with_context(|| format!("there is no time zone \"{}\"", self.zone))?;
        let today = zone.to_datetime(jiff::Timestamp::from_millisecond(now)?).date();
        Ok(Calendar { first: today.checked_sub(DAYS.days())?, zone })
    }
}

impl Calendar {
    /// The moment (UTC milliseconds) of a time on a day.
    fn moment(&self, day: i64, time: Time) -> Result<i64> {
        Ok(self.zone.to_timestamp(self.day(day)?.to_datetime(time))?.as_millisecond())
    }

    fn day(&self, number: i64) -> Result<Date> {
        Ok(self.first.checked_add(number.days())?)
    }

    /// The moment at which the month begins.
    pub(super) fn begin(&self) -> Result<i64> {
        self.moment(0, Time::midnight())
    }

    /// When something is sent.
    pub(super) fn sent(&self, input: &Input) -> Result<i64> {
        ensure!((0..DAYS).contains(&input.day), "day {} is not before today, so whether it was depends on the hour", input.day);
        self.moment(input.day, time(&input.at)?)
    }

    /// What is sent, with its times filled in, as the sender writes it.
    pub(super) fn resource(&self, input: &Input) -> Result<Value> {
        let mut resource = input.resource.clone();
        self.fill(&mut resource, input)?;
        Ok(resource)
    }

    fn fill(&self, value: &mut Value, input: &Input) -> Result<()> {
        match value {
            Value::String(text) if text.starts_with('@') => {
                *text = self.written(&text[1..], input)?;
                let sound = Moment::parse(text).is_some();
                sound.then_some(()).ok_or_else(|| anyhow!("\"{text}\" is no time"))
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.fill(item, input)),
            Value::Object(members) => members.values_mut().try_for_each(|member| self.fill(member, input)),
            _ => Ok(()),
        }
    }

    fn written(&self, word: &str, input: &Input) -> Result<String> {
        let parts: Vec<&str> = word.split(' ').collect();
        let at = match parts.as_slice() {
            ["now"] => self.sent(input)?,
            ["day", day] => return Ok(self.day(day.parse()?)?.to_string()),
            ["day", day, at] => self.moment(day.parse()?, time(at)?)?,
            _ => anyhow::bail!("\"@{word}\" is not understood"),
        };
        let zoned = jiff::Timestamp::from_millisecond(at)?.to_zoned(self.zone.clone());
        Ok(zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
    }

    /// Which day of the month a moment lies on, and how its date and time are written.
    pub(super) fn told(&self, at: i64) -> (i64, String) {
        let Ok(stamp) = jiff::Timestamp::from_millisecond(at) else { return (0, String::new()) };
        let local = self.zone.to_datetime(stamp);
        let day = local.date().since(self.first).map_or(0, |span| i64::from(span.get_days()));
        (day, local.strftime("%a %d %b %H:%M").to_string())
    }
}

fn time(text: &str) -> Result<Time> {
    let (hour, minute) = text.split_once(':').with_context(|| format!("\"{text}\" is no time of day"))?;
    Ok(Time::new(hour.parse()?, minute.parse()?, 0, 0)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(now: &str) -> (Month, Calendar) {
        let month = Month::shipped().unwrap();
        let calendar = month.calendar(now.parse::<jiff::Timestamp>().unwrap().as_millisecond()).unwrap();
        (month, calendar)
    }

    #[test]
    fn the_month_is_told_in_order_and_ends_yesterday() {
        let (month, calendar) = of("2026-11-22T03:00:00Z");
        assert_eq!(calendar.first.to_string(), "2026-10-21");
        let sent: Vec<i64> = month.inputs.iter().map(|input| calendar.sent(input).unwrap()).collect();
        assert!(sent.is_sorted());
    }

    #[test]
    fn times_are_written_as_a_sender_in_that_zone_writes_them() {
        let (_, calendar) = of("2026-11-22T12:00:00Z");
        let input = Input {
            day: 10,
            at: String::from("09:30"),
            from: String::new(),
            says: String::new(),
            criteria: None,
            resource: json!({"a": ["@now", "@day 9"], "b": "@day 9 22:40", "c": "now"}),
        };
        let filled = calendar.resource(&input).unwrap();
        assert_eq!(
            filled,
            json!({"a": ["2026-11-01T09:30:00-05:00", "2026-10-31"], "b": "2026-10-31T22:40:00-04:00", "c": "now"})
        );
    }
}
