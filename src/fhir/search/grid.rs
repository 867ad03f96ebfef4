//! Every prefix of a date search against every precision on both sides, judged by an arithmetic of its own.
//! Follows <https://hl7.org/fhir/R4/search.html#prefix>.

use serde_json::{Value as Json, json};

use super::span::{moment, period};
use super::value::dates;
use crate::fhir::time::Span;

const PREFIXES: [&str; 9] = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"];

/// What is asked for, in every precision, and in a zone.
const ASKED: [&str; 9] = [
    "2024",
    "2024-02",
    "2024-12",
    "2024-02-29",
    "2024-02-29T12:30Z",
    "2024-02-29T12:30:15Z",
    "2024-02-29T12:30:15.250Z",
    "2024-02-29T20:30:15+08:00",
    "2024-03-01T00:00:00+14:00",
];

/// What is found: before, at, within, around and after.
const FOUND: [&str; 22] = [
    "2023",
    "2024",
    "2025",
    "2024-01",
    "2024-02",
    "2024-03",
    "2024-12",
    "2024-02-28",
    "2024-02-29",
    "2024-03-01",
    "2023-12-31",
    "2025-01-01",
    "2024-02-29T12:29:59Z",
    "2024-02-29T12:30:00Z",
    "2024-02-29T12:30:15Z",
    "2024-02-29T12:30:15.250Z",
    "2024-02-29T12:30:15.251Z",
    "2024-02-29T12:30:16Z",
    "2024-02-29T12:31:00Z",
    "2024-02-29T20:30:15+08:00",
    "2024-02-28T22:15:00-14:00",
    "2024-02-29T10:00:00Z",
];

/// Days from 1970 to the first of a month, counted month by month.
fn days_until(year: i64, month: i64) -> i64 {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let years: i64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let lengths = [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    years + lengths.iter().take(usize::try_from(month - 1).unwrap()).sum::<i64>()
}

/// From when until when a written date or time lasts, in milliseconds: read by cutting the text at its fixed places.
fn lasts(text: &str) -> (i64, i64) {
    const DAY: i64 = 86_400_000;
    let number = |from: usize, to: usize| text.get(from..to).map(|part| part.parse::<i64>().unwrap());
    let (year, month, day) = (number(0, 4).unwrap(), number(5, 7), number(8, 10));
    let Some(month) = month else { return (days_until(year, 1) * DAY, days_until(year + 1, 1) * DAY) };
    let Some(day) = day else {
        let next = if month == 12 { days_until(year + 1, 1) } else { days_until(year, month + 1) };
        return (days_until(year, month) * DAY, next * DAY);
    };
    let start = (days_until(year, month) + day - 1) * DAY;
    let Some(clock) = text.get(11..) else { return (start, start + DAY) };
    let (clock, zone) = clock.split_at(clock.find(['Z', '+', '-']).unwrap());
    let offset = if zone == "Z" { 0 } else { zone[1..3].parse::<i64>().unwrap() * 60 + zone[4..6].parse::<i64>().unwrap() };
    let offset = if zone.starts_with('-') { -offset } else { offset };
    let parts: Vec<&str> = clock.split([':', '.']).collect();
    let part = |at: usize| parts.get(at).map_or(0, |part| part.parse::<i64>().unwrap());
    let at = start + ((part(0) * 60 + part(1) - offset) * 60 + part(2)) * 1_000 + part(3);
    (at, at + [60_000, 1_000, 1][parts.len() - 2])
}

/// What the standard says of a prefix, in the words of sets: the asked range, what lies above and below it, and the found range.
fn should_match(prefix: &str, asked: (i64, i64), found: (i64, i64)) -> bool {
    let contains = |outer: (i64, i64), inner: (i64, i64)| outer.0 <= inner.0 && inner.1 <= outer.1;
    let overlaps = |one: (i64, i64), other: (i64, i64)| one.0.max(other.0) < one.1.min(other.1);
    let (above, below) = ((asked.1, i64::MAX), (i64::MIN, asked.0));
    match prefix {
        "" | "eq" => contains(asked, found),
        "ne" => !contains(asked, found),
        "gt" => overlaps(above, found),
        "lt" => overlaps(below, found),
        "ge" => overlaps(above, found) || contains(asked, found),
        "le" => overlaps(below, found) || contains(asked, found),
        "sa" => !overlaps(asked, found) && contains(above, found),
        "eb" => !overlaps(asked, found) && contains(below, found),
        other => unreachable!("{other}"),
    }
}

/// All that is found, with how long it lasts: points and days as they are written, and Periods of them with open ends.
fn found() -> Vec<(Json, Span, (i64, i64))> {
    let single = FOUND.iter().map(|text| (json!(text), moment(&json!(text)).unwrap(), lasts(text)));
    let ends = FOUND.iter().map(|text| Some(*text)).chain([None]);
    let pairs = ends.clone().flat_map(|start| ends.clone().map(move |end| (start, end)));
    let periods = pairs.filter_map(|(start, end)| {
        let (low, high) = (start.map_or(i64::MIN, |start| lasts(start).0), end.map_or(i64::MAX, |end| lasts(end).1));
        let value = match (start, end) {
            (Some(start), Some(end)) if low < high => json!({"start": start, "end": end}),
            (Some(start), None) => json!({"start": start}),
            (None, Some(end)) => json!({"end": end}),
            _ => return None,
        };
        Some((value.clone(), period(&value).unwrap(), (low, high)))
    });
    single.chain(periods).collect()
}

#[test]
fn every_prefix_and_precision_means_what_the_standard_says() {
    let (all, mut cells, mut matches) = (found(), 0, 0);
    for asked in ASKED {
        for prefix in PREFIXES {
            let whens = dates(&format!("{prefix}{asked}")).ok().unwrap();
            for (value, span, range) in &all {
                let (is, should) = (whens.iter().any(|when| when.holds(*span, 0)), should_match(prefix, lasts(asked), *range));
                assert_eq!(is, should, "{prefix}{asked} and {value}");
                cells += 1;
                matches += usize::from(is);
            }
        }
    }
    // The grid is neither empty nor all of one answer.
    assert!(cells > 20_000 && matches > cells / 5 && matches < cells * 4 / 5, "{matches} of {cells}");
}
