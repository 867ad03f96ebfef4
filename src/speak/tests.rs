//! What a lane promises: in order, one person at a time, and no letter or endpoint that fails holds back another.

use std::sync::Arc;

use super::lane::{ATTEMPTS_MAX, Effect, Lane, Outcome, refusal};
use super::queue::{Letter, Silence};
use super::schedule::{self, Standing};
use crate::ledger::Person;

pub(super) fn letter(number: i64, person: i64) -> Letter {
    Letter {
        subscription: Arc::from("s"),
        number,
        person: Person(person),
        kind: String::from("Condition"),
        id: format!("c{number}"),
        version: 1,
        at: number,
        attempts: 0,
        is_known: false,
        body: None,
        silence: Silence::default(),
    }
}

fn lane(letters: &[(i64, i64)]) -> Lane {
    let mut lane = Lane::default();
    for (number, person) in letters {
        lane.push(letter(*number, *person));
    }
    lane
}

fn going(lane: &mut Lane, now: i64) -> Vec<i64> {
    std::iter::from_fn(|| lane.next(now)).map(|letter| letter.number).collect()
}

fn silent() -> Outcome {
    Outcome::Unanswered(String::from("503"))
}

#[test]
fn one_person_at_a_time_and_many_persons_at_once() {
    let mut lane = self::lane(&[(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)]);
    assert_eq!(going(&mut lane, 0), [1, 3, 5]);
    assert_eq!(going(&mut lane, 0), [0; 0]);
    assert_eq!(lane.ended(&letter(3, 2), Outcome::Arrived, 0, 0).len(), 1);
    assert_eq!(going(&mut lane, 0), [4]);
    assert_eq!(lane.queues().going("s"), 4);
    let many: Vec<(i64, i64)> = (1..100).map(|number| (number, number)).collect();
    assert_eq!(going(&mut self::lane(&many), 0).len(), ATTEMPTS_MAX);
}

#[test]
fn a_silent_endpoint_is_probed_with_one_letter_after_the_other_and_then_drained_in_order() {
    let mut lane = self::lane(&[(1, 1), (2, 2), (3, 1)]);
    assert_eq!(going(&mut lane, 100), [1, 2]);
    let down = Standing { failures: 1, down_since: 100, next_attempt: 5_100 };
    assert_eq!(lane.ended(&letter(2, 2), silent(), 100, 0), [Effect::Stands(down)]);
    assert_eq!(lane.ended(&letter(1, 1), silent(), 200, 0), []);
    assert_eq!(lane.wakes_at(), Some(5_100));
    lane.push(letter(4, 3));
    assert_eq!(going(&mut lane, 5_099), [0; 0]);
    // The one that was never tried, then the oldest of those that were tried least.
    assert_eq!(going(&mut lane, 5_100), [4]);
    assert_eq!(lane.wakes_at(), None);
    lane.ended(&letter(4, 3), silent(), 5_100, 0);
    assert_eq!(lane.wakes_at(), Some(10_100));
    assert_eq!(going(&mut lane, 10_100), [1]);
    lane.ended(&letter(1, 1), silent(), 10_100, 0);
    assert_eq!(going(&mut lane, 20_100), [2]);
    let effects = lane.ended(&letter(2, 2), Outcome::Arrived, 20_100, 0);
    assert_eq!(effects.last(), Some(&Effect::Stands(Standing::default())));
    assert_eq!(going(&mut lane, 20_100), [1, 4]);
}

#[test]
fn a_refused_letter_is_dead_after_three_tries_and_holds_only_its_person() {
    let mut lane = self::lane(&[(1, 1), (2, 1), (3, 2)]);
    let refused = || Outcome::Refused(String::from("422"));
    assert_eq!(going(&mut lane, 0), [1, 3]);
    lane.ended(&letter(1, 1), refused(), 0, 0);
    lane.ended(&letter(3, 2), Outcome::Arrived, 0, 0);
    assert_eq!((going(&mut lane, 4_999), lane.wakes_at()), (vec![], Some(5_000)));
    let again = lane.next(5_000).unwrap();
    assert_eq!((again.number, again.attempts), (1, 1));
    lane.ended(&again, refused(), 5_000, 0);
    let last = lane.next(15_000).unwrap();
    let effects = lane.ended(&last, refused(), 15_000, 0);
    assert_eq!(effects, [refusal(&last, 3, true, String::from("422"))]);
    assert_eq!(going(&mut lane, 15_000), [2]);
}

#[test]
fn a_letter_without_a_resource_is_dead_at_once() {
    let mut lane = self::lane(&[(1, 1), (2, 1)]);
    let first = lane.next(0).unwrap();
    let effects = lane.ended(&first, Outcome::Gone(String::from("gone")), 0, 0);
    assert_eq!(effects, [refusal(&first, 0, true, String::from("gone"))]);
    assert_eq!(going(&mut lane, 0), [2]);
}

#[test]
fn the_schedule_is_spent_after_28_hours() {
    let (mut lane, mut now, mut probes) = (lane(&[(1, 1)]), 1_000, 0);
    loop {
        let head = lane.next(now).unwrap();
        probes += 1;
        match &lane.ended(&head, silent(), now, 0)[..] {
            [Effect::Stands(standing)] => now = standing.next_attempt,
            [Effect::Spent(last)] => break assert_eq!(last, "503"),
            other => panic!("{other:?}"),
        }
    }
    assert!(now - 1_000 >= schedule::DOWN_MAX && probes > 100);
}

#[test]
fn a_letter_at_which_the_endpoint_fails_is_tried_apart_and_dead_in_the_end() {
    let mut lane = self::lane(&[(1, 1), (2, 1)]);
    let poison = lane.next(1_000).unwrap();
    assert!(matches!(lane.ended(&poison, silent(), 1_000, 0)[..], [Effect::Stands(_)]));
    // Who comes next is asked at once, and one at a time.
    lane.push(letter(3, 3));
    lane.push(letter(4, 4));
    assert_eq!(going(&mut lane, 1_001), [3]);
    assert_eq!(lane.ended(&letter(3, 3), Outcome::Arrived, 1_001, 0).last(), Some(&Effect::Stands(Standing::default())));
    let again = lane.next(1_001).unwrap();
    assert_eq!((again.number, going(&mut lane, 1_001)), (1, vec![4]));
    lane.ended(&letter(4, 4), Outcome::Arrived, 1_001, 0);
    // It fails again, and takes no turn of others, until its own schedule is spent.
    let (mut letter_again, mut now) = (again, 1_001);
    let dead = loop {
        let effects = lane.ended(&letter_again, silent(), now, 0);
        assert!(!lane.is_down());
        if !effects.is_empty() {
            break effects;
        }
        now = lane.wakes_at().unwrap();
        letter_again = lane.next(now).unwrap();
        assert_eq!(letter_again.number, 1);
    };
    assert_eq!(dead, [refusal(&letter_again, 0, true, String::from("503"))]);
    assert!(now >= schedule::DOWN_MAX);
    assert_eq!(going(&mut lane, now), [2]);
}

#[test]
fn an_endpoint_that_goes_down_again_is_not_flooded_with_what_was_tried_before() {
    let many: Vec<(i64, i64)> = (1..=40).map(|number| (number, number)).collect();
    let mut lane = self::lane(&many);
    let (mut now, mut tried) = (1_000, 0);
    for _ in 0..40 {
        let probe = lane.next(now).unwrap();
        lane.ended(&probe, silent(), now, 0);
        now = lane.wakes_at().unwrap();
    }
    let back = lane.next(now).unwrap();
    lane.ended(&back, Outcome::Arrived, now, 0);
    while let Some(letter) = lane.next(now) {
        lane.ended(&letter, silent(), now, 0);
        tried += 1;
    }
    assert!(lane.is_down() && tried <= ATTEMPTS_MAX + 1, "{tried}");
}

#[test]
fn a_shut_endpoint_is_tried_hours_later_or_sooner_when_another_letter_arrives() {
    let mut lane = self::lane(&[(1, 1), (2, 2)]);
    let shut = || Outcome::Shut(String::from("404"));
    let (first, second) = (lane.next(0).unwrap(), lane.next(0).unwrap());
    lane.ended(&first, shut(), 0, 0);
    assert_eq!(lane.wakes_at(), Some(60_000));
    lane.ended(&second, Outcome::Arrived, 0, 0);
    assert_eq!(lane.wakes_at(), Some(5_000));
    let again = lane.next(5_000).unwrap();
    lane.ended(&again, shut(), 5_000, 0);
    lane.push(letter(3, 3));
    let third = lane.next(5_000).unwrap();
    lane.ended(&third, Outcome::Arrived, 5_000, 0);
    assert_eq!(lane.wakes_at(), Some(5_000 + 3_600_000));
    let last = lane.next(5_000 + 3_600_000).unwrap();
    assert_eq!(lane.ended(&last, shut(), 0, 0), [refusal(&last, 3, true, String::from("404"))]);
}

#[test]
fn a_restart_spends_no_try_of_what_was_refused_before() {
    let known = || Letter { attempts: 2, is_known: true, ..letter(1, 1) };
    let shut = || Outcome::Shut(String::from("401"));
    let mut lane = Lane::default();
    lane.push(known());
    let first = lane.next(0).unwrap();
    assert_eq!(lane.ended(&first, shut(), 0, 0), [refusal(&first, 2, false, String::from("401"))]);
    assert_eq!((going(&mut lane, 60_000), lane.wakes_at()), (vec![], Some(6 * 3_600_000)));
    let last = lane.next(6 * 3_600_000).unwrap();
    assert_eq!(lane.ended(&last, shut(), 0, 0), [refusal(&last, 3, true, String::from("401"))]);
}

#[test]
fn what_we_fail_at_says_nothing_of_the_endpoint() {
    let mut lane = self::lane(&[(1, 1), (2, 2)]);
    let (first, second) = (lane.next(0).unwrap(), lane.next(0).unwrap());
    assert_eq!(lane.ended(&first, Outcome::Failed(String::from("the disk")), 0, 0), []);
    assert!(!lane.is_down() && lane.wakes_at() == Some(5_000));
    lane.ended(&second, Outcome::Arrived, 0, 0);
    assert_eq!(going(&mut lane, 5_000), [1]);
}

#[test]
fn a_resource_that_became_another_persons_keeps_its_order() {
    let of = |number, person| Letter { id: String::from("c"), ..letter(number, person) };
    let mut lane = Lane::default();
    for letter in [of(1, 1), of(2, 2), letter(3, 2), letter(4, 3), of(5, 1)] {
        lane.push(letter);
    }
    assert_eq!(going(&mut lane, 0), [1, 4]);
    lane.ended(&of(1, 1), Outcome::Arrived, 0, 0);
    assert_eq!(going(&mut lane, 0), [2]);
    lane.ended(&of(2, 2), Outcome::Gone(String::from("gone")), 0, 0);
    assert_eq!(going(&mut lane, 0), [3, 5]);
}

#[test]
fn a_wrong_clock_puts_nothing_off_for_years() {
    let year = 365 * 24 * 3_600_000;
    let mut lane = self::lane(&[(1, 1), (2, 2)]);
    let (first, second) = (lane.next(10 * year).unwrap(), lane.next(10 * year).unwrap());
    lane.ended(&first, Outcome::Refused(String::from("422")), 10 * year, 0);
    lane.ended(&second, silent(), 10 * year, 0);
    assert_eq!(going(&mut lane, year), [1]);
    lane.withdraw("s");
    lane.push(letter(3, 3));
    assert_eq!(going(&mut lane, year), [0; 0]);
    let at = lane.wakes_at().unwrap();
    assert!(at < year + schedule::DOWN_MAX);
    assert_eq!(going(&mut lane, at), [3]);
}

#[test]
fn what_is_withdrawn_is_neither_sent_nor_counted() {
    let mut lane = self::lane(&[(1, 1), (2, 1), (3, 2)]);
    let first = lane.next(0).unwrap();
    lane.withdraw("s");
    assert_eq!(lane.ended(&first, Outcome::Arrived, 0, 0), []);
    assert_eq!((going(&mut lane, 0), lane.queues().is_empty(), lane.wakes_at()), (vec![], true, None));
}

#[test]
fn resources_of_nobody_have_nothing_to_do_with_each_other() {
    let of = |number, id: &str| Letter { id: id.to_owned(), ..letter(number, Person::NOBODY.0) };
    let mut lane = Lane::default();
    for letter in [of(1, "a"), of(2, "b"), of(3, "a"), of(4, "c")] {
        lane.push(letter);
    }
    assert_eq!(going(&mut lane, 1_000), [1, 2, 4]);
    lane.ended(&of(2, "b"), Outcome::Arrived, 1_000, 0);
    lane.ended(&of(1, "a"), silent(), 1_000, 0);
    lane.ended(&of(4, "c"), Outcome::Arrived, 1_000, 0);
    assert!(!lane.is_down(), "others arrive");
    let again = lane.next(1_000).unwrap();
    lane.ended(&again, silent(), 1_000, 0);
    assert_eq!((again.number, lane.is_down(), going(&mut lane, 1_000)), (1, false, vec![]), "it alone is to blame");
}

#[test]
fn what_stands_behind_a_head_that_was_put_off_is_counted_apart() {
    let mut lane = self::lane(&[(1, 1), (2, 1), (3, 2)]);
    let counted = |lane: &Lane| (lane.queues().going("s"), lane.queues().all_going(), lane.queues().resting("s"));
    let refused = || Outcome::Refused(String::from("422"));
    let (first, _) = (lane.next(0).unwrap(), lane.next(0).unwrap());
    assert_eq!(counted(&lane), (3, 3, 0));
    lane.ended(&first, refused(), 0, 0);
    lane.push(letter(4, 1));
    assert_eq!(counted(&lane), (1, 1, 1));
    lane.ended(&letter(3, 2), Outcome::Arrived, 0, 0);
    // It rests also while it is tried again, until it is done with.
    let again = lane.next(5_000).unwrap();
    assert_eq!((counted(&lane), lane.queues().depth(&again.key())), ((0, 0, 1), 3));
    lane.ended(&again, refused(), 5_000, 0);
    let again = lane.next(15_000).unwrap();
    lane.ended(&again, Outcome::Arrived, 15_000, 0);
    assert_eq!(counted(&lane), (2, 2, 0));
    let next = lane.next(15_000).unwrap();
    lane.ended(&next, refused(), 15_000, 0);
    lane.withdraw("s");
    assert!(lane.queues().is_empty() && counted(&lane) == (0, 0, 0));
}
