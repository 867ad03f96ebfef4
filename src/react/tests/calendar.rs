//! Rules that the calendar calls, as a sweep sees them: what is timely, what is skipped, what begins and what ends.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{at, patient, store};
use crate::fhir::search::query::Cursor;
use crate::ledger::{Due, Mark, Person};
use crate::react::rehearsal::{Rehearsal, Timetable};
use crate::react::{Alone, Artefact, Next, Rules, Settings, calendar, shipped, sweep, swept, swept_again};

const BIRTHDAY: &str = "https://signa.example/fhir/PlanDefinition/birthday";
const SEASON: &str = "https://signa.example/fhir/PlanDefinition/vaccination";

/// The rules with one plan alone, changed, and active since then.
fn rules(plan: &str, since: &str, change: impl Fn(&mut Value)) -> Rules {
    let mut artefacts = Vec::new();
    for mut value in shipped() {
        let is_plan = value["resourceType"] == "PlanDefinition";
        if is_plan && value["url"] != plan {
            continue;
        }
        if is_plan {
            change(&mut value);
        }
        artefacts.push(Artefact { since: if is_plan && !since.is_empty() { at(since) } else { 0 }, value: value.into() });
    }
    let (rules, issues) = Rules::of(&artefacts);
    assert_eq!(issues, []);
    rules
}

fn planned(rules: &Rules, kept: &[Due], now: &str) -> Vec<Mark> {
    calendar(rules, "t", kept, (i64::MIN, at(now)), &TimeZone::UTC)
}

fn only(marks: &[Mark]) -> Due {
    match marks {
        [Mark::Due(due)] => due.clone(),
        other => panic!("{other:?}"),
    }
}

/// Period and time of a row.
fn told(due: &Due) -> (String, String) {
    (due.episode.clone(), jiff::Timestamp::from_millisecond(due.due).unwrap().to_string())
}

fn row(period: &str, time: &str) -> (String, String) {
    (period.to_owned(), time.to_owned())
}

/// What a row comes to now: its period when a page is to be looked at, else where it moved.
fn look(rules: &Rules, due: &Due, now: &str) -> Result<String, Option<(String, String)>> {
    match sweep(rules, due, at(now), &TimeZone::UTC, None) {
        Next::Look(sweep) => Ok(sweep.call.name),
        Next::Moved(Mark::Due(due)) => Err(Some(told(&due))),
        Next::Moved(_) => Err(None),
    }
}

#[test]
fn a_rule_begins_with_the_first_period_after_its_activation() {
    let plain = rules(BIRTHDAY, "", |_| {});
    assert_eq!(told(&only(&planned(&plain, &[], "2026-06-01T10:00:00Z"))), row("2026-06-02", "2026-06-02T08:00:00Z"));
    // It was activated at seven and is heard of at ten: this morning is its first.
    let sent = rules(BIRTHDAY, "2026-06-01T07:00:00Z", |_| {});
    assert_eq!(told(&only(&planned(&sent, &[], "2026-06-01T10:00:00Z"))), row("2026-06-01", "2026-06-01T08:00:00Z"));
    let later = rules(BIRTHDAY, "2026-06-01T09:00:00Z", |_| {});
    assert_eq!(told(&only(&planned(&later, &[], "2026-06-01T10:00:00Z"))), row("2026-06-02", "2026-06-02T08:00:00Z"));
}

#[test]
fn a_season_that_lasts_is_asked_for_each_week_until_it_is_over() {
    let season = rules(SEASON, "", |_| {});
    let due = only(&planned(&season, &[], "2026-11-26T10:00:00Z"));
    assert_eq!(told(&due), row("2026-10-01", "2026-12-03T08:00:00Z"));
    let next = |due: &Due, now: &str| only(&[swept(&season, due, None, at(now), &TimeZone::UTC)]);
    let again = next(&due, "2026-12-03T08:05:00Z");
    assert_eq!(told(&again), row("2026-10-01", "2026-12-10T08:00:00Z"));
    // What was missed while it lasts is asked for once, and late.
    assert_eq!(look(&season, &again, "2026-12-25T10:00:00Z"), Ok(String::from("2026-10-01")));
    assert_eq!(told(&next(&again, "2026-12-25T10:00:00Z")), row("2026-10-01", "2026-12-31T08:00:00Z"));
    assert_eq!(look(&season, &again, "2027-03-01T00:00:00Z"), Err(Some(row("2027-10-01", "2027-10-01T08:00:00Z"))));
    // The last call is younger than a step is worth doing, and yet the season is over: it does not move to itself.
    let last = next(&again, "2026-12-25T10:00:00Z");
    assert_eq!(look(&season, &last, "2026-12-31T23:59:59Z"), Ok(String::from("2026-10-01")));
    assert_eq!(look(&season, &last, "2027-01-02T10:00:00Z"), Err(Some(row("2027-10-01", "2027-10-01T08:00:00Z"))));
}

#[test]
fn a_clock_that_jumps_acts_only_for_what_is_still_timely() {
    let plain = rules(BIRTHDAY, "", |_| {});
    let due = only(&planned(&plain, &[], "2026-06-01T10:00:00Z"));
    assert_eq!(look(&plain, &due, "2026-06-02T08:00:00Z"), Ok(String::from("2026-06-02")));
    assert_eq!(look(&plain, &due, "2026-06-02T20:00:00Z"), Ok(String::from("2026-06-02")));
    // The greeting is worth twelve hours: five days later the last of them is still timely, in the evening only the next.
    assert_eq!(look(&plain, &due, "2026-06-07T09:00:00Z"), Err(Some(row("2026-06-07", "2026-06-07T08:00:00Z"))));
    assert_eq!(look(&plain, &due, "2026-06-07T23:00:00Z"), Err(Some(row("2026-06-08", "2026-06-08T08:00:00Z"))));
}

#[test]
fn a_sweep_goes_on_where_it_stood() {
    let plain = rules(BIRTHDAY, "", |_| {});
    let due = only(&planned(&plain, &[], "2026-06-01T10:00:00Z"));
    let now = at("2026-06-02T08:00:00Z");
    let cursor = Cursor { key: String::from("i:7"), number: 7 };
    let half = only(&[swept(&plain, &due, Some(cursor.clone()), now, &TimeZone::UTC)]);
    assert_eq!(told(&half), told(&due));
    let Next::Look(sweep) = sweep(&plain, &half, now, &TimeZone::UTC, None) else { panic!("{half:?}") };
    assert_eq!(sweep.query(&plain).unwrap().after, Some(cursor));
    // A restart leaves the row as it is.
    assert!(planned(&plain, std::slice::from_ref(&half), "2026-06-02T08:00:01Z").is_empty());
    let done = only(&[swept(&plain, &half, None, now, &TimeZone::UTC)]);
    assert_eq!(told(&done), row("2026-06-03", "2026-06-03T08:00:00Z"));
}

#[test]
fn a_changed_time_is_planned_anew_and_a_retired_rule_stops() {
    let plain = rules(BIRTHDAY, "", |_| {});
    let due = only(&planned(&plain, &[], "2026-06-01T10:00:00Z"));
    let noon = rules(BIRTHDAY, "2026-06-01T10:00:00Z", |plan| {
        plan["action"][0]["trigger"][0]["timingTiming"]["repeat"]["timeOfDay"] = json!(["12:00:00"]);
    });
    let moved = only(&planned(&noon, std::slice::from_ref(&due), "2026-06-01T11:00:00Z"));
    assert_eq!((told(&moved), &moved.output), (row("2026-06-01", "2026-06-01T12:00:00Z"), &due.output));
    let retired = rules(BIRTHDAY, "", |plan| plan["status"] = json!("retired"));
    let marks = planned(&retired, std::slice::from_ref(&due), "2026-06-01T11:00:00Z");
    assert!(matches!(marks.as_slice(), [Mark::DueGone { person: Person::NOBODY, output }] if *output == due.output), "{marks:?}");
    assert_eq!(look(&retired, &due, "2026-06-02T08:00:00Z"), Err(None));
}

#[test]
fn what_comes_once_comes_once() {
    let once =
        rules(BIRTHDAY, "", |plan| plan["action"][0]["trigger"][0] = json!({"type": "periodic", "timingDate": "2026-06-05"}));
    let due = only(&planned(&once, &[], "2026-06-01T10:00:00Z"));
    assert_eq!(told(&due), row("2026-06-05", "2026-06-05T08:00:00Z"));
    assert!(matches!(swept(&once, &due, None, at("2026-06-05T08:00:00Z"), &TimeZone::UTC), Mark::DueGone { .. }));
    assert!(planned(&once, &[], "2026-06-06T10:00:00Z").is_empty());
}

// One story tells of everybody on a page in turn: nothing of the one before stands in it, nor of what a resource was before.
#[test]
fn whom_a_call_may_be_about_is_asked_of_each_alone() {
    let plain = rules(BIRTHDAY, "", |_| {});
    let due = only(&planned(&plain, &[], "2026-05-31T10:00:00Z"));
    let Next::Look(sweep) = sweep(&plain, &due, at("2026-06-01T08:00:00Z"), &TimeZone::UTC, None) else { panic!("{due:?}") };
    let mut alone = Alone::new(&"t".into(), &TimeZone::UTC);
    let mut house = Rehearsal::new(&plain, Settings::default(), store(), due.due);
    for (id, born, is_called) in [
        ("a", "1970-06-01", true),
        ("b", "1970-06-02", false),
        ("a", "1970-06-01", true),
        ("a", "2020-06-01", false),
        ("c", "1900-06-01", true),
        ("c", "1899-06-01", true),
        ("b", "1970-05-31", false),
    ] {
        house.hear(json!({"resourceType": "Patient", "id": id, "birthDate": born}));
        let told = house.resource(&format!("Patient/{id}")).unwrap();
        assert_eq!(sweep.may_call(&plain, told, &mut alone), is_called, "{id} {born}");
    }
}

#[test]
fn a_sweep_that_failed_comes_back_and_its_call_is_as_it_was() {
    let plain = rules(BIRTHDAY, "", |_| {});
    let first = only(&planned(&plain, &[], "2026-06-01T10:00:00Z"));
    let called = |due: &Due, now: &str| match sweep(&plain, due, at(now), &TimeZone::UTC, None) {
        Next::Look(sweep) => sweep.call.at,
        Next::Moved(mark) => panic!("{mark:?}"),
    };
    let mut due = first.clone();
    for (now, later) in [
        ("2026-06-02T08:00:00Z", "2026-06-02T08:01:00Z"),
        ("2026-06-02T08:10:00Z", "2026-06-02T08:20:00Z"),
        ("2026-06-02T12:00:00Z", "2026-06-02T13:00:00Z"),
    ] {
        due = only(&[swept_again(&due, at(now))]);
        assert_eq!((told(&due), called(&due, later)), (row("2026-06-02", later), first.due));
    }
    // Its next call is the one that it would have been, at its own time.
    let next = only(&[swept(&plain, &due, None, at("2026-06-02T13:00:00Z"), &TimeZone::UTC)]);
    assert_eq!(next, only(&[swept(&plain, &first, None, first.due, &TimeZone::UTC)]));
    assert_eq!(look(&plain, &due, "2026-06-09T08:00:00Z"), Err(Some(row("2026-06-09", "2026-06-09T08:00:00Z"))));
}

// Of an imported life of decades nobody asks what each of its birthdays would have brought.
#[test]
fn the_calendar_of_a_rehearsal_calls_from_a_time_on() {
    let plain = rules(BIRTHDAY, "", |_| {});
    let years = |calls_from: i64| {
        let mut house = Rehearsal::new(&plain, Settings::default(), store(), at("2020-01-01T15:00:00Z")).called_from(calls_from);
        house.hear(patient());
        house.advance(at("2024-01-02T15:00:00Z"));
        assert_eq!(house.faults, 0);
        let days = house.journal.iter().map(|decision| decision.episode[..4].to_owned());
        days.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(years(i64::MIN), ["2021", "2022", "2023", "2024"]);
    assert_eq!(years(at("2022-06-01T00:00:00Z")), ["2023", "2024"]);
}

// What one person's rehearsal found out about the calendar serves the next, whenever they begin and whatever rules take over.
#[test]
fn who_share_a_timetable_are_called_as_each_alone() {
    let (season, birthday) = (rules(SEASON, "", |_| {}), rules(BIRTHDAY, "", |_| {}));
    let at_ten = rules(BIRTHDAY, "", |plan| {
        plan["action"][0]["trigger"][0]["timingTiming"]["repeat"]["timeOfDay"] = json!(["10:00:00"]);
    });
    let table = Timetable::default();
    let told = |from: &str, table: Option<&Timetable>| {
        let later = vec![(at("2022-06-01T00:00:00Z"), &birthday), (at("2022-08-01T12:00:00Z"), &at_ten)];
        let house = Rehearsal::new(&season, Settings::default(), store(), at(from)).of(&"t".into(), later);
        let mut house = match table {
            Some(table) => house.sharing(table),
            None => house,
        };
        house.hear(patient());
        house.advance(at("2024-01-02T15:00:00Z"));
        assert_eq!(house.faults, 0);
        format!("{:?}", house.journal)
    };
    let alone = ["2020-01-01T15:00:00Z", "2021-11-05T03:00:00Z", "2020-02-01T15:00:00Z"].map(|from| (from, told(from, None)));
    assert!(alone.iter().all(|(_, journal)| journal.contains("birthday")), "{alone:?}");
    for (from, journal) in &alone {
        assert_eq!(told(from, Some(&table)), *journal);
    }
}

// Who becomes known after a call was not called then: a trial says so too.
#[test]
fn who_becomes_known_later_was_not_called_before() {
    let since = rules(BIRTHDAY, "2025-12-01T00:00:00Z", |_| {});
    let came_from = rules(BIRTHDAY, "", |_| {});
    for (rules, begin, days) in [
        (&since, "2026-01-01T15:00:00Z", 0),
        (&came_from, "2026-01-01T15:00:00Z", 0),
        (&since, "2025-12-31T15:00:00Z", 1),
        (&came_from, "2025-12-31T15:00:00Z", 1),
    ] {
        let mut house = Rehearsal::new(rules, Settings::default(), store(), at(begin));
        house.hear(patient());
        house.advance(at("2026-01-02T15:00:00Z"));
        assert_eq!(house.journal.len(), days, "{begin}: {:?}", house.journal);
    }
}
