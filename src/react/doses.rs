//! At which times of day somebody takes what was ordered, as far as the order says so in words that can be counted.
//! Follows <https://hl7.org/fhir/R4/datatypes.html#Timing>.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::gates::therapy;
use super::json::{each, local, number, text};
use super::{Story, zones};
use crate::fhir::time::Moment;

const DAY_MS: i64 = 86_400_000;

/// Times that stand for so many doses a day, where the order names none: between eight and nine in the evening.
const EVENLY: &[&[i8]] = &[&[9], &[9, 20], &[8, 14, 20], &[8, 12, 16, 20]];

/// What a wish to be reminded, or an order, is about: `MedicationRequest/id`.
pub(crate) fn orders(resource: &Value) -> Vec<String> {
    let about = each(resource, "about").iter().filter_map(|about| text(about, "reference")).filter_map(local);
    about.filter(|order| order.starts_with("MedicationRequest/")).collect()
}

/// The moments of the doses in the day that begins then.
pub(crate) fn of_next_day(story: &Story, resource: &Value, from: i64, zone: &TimeZone) -> Vec<i64> {
    let Ok(start) = Timestamp::from_millisecond(from) else { return Vec::new() };
    let today = zone.to_datetime(start).date();
    let mut moments = Vec::new();
    for day in [Some(today), today.tomorrow().ok()].into_iter().flatten() {
        for time in of_day(story, resource, day) {
            let at = zone.to_timestamp(day.to_datetime(time)).map(Timestamp::as_millisecond);
            moments.extend(at.ok().filter(|at| (from..from + DAY_MS).contains(at)));
        }
    }
    moments.sort_unstable();
    moments.dedup();
    moments
}

/// The times of the doses of a day: of the orders that a resource is about, or of the order that it is.
pub(crate) fn of_day(story: &Story, resource: &Value, day: Date) -> Vec<Time> {
    let own = (text(resource, "resourceType") == Some("MedicationRequest")).then_some(resource);
    let named = orders(resource);
    let named =
        named.iter().filter_map(|order| story.find(order)).filter(|order| !order.deleted).map(|order| order.value.as_ref());
    let going = named.chain(own).filter(|order| text(order, "status") == Some("active") && !therapy::has_ended(order));
    let mut times: Vec<Time> =
        going.flat_map(|order| each(order, "dosageInstruction")).flat_map(|dosage| of_dosage(dosage, day)).collect();
    times.sort();
    times.dedup();
    times
}

/// Today, where the store is.
pub(crate) fn today(story: &Story) -> Date {
    zones::date(zones::day(story.now, &super::supply::store(story, &Value::Null).zone))
}

fn of_dosage(dosage: &Value, day: Date) -> Vec<Time> {
    // What is taken as needed is not reminded of.
    if dosage.get("asNeededBoolean").and_then(Value::as_bool) == Some(true) || dosage.get("asNeededCodeableConcept").is_some() {
        return Vec::new();
    }
    let Some(repeat) = dosage.get("timing").and_then(|timing| timing.get("repeat")) else { return Vec::new() };
    let edge = |name| repeat.get("boundsPeriod").and_then(|bounds| text(bounds, name)).and_then(Moment::parse);
    let is_over = edge("end").is_some_and(|end| end.day() < day) || edge("start").is_some_and(|start| start.day() > day);
    let weekday =
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].get(usize::from(day.weekday().to_monday_zero_offset().unsigned_abs()));
    let days = each(repeat, "dayOfWeek");
    let is_day = days.is_empty() || days.iter().any(|one| one.as_str() == weekday.copied());
    if is_over || !is_day {
        return Vec::new();
    }
    let stated: Vec<Time> = each(repeat, "timeOfDay").iter().filter_map(|time| time.as_str()?.parse().ok()).collect();
    if !stated.is_empty() {
        return stated;
    }
    let when: Vec<Time> = each(repeat, "when").iter().filter_map(Value::as_str).flat_map(of_when).copied().map(hour).collect();
    if !when.is_empty() {
        return when;
    }
    let is_daily = repeat.get("period").and_then(number) == Some(1.0) && text(repeat, "periodUnit") == Some("d");
    let count = repeat.get("frequency").map_or(Some(1), Value::as_u64).and_then(|count| usize::try_from(count).ok());
    let evenly = count.filter(|_| is_daily).and_then(|count| EVENLY.get(count.checked_sub(1)?));
    evenly.copied().unwrap_or_default().iter().copied().map(hour).collect()
}

fn hour(hour: i8) -> Time {
    Time::new(hour, 0, 0, 0).unwrap_or(Time::midnight())
}

/// The hours that stand for an event of the day.
fn of_when(code: &str) -> &'static [i8] {
    match code {
        "MORN" | "MORN.early" | "MORN.late" | "WAKE" | "CM" | "ACM" | "PCM" => &[8],
        "NOON" | "CD" | "ACD" | "PCD" => &[12],
        "AFT" | "AFT.early" | "AFT.late" => &[15],
        "EVE" | "EVE.early" | "EVE.late" | "CV" | "ACV" | "PCV" => &[18],
        "NIGHT" | "HS" => &[20],
        "C" | "AC" | "PC" => &[8, 12, 18],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use serde_json::json;

    use super::*;

    fn times(repeat: &Value) -> Vec<String> {
        // 1 June 2026 is a Monday.
        let found = of_dosage(&json!({"timing": {"repeat": repeat}}), date(2026, 6, 1));
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
    fn what_is_taken_as_needed_is_not_reminded_of() {
        let daily = json!({"repeat": {"period": 1, "periodUnit": "d"}});
        assert_eq!(of_dosage(&json!({"timing": daily, "asNeededBoolean": true}), date(2026, 6, 1)), []);
        assert_eq!(of_dosage(&json!({"timing": daily}), date(2026, 6, 1)).len(), 1);
    }
}
