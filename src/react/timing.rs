//! What a Timing says of days and their hours, alike for who counts a supply and for who is reminded of doses.
//! Follows <https://hl7.org/fhir/R4/datatypes.html#Timing>.

use std::collections::BTreeSet;

use serde_json::Value;

use super::json::each;

/// The days of the week that are named, each once.
pub(crate) fn named_days(repeat: &Value) -> BTreeSet<&str> {
    each(repeat, "dayOfWeek").iter().filter_map(Value::as_str).collect()
}

/// The hours that stand for an event of the day; each of the three meals where none of them is named.
pub(crate) fn hours(event: &str) -> &'static [i8] {
    match event {
        "MORN" | "MORN.early" | "MORN.late" | "WAKE" | "CM" | "ACM" | "PCM" => &[8],
        "NOON" | "CD" | "ACD" | "PCD" => &[12],
        "AFT" | "AFT.early" | "AFT.late" => &[15],
        "EVE" | "EVE.early" | "EVE.late" | "CV" | "ACV" | "PCV" => &[18],
        "NIGHT" | "HS" => &[20],
        "C" | "AC" | "PC" => &[8, 12, 18],
        _ => &[],
    }
}

/// How many times of the day are listed; an event whose hour is not known is one, too.
pub(crate) fn listed(repeat: &Value) -> usize {
    let events = each(repeat, "when").iter().filter_map(Value::as_str);
    each(repeat, "timeOfDay").len().max(events.map(|event| hours(event).len().max(1)).sum())
}
