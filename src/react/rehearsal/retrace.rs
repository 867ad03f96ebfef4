//! Asks the rules again what they were asked: each time at the same time of the clock, about the same events, with all that they could
//! see then and nothing else. So it is exact also for a gateway that heard many events together and decided while others wrote.

use std::collections::{BTreeMap, VecDeque};

use super::{Claimed, Learned, Rehearsal};
use crate::ledger::{Asked, Person, Turn};
use crate::react::{Concern, Heard, Occasion, Resource, called};

/// Something that was learned, with its place on a chain.
#[derive(Debug, Clone)]
pub struct Entered {
    /// On whose chain it stands.
    pub person: Person,
    /// Its place there; 0 for what stands on a chain of others.
    pub ordinal: i64,
    /// When it was learned, UTC milliseconds.
    pub at: i64,
    /// What was learned.
    pub learned: Learned,
}

/// What came of asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traced {
    /// Events that rules ask for and were never asked about.
    pub unheard: usize,
    /// Those of them that were learned before anything was kept of when the rules were asked.
    pub before: usize,
}

/// What was learned of persons who are one in the end, as far as it was not seen yet.
struct Unseen {
    chains: BTreeMap<Person, VecDeque<Entered>>,
    /// What stands on chains of others, in order of time.
    others: VecDeque<Entered>,
}

impl Unseen {
    fn of(lines: Vec<Entered>) -> Self {
        let mut unseen = Self { chains: BTreeMap::new(), others: VecDeque::new() };
        for line in lines {
            match line.ordinal {
                0 => unseen.others.push_back(line),
                _ => unseen.chains.entry(line.person).or_default().push_back(line),
            }
        }
        for chain in unseen.chains.values_mut() {
            chain.make_contiguous().sort_by_key(|line| line.ordinal);
        }
        unseen
    }

    /// What a turn sees and no turn saw before it, in the order in which it was learned.
    fn seen(&mut self, turn: &Turn) -> Vec<Entered> {
        let mut seen = Vec::new();
        for (person, ordinal) in &turn.seen {
            if let Some(chain) = self.chains.get_mut(person) {
                while let Some(line) = chain.pop_front_if(|line| line.ordinal <= *ordinal) {
                    seen.push(line);
                }
            }
        }
        while let Some(line) = self.others.pop_front_if(|line| line.at <= turn.at) {
            seen.push(line);
        }
        seen.sort_by_key(|line| (line.at, line.person, line.ordinal));
        seen
    }

    fn rest(self) -> Vec<Entered> {
        let mut rest: Vec<Entered> = self.chains.into_values().flatten().chain(self.others).collect();
        rest.sort_by_key(|line| (line.at, line.person, line.ordinal));
        rest
    }
}

impl Rehearsal<'_> {
    /// Asks again what was asked. What was learned after `until` is not missed yet.
    pub fn retrace(&mut self, turns: &[Turn], lines: Vec<Entered>, until: i64) {
        let (mut traced, mut unseen) = (Traced::default(), Unseen::of(lines));
        let first = turns.first().map_or(i64::MAX, |turn| turn.at);
        let mut miss = |claimed: &[Claimed]| {
            let missed = claimed.iter().filter(|one| one.concern == Concern::Rules && one.at <= until);
            for one in missed {
                traced.unheard += 1;
                traced.before += usize::from(one.at < first);
            }
        };
        for turn in turns {
            self.see(unseen.seen(turn));
            (self.now, self.stamp) = (turn.at, Some(turn.stamp));
            match &turn.asked {
                Asked::Heard { since, until, count } => {
                    let (heard, passed) = self.heard_in(turn, (*since, *until), usize::try_from(*count).unwrap_or_default());
                    miss(&passed);
                    let depth = heard.iter().map(|one| one.depth).max().unwrap_or(0);
                    self.turn(turn.person, &Occasion::Heard(heard), depth);
                }
                Asked::Due(output) => match self.dues.get(output).cloned() {
                    Some(due) => self.turn(turn.person, &Occasion::Due(due), 0),
                    None => self.faults += 1,
                },
                Asked::Called(kept) => match called::called_for(kept) {
                    Some((mut call, event)) => {
                        call.event = event.and_then(|event| self.known.find(&event, turn.at));
                        if call.is_of_medication() {
                            let named: Vec<Resource> =
                                call.subjects.iter().filter_map(|name| self.known.find(name, turn.at)).collect();
                            call = call.telling(named);
                        }
                        self.turn(turn.person, &Occasion::Called(call.into()), 0);
                    }
                    None => self.faults += 1,
                },
            }
        }
        self.see(unseen.rest());
        self.stamp = None;
        miss(&std::mem::take(&mut self.heard));
        self.traced = traced;
    }

    /// Takes in what was learned, each under the rules of its time.
    fn see(&mut self, lines: Vec<Entered>) {
        for Entered { at, learned, .. } in lines {
            self.now = at;
            match learned {
                Learned::United(one, other) => self.unite(one, other),
                Learned::Parted(one, other) => self.part(one, other),
                Learned::Fact(fact) => self.take(*fact, 0),
                Learned::Left(fact) => {
                    self.known.put(*fact, |_| false);
                }
            }
        }
    }

    /// The events that a turn was about; and those of the person that were passed over before them.
    fn heard_in(&mut self, turn: &Turn, (since, until): (i64, i64), count: usize) -> (Vec<Heard>, Vec<Claimed>) {
        let survivor = self.unions.known_as(turn.person);
        let mut all = std::mem::take(&mut self.heard);
        all.sort_by_key(|one| one.at);
        let (mut heard, mut passed) = (Vec::new(), Vec::new());
        for one in all {
            let is_theirs = self.unions.known_as(one.person) == survivor;
            if is_theirs && one.at < since {
                passed.push(one);
            } else if is_theirs && one.at <= until && heard.len() < count {
                heard.push(one.heard);
            } else {
                self.heard.push(one);
            }
        }
        (heard, passed)
    }
}
