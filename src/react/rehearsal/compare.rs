//! Whether deciding again came to the same.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use crate::ledger::Decision;

/// Something that was decided otherwise, or once only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// As it was decided; `None` when it was not.
    pub live: Option<Decision>,
    /// As it was decided again.
    pub again: Option<Decision>,
}

/// Where two accounts of what was decided part, output by output, each in the order in which it was decided.
#[must_use]
pub fn differences(live: &[Decision], again: &[impl Borrow<Decision>]) -> Vec<Difference> {
    let mut outputs: BTreeMap<&str, (Vec<&Decision>, Vec<&Decision>)> = BTreeMap::new();
    for decision in live {
        outputs.entry(&decision.output).or_default().0.push(decision);
    }
    for decision in again.iter().map(Borrow::borrow) {
        outputs.entry(&decision.output).or_default().1.push(decision);
    }
    let mut found = Vec::new();
    for (mut live, mut again) in outputs.into_values() {
        // What was decided of an output may go on in another episode, and is told episode by episode.
        live.sort_by_key(|decision| decision.at);
        again.sort_by_key(|decision| decision.at);
        for at in 0..live.len().max(again.len()) {
            let (live, again) = (live.get(at).copied(), again.get(at).copied());
            if live != again {
                found.push(Difference { live: live.cloned(), again: again.cloned() });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ledger::{Outcome, Person};

    fn decision(output: &str, at: i64, gate: &str) -> Decision {
        Decision {
            person: Person(1),
            output: output.to_owned(),
            at,
            outcome: Outcome::Held,
            gate: gate.to_owned(),
            until: 0,
            rule: String::new(),
            step: String::new(),
            episode: String::new(),
            priority: 1,
            spoken: false,
            reason: String::new(),
            facts: Arc::default(),
            recorded: String::new(),
        }
    }

    #[test]
    fn only_what_parts_is_named() {
        let live = [decision("a", 1, "quiet"), decision("b", 1, "caps"), decision("b", 2, "caps")];
        assert_eq!(differences(&live, &live), []);
        let moved = |at: i64, episode: &str| Decision { episode: episode.to_owned(), ..decision("a", at, "") };
        let decided = [moved(1, "n"), moved(2, "m"), moved(3, "n")];
        let told = [decided[1].clone(), decided[0].clone(), decided[2].clone()];
        assert_eq!(differences(&told, &decided), []);
        let other = [decision("a", 1, "caps"), decision("b", 1, "caps"), decision("b", 5, "caps")];
        assert_eq!(differences(&live, &other).len(), 2);
        assert_eq!(differences(&live, &live[..2]), [Difference { live: Some(live[2].clone()), again: None }]);
    }
}
