//! A fact is corrected to be about another person: for the one it is gone, for the other it is new.

use serde_json::{Value, json};

use super::{at, dispense, house, outcome, rules};
use crate::ledger::{How, Outcome, Person};
use crate::react::rehearsal::Rehearsal;
use crate::react::{Rules, Unasked};

const ONE: Person = Person(1);
const TWO: Person = Person(2);

fn with_two<'r>(rules: &'r Rules, now: &str) -> Rehearsal<'r> {
    let mut house = house(rules, now);
    let mut other = super::patient();
    other["id"] = json!("q");
    house.hear_of(TWO, other, How::Live, "client");
    house
}

fn file(house: &mut Rehearsal, value: &Value, under: Person) {
    house.hear_of(under, value.clone(), How::Live, "client");
}

/// Whose the rows are, and for whom steps are due.
fn whose(house: &Rehearsal) -> (Vec<i64>, Vec<i64>) {
    let mut dues: Vec<i64> = house.dues.values().map(|due| due.person.0).collect();
    dues.sort_unstable();
    (house.supplies.values().map(|row| row.person.0).collect(), dues)
}

/// Tasks that are asked for, by whose they are.
fn open(house: &Rehearsal) -> Vec<i64> {
    let open = house.resources().filter(|one| one.kind == "Task" && one.value["status"] == "requested");
    open.map(|task| task.person.0).collect()
}

#[test]
fn what_waits_and_what_was_asked_for_goes_with_the_fact() {
    let rules = rules();
    let mut house = with_two(&rules, "2026-01-01T15:00:00Z");
    let fill = dispense("a", "2026-01-01", 30);
    file(&mut house, &fill, ONE);
    assert_eq!(whose(&house), (vec![1], vec![1, 1, 1]));
    house.advance(at("2026-01-10T15:00:00Z"));
    file(&mut house, &fill, TWO);
    assert_eq!(whose(&house), (vec![2], vec![2, 2]), "the advice was said to the first, and is too late for the second");
    let said: Vec<_> =
        house.latest().filter(|one| one.person == ONE).map(|one| (one.step.as_str(), one.outcome, one.gate.as_str())).collect();
    let left = |step| (step, Outcome::Withdrawn, "left");
    for expected in [left("call"), left("reminder"), ("advice", Outcome::Fired, "reversed")] {
        assert!(said.contains(&expected), "{said:?}");
    }
    house.advance(at("2026-02-01T15:00:00Z"));
    assert_eq!(open(&house), [2]);
    // It was right at first: the call is asked for again, by another id.
    for whom in [ONE, TWO] {
        file(&mut house, &fill, whom);
        house.advance(house.now + 1);
        assert_eq!((open(&house), whose(&house).0), (vec![whom.0], vec![whom.0]));
    }
    assert_eq!(house.faults, 0);
}

// What was taken back from the first, since it was about the second, takes nothing from the second when they turn out to be one.
#[test]
fn what_left_silences_nobody_after_a_union() {
    let rules = rules();
    for is_asked in [true, false] {
        let mut house = with_two(&rules, "2026-01-01T15:00:00Z");
        let fill = dispense("a", "2026-01-01", 30);
        file(&mut house, &fill, ONE);
        if is_asked {
            house.advance(at("2026-02-01T15:00:00Z"));
        }
        file(&mut house, &fill, TWO);
        house.unite(ONE, TWO);
        house.hear(super::patient());
        house.advance(at("2026-02-02T15:00:00Z"));
        assert_eq!(open(&house).len(), 1, "{is_asked}");
        assert_eq!((house.faults, outcome(&house, "call").0), (0, Outcome::Fired), "{is_asked}");
    }
}

// An order that is corrected to be another's was not ended; a diagnosis is over for the first alone.
#[test]
fn a_diagnosis_that_left_is_an_episode_of_the_other() {
    let rules = rules();
    let mut house = with_two(&rules, "2026-01-05T15:00:00Z");
    let chemotherapy = super::condition("c", "Z51.11", "active");
    file(&mut house, &chemotherapy, ONE);
    let spoken = house.spoken();
    assert_eq!(spoken, 1, "{:?}", super::told(&house));
    file(&mut house, &chemotherapy, TWO);
    assert_eq!(house.spoken(), 2, "{:?}", super::told(&house));
    file(&mut house, &chemotherapy, ONE);
    house.advance(at("2026-01-20T15:00:00Z"));
    assert_eq!(house.spoken(), 2, "what was said is not said again: {:?}", super::told(&house));
}

// Who ends a message by hand, since it is about the wrong patient, says nothing of what the right one has later.
#[test]
fn what_was_ended_by_hand_for_the_wrong_patient_silences_them_not() {
    let rules = rules();
    let mut house = with_two(&rules, "2026-01-05T15:00:00Z");
    house.settings.treatment = Unasked::Held;
    let told = |house: &mut Rehearsal, id: &str, under: Person| {
        file(house, &super::condition(id, "Z51.11", "active"), under);
        house.advance(house.now + 1);
    };
    told(&mut house, "c", ONE);
    let mut message = house.outputs("Communication").next().unwrap().clone();
    message["status"] = json!("not-done");
    file(&mut house, &message, ONE);
    told(&mut house, "c", TWO);
    assert_eq!(outcome(&house, "nudge"), (Outcome::Held, String::from("consent")));
    told(&mut house, "d", ONE);
    let waiting: Vec<i64> = house.dues.values().filter(|due| due.step == "nudge").map(|due| due.person.0).collect();
    assert_eq!((waiting.len(), waiting.contains(&1), house.faults), (2, true, 0), "{:?}", super::told(&house));
}
