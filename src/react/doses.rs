//! At which times of day somebody takes what was ordered, as far as the order says so in words that can be counted.
//! Follows <https://hl7.org/fhir/R4/datatypes.html#Timing>.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::gates::therapy;
use super::json::{coded, each, local, number, text};
use super::{Rules, Story, person, supply, timing, zones};
use crate::fhir::time::Moment;

/// Days whose doses are planned at once, at most.
const DAYS_MAX: i64 = 8;

/// Times that stand for so many doses a day, where the order names none: between eight and nine in the evening.
const EVENLY: &[&[i8]] = &[&[9], &[9, 20], &[8, 14, 20], &[8, 12, 16, 20]];

/// Members of a timing by which it goes on for an unknown time, or no two days need be alike.
const UNCOUNTED: &[&str] = &["count", "countMax", "boundsDuration", "boundsRange", "periodMax", "frequencyMax"];

/// Codes of a timing that mean every day.
const DAILY: &[&str] = &["QD", "BID", "TID", "QID", "AM", "PM", "BED"];

/// What a wish to be reminded, or an order, is about: `MedicationRequest/id`.
pub(crate) fn orders(resource: &Value) -> Vec<String> {
    let about = each(resource, "about").iter().filter_map(|about| text(about, "reference")).filter_map(local);
    about.filter(|order| order.starts_with("MedicationRequest/")).collect()
}

/// The moments of the doses from one moment to another, with what clocks show then where the person is. A day is longer or shorter
/// where the clocks are changed.
pub(crate) fn between(story: &Story, resource: &Value, (from, to): (i64, i64), zone: &TimeZone) -> Vec<(i64, DateTime)> {
    let (first, last) = (zones::day(from, zone), zones::day(to, zone));
    let days = (first..=last.min(first + DAYS_MAX)).map(zones::date);
    let of = |day: Date| of_day(story, resource, day, zone).into_iter().filter_map(move |time| shown(day, time, zone));
    let mut moments: Vec<(i64, DateTime)> = days.flat_map(of).filter(|(at, _)| (from..to).contains(at)).collect();
    moments.sort_unstable();
    moments.dedup();
    moments
}

/// When a day's clock shows this time, and what it shows then: an hour that is left out in spring is the next one.
fn shown(day: Date, time: Time, zone: &TimeZone) -> Option<(i64, DateTime)> {
    let at = zone.to_timestamp(day.to_datetime(time)).ok()?;
    Some((at.as_millisecond(), zone.to_datetime(at)))
}

/// When the dose is taken that an episode names.
pub(crate) fn moment(story: &Story, rules: &Rules, episode: &str) -> Option<i64> {
    let zoned = zone(story, rules).to_zoned(named(episode)?).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

/// The time that an episode names.
fn named(episode: &str) -> Option<DateTime> {
    episode.split('|').next().filter(|named| named.contains('T'))?.parse().ok()
}

/// Whether a dose is still taken at the time that its episode names: the order may have been stopped, or moved to other hours. An
/// episode that names no time is about no single dose.
pub(crate) fn is_still_taken(story: &Story, rules: &Rules, resource: &Value, episode: &str) -> bool {
    let Some(named) = named(episode) else { return true };
    let zone = zone(story, rules);
    let minute = |local: DateTime| (local.date(), local.hour(), local.minute());
    let times = of_day(story, resource, named.date(), &zone);
    times.into_iter().filter_map(|time| shown(named.date(), time, &zone)).any(|(_, local)| minute(local) == minute(named))
}

/// The times of the doses of a day: of the orders that a resource is about, or of the order that it is. A wish has a time of its own, or
/// says that it is none.
pub(crate) fn of_day(story: &Story, resource: &Value, day: Date, zone: &TimeZone) -> Vec<Time> {
    let own = (text(resource, "resourceType") == Some("MedicationRequest")).then_some(resource);
    let named = orders(resource);
    let named =
        named.iter().filter_map(|order| story.find(order)).filter(|order| !order.deleted).map(|order| order.value.as_ref());
    let is_forbidden = |order: &Value| order.get("doNotPerform").and_then(Value::as_bool) == Some(true);
    let going = named.chain(own).filter(|order| text(order, "status") == Some("active") && !therapy::has_ended(order));
    let going = going.filter(|order| !is_forbidden(order) && !is_forbidden(resource));
    // What a modifier extension changes is not understood: no dose can be told by it.
    let is_plain = |value: &&Value| value.get("modifierExtension").is_none();
    let dosages = going.filter(is_plain).flat_map(|order| each(order, "dosageInstruction")).filter(is_plain);
    let mut times: Vec<Time> = dosages.flat_map(|dosage| of_dosage(dosage, day, zone)).collect();
    times.retain(|time| is_within(resource.get("occurrencePeriod"), (day, *time), zone));
    times.sort();
    times.dedup();
    times
}

/// Today, where the one lives who is reminded.
pub(crate) fn today(story: &Story, rules: &Rules) -> Date {
    zones::date(zones::day(story.now, &zone(story, rules)))
}

/// Where the one lives who is reminded.
pub(crate) fn zone(story: &Story, rules: &Rules) -> TimeZone {
    let usual = supply::store(story, &Value::Null).zone;
    let recipient = person::recipient(story);
    recipient.and_then(|recipient| recipient.zones(rules, &usual, story.now).into_iter().next()).unwrap_or(usual)
}

/// Whether what a day's clock shows is within a Period; one without an edge goes on. A day, a month or a year is whole.
fn is_within(period: Option<&Value>, (day, time): (Date, Time), zone: &TimeZone) -> bool {
    let Some((at, _)) = period.and_then(|_| shown(day, time, zone)) else { return true };
    let edge = |name| period.and_then(|period| text(period, name)).and_then(Moment::parse).map(|edge| edge.span(zone));
    edge("start").is_none_or(|start| start.low <= at) && edge("end").is_none_or(|end| at < end.high)
}

fn of_dosage(dosage: &Value, day: Date, zone: &TimeZone) -> Vec<Time> {
    // What is taken as needed is not reminded of.
    if dosage.get("asNeededBoolean").and_then(Value::as_bool) == Some(true) || dosage.get("asNeededCodeableConcept").is_some() {
        return Vec::new();
    }
    let Some(timing) = dosage.get("timing") else { return Vec::new() };
    let Some(repeat) = timing.get("repeat").filter(|repeat| is_countable(timing, repeat)) else { return Vec::new() };
    let weekday =
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].get(usize::from(day.weekday().to_monday_zero_offset().unsigned_abs()));
    let days = timing::named_days(repeat);
    let is_day = days.is_empty() || weekday.is_some_and(|weekday| days.contains(weekday));
    if !is_day {
        return Vec::new();
    }
    let mut times = of_repeat(repeat, days.len());
    times.retain(|time| is_within(repeat.get("boundsPeriod"), (day, *time), zone));
    times
}

/// The times of the doses of a day on which there are any; so many days are named.
fn of_repeat(repeat: &Value, days: usize) -> Vec<Time> {
    let stated: Vec<Time> = each(repeat, "timeOfDay").iter().filter_map(|time| time.as_str()?.parse().ok()).collect();
    let when = || each(repeat, "when").iter().filter_map(Value::as_str).flat_map(timing::hours).copied().map(hour).collect();
    let named: Vec<Time> = if stated.is_empty() { when() } else { stated };
    let a_day = a_day(repeat, days);
    if !named.is_empty() {
        // Who says twice a day and names three times contradicts themselves: one dose too many may be said.
        return if repeat.get("frequency").is_none() || a_day == Some(named.len()) { named } else { Vec::new() };
    }
    let evenly = a_day.filter(|_| repeat.get("period").is_some()).and_then(|count| EVENLY.get(count.checked_sub(1)?));
    evenly.copied().unwrap_or_default().iter().copied().map(hour).collect()
}

/// Whether the days of a timing can be told from it alone: it is for every day, or for named days of every week. What is taken each
/// week on a day that nobody named, so often and no more, or at least so often, would be reminded of too often.
fn is_countable(timing: &Value, repeat: &Value) -> bool {
    if UNCOUNTED.iter().any(|member| repeat.get(member).is_some()) {
        return false;
    }
    match (repeat.get("period"), text(repeat, "periodUnit")) {
        (None, None) => timing.get("code").is_none_or(|code| DAILY.iter().any(|daily| coded(Some(code), daily))),
        (Some(period), Some("d")) => number(period) == Some(1.0),
        (Some(period), Some("wk")) => number(period) == Some(1.0) && !each(repeat, "dayOfWeek").is_empty(),
        _ => false,
    }
}

/// How many doses a day it comes to; of so many a week, where the named days share them evenly.
fn a_day(repeat: &Value, days: usize) -> Option<usize> {
    let Some(stated) = repeat.get("frequency") else { return Some(1) };
    let count = stated.as_u64().and_then(|count| usize::try_from(count).ok())?;
    if text(repeat, "periodUnit") == Some("wk") { (count % days.max(1) == 0).then(|| count / days.max(1)) } else { Some(count) }
}

fn hour(hour: i8) -> Time {
    Time::new(hour, 0, 0, 0).unwrap_or(Time::midnight())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use jiff::civil::date;
    use serde_json::json;

    use super::*;
    use crate::ledger::Person;
    use crate::react::Store;

    fn story(zone: &TimeZone) -> Story {
        Story::bare(&Arc::from("t"), Person(1), 0, Store::unknown(zone))
    }

    #[test]
    fn no_dose_is_lost_or_said_twice_where_the_clocks_are_changed() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let at = |local: &str| zone.to_timestamp(local.parse::<DateTime>().unwrap()).unwrap().as_millisecond();
        let order = json!({"resourceType": "MedicationRequest", "status": "active",
            "dosageInstruction": [{"timing": {"repeat": {"timeOfDay": ["02:30:00"]}}}]});
        let told = |from: &str, to: &str| {
            let found = between(&story(&zone), &order, (at(from), at(to)), &zone);
            found.into_iter().map(|(at, local)| (Timestamp::from_millisecond(at).unwrap().to_string(), local.to_string()))
        };
        // Twenty-five hours, from three to three.
        let autumn: Vec<_> = told("2026-10-31T03:00:00", "2026-11-01T03:00:00").collect();
        assert_eq!(autumn, [(String::from("2026-11-01T07:30:00Z"), String::from("2026-11-01T02:30:00"))]);
        // Half past two is left out in spring.
        let spring: Vec<_> = told("2026-03-07T03:00:00", "2026-03-08T12:00:00").collect();
        assert_eq!(spring, [(String::from("2026-03-08T07:30:00Z"), String::from("2026-03-08T03:30:00"))]);
        let is_still = |episode: &str| is_still_taken(&story(&zone), &Rules::default(), &order, episode);
        assert!(is_still("2026-03-08T03:30|CommunicationRequest/w") && is_still("2026-06-01T02:30|CommunicationRequest/w"));
        assert!(!is_still("2026-06-01T03:30|CommunicationRequest/w"));
        assert!(is_still("2026-06-01|Patient/p") && is_still("day|once"), "they name no dose");
    }

    fn times(repeat: &Value) -> Vec<String> {
        // 1 June 2026 is a Monday.
        let found = of_dosage(&json!({"timing": {"repeat": repeat}}), date(2026, 6, 1), &TimeZone::UTC);
        found.iter().map(|time| time.strftime("%H:%M").to_string()).collect()
    }

    #[test]
    fn times_are_those_stated_else_those_of_the_days_events_else_evenly_spread() {
        for (repeat, expected) in [
            (
                json!({"timeOfDay": ["07:30:00", "19:30:00"], "frequency": 2, "period": 1, "periodUnit": "d"}),
                &["07:30", "19:30"][..],
            ),
            (json!({"when": ["MORN", "CV"]}), &["08:00", "18:00"]),
            (json!({"frequency": 2, "period": 1, "periodUnit": "d"}), &["09:00", "20:00"]),
            (json!({"frequency": 3, "period": 1, "periodUnit": "d"}), &["08:00", "14:00", "20:00"]),
            (json!({"period": 1, "periodUnit": "d", "dayOfWeek": ["mon"]}), &["09:00"]),
            (json!({"period": 1, "periodUnit": "d", "dayOfWeek": ["tue"]}), &[]),
            (json!({"period": 1, "periodUnit": "d", "boundsPeriod": {"end": "2026-05-31"}}), &[]),
            (json!({"period": 8, "periodUnit": "h"}), &[]),
            (json!({"frequency": 7, "period": 1, "periodUnit": "d"}), &[]),
        ] {
            assert_eq!(times(&repeat), expected, "{repeat}");
        }
    }

    #[test]
    fn what_is_taken_each_week_is_never_reminded_of_each_day() {
        let weekly = |mut repeat: Value| {
            (repeat["period"], repeat["periodUnit"]) = (json!(1), json!("wk"));
            times(&repeat)
        };
        for (repeat, expected) in [
            (json!({"frequency": 1, "timeOfDay": ["08:00:00"]}), &[][..]),
            (json!({"frequency": 1, "when": ["MORN"]}), &[]),
            (json!({"frequency": 1, "timeOfDay": ["08:00:00"], "dayOfWeek": ["mon"]}), &["08:00"]),
            (json!({"frequency": 1, "timeOfDay": ["08:00:00"], "dayOfWeek": ["tue"]}), &[]),
            (json!({"timeOfDay": ["08:00:00"], "dayOfWeek": ["mon", "thu"]}), &["08:00"]),
            // Once a week, on one of two days.
            (json!({"frequency": 1, "timeOfDay": ["08:00:00"], "dayOfWeek": ["mon", "thu"]}), &[]),
            (json!({"frequency": 2, "dayOfWeek": ["mon", "thu"]}), &["09:00"]),
            (json!({"frequency": 1, "dayOfWeek": ["mon", "mon"]}), &["09:00"]),
        ] {
            assert_eq!(weekly(repeat.clone()), expected, "{repeat}");
        }
    }

    #[test]
    fn what_cannot_be_counted_is_not_reminded_of() {
        for (member, value) in [
            ("period", json!(2)),
            ("period", json!(0.5)),
            ("periodUnit", json!("h")),
            ("periodUnit", json!("mo")),
            ("count", json!(10)),
            ("boundsDuration", json!({"value": 7, "code": "d"})),
            ("boundsRange", json!({"low": {"value": 7}})),
            ("periodMax", json!(2)),
            ("frequencyMax", json!(2)),
            ("frequency", json!(2)),
        ] {
            let mut repeat = json!({"frequency": 1, "period": 1, "periodUnit": "d", "timeOfDay": ["08:00:00"]});
            assert_eq!(times(&repeat), ["08:00"]);
            repeat[member] = value;
            assert_eq!(times(&repeat), [""; 0], "{repeat}");
        }
        let of = |code: &str| {
            let code = json!({"coding": [{"code": code}]});
            of_dosage(&json!({"timing": {"code": code, "repeat": {"timeOfDay": ["08:00:00"]}}}), date(2026, 6, 1), &TimeZone::UTC)
                .len()
        };
        assert_eq!((of("QD"), of("QOD")), (1, 0));
    }

    // The edges of a period are moments where they say so, and whole days, months and years where they do not: those of the order, and of
    // the wish.
    #[test]
    fn a_dose_is_within_the_period_of_its_order_and_of_the_wish() {
        let zone = TimeZone::get("America/New_York").unwrap();
        for (period, expected) in [
            (json!({"end": "2026-06-02T03:59:59Z"}), [2, 0]),
            (json!({"end": "2026-06-01T16:00:00Z"}), [1, 0]),
            (json!({"end": "2026-06-01"}), [2, 0]),
            (json!({"end": "2026-06"}), [2, 2]),
            (json!({"end": "2026"}), [2, 2]),
            (json!({"end": "2026-05"}), [0, 0]),
            (json!({"start": "2026-06-01T16:00:00Z"}), [1, 2]),
            (json!({"start": "2026-06-02"}), [0, 2]),
            (json!({"start": "2026-07"}), [0, 0]),
            (json!({}), [2, 2]),
        ] {
            let order = |bounds: Value| {
                let repeat = json!({"timeOfDay": ["09:00:00", "21:00:00"], "boundsPeriod": bounds});
                json!({"resourceType": "MedicationRequest", "id": "o", "status": "active", "dosageInstruction": [{"timing": {"repeat": repeat}}]})
            };
            let days = [date(2026, 6, 1), date(2026, 6, 2)];
            let of_order = days.map(|day| of_day(&story(&zone), &order(period.clone()), day, &zone).len());
            let mut told = story(&zone);
            told.resources.push(crate::react::Resource {
                kind: String::from("MedicationRequest"),
                id: String::from("o"),
                version: 1,
                fact: 0,
                source: String::new(),
                how: crate::ledger::How::Live,
                learned: 0,
                person: Person(1),
                deleted: false,
                value: Arc::new(order(json!({}))),
            });
            let mut wish = json!({"resourceType": "CommunicationRequest", "about": [{"reference": "MedicationRequest/o"}]});
            wish["occurrencePeriod"] = period.clone();
            let of_wish = days.map(|day| of_day(&told, &wish, day, &zone).len());
            assert_eq!((of_order, of_wish), (expected, expected), "{period}");
            wish["doNotPerform"] = json!(true);
            assert_eq!(days.map(|day| of_day(&told, &wish, day, &zone).len()), [0, 0]);
            for place in ["", "/dosageInstruction/0"] {
                let mut order = order(period.clone());
                order.pointer_mut(place).unwrap()["modifierExtension"] = json!([{"url": "https://clinic.example/x"}]);
                assert_eq!(days.map(|day| of_day(&story(&zone), &order, day, &zone).len()), [0, 0], "{place}");
            }
        }
    }

    #[test]
    fn what_is_taken_as_needed_is_not_reminded_of() {
        let daily = json!({"repeat": {"period": 1, "periodUnit": "d"}});
        assert_eq!(of_dosage(&json!({"timing": daily, "asNeededBoolean": true}), date(2026, 6, 1), &TimeZone::UTC), []);
        assert_eq!(of_dosage(&json!({"timing": daily}), date(2026, 6, 1), &TimeZone::UTC).len(), 1);
    }
}
