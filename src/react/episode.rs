//! Episodes and the ids that hang on them: what keeps the same thing from being said twice.

use uuid::Uuid;

use super::Resource;
use super::decide::because;
use super::json::unversioned;
use super::plan::{Action, Plan};
use super::supply::{is_reversed, written};
use super::turn::Turn;
use crate::ledger::{Decision, Outcome, Person};

/// The namespace of output ids. It may never change: ids already given hang on it.
const NAMESPACE: Uuid = Uuid::from_u128(0x51c7_0a0e_9d5b_4b7c_8f2e_6a1d_3c94_e0b7);

/// The step under which the end of a diagnosis is remembered.
pub(crate) const CLOSED: &str = "closed";

const DAY_MS: i64 = 86_400_000;

/// The id of what one step of one rule has to say in one episode of one person.
pub(crate) fn output(rule: &str, tenant: &str, person: Person, episode: &str, step: &str) -> String {
    // A separator that occurs in none of them.
    let name = [rule, tenant, &person.0.to_string(), episode, step].join("\n");
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
}

/// The id of something that goes with an output, for example its request.
pub(crate) fn companion(output: &str, what: &str) -> String {
    Uuid::new_v5(&NAMESPACE, format!("{output}\n{what}").as_bytes()).to_string()
}

/// The episode of a fill.
pub(crate) fn of_fill(product: &str, first: i64) -> String {
    format!("{product}|{}", written(first))
}

/// Whether this is an episode of a fill of this product.
pub(crate) fn is_of_product(episode: &str, product: &str) -> bool {
    let rest = episode.strip_prefix(product).and_then(|rest| rest.strip_prefix('|'));
    rest.is_some_and(|day| !day.contains('|'))
}

/// `Type/id` of what set off what was decided, and of the rest that it rests on.
pub(crate) fn trigger(decision: &Decision) -> (String, Vec<String>) {
    let mut facts: Vec<String> =
        decision.facts.iter().filter_map(|fact| fact.split("/_history/").next()).map(str::to_owned).collect();
    // Facts stand in order of their names: what a dispense refers to may stand before it.
    let at = facts.iter().position(|fact| fact.starts_with("MedicationDispense/")).unwrap_or(0);
    let trigger = if facts.is_empty() { String::new() } else { facts.remove(at) };
    (trigger, facts)
}

/// The number of the newest episode of a diagnosis, whether it was closed, when it began, and until when it is a matter of this
/// person.
struct Newest {
    number: i64,
    is_closed: bool,
    began: i64,
    until: i64,
}

fn newest(turn: &Turn, plan: &Plan, group: &str) -> Option<Newest> {
    let number = |episode: &str| episode.strip_prefix(group)?.strip_prefix('|')?.parse::<i64>().ok();
    let decided = turn.decisions.all().filter(|decision| turn.is_of(&decision.rule, plan));
    let decided = decided
        .filter_map(|one| Some((number(&one.episode)?, one.step == CLOSED, one.at, shared_until(one).unwrap_or(i64::MAX))));
    let planned = turn.dues.values().filter(|due| turn.is_of(&due.rule, plan));
    let planned = planned.filter_map(|due| Some((number(&due.episode)?, false, due.due, i64::MAX)));
    let all: Vec<(i64, bool, i64, i64)> = decided.chain(planned).collect();
    let highest = all.iter().map(|(number, ..)| *number).max()?;
    let of_it = || all.iter().filter(|(number, ..)| *number == highest);
    let began = of_it().filter(|(_, is_closed, ..)| !is_closed).map(|(.., at, _)| *at).min().unwrap_or_default();
    let until = of_it().map(|(.., until)| *until).max().unwrap_or(i64::MAX);
    Some(Newest { number: highest, is_closed: of_it().any(|(_, is_closed, ..)| *is_closed), began, until })
}

/// Until when what was said or done to somebody who was taken for one with the person counts for them, too; what was given up when they
/// were parted, until then.
fn shared_until(decision: &Decision) -> Option<i64> {
    match decision.gate.as_str() {
        because::SHARED => Some(decision.until),
        because::LEFT => Some(decision.at),
        // Where it is not written when that was, it was no later than this.
        because::PARTED => Some(if decision.until == 0 { decision.at } else { decision.until }),
        _ => None,
    }
}

/// Whether a fact was first learned then or later. Of one that was corrected it is not known when that was.
fn is_new(fact: &Resource, since: i64) -> bool {
    fact.version == 1 && fact.learned >= since
}

/// The episode of a diagnosis: the running one, or the next when that one ended, is older than the rule's window, or was of somebody
/// who was taken for one with the person before the diagnosis was learned.
pub(crate) fn of_diagnosis(turn: &Turn, plan: &Plan, action: &Action, fact: &Resource, is_current: bool) -> String {
    let group = action.group();
    let number = newest(turn, plan, &group).map_or(1, |newest| {
        let is_old = turn.story.now - newest.began > plan.episode_days * DAY_MS;
        let is_given_up = || is_given_up(turn, plan, action, &format!("{group}|{}", newest.number));
        let is_over = newest.is_closed || is_old || is_new(fact, newest.until) || is_given_up();
        if is_over && is_current { newest.number + 1 } else { newest.number }
    });
    format!("{group}|{number}")
}

/// The episode of what is said once: what was said to somebody who was taken for one with the person was not said to them, if the
/// fact was learned after that; and what was taken back since the fact was corrected was not said at all.
pub(crate) fn of_once(turn: &Turn, plan: &Plan, action: &Action, fact: &Resource) -> String {
    let episode = format!("{}|once", action.id);
    let decided = turn.decisions.of_episode(&episode).filter(|decision| turn.is_of(&decision.rule, plan));
    let until: Option<Vec<i64>> = decided.map(shared_until).collect();
    let first = match until.into_iter().flatten().max() {
        Some(until) if is_new(fact, until) => format!("{episode}|{until}"),
        _ => episode,
    };
    let (mut episode, mut number) = (first.clone(), 1);
    while is_given_up(turn, plan, action, &episode) {
        number += 1;
        episode = format!("{first}|{number}");
    }
    episode
}

/// Whether all that was asked for in an episode was taken back, since what it rests on was corrected: nothing of it was said or done.
fn is_given_up(turn: &Turn, plan: &Plan, action: &Action, episode: &str) -> bool {
    let is_said = |decision: &Decision| decision.outcome == Outcome::Fired && turn.is_of(&decision.rule, plan);
    is_taken_back(turn, plan, action, episode) && !turn.decisions.of_episode(episode).any(is_said)
}

/// The episode of any other fact: the fact itself. When something that was asked for because of it was taken back, since it was
/// corrected or reversed, and the fact is the rule's matter again, that is a new episode.
pub(crate) fn of_fact(turn: &Turn, plan: &Plan, action: &Action, fact: &Resource) -> String {
    let reference = fact.reference();
    let mut episode = reference.clone();
    let mut number = 1;
    let stands = !fact.deleted && !is_reversed(fact);
    while stands && is_taken_back(turn, plan, action, &episode) {
        number += 1;
        episode = format!("{reference}|{number}");
    }
    episode
}

/// What one step of an action was decided in an earlier episode of the same fact, if it was said or done then: it is not said again.
pub(crate) fn done_before<'t>(turn: &'t Turn, plan: &Plan, step: &str, fact: &Resource, episode: &str) -> Option<&'t Decision> {
    let reference = fact.reference();
    let numbers = episode.strip_prefix(&reference)?.strip_prefix('|')?.parse::<u32>().ok()?;
    let names = (1..numbers).map(|number| if number == 1 { reference.clone() } else { format!("{reference}|{number}") });
    let mut latest = names.rev().filter_map(|earlier| turn.decided(plan, step, &earlier));
    latest.find(|decision| decision.outcome == Outcome::Fired)
}

fn is_taken_back(turn: &Turn, plan: &Plan, action: &Action, episode: &str) -> bool {
    turn.decisions.of_episode(episode).any(|decision| {
        let is_of_action = turn.is_of(&decision.rule, plan) && action.steps.iter().any(|step| step.id == decision.step);
        let is_settled = decision.outcome == Outcome::Withdrawn && !decision.recorded.is_empty();
        is_of_action && is_settled && decision.gate == because::REVERSED
    })
}

/// Whether something, by its rule, step and episode, is what this step came to where that was decided.
pub(crate) fn is_of_step((rule, step, episode): (&str, &str, &str), decided: &Decision, of: &str) -> bool {
    unversioned(rule) == unversioned(&decided.rule) && step == of && episode == decided.episode
}

/// The running episode of a diagnosis, if there is one that is not closed.
pub(crate) fn running(turn: &Turn, plan: &Plan, action: &Action) -> Option<String> {
    let group = action.group();
    newest(turn, plan, &group).filter(|newest| !newest.is_closed).map(|newest| format!("{group}|{}", newest.number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_hangs_on_each_of_its_parts_and_on_nothing_else() {
        let id = output("rule", "tenant", Person(1), "episode", "step");
        assert_eq!(id, output("rule", "tenant", Person(1), "episode", "step"));
        for other in [
            output("rule2", "tenant", Person(1), "episode", "step"),
            output("rule", "tenant2", Person(1), "episode", "step"),
            output("rule", "tenant", Person(2), "episode", "step"),
            output("rule", "tenant", Person(1), "episode2", "step"),
            output("rule", "tenant", Person(1), "episode", "step2"),
        ] {
            assert_ne!(id, other);
        }
    }

    #[test]
    fn an_episode_of_a_fill_names_product_and_first_day() {
        let episode = of_fill("http://x|1", 0);
        assert_eq!(episode, "http://x|1|1970-01-01");
        assert!(is_of_product(&episode, "http://x|1"));
        assert!(!is_of_product(&episode, "http://x"));
    }
}
