//! How likely it is that two Patients are one person, from what both say of themselves.
//! Follows <https://hl7.org/fhir/R4/patient-operation-match.html>.
//!
//! Every agreement and contradiction has a weight in bits of evidence (after Fellegi and Sunter); the score is the probability that
//! their sum leaves, of a house in which two records are one person once in 2¹⁴ times.

use std::cmp::Ordering;

use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::fhir::kinds;

/// How sure a match is, as <http://terminology.hl7.org/CodeSystem/match-grade> names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Somebody must look at it.
    Possible,
    /// Most likely one person.
    Probable,
    /// One person.
    Certain,
}

impl Grade {
    /// Its code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Probable => "probable",
            Self::Certain => "certain",
        }
    }
}

/// A score from 0 to 1 with its grade.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// The probability.
    pub score: f64,
    /// What it means.
    pub grade: Grade,
}

/// Bits of evidence that a pair of records is one person before anything is compared.
const BEFORE: f64 = -14.0;
/// Scores from which a grade is given. Below the first it is no match.
const POSSIBLE: f64 = 0.5;
const PROBABLE: f64 = 0.9;
const CERTAIN: f64 = 0.995;
/// The score of a pair that contradicts itself lies below this, whatever else agrees: somebody must look at it.
const CONTRADICTED: f64 = 0.7;

/// Values of one element of the sent Patient that are compared, and names of either.
const VALUES_MAX: usize = 10;
const NAMES_MAX: usize = 20;
/// Bytes of a value that is compared; a longer one says nothing.
const VALUE_BYTES_MAX: usize = 1_000;

/// What is compared of a sent Patient, of each element no more than is looked at: many are compared with it.
#[must_use]
pub fn comparable(patient: &Value) -> Value {
    let mut kept = Map::new();
    for name in ["birthDate", "gender"] {
        kept.extend(patient.get(name).filter(|value| is_short(value)).map(|value| (name.to_owned(), value.clone())));
    }
    let lists: [(&str, &[&str]); 4] = [
        ("identifier", &["system", "value"]),
        ("name", &["family", "given"]),
        ("telecom", &["value"]),
        ("address", &["postalCode", "city"]),
    ];
    for (name, members) in lists {
        let values = each(patient, name).iter().map(|value| picked(value, members)).filter(|value| !value.is_empty());
        let values: Vec<Value> = values.take(VALUES_MAX).map(Value::Object).collect();
        kept.insert(name.to_owned(), Value::Array(values));
    }
    Value::Object(kept)
}

/// These members of an element, where they are short.
fn picked(element: &Value, members: &[&str]) -> Map<String, Value> {
    let member = |name: &&str| {
        let value = match element.get(*name)? {
            Value::Array(all) => all.iter().filter(|one| is_short(one)).take(VALUES_MAX).cloned().collect(),
            value => Some(value).filter(|value| is_short(value))?.clone(),
        };
        Some(((*name).to_owned(), value))
    };
    members.iter().filter_map(member).collect()
}

fn is_short(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() <= VALUE_BYTES_MAX)
}

/// How alike two Patients are; `None` when they are no match.
#[must_use]
pub fn likeness(asked: &Value, known: &Value) -> Option<Likeness> {
    let identified = identifiers(asked, known);
    let parts = [
        identified,
        birth(asked, known),
        names(asked, known, &family, 7.0, -5.0),
        names(asked, known, &given, 5.0, -4.0),
        gender(asked, known),
        telecom(asked, known),
        address(asked, known),
    ];
    let bits: f64 = BEFORE + parts.iter().sum::<f64>();
    let mut score = 1.0 / (1.0 + (-bits).exp2());
    let contradicted = parts.iter().filter(|part| **part <= -4.0).count();
    if identified > 0.0 {
        // One number for two people is a mistake that somebody must see.
        score = score.max(POSSIBLE);
    }
    if contradicted > 0 {
        score = score.min(CONTRADICTED);
    }
    let grade = match score {
        score if score >= CERTAIN => Grade::Certain,
        score if score >= PROBABLE => Grade::Probable,
        score if score >= POSSIBLE => Grade::Possible,
        _ => return None,
    };
    Some(Likeness { score, grade })
}

/// The better match first; of equal ones the smaller id.
#[must_use]
pub fn order(one: (&Likeness, &str), other: (&Likeness, &str)) -> Ordering {
    other.0.score.total_cmp(&one.0.score).then_with(|| one.1.cmp(other.1))
}

fn identifiers(asked: &Value, known: &Value) -> f64 {
    let (asked, known) = (kinds::identifiers(asked), kinds::identifiers(known));
    if asked.iter().any(|one| known.contains(one)) {
        return 22.0;
    }
    // A person may have several numbers of one system, so another number is only a hint.
    let other = asked.iter().any(|(system, _)| known.iter().any(|(known, _)| known == system));
    if other { -3.0 } else { 0.0 }
}

fn birth(asked: &Value, known: &Value) -> f64 {
    let day = |patient: &Value| patient.get("birthDate").and_then(Value::as_str).map(str::to_owned);
    let (Some(asked), Some(known)) = (day(asked), day(known)) else { return 0.0 };
    if asked == known {
        return if asked.len() == 10 { 8.0 } else { 4.0 };
    }
    let (short, long) = if asked.len() < known.len() { (&asked, &known) } else { (&known, &asked) };
    if long.starts_with(short.as_str()) {
        return 4.0;
    }
    if asked.len() == known.len() && (differing(&asked, &known) == 1 || is_turned(&asked, &known)) { 1.0 } else { -6.0 }
}

fn differing(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).filter(|(one, other)| one != other).count()
}

/// Day and month exchanged.
fn is_turned(one: &str, other: &str) -> bool {
    let parts = |text: &str| text.split('-').map(str::to_owned).collect::<Vec<_>>();
    matches!((parts(one).as_slice(), parts(other).as_slice()), ([y1, m1, d1], [y2, m2, d2]) if y1 == y2 && m1 == d2 && d1 == m2)
}

type Part = dyn Fn(&Value) -> Vec<String>;

/// The best agreement of any of these names; nothing where one of the two has none.
fn names(asked: &Value, known: &Value, part: &Part, agree: f64, contradict: f64) -> f64 {
    let all = |patient: &Value| each(patient, "name").iter().flat_map(part).take(NAMES_MAX).collect::<Vec<String>>();
    let (asked, known) = (all(asked), all(known));
    if asked.is_empty() || known.is_empty() {
        return 0.0;
    }
    let best = asked.iter().flat_map(|one| known.iter().map(|other| closeness(one, other))).fold(0.0, f64::max);
    if best >= 1.0 {
        agree
    } else if best >= 0.85 {
        agree / 2.0
    } else if best >= 0.5 {
        0.0
    } else {
        contradict
    }
}

fn family(name: &Value) -> Vec<String> {
    name.get("family").and_then(Value::as_str).map(folded).filter(|name| !name.is_empty()).into_iter().collect()
}

fn given(name: &Value) -> Vec<String> {
    each(name, "given").iter().filter_map(Value::as_str).map(folded).filter(|name| !name.is_empty()).collect()
}

/// 1 for the same, less for what may be a slip of the pen; an initial is no contradiction.
fn closeness(one: &str, other: &str) -> f64 {
    if one == other {
        return 1.0;
    }
    let (short, long) = if one.chars().count() < other.chars().count() { (one, other) } else { (other, one) };
    if short.chars().count() == 1 && long.starts_with(short) {
        return 0.5;
    }
    let length = long.chars().count();
    if 4 * (length - short.chars().count()) > length {
        // The letters that one lacks alone are too many.
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "letters of a name")]
    let share = 1.0 - distance(short, long) as f64 / length as f64;
    if share >= 0.75 { 0.9 } else { 0.0 }
}

/// The fewest letters to be changed, added or left out.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(LETTERS_MAX).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().take(LETTERS_MAX).enumerate() {
        let mut before = row[0];
        row[0] = at + 1;
        for (inner, known) in other.iter().enumerate() {
            let change = before + usize::from(letter != *known);
            before = row[inner + 1];
            row[inner + 1] = change.min(row[inner] + 1).min(before + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Letters of a name that are compared.
const LETTERS_MAX: usize = 100;

fn gender(asked: &Value, known: &Value) -> f64 {
    let of = |patient: &Value| patient.get("gender").and_then(Value::as_str).filter(|one| *one != "unknown").map(str::to_owned);
    match (of(asked), of(known)) {
        (Some(asked), Some(known)) if asked == known => 1.0,
        // Records are changed and mistaken here too often to be a contradiction.
        (Some(_), Some(_)) => -2.0,
        _ => 0.0,
    }
}

fn telecom(asked: &Value, known: &Value) -> f64 {
    let all = |patient: &Value| each(patient, "telecom").iter().filter_map(contact).collect::<Vec<String>>();
    let known = all(known);
    if all(asked).iter().any(|one| known.contains(one)) { 5.0 } else { 0.0 }
}

/// An address in lower case, or the last nine digits of a number: countries write it with and without their code.
fn contact(telecom: &Value) -> Option<String> {
    let value = telecom.get("value").and_then(Value::as_str)?.trim();
    if value.contains('@') {
        return Some(value.to_lowercase());
    }
    let digits: Vec<char> = value.chars().filter(char::is_ascii_digit).collect();
    let from = digits.len().saturating_sub(9);
    digits.get(from..).filter(|digits| digits.len() >= 7).map(|digits| digits.iter().collect())
}

fn address(asked: &Value, known: &Value) -> f64 {
    let part = |patient: &Value, name: &str| -> Vec<String> {
        each(patient, "address").iter().filter_map(|address| address.get(name)?.as_str()).map(folded).collect()
    };
    let shared = |name: &str| {
        let known = part(known, name);
        part(asked, name).iter().any(|one| known.contains(one))
    };
    match (shared("postalCode"), shared("city")) {
        (true, _) => 3.0,
        (_, true) => 2.0,
        _ => 0.0,
    }
}

/// Lower case, without accents, letters and digits alone.
fn folded(text: &str) -> String {
    let plain = text.nfkd().filter(|letter| !is_combining_mark(*letter) && letter.is_alphanumeric());
    plain.flat_map(char::to_lowercase).take(LETTERS_MAX).collect()
}

fn each<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ada() -> Value {
        json!({"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "1"}],
            "name": [{"family": "García", "given": ["Ada", "Maria"]}], "birthDate": "1961-04-12", "gender": "female",
            "telecom": [{"system": "phone", "value": "+1 212 555 0123"}], "address": [{"city": "New York", "postalCode": "10001"}]})
    }

    fn with(name: &str, value: Value) -> Value {
        let mut patient = ada();
        patient[name] = value;
        patient
    }

    fn grade(asked: &Value, known: &Value) -> &'static str {
        likeness(asked, known).map_or("none", |likeness| likeness.grade.code())
    }

    #[test]
    fn the_more_agrees_the_surer_it_is() {
        let bare = json!({"name": [{"family": "Garcia", "given": ["ADA"]}], "birthDate": "1961-04-12", "gender": "female"});
        for (asked, known, expected) in [
            (ada(), ada(), "certain"),
            (bare.clone(), ada(), "probable"),
            (json!({"identifier": [{"system": "urn:mrn", "value": "1"}]}), ada(), "certain"),
            (json!({"identifier": [{"system": "urn:other", "value": "1"}]}), ada(), "none"),
            (json!({"name": [{"family": "Garcia"}]}), ada(), "none"),
            (json!({"name": [{"family": "Garcia", "given": ["Ada"]}]}), ada(), "none"),
            (json!({"birthDate": "1961-04-12", "gender": "female"}), ada(), "none"),
        ] {
            assert_eq!(grade(&asked, &known), expected, "{asked}");
        }
        let mut slip = bare;
        slip["name"][0]["family"] = json!("Garzia");
        assert_ne!(grade(&slip, &ada()), "certain");
    }

    #[test]
    fn twins_and_mistaken_numbers_are_never_certain() {
        let twin = with("name", json!([{"family": "García", "given": ["Beatriz"]}])).to_string().replace("\"1\"", "\"2\"");
        let twin: Value = serde_json::from_str(&twin).unwrap();
        assert!(likeness(&ada(), &twin).is_none_or(|likeness| likeness.grade == Grade::Possible));
        let mistaken = json!({"identifier": [{"system": "urn:mrn", "value": "1"}], "name": [{"family": "Wu", "given": ["Bo"]}],
            "birthDate": "2001-01-31", "gender": "male"});
        assert_eq!(grade(&mistaken, &ada()), "possible");
        assert_eq!(grade(&with("birthDate", json!("1975-11-30")), &ada()), "possible");
    }

    #[test]
    fn a_score_is_the_same_from_both_sides_and_between_nothing_and_one() {
        for other in [with("birthDate", json!("1961-12-04")), with("gender", json!("male")), with("telecom", json!([]))] {
            let (there, back) = (likeness(&ada(), &other), likeness(&other, &ada()));
            assert_eq!(there, back);
            assert!(there.is_some_and(|likeness| (0.0..=1.0).contains(&likeness.score)));
        }
    }

    #[test]
    fn the_better_match_comes_first() {
        let (one, other) = (likeness(&ada(), &ada()).unwrap(), likeness(&with("telecom", json!([])), &ada()).unwrap());
        assert!(one.score > other.score);
        assert_eq!(order((&one, "b"), (&other, "a")), Ordering::Less);
        assert_eq!(order((&one, "b"), (&one, "a")), Ordering::Greater);
    }

    #[test]
    fn what_is_compared_of_a_sent_patient_is_bounded() {
        let bits = |patient: &Value| likeness(patient, &ada()).map(|likeness| likeness.score);
        assert_eq!(bits(&comparable(&ada())), bits(&ada()));
        let mut large = ada();
        for name in ["identifier", "name", "telecom", "address"] {
            let one = large[name][0].clone();
            large[name] = Value::Array(vec![one; 5_000]);
        }
        large["name"][0]["given"] = json!(vec!["Ada"; 5_000]);
        large["name"][1]["family"] = json!("x".repeat(VALUE_BYTES_MAX + 1));
        large["photo"] = json!([{"data": "x".repeat(10_000)}]);
        let small = comparable(&large);
        assert_eq!(bits(&small), bits(&ada()));
        assert_eq!((small["name"].as_array().map(Vec::len), small["name"][1].get("family")), (Some(VALUES_MAX), None));
        assert!(small.to_string().len() < 4_000);
        assert_eq!(folded(&"É".repeat(LETTERS_MAX + 1)), "e".repeat(LETTERS_MAX));
    }

    #[test]
    fn letters_are_counted_by_what_must_be_done_to_them() {
        for (one, other, expected) in [("", "", 0), ("smith", "smyth", 1), ("kitten", "sitting", 3), ("a", "", 1)] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }
}
