//! The latest decision of each output of a story, found without looking at all of them: by its episode, and by the dispenses that
//! it rests on. What a fill costs does not grow with what was ever decided of its person.

use std::collections::{BTreeMap, HashMap};
use std::iter::from_fn;
use std::sync::Arc;
use std::vec::IntoIter;

use super::decide::because;
use crate::ledger::Decision;

/// The latest decision of each output, as a story knows it.
#[derive(Debug, Clone, Default)]
pub struct Latest {
    all: Vec<Arc<Decision>>,
    /// By output id; ordered, so that the same story gives the same reaction.
    outputs: BTreeMap<String, usize>,
    episodes: HashMap<String, Vec<usize>>,
    /// By the id of a dispense among the facts.
    dispenses: HashMap<String, Vec<usize>>,
}

impl Latest {
    /// Of decisions in any order; of two that were made of one output at one time, the one behind.
    pub fn of(decisions: impl IntoIterator<Item = Arc<Decision>>) -> Self {
        let mut latest = Self::default();
        for decision in decisions {
            if latest.get(&decision.output).is_none_or(|known| is_outdone(known, &decision)) {
                latest.keep(decision);
            }
        }
        latest
    }

    /// Puts a decision in the place of what was decided of its output before.
    pub fn keep(&mut self, decision: Arc<Decision>) {
        let at = self.outputs.get(&decision.output).copied().unwrap_or(self.all.len());
        enter(&mut self.episodes, &decision.episode, at);
        for dispense in dispenses(&decision.facts) {
            enter(&mut self.dispenses, dispense, at);
        }
        if at == self.all.len() {
            self.outputs.insert(decision.output.clone(), at);
            self.all.push(decision);
        } else if let Some(known) = self.all.get_mut(at) {
            *known = decision;
        }
    }

    /// All, in the order of their outputs.
    pub fn iter(&self) -> impl Iterator<Item = &Decision> {
        self.outputs.values().filter_map(|at| self.at(*at))
    }

    fn at(&self, at: usize) -> Option<&Decision> {
        self.all.get(at).map(Arc::as_ref)
    }

    fn get(&self, output: &str) -> Option<&Decision> {
        self.at(*self.outputs.get(output)?)
    }

    fn of_episode(&self, episode: &str) -> impl Iterator<Item = &Decision> {
        let found = self.episodes.get(episode).into_iter().flatten().filter_map(|at| self.at(*at));
        found.filter(move |decision| decision.episode == episode)
    }

    fn resting_on(&self, ids: &[String]) -> impl Iterator<Item = &Decision> {
        let found = ids.iter().filter_map(|id| self.dispenses.get(id)).flatten().filter_map(|at| self.at(*at));
        found.filter(move |decision| dispenses(&decision.facts).any(|fact| ids.iter().any(|id| id == fact)))
    }
}

/// The latest decision of each output in a reaction: what the story knows, which stays as it is, and what was decided since.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    known: Arc<Latest>,
    since: Latest,
}

impl Decided {
    /// What was decided before.
    pub(crate) fn of(known: &Arc<Latest>) -> Self {
        Self { known: Arc::clone(known), since: Latest::default() }
    }

    /// Keeps the latest decision of its output.
    pub(crate) fn keep(&mut self, decision: Decision) {
        self.since.keep(Arc::new(decision));
    }

    /// The latest about this output.
    pub(crate) fn get(&self, output: &str) -> Option<&Decision> {
        self.since.get(output).or_else(|| self.known.get(output))
    }

    /// All, in the order of their outputs.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Decision> {
        let (mut known, mut since) = (self.known.iter().peekable(), self.since.iter().peekable());
        from_fn(move || match (known.peek(), since.peek()) {
            (Some(one), Some(other)) if one.output > other.output => since.next(),
            (Some(one), Some(other)) if one.output == other.output => known.next().and_then(|_| since.next()),
            (Some(_), _) => known.next(),
            (None, _) => since.next(),
        })
    }

    /// Those of an episode, in the order of their outputs.
    pub(crate) fn of_episode(&self, episode: &str) -> IntoIter<&Decision> {
        in_order(self.stands(self.known.of_episode(episode)).chain(self.since.of_episode(episode)))
    }

    /// Those that rest on one of these dispenses, in the order of their outputs.
    pub(crate) fn resting_on(&self, ids: &[String]) -> IntoIter<&Decision> {
        in_order(self.stands(self.known.resting_on(ids)).chain(self.since.resting_on(ids)))
    }

    /// What was not decided anew.
    fn stands<'a>(&self, known: impl Iterator<Item = &'a Decision>) -> impl Iterator<Item = &'a Decision> {
        known.filter(|decision| self.since.get(&decision.output).is_none())
    }
}

/// Whether another decision stands in the place of a known one. Two records of a person may each have decisions about one output: that
/// one of them gave it up, when they were parted, says nothing of what was decided for the other.
fn is_outdone(known: &Decision, other: &Decision) -> bool {
    let gave_up = |one: &Decision| one.gate == because::PARTED;
    if known.person != other.person && gave_up(known) != gave_up(other) {
        return gave_up(known);
    }
    known.at <= other.at
}

/// Ids of the dispenses among facts.
pub(crate) fn dispenses(facts: &[String]) -> impl Iterator<Item = &str> {
    facts.iter().filter_map(|fact| fact.strip_prefix("MedicationDispense/")?.split('/').next())
}

fn enter(index: &mut HashMap<String, Vec<usize>>, key: &str, at: usize) {
    match index.get_mut(key) {
        Some(places) if places.contains(&at) => {}
        Some(places) => places.push(at),
        None => {
            index.insert(key.to_owned(), vec![at]);
        }
    }
}

fn in_order<'a>(found: impl Iterator<Item = &'a Decision>) -> IntoIter<&'a Decision> {
    let mut found: Vec<&Decision> = found.collect();
    found.sort_by(|one, other| one.output.cmp(&other.output));
    found.dedup_by(|one, other| one.output == other.output);
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Outcome, Person};

    fn decision(output: &str, episode: &str, at: i64, facts: &[&str]) -> Decision {
        Decision {
            person: Person(1),
            output: output.to_owned(),
            at,
            outcome: Outcome::Fired,
            gate: String::new(),
            until: 0,
            rule: String::from("r|1"),
            step: String::from("s"),
            episode: episode.to_owned(),
            priority: 1,
            spoken: false,
            reason: String::new(),
            facts: facts.iter().map(|fact| (*fact).to_owned()).collect(),
            recorded: String::new(),
        }
    }

    fn outputs<'a>(found: impl Iterator<Item = &'a Decision>) -> Vec<(&'a str, i64)> {
        found.map(|decision| (decision.output.as_str(), decision.at)).collect()
    }

    // Whatever is asked, the answer is that of a look at all of them: the latest of each output, in the order of the outputs.
    #[test]
    fn what_is_found_is_what_a_look_at_all_would_find() {
        let all = [
            decision("b", "e", 1, &["MedicationDispense/1/_history/1"]),
            decision("a", "e", 2, &["MedicationDispense/2/_history/1", "MedicationDispense/1/_history/1"]),
            decision("c", "f", 3, &["Condition/1/_history/1"]),
            decision("b", "g", 4, &["MedicationDispense/3/_history/2"]),
        ];
        let all = all.map(Arc::new);
        for known in 0..=all.len() {
            let mut decided = Decided::of(&Arc::new(Latest::of(all[..known].iter().cloned())));
            all[known..].iter().for_each(|decision| decided.keep(decision.as_ref().clone()));
            is_found(&decided);
        }
    }

    #[test]
    fn what_one_record_gave_up_says_nothing_of_the_other() {
        let of = |person: i64, at: i64, gate: &str| {
            Arc::new(Decision { person: Person(person), gate: gate.to_owned(), ..decision("a", "e", at, &[]) })
        };
        let (fired, given_up, held) = (of(1, 1, ""), of(2, 2, because::PARTED), of(2, 3, "caps"));
        for (decisions, stands) in [
            (vec![fired.clone(), given_up.clone()], (1, 1)),
            (vec![given_up.clone(), fired.clone()], (1, 1)),
            (vec![of(2, 1, "caps"), given_up.clone()], (2, 2)),
            (vec![given_up, held.clone()], (2, 3)),
            (vec![fired, held], (2, 3)),
        ] {
            let latest = Latest::of(decisions);
            assert_eq!(latest.get("a").map(|known| (known.person.0, known.at)), Some(stands));
        }
    }

    fn is_found(decided: &Decided) {
        assert_eq!(outputs(decided.values()), [("a", 2), ("b", 4), ("c", 3)]);
        assert_eq!(decided.get("b").map(|known| known.at), Some(4));
        assert_eq!(outputs(decided.of_episode("e")), [("a", 2)]);
        assert_eq!(outputs(decided.of_episode("g")), [("b", 4)]);
        assert_eq!(outputs(decided.resting_on(&[String::from("1"), String::from("2")])), [("a", 2)]);
        assert_eq!(outputs(decided.resting_on(&[String::from("3")])), [("b", 4)]);
        assert_eq!(outputs(decided.resting_on(&[])), []);
    }
}
