//! What time it is where somebody lives, as far as an address tells, and when one may speak there.

use std::collections::HashMap;

use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use super::json::{mapped, text};

/// The ConceptMap of countries, states and their zones.
pub(crate) const ZONES: &str = "https://signa.example/fhir/ConceptMap/zones";

/// From this hour on one may speak.
pub(crate) const OPENS: i8 = 8;

/// From this hour on one may not.
pub(crate) const CLOSES: i8 = 21;

const DAY_SECONDS: i64 = 86_400;

/// How often the next open moment is looked for; where the zones have no hour in common, there is none.
const TURNS_MAX: usize = 64;

/// The zone in which a day ends last.
pub(crate) const LAST: TimeZone = TimeZone::fixed(Offset::constant(-12));

/// The table of zones.
#[derive(Debug, Default)]
pub(crate) struct Zones {
    names: HashMap<String, String>,
    countries: HashMap<String, Vec<TimeZone>>,
    states: HashMap<String, Vec<TimeZone>>,
}

impl Zones {
    /// Takes in a table; rows of the same code are added.
    pub(super) fn learn(&mut self, map: &Value) {
        for (source, code, _, target) in mapped(map) {
            let table = match source {
                "urn:iso:std:iso:3166" => &mut self.countries,
                "urn:iso:std:iso:3166:-2" => &mut self.states,
                _ => {
                    self.names.insert(code.to_uppercase(), target.to_owned());
                    continue;
                }
            };
            if let Ok(zone) = TimeZone::get(target) {
                table.entry(code.to_owned()).or_default().push(zone);
            }
        }
    }

    /// The zones an address may lie in; nothing when it names no country we know.
    pub(crate) fn of(&self, address: &Value) -> &[TimeZone] {
        let Some(country) = text(address, "country").map(|country| country.trim().to_uppercase()) else { return &[] };
        let country = self.names.get(&country).unwrap_or(&country);
        let state = text(address, "state").map(|state| state.trim().to_uppercase());
        let state = state.map(|state| match state.split_once('-') {
            Some((before, _)) if before == country => state,
            _ => format!("{country}-{state}"),
        });
        let stated = state.and_then(|state| self.states.get(&state));
        stated.or_else(|| self.countries.get(country)).map_or(&[], Vec::as_slice)
    }
}

/// The first moment from `at` on at which it is between 8 and 21 in all these zones; `None` where there is none.
pub(crate) fn open(at: i64, zones: &[TimeZone]) -> Option<i64> {
    if zones.is_empty() {
        return None;
    }
    let mut moment = at;
    for _ in 0..TURNS_MAX {
        let mut later = moment;
        for zone in zones {
            later = later.max(opening(later, zone)?);
        }
        if later == moment {
            return Some(moment);
        }
        moment = later;
    }
    None
}

fn opening(at: i64, zone: &TimeZone) -> Option<i64> {
    let local = zone.to_datetime(Timestamp::from_millisecond(at).ok()?);
    if (OPENS..CLOSES).contains(&local.hour()) {
        return Some(at);
    }
    let day = if local.hour() < OPENS { local.date() } else { local.date().tomorrow().ok()? };
    morning(day, zone)
}

/// Eight in the morning of a day.
pub(crate) fn morning(day: Date, zone: &TimeZone) -> Option<i64> {
    Some(zone.to_timestamp(day.at(OPENS, 0, 0, 0)).ok()?.as_millisecond())
}

/// The day, in days since 1970, that a moment falls on in this zone.
#[must_use]
pub fn day(at: i64, zone: &TimeZone) -> i64 {
    Timestamp::from_millisecond(at).map_or(0, |stamp| number(zone.to_datetime(stamp).date()))
}

/// A day as its number since 1970.
pub(crate) fn number(day: Date) -> i64 {
    if let Ok(midnight) = Offset::UTC.to_timestamp(day.to_datetime(Time::midnight())) {
        return midnight.as_second().div_euclid(DAY_SECONDS);
    }
    let since = day.since(jiff::civil::date(1970, 1, 1)).map_or(0, |span| span.get_days());
    i64::from(since)
}

/// The day of this number since 1970.
pub(crate) fn date(number: i64) -> Date {
    if let Ok(midnight) = Timestamp::from_second(number.saturating_mul(DAY_SECONDS)) {
        return Offset::UTC.to_datetime(midnight).date();
    }
    jiff::civil::date(1970, 1, 1).checked_add(number.days()).unwrap_or(Date::ZERO)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn zones() -> Zones {
        let mut zones = Zones::default();
        for map in super::super::shipped().iter().filter(|value| text(value, "url") == Some(ZONES)) {
            zones.learn(map);
        }
        zones
    }

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn an_address_tells_its_zones_by_state_then_by_country() {
        let zones = zones();
        for (address, count) in [
            (json!({"country": "US", "state": "MA"}), 1),
            (json!({"country": "USA", "state": "Massachusetts"}), 1),
            (json!({"country": "US", "state": "US-TX"}), 2),
            (json!({"country": "US", "state": "??"}), 8),
            (json!({"country": "中国"}), 1),
            (json!({"country": "nowhere"}), 0),
            (json!({"state": "MA"}), 0),
        ] {
            assert_eq!(zones.of(&address).len(), count, "{address}");
        }
    }

    #[test]
    fn one_speaks_between_eight_and_nine_in_the_evening_of_every_zone() {
        let new_york = TimeZone::get("America/New_York").unwrap();
        let honolulu = TimeZone::get("Pacific/Honolulu").unwrap();
        for (now, zones, expected) in [
            ("2026-01-10T13:00:00Z", vec![new_york.clone()], Some("2026-01-10T13:00:00Z")),
            ("2026-01-10T12:59:59Z", vec![new_york.clone()], Some("2026-01-10T13:00:00Z")),
            ("2026-01-11T02:00:00Z", vec![new_york.clone()], Some("2026-01-11T13:00:00Z")),
            ("2026-01-10T13:00:00Z", vec![new_york, honolulu], Some("2026-01-10T18:00:00Z")),
            ("2026-01-10T13:00:00Z", vec![], None),
        ] {
            assert_eq!(open(at(now), &zones), expected.map(at), "{now}");
        }
    }

    #[test]
    fn zones_with_no_hour_in_common_never_open() {
        let far = [TimeZone::get("Pacific/Kiritimati").unwrap(), TimeZone::get("Pacific/Honolulu").unwrap()];
        // 14 and −10: the same clock, a day apart, so they do share their hours.
        assert!(open(at("2026-01-10T00:00:00Z"), &far).is_some());
        let opposite = [TimeZone::get("Asia/Tokyo").unwrap(), TimeZone::get("America/Sao_Paulo").unwrap()];
        assert!(open(at("2026-01-10T15:00:00Z"), &opposite).is_some_and(|open| open > at("2026-01-10T15:00:00Z")));
        let none = [0, 11, -11].map(|hours| TimeZone::fixed(jiff::tz::offset(hours)));
        assert_eq!(open(at("2026-01-10T15:00:00Z"), &none), None);
    }

    #[test]
    fn a_day_keeps_its_number_over_the_change_of_the_clock() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(day(at("2026-03-28T23:30:00Z"), &berlin), number(jiff::civil::date(2026, 3, 29)));
        assert_eq!(date(number(jiff::civil::date(2026, 3, 29))), jiff::civil::date(2026, 3, 29));
        assert_eq!(number(jiff::civil::date(1970, 1, 2)), 1);
    }

    #[test]
    fn every_day_of_the_calendar_has_a_number_of_its_own() {
        for (day, count) in [
            (Date::MIN, -4_371_587),
            (jiff::civil::date(1969, 12, 31), -1),
            (jiff::civil::date(2024, 2, 29), 19_782),
            (Date::MAX, 2_932_896),
        ] {
            assert_eq!((number(day), date(count)), (count, day), "{day}");
        }
        assert_eq!((date(2_932_897), date(-4_371_588)), (Date::ZERO, Date::ZERO));
    }
}
