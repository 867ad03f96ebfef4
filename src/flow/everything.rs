//! All that is known of a patient, piece by piece: what belongs to the person in the ledger, then what is nobody's and lies in the
//! patient's compartment, then what all that refers to.
//! Follows <https://hl7.org/fhir/R4/patient-operation-everything.html>.
//!
//! Nobody else's data is in it: what belongs to another person is left out however it is referred to, and so is what is nobody's and
//! names another patient, too. Of what belongs to nobody only types that are about no patient at all are followed (practitioners,
//! organizations, medications …). Memory holds one piece, and up to [`super::OTHERS_MAX`] references.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::gathered::{Others, Question, Shelf};
use crate::fhir::definitions::{is_resource, resource_names};
use crate::fhir::kinds;
use crate::fhir::search::{compartment, is_id, naming};
use crate::fhir::time::Moment;
use crate::ledger::search::{Line, Named, lines};
use crate::ledger::{Error, Ledger, Person, Place, Scope, Stored};

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
    /// Among what is nobody's and names the person: which record of theirs, and behind which number. Of all persons it is walked by
    /// type: of which, and behind which number.
    Naming(String, i64),
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
    /// The types of which something may be nobody's and name a patient, sorted, each with the parameters by which it does.
    naming: Vec<(&'static str, Vec<u32>)>,
    others: Arc<Others>,
    /// Under which number the shelf has these references.
    kept: Option<u64>,
}

impl Everything {
    /// From a place on, or from the beginning: of these who are one person, with the references that lead to them, or of all persons.
    #[must_use]
    pub fn new(
        ledger: Ledger,
        scope: Scope,
        (mut persons, mut records): (Vec<Person>, Vec<String>),
        range: Range,
        after: Option<At>,
    ) -> Self {
        persons.sort_unstable();
        records.sort_unstable();
        let others = Arc::new(Others { is_whole: after.is_none(), ..Others::default() });
        let is_looked_for = |kind: &&str| follows(&range) || range.kinds.iter().any(|known| known == kind);
        let naming = resource_names().filter(is_looked_for).map(|kind| (kind, naming(kind)));
        let naming = naming.filter(|(_, parameters)| !parameters.is_empty()).collect();
        let question = Question { scope, persons, records, range };
        let at = after.unwrap_or_else(|| question.beginning());
        Self { ledger, question, at, naming, others, kept: None }
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
            if let At::Other(after) = &self.at {
                return self.next_others(after.clone(), count).await;
            }
            let (mut found, at) = self.step(&self.at, count).await?;
            self.at = at;
            found.retain(|found| self.is_timely(&found.stored));
            for found in &found {
                self.note(&found.stored);
            }
            found.retain(|found| self.is_wanted(&found.stored.kind));
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }

    /// What belongs to the person, or is nobody's and names them, behind a place; and where it goes on.
    async fn step(&self, at: &At, count: usize) -> Result<(Vec<Found>, At), Error> {
        match at {
            At::Own(place) => {
                let rows = self.rows(place, count).await?;
                let next = rows.last().map_or_else(|| At::Naming(String::new(), 0), |last| At::Own(Place::of(last)));
                Ok((rows.into_iter().map(|stored| Found { at: At::Own(Place::of(&stored)), stored }).collect(), next))
            }
            At::Naming(kind, after) if self.question.persons.is_empty() => self.naming_any(kind, *after, count).await,
            At::Naming(record, after) => self.naming(record, *after, count).await,
            At::Other(_) => Ok((Vec::new(), at.clone())),
        }
    }

    /// What is nobody's and names this record of the person, and no other patient. What names several is found by the first.
    async fn naming(&self, record: &str, after: i64, count: usize) -> Result<(Vec<Found>, At), Error> {
        let Question { scope, records, .. } = &self.question;
        let mut left = records.iter().skip_while(|known| known.as_str() < record);
        let Some(own) = left.next() else { return Ok((Vec::new(), At::Other(String::new()))) };
        let parameters: Vec<u32> = self.naming.iter().flat_map(|(_, parameters)| parameters).copied().collect();
        let after = if own == record { after } else { 0 };
        let Named { mut found, end } = self.ledger.naming(scope, own, &parameters, after, count).await?;
        let behind = || left.next().map_or_else(|| At::Other(String::new()), |next| At::Naming(next.clone(), 0));
        let next = end.map_or_else(behind, |end| At::Naming(own.clone(), end));
        let is_first = |stored: &Stored| records.len() == 1 || self.named(stored).first() == Some(own);
        found.retain(|stored| self.is_theirs(stored) && is_first(stored));
        Ok((found.into_iter().map(|stored| Found { at: At::Naming(own.clone(), stored.number), stored }).collect(), next))
    }

    /// What is nobody's and names any patient, behind a number among a type.
    async fn naming_any(&self, kind: &str, after: i64, count: usize) -> Result<(Vec<Found>, At), Error> {
        let from = |least: &str| self.naming.iter().map(|(kind, _)| *kind).find(|kind| *kind >= least);
        let Some(first) = from(kind) else { return Ok((Vec::new(), At::Other(String::new()))) };
        let place = Place { person: Person::NOBODY, kind: first.to_owned(), number: if first == kind { after } else { 0 } };
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let mut rows = self.ledger.of_person(&self.question.scope, &place, count).await?;
        // Where the last is of a type that names nobody, the rest of that type is passed over.
        let next = rows.last().and_then(|last| {
            let next = from(&last.kind)?;
            Some(At::Naming(next.to_owned(), if next == last.kind { last.number } else { 0 }))
        });
        rows.retain(|stored| !self.named(stored).is_empty());
        let found = rows.into_iter().map(|stored| Found { at: At::Naming(stored.kind.clone(), stored.number), stored });
        Ok((found.collect(), next.unwrap_or_else(|| At::Other(String::new()))))
    }

    /// The records of the person, or any patients where all are asked for, that a resource names by the parameters of its type, in order.
    fn named(&self, stored: &Stored) -> Vec<String> {
        let Some((_, parameters)) = self.naming.iter().find(|(kind, _)| *kind == stored.kind) else { return Vec::new() };
        let Question { persons, records, .. } = &self.question;
        let is_one = |word: &String| if persons.is_empty() { word.starts_with("Patient/") } else { records.contains(word) };
        let word = |line| match line {
            Line::Word { parameter, word } if parameters.contains(&parameter) => Some(word),
            _ => None,
        };
        let mut named: Vec<String> = lines(&stored.kind, &stored.value()).into_iter().filter_map(word).filter(is_one).collect();
        named.sort_unstable();
        named
    }

    /// Whether a resource names no patient but the person.
    fn is_theirs(&self, stored: &Stored) -> bool {
        let bare =
            references(&stored.body).map(|reference| reference.split_once("/_history/").map_or(reference, |(bare, _)| bare));
        bare.filter(|bare| names_patient(bare)).all(|bare| self.question.records.iter().any(|record| record == bare))
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
        let mut at = self.question.beginning();
        while !matches!(at, At::Other(_)) {
            let (found, next) = self.step(&at, PIECE).await?;
            at = next;
            for found in found.iter().filter(|found| self.is_timely(&found.stored)).collect::<Vec<_>>() {
                self.note(&found.stored);
            }
        }
        Ok(())
    }

    /// What belongs to the person after a place: of the wanted types, or all of it where some of them are found by what refers to them.
    async fn rows(&self, place: &Place, count: usize) -> Result<Vec<Stored>, Error> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let Question { scope, persons, range, .. } = &self.question;
        if persons.is_empty() {
            return self.ledger.of_all(scope, place, count).await;
        }
        for person in persons.iter().filter(|person| **person >= place.person) {
            let after = if *person == place.person { place.clone() } else { Place::before(*person) };
            if follows(range) {
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

/// Whether something is wanted that is found by what refers to it: then all types are looked through for it.
fn follows(range: &Range) -> bool {
    range.kinds.is_empty() || range.kinds.iter().any(|kind| is_nobodys(kind))
}

/// Whether a literal reference is to a Patient, here or elsewhere.
fn names_patient(reference: &str) -> bool {
    reference.rsplit_once('/').is_some_and(|(front, _)| front.rsplit('/').next() == Some("Patient"))
}

/// Whether a type is about no patient by its definition.
fn is_nobodys(kind: &str) -> bool {
    kind != "Patient" && compartment("Patient", kind).is_empty()
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
}
