//! What an onlooker knows of what was taken back while records were one, told apart from the engine.
//!
//! What it calls *twice*: the same rule, step and episode for the same person, as long as they stand as one. What was taken back
//! while a record was one with others may be asked for again after each parting, once; and what was taken back as a double must be: it is
//! due, or there is a decision why not.

use std::collections::{BTreeMap, BTreeSet};

use super::world::World;
use crate::ledger::{Decision, Outcome, Person};
use crate::react::decide::because;

/// The step of the rules of these stories that asks for a Task.
pub(super) const CALL: &str = "call";

/// Why a Task ends for a reason of its own.
const OWN: [&str; 3] = ["reversed", "taken", "diagnosis"];

/// Rule, step and episode.
type Asked = (String, String, String);

/// What was fired, and the place of the record.
pub(super) type Fired = BTreeSet<(String, String, String, usize)>;

/// What was asked for, and what was taken back of it.
#[derive(Debug, Default)]
pub(super) struct Doubles {
    /// Tasks that were not done yet.
    open: Vec<Open>,
    /// What was done while records were one, and the places of these; whether it was asked of both, too.
    done: BTreeMap<(Asked, usize), bool>,
    /// What counts as asked for, since it was done by a Task of another alone.
    lent: BTreeSet<(Asked, usize)>,
    taken_back: Vec<TakenBack>,
}

/// A Task that was not done yet.
#[derive(Debug)]
struct Open {
    asked: Asked,
    /// The place of the record.
    of: usize,
    task: String,
    facts: Vec<String>,
    /// The places of those who were one with it when it was asked for, and have been since.
    both: BTreeSet<usize>,
}

/// A call that was taken back while its record was one with others.
#[derive(Debug)]
struct TakenBack {
    asked: Asked,
    of: usize,
    facts: Vec<String>,
    is_double: bool,
    /// Whether somebody was parted since.
    is_parted: bool,
}

fn asked(decision: &Decision) -> Asked {
    let url = decision.rule.split('|').next().unwrap_or_default();
    (url.into(), decision.step.clone(), decision.episode.clone())
}

fn names(facts: &[String]) -> impl Iterator<Item = &str> {
    facts.iter().filter_map(|fact| fact.split("/_history/").next())
}

impl Doubles {
    /// Whoever was parted may be asked about again: what was taken back of them is forgotten.
    pub(super) fn part(&mut self, world: &World, first: &[usize], fired: &mut Fired) {
        let is_one = |of: &[usize], one: usize, other: usize| of[one] == of[other];
        let is_parted = |of: usize| (0..first.len()).any(|other| is_one(first, of, other) && !is_one(&world.first, of, other));
        // What was asked of one of them alone counts for both as long as they are one: what is due of each later is their own.
        self.done.retain(|(_, of), is_of_both| *is_of_both || !is_parted(*of));
        self.lent.retain(|(asked, of)| {
            let (url, step, episode) = asked.clone();
            !(is_parted(*of) && fired.remove(&(url, step, episode, *of)))
        });
        for open in &mut self.open {
            open.both.retain(|other| is_one(&world.first, open.of, *other));
        }
        for back in &mut self.taken_back {
            if is_parted(back.of) {
                back.is_parted = true;
                let (url, step, episode) = back.asked.clone();
                fired.remove(&(url, step, episode, back.of));
            }
        }
    }

    /// Something was decided.
    pub(super) fn hear(&mut self, world: &World, decision: &Decision, fired: &mut Fired) {
        let of = usize::try_from(decision.person.0 - 1).unwrap();
        let is_over = decision.outcome == Outcome::Withdrawn && decision.gate != because::PARTED;
        if decision.step != CALL {
            return;
        }
        if decision.outcome == Outcome::Fired && decision.gate.is_empty() {
            self.taken_back.retain(|back| !(back.is_parted && back.of == of && back.asked == asked(decision)));
            let both = world.one(of).map(|(at, _)| at).collect();
            let (task, facts) = (decision.recorded.clone(), names(&decision.facts).map(str::to_owned).collect());
            self.open.push(Open { asked: asked(decision), of, task, facts, both });
        } else if is_over && !OWN.contains(&decision.gate.as_str()) && world.one(of).count() > 1 {
            let is_double = decision.gate == because::TWICE;
            // What was done for both already does not come back.
            if is_double && self.done.contains_key(&(asked(decision), of)) {
                let (url, step, episode) = asked(decision);
                fired.insert((url, step, episode, of));
                return;
            }
            // Taken back anew: what was said of the time before is said of this one.
            self.taken_back.retain(|back| !(back.of == of && back.asked == asked(decision)));
            let facts = names(&decision.facts).filter(|name| !name.starts_with("Task/")).map(str::to_owned).collect();
            self.taken_back.push(TakenBack { asked: asked(decision), of, facts, is_double, is_parted: false });
        }
    }

    /// What was done counts for whoever was one with them; what counts for nobody any more must have come back.
    pub(super) fn look(&mut self, world: &World, fired: &mut Fired) -> Result<(), String> {
        let is_done = |task: &str| world.house.resource(task).is_some_and(|task| task.value["status"] == "completed");
        let (done, open) = std::mem::take(&mut self.open).into_iter().partition(|open| is_done(&open.task));
        self.open = open;
        for Open { asked, of, facts, both, .. } in done {
            // A fill may be counted from another day than when it was asked about before.
            let is_of_fill = |back: &TakenBack| {
                let is_step = (&back.asked.0, &back.asked.1) == (&asked.0, &asked.1);
                is_step && back.facts.iter().any(|fact| facts.contains(fact))
            };
            let is_it = |back: &TakenBack| back.asked == asked || is_of_fill(back);
            let counts = |back: &TakenBack| is_it(back) && world.first[back.of] == world.first[of];
            for record in self.taken_back.iter().filter(|back| counts(back)).map(|back| back.of) {
                let is_new = fired.insert((asked.0.clone(), asked.1.clone(), asked.2.clone(), record));
                if is_new && !both.contains(&record) {
                    self.lent.insert((asked.clone(), record));
                }
            }
            self.taken_back.retain(|back| !counts(back));
            for (at, _) in world.one(of).filter(|(at, _)| *at != of) {
                *self.done.entry((asked.clone(), at)).or_default() |= both.contains(&at);
            }
        }
        for back in self.taken_back.iter().filter(|back| back.is_double && back.is_parted) {
            let (url, step, episode) = back.asked.clone();
            let stands = world.one(back.of).any(|(at, _)| fired.contains(&(url.clone(), step.clone(), episode.clone(), at)));
            if !stands && !back.is_answered(world) {
                return Err(format!("a double never came back: {back:#?}"));
            }
        }
        // What came back, or was decided on, is a matter of its own from then on.
        self.taken_back.retain(|back| !(back.is_parted && back.is_answered(world)));
        Ok(())
    }
}

impl TakenBack {
    /// Whether it is due again, or it was decided why not, or what it was about is no more.
    fn is_answered(&self, world: &World) -> bool {
        let is_theirs = |person: Person| world.one(self.of).any(|(at, _)| Person(i64::try_from(at).unwrap() + 1) == person);
        let own = |name: &&String| world.facts.get(*name).is_some_and(|fact| fact.stands && fact.is_live && is_theirs(fact.of));
        let own: Vec<&String> = self.facts.iter().filter(own).collect();
        let is_about = |rule: &str, step: &str, facts: &[String]| {
            let rests = || names(facts).any(|name| own.iter().any(|own| *own == name));
            rule.split('|').next() == Some(self.asked.0.as_str()) && step == self.asked.1 && rests()
        };
        let mut dues = world.house.dues.values().filter(|due| is_theirs(due.person));
        let is_gate = |one: &Decision| one.gate != because::PARTED && one.gate != because::TWICE;
        let mut decisions = world.house.latest().filter(|one| is_theirs(one.person) && is_gate(one));
        own.is_empty()
            || own.iter().any(|name| world.is_continued(name))
            || dues.any(|due| is_about(&due.rule, &due.step, &due.detail().facts))
            || decisions.any(|one| is_about(&one.rule, &one.step, &one.facts))
    }
}
