//! All that is known of a patient, piece by piece: what belongs to the person in the ledger, then what that refers to.
//! Follows <https://hl7.org/fhir/R4/patient-operation-everything.html>.
//!
//! Nobody else's data is in it: what belongs to another person is left out however it is referred to, and of what belongs to nobody
//! only types that are about no patient at all are followed (practitioners, organizations, medications …). What only names the patient
//! belongs to them if it can be nobody else's; else it is nobody's. Memory holds one piece,
//! and up to [`OTHERS_MAX`] references.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;
use serde_json::Value;
use uuid::Uuid;

use crate::fhir::definitions::is_resource;
use crate::fhir::kinds;
use crate::fhir::search::{is_id, is_nobodys};
use crate::fhir::time::Moment;
use crate::ledger::{Error, Ledger, Person, Place, Scope, Stored};

/// References that are remembered at once; of more, the first in their order, and the rest is looked for again.
pub const OTHERS_MAX: usize = 10_000;
/// Readers for whom references are kept from one page to the next; for the one before the oldest of them they are looked for again.
const READERS_MAX: usize = 8;
/// Resources that are looked at together.
const PIECE: usize = 200;
/// Types that belong to no time: a range of dates leaves them in.
const TIMELESS: [&str; 3] = ["Patient", "RelatedPerson", "AllergyIntolerance"];

/// What is wanted of all there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    /// Happened at or after this, UTC milliseconds.
    pub start: Option<i64>,
    /// Happened before this.
    pub end: Option<i64>,
    /// Recorded at or after this.
    pub since: Option<i64>,
    /// Of these types, sorted; empty means all.
    pub kinds: Vec<String>,
}

/// A place in the whole; what comes next lies after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// Among what belongs to the person.
    Own(Place),
    /// Among what that refers to: `Type/id`, empty before all of it.
    Other(String),
}

/// One resource of the whole.
#[derive(Debug)]
pub struct Found {
    /// The resource.
    pub stored: Stored,
    /// Its place.
    pub at: At,
}

/// All that is known of a patient, or of all patients, from a place on.
pub struct Everything {
    ledger: Ledger,
    question: Question,
    at: At,
    others: Arc<Others>,
    /// Under which number the shelf has these references.
    kept: Option<u64>,
}

/// What is asked: only who asks the same may go on with what was gathered for it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Question {
    scope: Scope,
    /// Those who are one person, sorted; empty means all persons.
    persons: Vec<Person>,
    range: Range,
}

/// References to what belongs to nobody, in order.
#[derive(Debug, Clone, Default)]
struct Others {
    after: String,
    keys: BTreeSet<String>,
    /// Whether there are more than were kept.
    is_cut: bool,
    /// Whether all of the person was looked through for them.
    is_whole: bool,
}

/// What was gathered for readers of pages, so that nobody's next page looks through everything again.
#[derive(Debug, Default)]
pub struct Shelf(Mutex<VecDeque<Kept>>);

#[derive(Debug)]
struct Kept {
    number: u64,
    question: Question,
    others: Arc<Others>,
}

impl Shelf {
    /// The number is drawn, so that a link from before a restart, or of another gateway, leads to nothing.
    fn keep(&self, question: &Question, others: &Arc<Others>) -> u64 {
        // Half of the numbers, and not 0: links hold them as what is below 0.
        let number = (Uuid::new_v4().as_u64_pair().1 >> 1).max(1);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(Kept { number, question: question.clone(), others: Arc::clone(others) });
        if kept.len() > READERS_MAX {
            kept.pop_front();
        }
        number
    }

    /// What is kept under this number, if it was gathered for the same question.
    fn find(&self, number: u64, question: &Question) -> Option<Arc<Others>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|kept| kept.number == number && kept.question == *question)?;
        Some(Arc::clone(&found.others))
    }
}

impl Others {
    /// The first one after a place.
    fn beyond(&self, after: &str) -> Option<String> {
        self.keys.range::<str, _>((Bound::Excluded(after), Bound::Unbounded)).next().cloned()
    }

    fn add(&mut self, key: &str) {
        if key <= self.after.as_str() || self.keys.contains(key) {
            return;
        }
        self.keys.insert(key.to_owned());
        if self.keys.len() > OTHERS_MAX {
            self.keys.pop_last();
            self.is_cut = true;
        }
    }
}

impl Everything {
    /// From a place on, or from the beginning.
    #[must_use]
    pub fn new(ledger: Ledger, scope: Scope, mut persons: Vec<Person>, range: Range, after: Option<At>) -> Self {
        persons.sort_unstable();
        let first = Place::before(persons.first().copied().unwrap_or(Person(1)));
        let others = Arc::new(Others { is_whole: after.is_none(), ..Others::default() });
        let question = Question { scope, persons, range };
        Self { ledger, question, at: after.unwrap_or(At::Own(first)), others, kept: None }
    }

    /// Goes on with what the shelf has for this question under this number; without it, the references are looked for again.
    pub fn resume(&mut self, from: &Shelf, number: u64) {
        let At::Other(after) = &self.at else { return };
        if let Some(others) = from.find(number, &self.question).filter(|others| others.after <= *after) {
            self.others = others;
            self.kept = Some(number);
        }
    }

    /// Puts what was gathered on the shelf, where the next page goes on.
    pub fn keep(&mut self, on: &Shelf) -> u64 {
        let (question, others) = (&self.question, &self.others);
        *self.kept.get_or_insert_with(|| on.keep(question, others))
    }

    /// See [`Ledger::settled`].
    pub async fn settled(&self) -> Result<(), Error> {
        self.ledger.settled().await
    }

    /// The next resources, up to so many; none when all were given.
    pub async fn next(&mut self, count: usize) -> Result<Vec<Found>, Error> {
        let count = count.clamp(1, PIECE);
        loop {
            match self.at.clone() {
                At::Own(place) => {
                    let rows = self.rows(&place, count).await?;
                    let Some(last) = rows.last() else {
                        self.at = At::Other(String::new());
                        continue;
                    };
                    self.at = At::Own(Place::of(last));
                    let kept: Vec<Stored> = rows.into_iter().filter(|stored| self.is_timely(stored)).collect();
                    for stored in &kept {
                        self.note(stored);
                    }
                    let kept: Vec<Stored> = kept.into_iter().filter(|stored| self.is_wanted(&stored.kind)).collect();
                    if !kept.is_empty() {
                        return Ok(kept.into_iter().map(|stored| Found { at: At::Own(Place::of(&stored)), stored }).collect());
                    }
                }
                At::Other(after) => return self.next_others(after, count).await,
            }
        }
    }

    async fn next_others(&mut self, mut after: String, count: usize) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        loop {
            if !self.others.is_whole {
                self.gather(&after).await?;
            }
            while let Some(key) = self.others.beyond(&after) {
                after.clone_from(&key);
                if let Some(stored) = self.other(&key).await? {
                    found.push(Found { at: At::Other(key), stored });
                }
                if found.len() == count {
                    self.at = At::Other(after);
                    return Ok(found);
                }
            }
            self.at = At::Other(after.clone());
            if !self.others.is_cut {
                return Ok(found);
            }
            Arc::make_mut(&mut self.others).is_whole = false;
        }
    }

    /// Looks through all of the person for references that lie after this one.
    async fn gather(&mut self, after: &str) -> Result<(), Error> {
        self.others = Arc::new(Others { after: after.to_owned(), is_whole: true, ..Others::default() });
        self.kept = None;
        let mut place = Place::before(self.question.persons.first().copied().unwrap_or(Person(1)));
        loop {
            let rows = self.rows(&place, PIECE).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            place = Place::of(last);
            for stored in rows.iter().filter(|stored| self.is_timely(stored)).collect::<Vec<_>>() {
                self.note(stored);
            }
        }
    }

    /// What belongs to the person after a place: of the wanted types, or all of it where some of them are found by what refers to them.
    async fn rows(&self, place: &Place, count: usize) -> Result<Vec<Stored>, Error> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let Question { scope, persons, range } = &self.question;
        if persons.is_empty() {
            return self.ledger.of_all(scope, place, count).await;
        }
        for person in persons.iter().filter(|person| **person >= place.person) {
            let after = if *person == place.person { place.clone() } else { Place::before(*person) };
            if range.kinds.is_empty() || range.kinds.iter().any(|kind| is_nobodys(kind)) {
                let rows = self.ledger.of_person(scope, &after, count).await?;
                if !rows.is_empty() {
                    return Ok(rows);
                }
                continue;
            }
            for kind in range.kinds.iter().filter(|kind| **kind >= after.kind) {
                let number = if *kind == after.kind { after.number } else { 0 };
                let from = Place { person: *person, kind: kind.clone(), number };
                let mut rows = self.ledger.of_person(scope, &from, count).await?;
                rows.retain(|stored| stored.kind == *kind);
                if !rows.is_empty() {
                    return Ok(rows);
                }
            }
        }
        Ok(Vec::new())
    }

    fn is_wanted(&self, kind: &str) -> bool {
        let kinds = &self.question.range.kinds;
        kinds.is_empty() || kinds.iter().any(|known| known == kind)
    }

    fn is_timely(&self, stored: &Stored) -> bool {
        let range = &self.question.range;
        let news = range.since.is_none_or(|since| stored.updated >= since);
        let timed = || (range.start.is_some() || range.end.is_some()) && !TIMELESS.contains(&stored.kind.as_str());
        news && (!timed() || in_range(&stored.kind, &stored.value(), range))
    }

    /// Remembers what a resource refers to, as far as that may be shown.
    fn note(&mut self, stored: &Stored) {
        for reference in references(&stored.body) {
            let Some((kind, id)) = reference.split_once('/') else { continue };
            let id = id.split_once("/_history/").map_or(id, |(id, _)| id);
            if self.is_wanted(kind) && is_id(id) && is_resource(kind) && is_nobodys(kind) {
                Arc::make_mut(&mut self.others).add(&format!("{kind}/{id}"));
            }
        }
    }

    async fn other(&self, key: &str) -> Result<Option<Stored>, Error> {
        let Some((kind, id)) = key.split_once('/') else { return Ok(None) };
        let stored = self.ledger.read(&self.question.scope, kind, id).await?;
        Ok(stored.filter(|stored| !stored.deleted && stored.person == Person::NOBODY))
    }
}

/// The literal references of a stored body. A quote within a text is escaped there, so this can only be a member.
fn references(body: &str) -> impl Iterator<Item = &str> {
    const MEMBER: &str = "\"reference\":\"";
    body.match_indices(MEMBER).filter_map(|(at, _)| {
        let rest = body.get(at + MEMBER.len()..)?;
        rest.split('"').next()
    })
}

/// Whether it happened in the range; what does not say when is in every range.
fn in_range(kind: &str, value: &Value, range: &Range) -> bool {
    let Some((low, mut high)) = kinds::of(kind).happened.iter().find_map(|path| kinds::find(value, path, &mut stretch)) else {
        return true;
    };
    // A diagnosis without an end goes on.
    let is_open =
        kind == "Condition" && !value.as_object().is_some_and(|members| members.keys().any(|name| name.starts_with("abatement")));
    if is_open {
        high = i64::MAX;
    }
    range.start.is_none_or(|start| high > start) && range.end.is_none_or(|end| low < end)
}

/// From when until when: of a date, a Period, or the events of a Timing.
fn stretch(value: &Value) -> Option<(i64, i64)> {
    let span = |value: &Value| {
        let span = Moment::parse(value.as_str()?)?.span(&TimeZone::UTC);
        Some((span.low, span.high))
    };
    if value.is_string() {
        return span(value);
    }
    let (start, end) = (value.get("start").and_then(span), value.get("end").and_then(span));
    if start.is_some() || end.is_some() {
        return Some((start.map_or(i64::MIN, |start| start.0), end.map_or(i64::MAX, |end| end.1)));
    }
    let events: Vec<(i64, i64)> = value.get("event")?.as_array()?.iter().filter_map(span).collect();
    Some((events.iter().map(|event| event.0).min()?, events.iter().map(|event| event.1).max()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_members_and_never_words_in_a_text() {
        let value = json!({"performer": [{"reference": "Practitioner/1"}], "note": [{"text": "he said \"reference\":\"Practitioner/2\""}],
            "subject": {"reference": "Patient/1/_history/2"}});
        assert_eq!(references(&value.to_string()).collect::<Vec<_>>(), ["Practitioner/1", "Patient/1/_history/2"]);
    }

    #[test]
    fn only_who_asks_the_same_goes_on_with_what_was_gathered() {
        let scope = |tenant: &str| Scope { tenant: Arc::from(tenant) };
        let asked = |tenant: &str, persons: &[i64], kinds: &[&str]| Question {
            scope: scope(tenant),
            persons: persons.iter().copied().map(Person).collect(),
            range: Range { kinds: kinds.iter().copied().map(String::from).collect(), ..Range::default() },
        };
        let (shelf, own) = (Shelf::default(), asked("a", &[7], &["Location"]));
        let number = shelf.keep(&own, &Arc::default());
        assert!(shelf.find(number, &own).is_some() && shelf.find(number ^ 1, &own).is_none());
        for other in [asked("b", &[7], &["Location"]), asked("a", &[8], &["Location"]), asked("a", &[7], &[])] {
            assert!(shelf.find(number, &other).is_none(), "{other:?}");
        }
        // A number leads to nothing once another reader's took its place, nor on another shelf.
        assert!(Shelf::default().find(number, &own).is_none());
        for _ in 0..READERS_MAX {
            shelf.keep(&own, &Arc::default());
        }
        assert!(shelf.find(number, &own).is_none());
    }

    #[test]
    fn only_types_about_nobody_are_followed() {
        for (kind, expected) in [
            ("Practitioner", true),
            ("Organization", true),
            ("Medication", true),
            ("Patient", false),
            ("Observation", false),
            ("Group", false),
        ] {
            assert_eq!(is_nobodys(kind), expected, "{kind}");
        }
    }

    #[test]
    fn a_range_keeps_what_lies_in_it_and_what_goes_on() {
        let day = |text: &str| Moment::parse(text).unwrap().span(&TimeZone::UTC);
        let range = Range { start: Some(day("2024-02-01").low), end: Some(day("2024-02-29").high), ..Range::default() };
        for (kind, value, expected) in [
            ("Observation", json!({"effectiveDateTime": "2024-02-29"}), true),
            ("Observation", json!({"effectiveDateTime": "2024-03-01"}), false),
            ("Observation", json!({"effectiveDateTime": "2024-01-31"}), false),
            ("Observation", json!({}), true),
            ("Encounter", json!({"period": {"start": "2024-01-01", "end": "2024-02-01"}}), true),
            ("Encounter", json!({"period": {"start": "2024-01-01", "end": "2024-01-31"}}), false),
            ("Encounter", json!({"period": {"start": "2024-01-01"}}), true),
            ("Condition", json!({"onsetDateTime": "2010"}), true),
            ("Condition", json!({"onsetDateTime": "2010", "abatementDateTime": "2011"}), false),
        ] {
            assert_eq!(in_range(kind, &value, &range), expected, "{kind} {value}");
        }
    }

    #[test]
    fn more_references_than_fit_are_cut_at_the_end_of_their_order() {
        let mut others = Others { after: String::from("Organization/5"), ..Others::default() };
        for number in 0..OTHERS_MAX + 5 {
            others.add(&format!("Organization/{number:06}"));
            others.add(&format!("Practitioner/{number:06}"));
        }
        assert_eq!((others.keys.len(), others.is_cut), (OTHERS_MAX, true));
        assert_eq!(others.keys.first().map(String::as_str), Some("Practitioner/000000"));
    }
}
