//! The latest decision of each output of a story, found by its output and by its episode; and which of them rest on the fills of a
//! product, found in one look for all its fills, however many dispenses make them.

use std::collections::BTreeMap;
use std::iter::from_fn;
use std::ops::Bound::{Included, Unbounded};
use std::sync::Arc;
use std::vec::IntoIter;

use super::decide::{because, is_settled, is_void};
use super::dispensed::Dispensed;
use super::episode;
use crate::ledger::Decision;

/// The latest decision of each output, as a story knows it.
#[derive(Debug, Clone, Default)]
pub struct Latest {
    all: Vec<Arc<Decision>>,
    /// By output id; ordered, so that the same story gives the same reaction.
    outputs: BTreeMap<String, usize>,
    /// Where an episode has or had decisions; ordered, so that those of a product stand together.
    episodes: BTreeMap<String, Vec<usize>>,
}

impl Latest {
    /// Of decisions in any order; of two that were made of one output at one time, the one behind.
    pub fn of(decisions: impl IntoIterator<Item = Arc<Decision>>) -> Self {
        let mut latest = Self::default();
        for decision in decisions {
            if latest.get(&decision.output).is_none_or(|known| is_outdone(known, &decision)) {
                latest.put(decision);
            }
        }
        // Of many only the last counts: what was outdone is entered nowhere.
        for (at, decision) in latest.all.iter().enumerate() {
            enter(&mut latest.episodes, &decision.episode, at);
        }
        latest
    }

    /// Puts a decision in the place of what was decided of its output before.
    pub fn keep(&mut self, decision: Arc<Decision>) {
        let episode = Arc::clone(&decision);
        let at = self.put(decision);
        enter(&mut self.episodes, &episode.episode, at);
    }

    fn put(&mut self, decision: Arc<Decision>) -> usize {
        let at = self.outputs.get(&decision.output).copied().unwrap_or(self.all.len());
        if let Some(known) = self.all.get_mut(at) {
            *known = decision;
        } else {
            self.outputs.insert(decision.output.clone(), at);
            self.all.push(decision);
        }
        at
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

    fn of_product(&self, product: &str) -> impl Iterator<Item = &Decision> {
        let from = self.episodes.range::<str, _>((Included(product), Unbounded));
        let of_it = from.take_while(move |(episode, _)| episode.starts_with(product));
        let fills = of_it.filter(move |(episode, _)| episode::is_of_product(episode, product));
        fills.flat_map(|(episode, places)| {
            let found = places.iter().filter_map(|at| self.at(*at));
            found.filter(move |decision| decision.episode == *episode)
        })
    }

    /// Where those stand that rest on a fill, for each of so many. The steps of an episode mostly rest on the same facts: these are
    /// looked at once.
    fn resting<'f>(&self, fills: usize, fills_of: impl Fn(&str) -> &'f [(&'f str, usize)]) -> Vec<Vec<usize>> {
        let mut resting = vec![Vec::new(); fills];
        let mut found = Vec::new();
        let none = Arc::default();
        let mut before: &Arc<[String]> = &none;
        for (at, decision) in self.all.iter().enumerate() {
            if decision.facts != *before {
                before = &decision.facts;
                found.clear();
                found.extend(dispenses(before).flat_map(&fills_of).map(|(_, fill)| *fill));
                found.sort_unstable();
                found.dedup();
            }
            for fill in &found {
                resting[*fill].push(at);
            }
        }
        resting
    }
}

/// The latest decision of each output in a reaction: what the story knows, which stays as it is, and what was decided since.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    known: Arc<Latest>,
    since: Latest,
}

/// Where those known decisions stand that rest on the fills of a product.
#[derive(Debug)]
pub(crate) struct Resting<'f> {
    dispensed: &'f Dispensed<'f>,
    places: Vec<Vec<usize>>,
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

    /// All, in no order, for whoever looks for few of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Decision> {
        let known = self.known.all.iter().map(Arc::as_ref).filter(|known| self.stands(known));
        known.chain(self.since.all.iter().map(Arc::as_ref))
    }

    /// Those of an episode, in the order of their outputs.
    pub(crate) fn of_episode(&self, episode: &str) -> IntoIter<&Decision> {
        let known = self.known.of_episode(episode).filter(|known| self.stands(known));
        let mut found: Vec<&Decision> = known.chain(self.since.of_episode(episode)).collect();
        found.sort_by(|one, other| one.output.cmp(&other.output));
        found.into_iter()
    }

    /// Those of the episodes of a product's fills, in no order.
    pub(crate) fn of_product(&self, product: &str) -> impl Iterator<Item = &Decision> {
        let known = self.known.of_product(product).filter(|known| self.stands(known));
        known.chain(self.since.of_product(product))
    }

    /// What rests on the fills that these dispenses make; to be looked for once, whatever is decided meanwhile.
    pub(crate) fn resting<'f>(&self, dispensed: &'f Dispensed<'f>, fills: usize) -> Resting<'f> {
        Resting { dispensed, places: self.known.resting(fills, |id| dispensed.fills_of(id)) }
    }

    /// Those of which this is true, and which rest on a dispense of the fill at this place, in no order. It is asked first: what a
    /// new one rests on costs a look at its facts, though once for the steps together.
    pub(crate) fn resting_on<'a>(
        &'a self,
        resting: &Resting,
        fill: usize,
        is_meant: impl Fn(&Decision) -> bool + Copy,
    ) -> impl Iterator<Item = &'a Decision> {
        let places = resting.places.get(fill).into_iter().flatten();
        let known = places.filter_map(|at| self.known.at(*at)).filter(move |known| is_meant(known) && self.stands(known));
        let (mut before, mut rests) = (None, false);
        let since = self.since.all.iter().filter(move |decision| is_meant(decision)).filter(move |decision| {
            if before.replace(&decision.facts).is_none_or(|before| *before != decision.facts) {
                rests = dispenses(&decision.facts).any(|id| resting.dispensed.is_of(id, fill));
            }
            rests
        });
        known.chain(since.map(Arc::as_ref))
    }

    /// Whether a known one was not decided anew.
    fn stands(&self, known: &Decision) -> bool {
        self.since.all.is_empty() || self.since.get(&known.output).is_none()
    }
}

/// Whether another decision stands in the place of a known one. Two records of a person may each have decisions about one output: that
/// one of them gave it up, when they were parted, says nothing of what was said or ended for the other; what counted for the other only
/// because they were one is given up with it.
fn is_outdone(known: &Decision, other: &Decision) -> bool {
    let stays = |one: &Decision| is_settled(one) && one.gate != because::SHARED;
    match (is_void(known), is_void(other)) {
        (true, false) if known.person != other.person && stays(other) => true,
        (false, true) if known.person != other.person && stays(known) => false,
        _ => known.at <= other.at,
    }
}

/// Ids of the dispenses among facts.
pub(crate) fn dispenses(facts: &[String]) -> impl Iterator<Item = &str> {
    facts.iter().filter_map(|fact| fact.strip_prefix("MedicationDispense/")?.split('/').next())
}

fn enter(index: &mut BTreeMap<String, Vec<usize>>, key: &str, at: usize) {
    match index.get_mut(key) {
        Some(places) if places.contains(&at) => {}
        Some(places) => places.push(at),
        None => {
            index.insert(key.to_owned(), vec![at]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::ledger::{Outcome, Person};
    use crate::react::cover::Fill;

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

    // What an older record held long ago does not come back when another of them gave it up.
    #[test]
    fn what_was_held_before_is_given_up_with_the_rest() {
        let of = |person: i64, at: i64, outcome: Outcome, gate: &str| {
            Arc::new(Decision { person: Person(person), outcome, gate: gate.to_owned(), ..decision("a", "e", at, &[]) })
        };
        let given_up = of(1, 4, Outcome::Withdrawn, because::PARTED);
        for (other, stands) in [
            (of(2, 3, Outcome::Held, "caps"), (1, 4)),
            (of(2, 5, Outcome::Held, "caps"), (2, 5)),
            (of(2, 3, Outcome::Fired, ""), (2, 3)),
            (of(2, 3, Outcome::Fired, because::SHARED), (1, 4)),
        ] {
            for decisions in [[other.clone(), given_up.clone()], [given_up.clone(), other]] {
                let latest = Latest::of(decisions);
                assert_eq!(latest.get("a").map(|known| (known.person.0, known.at)), Some(stands));
            }
        }
    }

    fn is_found(decided: &Decided) {
        assert_eq!(outputs(decided.values()), [("a", 2), ("b", 4), ("c", 3)]);
        assert_eq!(decided.get("b").map(|known| known.at), Some(4));
        assert_eq!(outputs(decided.of_episode("e")), [("a", 2)]);
        assert_eq!(outputs(decided.of_episode("g")), [("b", 4)]);
        assert_eq!(resting(decided, &["1", "2"]), [("a", 2)]);
        assert_eq!(resting(decided, &["3"]), [("b", 4)]);
        assert_eq!(resting(decided, &["4"]), []);
        assert_eq!(resting(decided, &[]), []);
    }

    fn fill(dispenses: &[&str]) -> Fill {
        let dispenses = dispenses.iter().map(|id| (*id).to_owned()).collect();
        Fill { handed: 0, first: 0, last: None, days: 0, step: String::new(), dispenses, copies: Vec::new() }
    }

    fn resting<'d>(decided: &'d Decided, ids: &[&str]) -> Vec<(&'d str, i64)> {
        let fills = [fill(&["other"]), fill(ids)];
        let dispensed = Dispensed::of(&fills);
        let resting = decided.resting(&dispensed, fills.len());
        let mut found: Vec<&str> = decided.resting_on(&resting, 1, |_| true).map(|decision| decision.output.as_str()).collect();
        found.sort_unstable();
        found.into_iter().map(|output| (output, decided.get(output).unwrap().at)).collect::<Vec<_>>()
    }

    // What a fill of many dispenses rests on: each of the four steps was decided whenever one more of them was heard.
    #[test]
    fn each_fact_is_looked_at_once_for_all_the_fills_of_a_product() {
        for count in [1, 8, 64] {
            let ids: Vec<String> = (0..count).map(|id| format!("d{id}")).collect();
            let facts: Vec<String> = ids.iter().map(|id| format!("MedicationDispense/{id}/_history/1")).collect();
            let facts: Vec<&str> = facts.iter().map(String::as_str).collect();
            let all = (0..count * 4).map(|at| {
                let (fill, step) = (at / 4, at % 4);
                decision(&format!("{fill}-{step}"), &format!("p|{fill}"), 1, &facts[..=fill])
            });
            let decided = Decided::of(&Arc::new(Latest::of(all.clone().map(Arc::new))));
            let mut anew = Decided::default();
            all.for_each(|decision| anew.keep(decision));
            let (early, late) = ids.split_at(count / 2);
            let fills = [early, late].map(|ids| Fill { dispenses: ids.to_vec(), ..fill(&[]) });
            let dispensed = Dispensed::of(&fills);
            let looks = Cell::new(0);
            let places = decided.known.resting(fills.len(), |id| {
                looks.set(looks.get() + 1);
                dispensed.fills_of(id)
            });
            // Once for the steps together, and never for each dispense of a fill.
            assert_eq!(looks.get(), (1..=count).sum::<usize>());
            let resting = decided.resting(&dispensed, fills.len());
            let found = [0, 1].map(|at| decided.resting_on(&resting, at, |_| true).count());
            assert_eq!(found, [if count == 1 { 0 } else { count * 4 }, (count - count / 2) * 4]);
            assert_eq!(found, [places[0].len(), places[1].len()]);
            let resting = anew.resting(&dispensed, fills.len());
            assert_eq!([0, 1].map(|at| anew.resting_on(&resting, at, |_| true).count()), found);
        }
    }

    #[test]
    fn a_product_has_the_decisions_of_its_own_fills() {
        let all = [
            decision("a", "p|2026-01-01", 1, &[]),
            decision("b", "p|x|2026-01-01", 1, &[]),
            decision("c", "p|2026-02-01", 1, &[]),
            decision("d", "pp|2026-01-01", 1, &[]),
            decision("e", "o|2026-01-01", 1, &[]),
        ];
        let mut decided = Decided::of(&Arc::new(Latest::of(all.map(Arc::new))));
        let of = |decided: &Decided, product: &str| -> Vec<String> {
            let mut found: Vec<String> = decided.of_product(product).map(|one| format!("{} {}", one.output, one.at)).collect();
            found.sort_unstable();
            found
        };
        assert_eq!((of(&decided, "p"), of(&decided, "p|x")), (vec!["a 1".to_owned(), "c 1".to_owned()], vec!["b 1".to_owned()]));
        decided.keep(decision("a", "q|2026-01-01", 2, &[]));
        decided.keep(decision("c", "p|2026-02-01", 2, &[]));
        assert_eq!((of(&decided, "p"), of(&decided, "q")), (vec!["c 2".to_owned()], vec!["a 2".to_owned()]));
        assert_eq!(decided.all().count(), 5);
    }
}
