//! The criteria of conditional interactions: a search that must mean something, since what it finds is changed or deleted.
//! Follows <https://hl7.org/fhir/R4/http.html#ccreate>.

use crate::fhir::outcome::Issue;
use crate::fhir::search::query::{Criterion, Query};
use crate::fhir::search::{self, parse};

/// Reads criteria strictly: empty ones would find everything, and so would ones with a parameter that is not known. A system
/// without a value would find whoever is the only one of that system: a sender who has no number for somebody would change another.
pub(super) fn read(kind: &str, criteria: &str, base: &str, now: i64) -> Result<Query, Vec<Issue>> {
    let query = search(kind, criteria, base, now)?;
    let pairs = search::pairs(criteria).map_err(|issue| vec![issue])?;
    if pairs.iter().any(|(_, value)| search::has_gap(value)) {
        let words = "The criteria leave a value out, behind a | or between commas, and could find another resource than is meant; \
            say the whole value.";
        return Err(vec![fault("empty-criteria", words)]);
    }
    if query.criteria.is_empty() {
        let words = "The criteria name no search parameter, and would find every resource of the type; say which one is meant.";
        return Err(vec![fault("empty-criteria", words)]);
    }
    Ok(query)
}

/// The meaning of criteria as a text, however they were spelt and in whatever order.
pub(super) fn key(query: &Query) -> String {
    let mut criteria: Vec<String> = query.criteria.iter().map(|criterion| format!("{criterion:?}")).collect();
    criteria.sort_unstable();
    criteria.dedup();
    format!("{}?{}", query.kind, criteria.join("&"))
}

/// Reads a search of which every parameter must be known and have a value; it may have none.
pub(super) fn search(kind: &str, criteria: &str, base: &str, now: i64) -> Result<Query, Vec<Issue>> {
    let mut pairs = search::pairs(criteria).map_err(|issue| vec![issue])?;
    if !base.is_empty() {
        let own = format!("{base}/");
        for (name, value) in &mut pairs {
            search::make_relative(kind, name, value, &own);
        }
    }
    let empty = pairs.iter().filter(|(_, value)| value.trim().is_empty());
    let mut issues: Vec<Issue> =
        empty.map(|_| fault("empty-criteria", "A search parameter of the criteria has no value.")).collect();
    let parsed = parse::parse(kind, &pairs, now);
    issues.extend(parsed.issues);
    let unknown = |name: &String| fault("unknown-parameter", &format!("{kind} has no search parameter {name}."));
    issues.extend(parsed.unknown.iter().map(unknown));
    if issues.is_empty() { Ok(parsed.query) } else { Err(issues) }
}

/// Reads the criteria of a Subscription, or says in a sentence why they cannot be listened to.
pub fn listened(kind: &str, criteria: &str) -> Result<Query, String> {
    // Only `ap` asks what time it is, and what is listened to is written now: the beginning of time serves as well.
    let query = search(kind, criteria, "", 0)
        .map_err(|issues| issues.iter().map(|issue| issue.diagnostics.as_str()).collect::<Vec<_>>().join(" "))?;
    // A chain leads out of the resource that was written: whether it holds may change without any event of that resource.
    if query.criteria.iter().any(is_chained) {
        return Err(String::from("Chains over references and _has cannot be listened to; name the resource itself."));
    }
    Ok(query)
}

/// Criteria that are listened to, without our own address before references: by what is kept without it they are found.
pub(super) fn without_own(criteria: &str, base: &str) -> String {
    let Some((kind, query)) = criteria.split_once('?').filter(|_| !base.is_empty()) else { return criteria.to_owned() };
    let own = format!("{base}/");
    let relative = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let (name, mut value) = (search::decode(name, true)?, search::decode(value, true)?);
        let before = value.len();
        search::make_relative(kind, &name, &mut value, &own);
        (value.len() < before).then(|| format!("{name}={}", escaped(&value)))
    };
    let pairs: Vec<String> = query.split('&').map(|pair| relative(pair).unwrap_or_else(|| pair.to_owned())).collect();
    format!("{kind}?{}", pairs.join("&"))
}

/// The text as it may stand behind a name in a query.
fn escaped(text: &str) -> String {
    let escape = |letter| match letter {
        '%' | '&' | '+' | '#' | ' ' => format!("%{:02X}", u32::from(letter)),
        letter => String::from(letter),
    };
    text.chars().map(escape).collect()
}

fn is_chained(criterion: &Criterion) -> bool {
    match criterion {
        Criterion::Chain(_) => true,
        Criterion::Either(any) => any.iter().any(is_chained),
        _ => false,
    }
}

fn fault(key: &'static str, words: &str) -> Issue {
    Issue::error("invalid", key, "", words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "http://here/fhir";

    fn refused(criteria: &str) -> Vec<&'static str> {
        read("Patient", criteria, "", 0).unwrap_err().into_iter().map(|issue| issue.key).collect()
    }

    #[test]
    fn criteria_that_would_find_everything_are_refused() {
        assert_eq!(refused(""), ["empty-criteria"]);
        assert_eq!(refused("&"), ["empty-criteria"]);
        assert_eq!(refused("_count=5"), ["empty-criteria"]);
        assert_eq!(refused("identifier="), ["empty-criteria"]);
        for gap in ["urn:s|", "urn:s%7C", "urn:s|%20", "urn:s| ,", "urn:s|,urn:s|v", "urn:s|v,", ",", "urn:a\\,b|"] {
            assert_eq!(refused(&format!("identifier={gap}&active=true")), ["empty-criteria"], "{gap}");
        }
        assert_eq!(refused("identifier:not=urn:s|"), ["empty-criteria"]);
        assert_eq!(refused("_has:Observation:patient:code=urn:s|"), ["empty-criteria"]);
        assert_eq!(refused("shoe-size=44"), ["unknown-parameter"]);
        assert_eq!(refused("identifier=a|b&shoe-size=44"), ["unknown-parameter"]);
    }

    #[test]
    fn criteria_are_read_as_a_search() {
        for whole in ["urn:s%7Cv", "|v", "v", r"urn:s|v\|", r"urn:s|v\,", "urn:s|v,urn:s|w"] {
            assert_eq!(read("Patient", &format!("identifier={whole}"), "", 0).unwrap().criteria.len(), 1, "{whole}");
        }
        assert_eq!(search("Patient", "identifier=urn:s|", "", 0).unwrap().criteria.len(), 1);
        assert!(search("Patient", "", "", 0).unwrap().criteria.is_empty());
    }

    #[test]
    fn criteria_are_known_by_what_they_mean() {
        let key = |kind: &str, criteria: &str| key(&read(kind, criteria, BASE, 0).unwrap());
        let plain = key("Patient", "identifier=urn:s|v&active=true");
        for same in [
            "identifier=urn%3As%7Cv&active=true",
            "active=true&identifier=urn:s|v",
            "active=true&identifier=urn:s%7Cv&active=true",
        ] {
            assert_eq!(key("Patient", same), plain, "{same}");
        }
        for other in [
            "identifier=urn:s|v",
            "identifier=urn:s|w&active=true",
            "identifier=urn:s|v&active=false",
            "identifier:not=urn:s|v&active=true",
        ] {
            assert_ne!(key("Patient", other), plain, "{other}");
        }
        let subject = key("Condition", "subject=Patient/1,Patient/2");
        assert_eq!(key("Condition", "subject=http://here/fhir/Patient/1,Patient/2"), subject);
        assert_ne!(key("Condition", "subject=http://here/fhirs/Patient/1,Patient/2"), subject);
        assert_ne!(key("Practitioner", "identifier=urn:s|v&active=true"), plain);
    }

    #[test]
    fn what_is_listened_to_is_without_our_own_address() {
        for (criteria, expected) in [
            ("Condition?subject=http://here/fhir/Patient/1", "Condition?subject=Patient/1"),
            (
                "Condition?code=a%7Cb&subject=http%3A%2F%2Fhere%2Ffhir%2FPatient%2F1,http://there/fhir/Patient/2",
                "Condition?code=a%7Cb&subject=Patient/1,http://there/fhir/Patient/2",
            ),
            ("Condition?subject=http://there/fhir/Patient/1", "Condition?subject=http://there/fhir/Patient/1"),
            ("Condition?code=http://here/fhir/x|1", "Condition?code=http://here/fhir/x|1"),
            ("Condition?subject:Patient.name=a%26b%2B,http://here/fhir/c", "Condition?subject:Patient.name=a%26b%2B,c"),
            ("Condition?subject=Patient/1&", "Condition?subject=Patient/1&"),
            ("Condition", "Condition"),
        ] {
            assert_eq!(without_own(criteria, BASE), expected);
            assert_eq!(without_own(criteria, ""), criteria);
        }
    }

    #[test]
    fn a_chain_is_searched_by_and_not_listened_to() {
        assert_eq!(read("Condition", "subject:Patient.identifier=urn:s%7Cv", "", 0).unwrap().criteria.len(), 1);
        assert!(listened("Condition", "subject:Patient.identifier=urn:s%7Cv").unwrap_err().contains("_has"));
        assert!(listened("Patient", "_has:Condition:patient:code=1").is_err());
        assert!(listened("Condition", "subject=Patient/1").is_ok());
    }
}
