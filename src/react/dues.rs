//! What is due of a person in a reaction, in the order of the outputs, so that the same story gives the same reaction.

use super::detail::Planned;

/// What is due, one for each output.
#[derive(Debug, Default)]
pub(crate) struct Dues(Vec<Planned>);

impl Dues {
    /// Of rows in any order. Two records of a person may each have one of one output; the one behind stands.
    pub(crate) fn of(rows: &[Planned]) -> Self {
        let mut rows = rows.to_vec();
        rows.sort_by(|one, other| one.output.cmp(&other.output));
        rows.dedup_by(|behind, before| {
            let same = behind.output == before.output;
            if same {
                std::mem::swap(behind, before);
            }
            same
        });
        Self(rows)
    }

    fn place(&self, output: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|due| due.output.as_str().cmp(output))
    }

    /// The one of this output.
    pub(crate) fn get(&self, output: &str) -> Option<&Planned> {
        self.place(output).ok().and_then(|at| self.0.get(at))
    }

    /// Whether there is one of this output.
    pub(crate) fn has(&self, output: &str) -> bool {
        self.place(output).is_ok()
    }

    /// Puts one in the place of what was due for its output.
    pub(crate) fn keep(&mut self, due: Planned) {
        match self.place(&due.output) {
            Ok(at) => self.0[at] = due,
            Err(at) => self.0.insert(at, due),
        }
    }

    /// Takes away the one of this output.
    pub(crate) fn remove(&mut self, output: &str) -> Option<Planned> {
        self.place(output).ok().map(|at| self.0.remove(at))
    }

    /// All.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Planned> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Due, Person};

    fn due(output: &str, person: i64) -> Planned {
        let (rule, step, episode, detail) = (String::new(), String::new(), String::new(), String::new());
        Due { person: Person(person), output: output.to_owned(), due: 0, priority: 0, rule, step, episode, detail }.into()
    }

    fn told(dues: &Dues) -> Vec<(&str, i64)> {
        dues.values().map(|due| (due.output.as_str(), due.person.0)).collect()
    }

    #[test]
    fn there_is_one_for_each_output_and_the_last_stands() {
        let mut dues = Dues::of(&[due("b", 1), due("a", 1), due("b", 2), due("b", 3)]);
        assert_eq!(told(&dues), [("a", 1), ("b", 3)]);
        dues.keep(due("aa", 4));
        dues.keep(due("a", 5));
        assert_eq!(told(&dues), [("a", 5), ("aa", 4), ("b", 3)]);
        assert_eq!(dues.remove("a").map(|due| due.person), Some(Person(5)));
        assert!(dues.remove("a").is_none() && !dues.has("a") && dues.has("b") && dues.get("c").is_none());
    }
}
