//! Whom we speak to: the person, or the guardian of a minor; where they live, what they speak, how they are reached.
//! Follows <https://hl7.org/fhir/R4/patient.html> and <https://hl7.org/fhir/R4/relatedperson.html>.

use std::cmp::Ordering;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use super::json::{coded, each, local, member, reference, term, text};
use super::{Resource, Rules, Story, zones};
use crate::fhir::time::Moment;
use crate::ledger::Person;

/// Below this age a message goes to a guardian.
const OF_AGE_YEARS: i64 = 18;

/// Relationships that make somebody a guardian.
const GUARDIANS: &[&str] =
    &["GUARD", "PRN", "PRNFOST", "MTH", "FTH", "NMTH", "NFTH", "ADOPTP", "ADOPTF", "ADOPTM", "HPOWATT", "POWATT", "guardian"];

/// From so many digits on, a number may have its country's code before it without saying so.
const ABROAD_DIGITS: usize = 11;

/// The countries' codes of two digits; `1` and `7` have one, all others three.
const TWO_DIGITS: &[&str] = &[
    "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48", "49", "51", "52", "53",
    "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81", "82", "84", "86", "90", "91", "92", "93", "94",
    "95", "98",
];

/// Whom a message goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipient<'a> {
    /// The Patient or RelatedPerson.
    pub(crate) resource: &'a Resource,
    /// The Patient it is about.
    pub(crate) patient: &'a Resource,
}

/// The Patient resource that stands for the person: active, not replaced, also by no word of another one, the smallest id first.
pub(crate) fn patient(story: &Story) -> Option<&Resource> {
    let standing = story.current("Patient").filter(|patient| stands(&patient.value));
    standing.min_by_key(|patient| (is_replaced(story, patient), &patient.id))
}

/// Whether another Patient of the person, who stands, says that it replaces this one.
pub(crate) fn is_replaced(story: &Story, patient: &Resource) -> bool {
    let replaces = |link: &Value| {
        let other = reference(link, "other").and_then(local);
        text(link, "type") == Some("replaces") && other.is_some_and(|other| other == patient.reference())
    };
    let mut others = story.current("Patient").filter(|other| other.id != patient.id && stands(&other.value));
    others.any(|other| each(&other.value, "link").iter().any(replaces))
}

/// Whether a Patient stands for its person: active, and not replaced.
pub(crate) fn stands(patient: &Value) -> bool {
    let is_active = member(patient, "active").and_then(Value::as_bool).unwrap_or(true);
    is_active && !each(patient, "link").iter().any(|link| text(link, "type") == Some("replaced-by"))
}

/// Whether any Patient resource of the person says that they died.
pub(crate) fn has_died(story: &Story) -> bool {
    story.current("Patient").any(|patient| says_died(&patient.value))
}

/// Whether a Patient says that they died.
pub(crate) fn says_died(patient: &Value) -> bool {
    member(patient, "deceasedDateTime").is_some() || member(patient, "deceasedBoolean").and_then(Value::as_bool) == Some(true)
}

/// Whether the person is under age now, wherever they are. Unknown birth dates count as of age: nearly half of real Patients have none.
pub(crate) fn is_minor(patient: &Value, now: i64) -> bool {
    let Some(born) = text(patient, "birthDate").and_then(Moment::parse) else { return false };
    // Of a birth date without its day, the last day that it may mean.
    let last = Timestamp::from_millisecond(born.span(&TimeZone::UTC).high - 1).map(|last| TimeZone::UTC.to_datetime(last).date());
    let of_age = last.and_then(|last| {
        let day = last.checked_add(OF_AGE_YEARS.years())?;
        // Who was born on 29 February is of age on 1 March of a year that lacks it.
        if day.day() == last.day() { Ok(day) } else { day.tomorrow() }
    });
    let today = zones::date(zones::day(now, &zones::LAST));
    of_age.map_or(true, |of_age| today < of_age)
}

/// Whom a message about the person goes to; `None` where there is no Patient, or a minor without a guardian.
pub(crate) fn recipient(story: &Story) -> Option<Recipient<'_>> {
    let patient = patient(story)?;
    if !is_minor(&patient.value, story.now) {
        return Some(Recipient { resource: patient, patient });
    }
    let guardians = story.current("RelatedPerson").filter(|related| is_guardian(&related.value, story.now));
    let guardians = guardians.map(|resource| Recipient { resource, patient });
    // One who can be reached before one who cannot.
    guardians.min_by_key(|guardian| (!guardian.is_reachable(story.now), &guardian.resource.id))
}

/// Whether a RelatedPerson is somebody's guardian now.
fn is_guardian(related: &Value, now: i64) -> bool {
    let is_active = related.get("active").and_then(Value::as_bool).unwrap_or(true);
    let is_one = GUARDIANS.iter().any(|code| coded(related.get("relationship"), code));
    is_active && is_one && term(related, now) == Ordering::Equal
}

impl Recipient<'_> {
    /// Languages, the preferred one first, each by all that it is called: a code of the house may stand before one of the standard.
    pub(crate) fn languages(&self) -> Vec<String> {
        let spoken = each(&self.resource.value, "communication");
        let preferred = |one: &&Value| one.get("preferred").and_then(Value::as_bool) == Some(true);
        let (first, then): (Vec<&Value>, Vec<&Value>) = spoken.iter().partition(preferred);
        let named = first.into_iter().chain(then).filter_map(|one| one.get("language")).flat_map(|language| {
            let coding = each(language, "coding");
            let codes = coding.iter().filter_map(|coding| text(coding, "code"));
            let words = text(language, "text").into_iter().chain(coding.iter().filter_map(|coding| text(coding, "display")));
            codes.chain(words)
        });
        let mut languages: Vec<String> = named.map(str::to_owned).collect();
        languages.extend(text(&self.resource.value, "language").map(str::to_owned));
        languages
    }

    /// The zones the recipient may be in: by an address, else the store's where no country is known.
    pub(crate) fn zones(&self, rules: &Rules, store: &TimeZone, now: i64) -> Vec<TimeZone> {
        let own = each(&self.resource.value, "address").iter().chain(each(&self.patient.value, "address"));
        let current = own.filter(|address| text(address, "use") != Some("old") && term(address, now) == Ordering::Equal);
        let stated: Vec<&Value> = current.filter(|address| text(address, "country").is_some()).collect();
        match stated.first() {
            // A country that we do not know leaves nothing, and nothing holds.
            Some(address) => rules.zones.of(address).to_vec(),
            None => vec![store.clone()],
        }
    }

    /// Whether anything could carry a message to the recipient now. What is theirs no more, or not yet, may be somebody else's.
    pub(crate) fn is_reachable(&self, now: i64) -> bool {
        telecoms(&self.resource.value).any(|telecom| term(telecom, now) == Ordering::Equal)
    }

    /// Normalized addresses of the recipient, and what stands for all of them.
    pub(crate) fn addresses(&self) -> Vec<String> {
        addresses(std::slice::from_ref(self.resource))
    }
}

/// Contact points that are in use and can carry a message.
fn telecoms(resource: &Value) -> impl Iterator<Item = &Value> {
    each(resource, "telecom").iter().filter(|telecom| {
        let carries = matches!(text(telecom, "system"), None | Some("phone" | "sms" | "email" | "url" | "other"));
        let named = text(telecom, "value").is_some_and(|value| !value.trim().is_empty());
        carries && named && text(telecom, "use") != Some("old")
    })
}

/// The spellings of a telephone number or address by which STOP finds all who share it: two are one where they have one in common. A
/// number has one as it is written, and one as it is dialled in its own country.
pub(crate) fn normalized(telecom: &Value) -> Vec<String> {
    let Some(value) = text(telecom, "value").map(str::trim) else { return Vec::new() };
    if text(telecom, "system") == Some("email") || value.contains('@') {
        return vec![format!("mailto:{}", value.trim_start_matches("mailto:").to_lowercase())];
    }
    if text(telecom, "system") == Some("url") {
        return vec![value.to_lowercase()];
    }
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    let mut spellings = vec![plain(&digits)];
    // A number of so many digits that is not dialled at home has its country's code before it, whether it says so or not.
    if value.contains('+') || digits.starts_with("00") || (digits.len() >= ABROAD_DIGITS && !digits.starts_with('0')) {
        let whole = digits.trim_start_matches('0');
        spellings.extend(whole.get(code_digits(whole)..).map(plain));
    }
    spellings.retain(|digits| !digits.is_empty());
    spellings.dedup();
    spellings.iter().map(|digits| format!("tel:{digits}")).collect()
}

/// The digits of a number without what is dialled before it. Which country it is of cannot always be told, so both of these codes are
/// taken off wherever they may stand: two numbers may become one, and STOP binds one too many, never one too few.
fn plain(digits: &str) -> &str {
    let digits = digits.trim_start_matches('0');
    let digits = digits.strip_prefix("86").filter(|rest| rest.len() == 11).unwrap_or(digits);
    digits.strip_prefix('1').filter(|rest| rest.len() == 10).unwrap_or(digits)
}

/// How many digits of a whole number are its country's code, as the International Telecommunication Union gives them out (E.164).
fn code_digits(whole: &str) -> usize {
    if whole.starts_with(['1', '7']) {
        1
    } else if TWO_DIGITS.iter().any(|code| whole.starts_with(code)) {
        2
    } else {
        3
    }
}

/// What stands for all addresses of a person, also those not known yet.
pub(crate) fn key(person: Person) -> String {
    format!("person:{}", person.0)
}

/// All for which somebody may have said STOP: [`addresses`], and the person with all who were united with them.
#[must_use]
pub fn stoppable(person: Person, united: &[Person], resources: &[Resource]) -> Vec<String> {
    let mut all: Vec<String> = united.iter().copied().chain([person]).map(key).chain(addresses(resources)).collect();
    all.sort();
    all.dedup();
    all
}

/// Kinds of those who have addresses.
pub const ADDRESSED: &[&str] = &["Patient", "RelatedPerson"];

/// Normalized telephone numbers and e-mail addresses in these Patients and RelatedPersons, and for each of them its `Type/id`,
/// which stands for all that it will ever have.
pub(crate) fn addresses(resources: &[Resource]) -> Vec<String> {
    let people = resources.iter().filter(|resource| ADDRESSED.contains(&resource.kind.as_str()));
    let own = |person: &Resource| telecoms(&person.value).flat_map(normalized).chain([person.reference()]).collect::<Vec<_>>();
    let mut addresses: Vec<String> = people.flat_map(own).collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::ledger::How;
    use crate::react::Store;

    #[test]
    fn one_number_is_one_address_however_it_is_written() {
        let phone = |value: &str| normalized(&json!({"system": "phone", "value": value}));
        let are_one = |one: &str, other: &str| phone(one).iter().any(|spelling| phone(other).contains(spelling));
        for (one, other) in [
            ("+44 7911 123456", "07911 123456"),
            ("+44 (0)7911 123456", "07911 123456"),
            ("0044 7911 123456", "+447911123456"),
            ("447911123456", "07911 123456"),
            ("+49 1511 2345678", "01511 2345678"),
            ("+39 347 1234567", "347 123 4567"),
            ("+34 612 345 678", "612345678"),
            ("+852 9123 4567", "9123 4567"),
            ("+7 912 345-67-89", "912 345-67-89"),
            ("+86 21 6234 5678", "021-62345678"),
            ("+353 85 123 4567", "085 123 4567"),
            ("+55 11 98765-4321", "(11) 98765-4321"),
            ("+1 (555) 010-0123", "555-010-0123"),
            ("1-555-010-0123", "0015550100123"),
            ("0086 138 0013 8000", "13800138000"),
            ("+86 13800138000", "138-0013-8000"),
        ] {
            assert!(are_one(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("13800138000", "13800138001"),
            ("+1 212 555 0123", "+1 312 555 0123"),
            ("+44 7911 123456", "+44 7911 123457"),
            ("07911 123456", "07911 123457"),
            ("+44 20 7946 0123", "020 7946 0124"),
        ] {
            assert!(!are_one(one, other), "{one} {other}");
        }
        // What was said for a number as it was written before binds it still.
        assert_eq!(phone("+44 7911 123456"), ["tel:447911123456", "tel:7911123456"]);
        assert_eq!(phone("+1 555 010 0123"), ["tel:5550100123"]);
        assert_eq!((phone("none"), phone("+"), phone("0")), (vec![], vec![], vec![]));
        assert_eq!(normalized(&json!({"value": "Ada@Example.org"})), ["mailto:ada@example.org"]);
    }

    #[test]
    fn a_person_is_of_age_on_the_day_of_the_eighteenth_year() {
        // On Baker Island the day begins at noon of UTC, later than anywhere else.
        for (born, last, first) in [
            ("2008-11-22", "2026-11-22T11:59:59Z", "2026-11-22T12:00:00Z"),
            ("2008-02-28", "2026-02-28T11:59:59Z", "2026-02-28T12:00:00Z"),
            ("2008-02-29", "2026-03-01T11:59:59Z", "2026-03-01T12:00:00Z"),
            ("2008-02", "2026-03-01T11:59:59Z", "2026-03-01T12:00:00Z"),
            ("2008", "2026-12-31T11:59:59Z", "2026-12-31T12:00:00Z"),
            ("9999-12-31", "2026-12-31T11:59:59Z", ""),
        ] {
            let is_minor = |text: &str| is_minor(&json!({"birthDate": born}), at(text));
            assert!(is_minor(last), "{born}");
            assert!(first.is_empty() || !is_minor(first), "{born}");
        }
        assert!(!is_minor(&json!({}), 0));
    }

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn resource(id: &str, value: Value) -> Resource {
        Resource {
            kind: text(&value, "resourceType").unwrap().to_owned(),
            id: id.to_owned(),
            version: 1,
            fact: 1,
            source: String::from("s"),
            how: How::Live,
            learned: 0,
            person: Person(1),
            deleted: false,
            value: Arc::new(value),
        }
    }

    #[test]
    fn a_minor_is_spoken_of_to_a_guardian_of_today_who_can_be_reached() {
        let mother = |id: &str, more: Value| {
            let mut told = json!({"resourceType": "RelatedPerson", "relationship": [{"coding": [{"code": "MTH"}]}]});
            told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            resource(id, told)
        };
        let phone = json!([{"system": "phone", "value": "+1 555 010 0123"}]);
        let reached = |id: &str, period: Value| mother(id, json!({"telecom": phone, "period": period}));
        for (guardians, expected) in [
            (vec![], None),
            (vec![reached("b", json!({})), reached("a", json!({}))], Some("a")),
            (vec![mother("a", json!({})), reached("b", json!({}))], Some("b")),
            (vec![mother("b", json!({})), mother("a", json!({}))], Some("a")),
            (vec![reached("a", json!({"end": "2026-05-31"})), reached("b", json!({"start": "2026-06-01"}))], Some("b")),
            (vec![reached("a", json!({"end": "2026-06-01"})), reached("b", json!({}))], Some("a")),
            (vec![reached("a", json!({"start": "2026-06-02"}))], None),
            (vec![reached("a", json!({"end": "2026-05-31"})), mother("b", json!({}))], Some("b")),
            (vec![mother("a", json!({"active": false, "telecom": phone}))], None),
        ] {
            let mut story = Story::bare(&"t".into(), Person(1), at("2026-06-01T12:00:00Z"), Store::unknown(&TimeZone::UTC));
            story.resources = vec![resource("child", json!({"resourceType": "Patient", "birthDate": "2018-03-04"}))];
            story.resources.extend(guardians);
            let found = recipient(&story).map(|recipient| recipient.resource.id.as_str());
            assert_eq!(found, expected, "{:?}", story.resources);
        }
    }
}
