//! Whether deciding again came to the same.

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

/// Where two accounts of what was decided part, output by output, each in the order in which it was decided. Times may part by `slack_ms`:
/// a live decision comes as much later as the beat took.
#[must_use]
pub fn differences(live: &[Decision], again: &[Decision], slack_ms: i64) -> Vec<Difference> {
    let mut outputs: BTreeMap<&str, (Vec<&Decision>, Vec<&Decision>)> = BTreeMap::new();
    for decision in live {
        outputs.entry(&decision.output).or_default().0.push(decision);
    }
    for decision in again {
        outputs.entry(&decision.output).or_default().1.push(decision);
    }
    let mut found = Vec::new();
    for (live, again) in outputs.values() {
        for at in 0..live.len().max(again.len()) {
            let (live, again) = (live.get(at).copied(), again.get(at).copied());
            if !live.zip(again).is_some_and(|(live, again)| agree(live, again, slack_ms)) {
                found.push(Difference { live: live.cloned(), again: again.cloned() });
            }
        }
    }
    found
}

fn agree(live: &Decision, again: &Decision, slack_ms: i64) -> bool {
    let near = |one: i64, other: i64| one.abs_diff(other) <= slack_ms.unsigned_abs();
    let shifted = Decision { at: live.at, until: live.until, ..again.clone() };
    near(live.at, again.at) && near(live.until, again.until) && shifted == *live
}

#[cfg(test)]
mod tests {
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
            facts: vec![],
            recorded: String::new(),
        }
    }

    #[test]
    fn only_what_parts_is_named() {
        let live = [decision("a", 1, "quiet"), decision("b", 1, "caps"), decision("b", 2, "caps")];
        assert_eq!(differences(&live, &live, 0), []);
        let other = [decision("a", 1, "caps"), decision("b", 1, "caps"), decision("b", 5, "caps")];
        assert_eq!(differences(&live, &other, 0).len(), 2);
        assert_eq!(differences(&live, &other, 3).len(), 1, "times may part, gates may not");
        assert_eq!(differences(&live, &live[..2], 0), [Difference { live: Some(live[2].clone()), again: None }]);
    }
}
