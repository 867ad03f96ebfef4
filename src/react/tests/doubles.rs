//! Two records of one person were both asked about, and one of the Tasks was taken back as a double: when they turn out to be of two
//! persons after all, each is asked about again, once, unless it was done while they were one.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::never::{HISTORIES_MAX, RULES, rules, tell};
use super::taken_back::CALL;
use super::world::World;
use super::{at, dispense, patient, store};
use crate::ledger::{How, Line, Outcome, Person};
use crate::react::decide::because;
use crate::react::rehearsal::{Fact, Learned, Rehearsal};
use crate::react::{Resource, Rules, Settings, Unasked};

proptest! {
    // A hundred steps a case, in which the same is told of two records. A failure prints its seed.
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() })]
    #[test]
    fn what_is_taken_back_as_a_double_is_never_lost_and_never_asked_twice(seed in any::<u64>()) {
        let told = tell(World::of_doubles(&RULES, seed));
        prop_assert!(told.is_ok(), "seed {}: {}", seed, told.unwrap_err());
    }
}

// Histories in which the same was once asked twice, or never again.
#[test]
fn what_was_once_missed_is_decided_well() {
    for seed in [
        5_334_675_431_697_750_832,
        5_953_080_966_837_738_249,
        6_921_300_281_612_854_439,
        371_822_232_133_955_406,
        10_455_382_351_708_108_367,
        17_048_576_033_065_694_365,
        305_376_170_919_978_301,
        14_075_859_053_446_622_149,
        2_789_604_247_983_660_471,
        8_503_381_295_461_211_947,
        424_429_513_450_425_320,
        391_174_722_113_373_489,
        3_470_288_951_260_335_125,
        7_176_259_052_438_366_214,
        1_680_369_090_980_521_943,
    ] {
        let told = tell(World::of_doubles(&RULES, seed));
        assert!(told.is_ok(), "seed {seed}: {}", told.unwrap_err());
    }
}

// Once nothing comes back, and once what was done comes back, too: both are missed.
#[test]
fn a_double_that_is_lost_or_asked_twice_is_missed() {
    for (unguarded, why) in [(because::TWICE, "a double never came back"), (because::SHARED, "the same twice")] {
        let mut rules = rules();
        rules.unguarded = unguarded;
        let missed = (0..HISTORIES_MAX).find_map(|seed| tell(World::of_doubles(&rules, seed)).err());
        assert!(missed.as_ref().is_some_and(|missed| missed.starts_with(why)), "{unguarded}: {missed:?}");
    }
}

/// Records of the same fill in a house that may speak without being asked, on the morning on which both are called about.
fn called(rules: &Rules, records: i64) -> Rehearsal<'_> {
    let settings = Settings { treatment: Unasked::Allowed, ..Settings::default() };
    let mut house = Rehearsal::new(rules, settings, store(), at("2026-03-01T15:00:00Z"));
    for record in 1..=records {
        tell_patient(&mut house, record, &json!({}));
    }
    for record in 1..=records {
        fill(&mut house, record, "2026-03-01");
    }
    house.advance(at("2026-03-31T16:00:00Z"));
    assert_eq!(calls(&house, "requested").len(), usize::try_from(records).unwrap());
    house
}

fn tell_patient(house: &mut Rehearsal, record: i64, more: &Value) {
    let mut told = patient();
    (told["id"], told["telecom"][0]["value"]) = (json!(format!("p{record}")), json!(format!("+1 555 010 000{record}")));
    told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    house.hear_of(Person(record), told, How::Live, "client");
}

fn fill(house: &mut Rehearsal, record: i64, day: &str) {
    let mut fill = dispense(&format!("d{record}-{day}"), day, 30);
    fill["subject"] = json!({"reference": format!("Patient/p{record}")});
    // The same of several sources counts once.
    fill["quantity"] = json!({"value": 30, "code": "{tablet}", "system": "http://unitsofmeasure.org"});
    house.hear_of(Person(record), fill, How::Live, &format!("pharmacy {record}"));
}

fn unite(house: &mut Rehearsal, one: i64, other: i64) {
    house.unite(Person(one), Person(other));
    tell_patient(house, other, &json!({"active": false}));
}

/// Parts them, and lets an hour pass.
fn part(house: &mut Rehearsal, one: i64, other: i64) {
    house.part(Person(one), Person(other));
    tell_patient(house, other, &json!({}));
    house.advance(house.now + 3_600_000);
}

/// Ids of the calls in this state.
fn calls(house: &Rehearsal, status: &str) -> Vec<String> {
    let of = |task: &&Value| task["status"] == status;
    let tasks = house.resources().filter(|one| one.kind == "Task").map(|one| one.value.as_ref());
    tasks.filter(of).map(|task| task["id"].as_str().unwrap().to_owned()).collect()
}

/// For whom a call is.
fn whose(house: &Rehearsal, id: &str) -> Value {
    house.resource(&format!("Task/{id}")).unwrap().value["for"]["reference"].clone()
}

/// The store ends a call.
fn end(house: &mut Rehearsal, id: &str, status: &str) {
    let mut task = house.resource(&format!("Task/{id}")).unwrap().clone();
    let mut value = task.value.as_ref().clone();
    value["status"] = json!(status);
    task.value = value.clone().into();
    house.hear_of(task.person, value, How::Live, "store");
}

// Each time under an id of its own, as often as they are parted.
#[test]
fn a_double_is_asked_for_again_once_for_each_parting() {
    let rules = super::rules();
    let mut house = called(&rules, 2);
    for partings in 1..=3 {
        unite(&mut house, 1, 2);
        house.advance(house.now + 3_600_000);
        assert_eq!((calls(&house, "requested").len(), calls(&house, "cancelled").len()), (1, partings));
        part(&mut house, 1, 2);
        house.advance(house.now + 3_600_000);
        let open = calls(&house, "requested");
        let mut whose: Vec<Value> = open.iter().map(|id| whose(&house, id)).collect();
        whose.sort_by_key(Value::to_string);
        assert_eq!(whose, [json!("Patient/p1"), json!("Patient/p2")]);
        assert_eq!(calls(&house, "cancelled").len(), partings);
    }
    assert_eq!(house.faults, 0);
}

// What was done while they were one was done for both; what was done before that, or ended otherwise, for one of them.
#[test]
fn a_double_counts_as_done_only_if_it_was_done_while_they_were_one() {
    let rules = super::rules();
    for (status, is_before, is_asked) in
        [("completed", false, false), ("completed", true, true), ("failed", false, true), ("cancelled", false, true)]
    {
        let mut house = called(&rules, 2);
        let first = house.last(CALL).map(|last| last.output.clone()).unwrap();
        if is_before {
            end(&mut house, &first, status);
            house.advance(house.now + 1);
        }
        unite(&mut house, 1, 2);
        for open in calls(&house, "requested") {
            if !is_before {
                end(&mut house, &open, status);
            }
        }
        house.advance(house.now + 3_600_000);
        part(&mut house, 1, 2);
        let open = calls(&house, "requested").len();
        assert_eq!(open, usize::from(is_asked), "{status} before {is_before}: {:?}", super::told(&house));
    }
}

// Asked for once, since both were known as one; not done until they are parted.
#[test]
fn a_call_that_was_asked_for_both_and_not_done_is_asked_for_each() {
    let rules = super::rules();
    for is_done in [false, true] {
        let settings = Settings { treatment: Unasked::Allowed, ..Settings::default() };
        let mut house = Rehearsal::new(&rules, settings, store(), at("2026-03-01T15:00:00Z"));
        for record in [1, 2] {
            tell_patient(&mut house, record, &json!({}));
            fill(&mut house, record, "2026-03-01");
        }
        house.advance(at("2026-03-30T16:00:00Z"));
        unite(&mut house, 1, 2);
        house.advance(at("2026-03-31T16:00:00Z"));
        let open = calls(&house, "requested");
        assert_eq!(open.len(), 1);
        if is_done {
            end(&mut house, &open[0], "completed");
        }
        part(&mut house, 1, 2);
        assert_eq!(calls(&house, "requested").len(), if is_done { 0 } else { 2 }, "{:?}", super::told(&house));
    }
}

// Both tell the same fill. One of them is a mistake while they are one, and is so when they are two again: its call is taken back.
#[test]
fn a_call_of_who_has_no_fill_after_the_parting_is_taken_back() {
    let rules = super::rules();
    for mistaken in [1, 2] {
        let mut house = called(&rules, 2);
        unite(&mut house, 1, 2);
        let mut fill = house.resource(&format!("MedicationDispense/d{mistaken}-2026-03-01")).unwrap().value.as_ref().clone();
        fill["status"] = json!("entered-in-error");
        house.hear_of(Person(mistaken), fill, How::Live, &format!("pharmacy {mistaken}"));
        assert_eq!(calls(&house, "requested").len(), 1);
        part(&mut house, 1, 2);
        let open = calls(&house, "requested");
        let of_other = json!(format!("Patient/p{}", 3 - mistaken));
        assert_eq!(open.iter().map(|id| whose(&house, id)).collect::<Vec<_>>(), [of_other], "{mistaken}");
    }
}

// What somebody is at stands for both, whichever was asked for first; what somebody gave up stands for nothing.
#[test]
fn the_call_that_somebody_is_at_stands_for_both() {
    let rules = super::rules();
    for (at, status, stays) in [
        (0, "in-progress", true),
        (1, "in-progress", true),
        (0, "accepted", true),
        (1, "accepted", true),
        (0, "failed", false),
        (1, "failed", false),
    ] {
        let mut house = called(&rules, 2);
        let asked = calls(&house, "requested");
        end(&mut house, &asked[at], status);
        unite(&mut house, 1, 2);
        let open = if stays { calls(&house, status) } else { calls(&house, "requested") };
        assert_eq!(open, [asked[if stays { at } else { 1 - at }].clone()], "{at} {status}");
        assert_eq!(calls(&house, "cancelled").len(), usize::from(stays), "{at} {status}");
    }
}

// Of three the second leaves: the first and the third are one still, and asked about once, until the third leaves, too.
#[test]
fn who_stays_one_is_asked_about_once() {
    let rules = super::rules();
    let mut house = called(&rules, 3);
    unite(&mut house, 1, 2);
    unite(&mut house, 1, 3);
    assert_eq!(calls(&house, "requested").len(), 1);
    part(&mut house, 1, 2);
    assert_eq!(calls(&house, "requested").len(), 2, "{:?}", super::told(&house));
    part(&mut house, 1, 3);
    let open = calls(&house, "requested");
    let whose: BTreeSet<String> = open.iter().map(|id| whose(&house, id).to_string()).collect();
    assert_eq!((open.len(), whose.len(), house.faults), (3, 3, 0));
}

// Gates are asked again: what comes back too late does not, and says so; nor what is for the dead.
#[test]
fn the_gates_are_asked_of_a_double_again() {
    let rules = super::rules();
    let mut house = called(&rules, 2);
    unite(&mut house, 1, 2);
    house.advance(house.now + 4 * 86_400_000);
    part(&mut house, 1, 2);
    assert_eq!(calls(&house, "requested").len(), 1);
    assert_eq!(super::outcome(&house, CALL), (Outcome::Stopped, String::from("timely")));

    // The call of the living was ended with that of the dead.
    let mut house = called(&rules, 2);
    unite(&mut house, 1, 2);
    tell_patient(&mut house, 2, &json!({"active": false, "deceasedBoolean": true}));
    assert_eq!(calls(&house, "requested").len(), 0);
    house.part(Person(1), Person(2));
    tell_patient(&mut house, 2, &json!({"deceasedBoolean": true}));
    house.advance(house.now + 3_600_000);
    let open = calls(&house, "requested");
    assert_eq!((open.len(), whose(&house, &open[0])), (1, json!("Patient/p1")));
}

// Something was held for one record, then for another, then for a third, who is parted: what the first two gave up to the third is not
// theirs, though one of them held it before; each is spoken to, under an id of their own.
#[test]
fn what_went_over_to_a_third_record_stays_theirs() {
    let rules = super::rules();
    let mut house = Rehearsal::new(&rules, Settings::default(), store(), at("2026-03-02T15:00:00Z"));
    let diagnosis = |record: i64, verification: &str, note: &str| {
        let mut told = super::condition(&format!("c{record}"), "Z51.11", "active");
        told["subject"] = json!({"reference": format!("Patient/p{record}")});
        told["verificationStatus"]["coding"][0]["code"] = json!(verification);
        told["note"] = json!([{"text": note}]);
        (Person(record), told)
    };
    (1..=3).for_each(|record| tell_patient(&mut house, record, &json!({})));
    unite(&mut house, 1, 2);
    unite(&mut house, 1, 3);
    for (record, verification) in [(2, "provisional"), (1, "confirmed"), (3, "confirmed")] {
        let (person, told) = diagnosis(record, verification, "");
        house.hear_of(person, told, How::Live, "client");
        house.advance(house.now + 1);
    }
    let due: Vec<(i64, bool)> = house.dues.values().map(|due| (due.person.0, due.detail().held)).collect();
    assert_eq!(due, [(3, true)]);
    house.part(Person(1), Person(3));
    tell_patient(&mut house, 3, &json!({}));
    let (person, told) = diagnosis(1, "confirmed", "Told again, before anything else is looked at.");
    house.hear_of(person, told, How::Live, "client");
    let outputs: BTreeSet<&String> = house.dues.values().map(|due| &due.output).collect();
    assert_eq!((house.dues.len(), outputs.len()), (2, 2));
    for record in 1..=3 {
        let consent = json!({"resourceType": "Consent", "id": format!("k{record}"), "status": "active",
            "patient": {"reference": format!("Patient/p{record}")}, "dateTime": "2026-03-02T15:00:00Z",
            "provision": {"type": "permit", "purpose": [{"code": "TREAT"}]}});
        house.hear_of(Person(record), consent, How::Live, "client");
    }
    house.advance(house.now + 3_600_000);
    let said = house.outputs("Communication").filter(|said| said["status"] == "completed");
    let mut whose: Vec<&Value> = said.map(|said| &said["subject"]["reference"]).collect();
    whose.sort_by_key(ToString::to_string);
    assert_eq!((whose, house.faults), (vec![&json!("Patient/p1"), &json!("Patient/p3")], 0));
}

// What the calendar asked for is told by no fact: it comes back by what was asked.
#[test]
fn a_double_of_a_call_of_the_calendar_comes_back() {
    let mut artefacts = crate::react::shipped();
    artefacts.retain(|one| one["resourceType"] != "PlanDefinition" || one["id"] == "birthday");
    for plan in artefacts.iter_mut().filter(|one| one["resourceType"] == "PlanDefinition") {
        plan["extension"][0]["valueCode"] = json!("refill");
        plan["action"][0]["action"][0]["definitionCanonical"] =
            json!("https://signa.example/fhir/ActivityDefinition/refill-call");
    }
    let (rules, issues) = Rules::read(&artefacts);
    assert_eq!(issues, []);
    for (days, asked) in [(0, 2), (4, 1)] {
        let settings = Settings { treatment: Unasked::Allowed, ..Settings::default() };
        let mut house = Rehearsal::new(&rules, settings, store(), at("2026-03-01T15:00:00Z"));
        (1..=2).for_each(|record| tell_patient(&mut house, record, &json!({"birthDate": "1970-03-02"})));
        house.advance(at("2026-03-02T16:00:00Z"));
        assert_eq!(calls(&house, "requested").len(), 2);
        unite(&mut house, 1, 2);
        assert_eq!(calls(&house, "requested").len(), 1);
        house.advance(house.now + days * 86_400_000);
        part(&mut house, 1, 2);
        assert_eq!((calls(&house, "requested").len(), house.faults), (asked, 0), "{days}: {:?}", super::told(&house));
    }
}

// What was given up at the parting ends with it: the other's own first diagnosis is spoken of, months later, or told with the parting
// and heard of an hour after it.
#[test]
fn a_diagnosis_after_the_parting_is_an_episode_of_its_own() {
    let mut artefacts = crate::react::shipped();
    artefacts.retain(|one| one["resourceType"] != "PlanDefinition" || one["id"] == "asthma");
    let rules = Rules::read(&artefacts).0;
    for is_late in [false, true] {
        let settings = Settings { treatment: Unasked::Allowed, ..Settings::default() };
        let mut house = Rehearsal::new(&rules, settings, store(), at("2026-03-02T15:00:00Z"));
        (1..=2).for_each(|record| tell_patient(&mut house, record, &json!({})));
        unite(&mut house, 1, 2);
        house.hear_of(Person(2), asthma(2), How::Live, "client");
        house.advance(house.now + 15 * 86_400_000);
        assert_eq!(calls(&house, "requested").len(), 1, "{:?}", super::told(&house));
        if is_late {
            let parted = house.now;
            house.part(Person(1), Person(2));
            house.now += 3_600_000;
            let told = Learned::Fact(Box::new(learned(1, asthma(1), parted)));
            house.tell(house.now, [told]);
            tell_patient(&mut house, 2, &json!({}));
        } else {
            part(&mut house, 1, 2);
            house.advance(house.now + 60 * 86_400_000);
            house.hear_of(Person(1), asthma(1), How::Live, "client");
        }
        house.advance(house.now + 3_600_000);
        let said = house.outputs("Communication").filter(|said| said["status"] == "completed").count();
        assert_eq!((said, house.faults), (2, 0), "late {is_late}: {:?}", super::told(&house));
    }
}

fn asthma(record: i64) -> Value {
    let mut told = super::condition(&format!("asthma{record}"), "J45.909", "active");
    told["subject"] = json!({"reference": format!("Patient/p{record}")});
    told
}

/// What was learned of a record's Condition before it is heard.
fn learned(record: i64, value: Value, learned: i64) -> Fact {
    let resource = Resource {
        kind: String::from("Condition"),
        id: value["id"].as_str().unwrap().to_owned(),
        version: 1,
        fact: 0,
        source: String::from("client"),
        how: How::Live,
        learned,
        person: Person(record),
        deleted: false,
        value: value.into(),
    };
    Fact { number: 1 << 40, line: Line::Created, resource, text: None }
}

// What was done for both stays done when one of them is taken for one with a third for a time, from before the parting or after it.
#[test]
fn what_was_done_for_both_is_no_matter_of_another_parting() {
    let rules = super::rules();
    for steps in [["leave", "unite", "part"], ["unite", "leave", "part"]] {
        let settings = Settings { treatment: Unasked::Allowed, ..Settings::default() };
        let mut house = Rehearsal::new(&rules, settings, store(), at("2026-03-01T15:00:00Z"));
        (1..=3).for_each(|record| tell_patient(&mut house, record, &json!({})));
        unite(&mut house, 1, 2);
        fill(&mut house, 2, "2026-03-01");
        house.advance(at("2026-03-31T16:00:00Z"));
        let open = calls(&house, "requested");
        assert_eq!((open.len(), house.last(CALL).map(|call| call.person)), (1, Some(Person(2))));
        end(&mut house, &open[0], "completed");
        fill(&mut house, 1, "2026-03-01");
        for step in steps {
            house.advance(house.now + 3_600_000);
            match step {
                "unite" => unite(&mut house, 1, 3),
                "leave" => part(&mut house, 1, 2),
                _ => part(&mut house, 1, 3),
            }
            assert_eq!(calls(&house, "requested"), [""; 0], "{steps:?}, {step}: {:?}", super::told(&house));
        }
        assert_eq!(house.faults, 0);
    }
}
