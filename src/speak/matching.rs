//! Tries a search on one resource in memory, by the same search rows that the ledger keeps of it.
//! Follows <https://hl7.org/fhir/R4/subscription.html>.

use serde_json::Value;

use crate::fhir::search::Subject;
use crate::fhir::search::query::{Criterion, Query, When};
use crate::fhir::time::Span;
use crate::ledger::search::Line;

/// What is known of the resource that is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// Its type.
    pub(super) kind: &'a str,
    /// Its id.
    pub(super) id: &'a str,
    /// The resource.
    pub(super) value: &'a Value,
    /// Its search rows.
    pub(super) lines: &'a [Line],
    /// Its stamp, UTC milliseconds; also serves as now.
    pub(super) updated: i64,
}

impl Candidate<'_> {
    /// Whether every criterion holds. The type was compared before.
    pub(super) fn satisfies(&self, query: &Query) -> bool {
        query.criteria.iter().all(|criterion| self.meets(criterion))
    }

    fn meets(&self, criterion: &Criterion) -> bool {
        match criterion {
            Criterion::Id(ids) => ids.iter().any(|id| id == self.id),
            Criterion::Updated(any) => self.falls(any, Span { low: self.updated, high: self.updated.saturating_add(1) }),
            Criterion::Word { parameter, any } => self.words(*parameter).any(|found| any.iter().any(|word| word.is(found))),
            Criterion::Date { parameter, any } => self.spans(*parameter).any(|found| self.falls(any, found)),
            // What the rows do not tell is seen in the resource.
            other => {
                let (kind, id, updated) = (self.kind, self.id, Some(self.updated));
                Subject { kind, id, updated, value: self.value, now: self.updated }.meets(other)
            }
        }
    }

    fn falls(&self, any: &[When], found: Span) -> bool {
        any.iter().any(|when| when.holds(found, self.updated))
    }

    fn words(&self, parameter: u32) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(move |line| match line {
            Line::Word { parameter: of, word, .. } if *of == parameter => Some(word.as_str()),
            _ => None,
        })
    }

    fn spans(&self, parameter: u32) -> impl Iterator<Item = Span> {
        self.lines.iter().filter_map(move |line| match line {
            Line::Span { parameter: of, low, high } if *of == parameter => Some(Span { low: *low, high: *high }),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::search::query::{Compare, Sort, Word};

    fn query(criteria: Vec<Criterion>) -> Query {
        Query { kind: String::from("Condition"), criteria, sort: Sort::Natural, count: 1, after: None, total: false }
    }

    fn word(parameter: u32, word: &str) -> Line {
        Line::Word { parameter, word: word.to_owned() }
    }

    fn satisfies(criteria: Vec<Criterion>) -> bool {
        let lines = [word(1, "s|a"), word(1, "s|b"), word(2, "smith"), Line::Span { parameter: 3, low: 100, high: 200 }];
        let value = serde_json::json!({"resourceType": "Condition", "onsetAge": {"value": 52}, "code": {"text": "Asthma"}});
        Candidate { kind: "Condition", id: "c1", value: &value, lines: &lines, updated: 1_000 }.satisfies(&query(criteria))
    }

    fn is(parameter: u32, any: &[&str]) -> Criterion {
        Criterion::Word { parameter, any: any.iter().map(|word| Word::Is((*word).to_owned())).collect() }
    }

    #[test]
    fn every_criterion_must_hold_and_any_of_its_alternatives() {
        assert!(satisfies(vec![]));
        assert!(satisfies(vec![is(1, &["s|x", "s|b"]), is(2, &["smith"])]));
        assert!(!satisfies(vec![is(1, &["s|b"]), is(2, &["jones"])]));
        assert!(!satisfies(vec![is(2, &["s|a"])]));
        assert!(!satisfies(vec![is(1, &[])]));
        assert!(satisfies(vec![Criterion::Id(vec![String::from("c1")])]));
        assert!(!satisfies(vec![Criterion::Id(vec![String::from("c2")])]));
    }

    #[test]
    fn words_between_two_bounds_are_found_up_to_the_second() {
        let between = |low: &str, high: &str| {
            vec![Criterion::Word { parameter: 2, any: vec![Word::Between { low: low.to_owned(), high: high.to_owned() }] }]
        };
        assert!(satisfies(between("smi", "smj")));
        assert!(!satisfies(between("smj", "smk")));
        assert!(!satisfies(between("s", "smith")));
    }

    #[test]
    fn dates_and_the_stamp_are_compared_as_a_search_does() {
        let date = |compare, low, high| Criterion::Date { parameter: 3, any: vec![When { compare, span: Span { low, high } }] };
        assert!(satisfies(vec![date(Compare::Equal, 0, 300)]));
        assert!(!satisfies(vec![date(Compare::StartsAfter, 100, 200)]));
        let updated = |compare| Criterion::Updated(vec![When { compare, span: Span { low: 900, high: 901 } }]);
        assert!(satisfies(vec![updated(Compare::Greater)]));
        assert!(!satisfies(vec![updated(Compare::Less)]));
    }

    #[test]
    fn what_no_row_tells_is_seen_in_the_resource() {
        let read = |text: &str| {
            let pairs = crate::fhir::search::pairs(text).unwrap();
            crate::fhir::search::parse::parse("Condition", &pairs, 0).query.criteria
        };
        for (criteria, expected) in [
            ("subject:missing=true", true),
            ("subject:missing=false", false),
            ("onset-age=52", true),
            ("onset-age=gt52", false),
            ("code:text=asth", true),
            ("code:text=copd", false),
            ("code:not=1", true),
        ] {
            assert_eq!(satisfies(read(criteria)), expected, "{criteria}");
        }
    }
}
