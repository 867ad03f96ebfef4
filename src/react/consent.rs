//! Whether somebody consented to what we would say.
//! Follows <https://hl7.org/fhir/R4/consent.html>.

use std::cmp::Ordering;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::json::{coded, each, term, text};
use super::{Resource, Story, supply};
use crate::fhir::time::Moment;

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Care of the person.
    Treatment,
    /// An offer.
    Marketing,
}

/// What is recorded of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was given.
    Given,
    /// It was refused.
    Refused,
    /// Nobody asked, or nobody recorded the answer.
    Unasked,
}

/// Codes of consentaction that name what a message needs: that data are used.
const USES: &[&str] = &["use", "access", "disclose"];

/// Codes of v3-ActReason that name a purpose.
fn codes(purpose: Purpose) -> &'static [&'static str] {
    match purpose {
        Purpose::Treatment => &["TREAT", "CAREMGT", "COC", "PATRQT"],
        Purpose::Marketing => &["HMARKT"],
    }
}

/// The answer that counts now: that of the newest Consent that speaks of the purpose; of two that may be of one time, the refusal.
pub(crate) fn answer(story: &Story, purpose: Purpose) -> Answer {
    counting(story, purpose).map_or(Answer::Unasked, |(_, answer)| answer)
}

/// Whether what counts as a refusal is a consent whose time is over: nobody refused.
pub(crate) fn has_lapsed(story: &Story, purpose: Purpose) -> bool {
    let Some((consent, Answer::Refused)) = counting(story, purpose) else { return false };
    let is_over = |provision: &Value| kind(provision) == Some(Answer::Given) && term(provision, story.now) == Ordering::Greater;
    text(&consent.value, "status") == Some("active") && consent.value.get("provision").is_some_and(is_over)
}

/// The Consent that counts now, with its answer.
fn counting(story: &Story, purpose: Purpose) -> Option<(&Resource, Answer)> {
    let zone = supply::store(story, &Value::Null).zone;
    let answers = story.current("Consent").filter_map(|consent| {
        let answer = stated(&consent.value, purpose, story.now)?;
        Some((given_at(consent, answer, &zone), consent, answer))
    });
    let last = answers.max_by_key(|(at, _, answer)| (*at, *answer == Answer::Refused));
    last.map(|(_, consent, answer)| (consent, answer))
}

/// When an answer was given: a refusal at the last moment that its date may mean, a consent at the first, and never after it was learned.
fn given_at(consent: &Resource, answer: Answer, zone: &TimeZone) -> i64 {
    let Some(written) = text(&consent.value, "dateTime").and_then(Moment::parse) else { return consent.learned };
    let span = written.span(zone);
    if answer == Answer::Refused { span.high - 1 } else { span.low.min(consent.learned) }
}

/// What one Consent says of the purpose; `None` when it is silent or not yet in force.
fn stated(consent: &Value, purpose: Purpose, now: i64) -> Option<Answer> {
    // Who takes part in research, or wrote an advance directive, said nothing of messages.
    if ["research", "adr"].iter().any(|scope| coded(consent.get("scope"), scope)) {
        return None;
    }
    match text(consent, "status") {
        // What is said beside, and changes what it means, may take a consent back.
        Some("active") => provisions(consent, purpose, now)
            .filter(|answer| *answer == Answer::Refused || consent.get("modifierExtension").is_none()),
        // What was asked for and rejected, or given and withdrawn, is a refusal: to have never been asked is another thing.
        Some("inactive" | "rejected") => concerns(consent, purpose).then_some(Answer::Refused),
        _ => None,
    }
}

/// Whether a Consent is about the purpose, whatever it says of it.
fn concerns(consent: &Value, purpose: Purpose) -> bool {
    let Some(root) = consent.get("provision") else { return true };
    let inner = each(root, "provision").iter().any(|inner| names(inner, purpose) && !is_limited(inner));
    inner || (!is_limited(root) && (names(root, purpose) || each(root, "purpose").is_empty()))
}

fn provisions(consent: &Value, purpose: Purpose, now: i64) -> Option<Answer> {
    let policy = consent.get("policyRule");
    let by_policy = if coded(policy, "OPTOUT") || coded(policy, "OPTOUTE") {
        Some(Answer::Refused)
    } else if coded(policy, "OPTIN") || coded(policy, "OPTINR") {
        Some(Answer::Given)
    } else {
        None
    };
    let Some(root) = consent.get("provision") else { return general(by_policy, purpose) };
    let here = term(root, now);
    // Inner provisions are exceptions to the outer one; of two in force, the refusal counts.
    let inner: Vec<&Value> = each(root, "provision").iter().filter(|inner| names(inner, purpose)).collect();
    let of_term = |wanted: Ordering| inner.iter().filter(move |inner| term(inner, now) == wanted).filter_map(|inner| kind(inner));
    let exception = of_term(Ordering::Equal).max_by_key(|answer| *answer == Answer::Refused);
    if exception.is_some() {
        return in_term(exception, here);
    }
    let answer = kind(root).or(by_policy).filter(|answer| *answer == Answer::Refused || !is_limited(root));
    let answer = if names(root, purpose) {
        answer
    } else if each(root, "purpose").is_empty() {
        general(answer, purpose)
    } else {
        None
    };
    let lapsed = || in_term(of_term(Ordering::Greater).find(|answer| *answer == Answer::Given), Ordering::Greater);
    in_term(answer, here).or_else(lapsed)
}

/// What an answer is worth in its term: a consent whose time is over is withdrawn, a refusal whose time is over says nothing.
fn in_term(answer: Option<Answer>, term: Ordering) -> Option<Answer> {
    match term {
        Ordering::Less => None,
        Ordering::Equal => answer,
        Ordering::Greater => answer.filter(|answer| *answer == Answer::Given).map(|_| Answer::Refused),
    }
}

/// What names no purpose speaks of treatment; for marketing it can only refuse.
fn general(answer: Option<Answer>, purpose: Purpose) -> Option<Answer> {
    answer.filter(|answer| purpose == Purpose::Treatment || *answer == Answer::Refused)
}

fn kind(provision: &Value) -> Option<Answer> {
    match text(provision, "type") {
        Some("permit") if !is_limited(provision) => Some(Answer::Given),
        Some("deny") => Some(Answer::Refused),
        _ => None,
    }
}

/// Whether a provision speaks only of some who act, of some data, or of other actions than what we do with them, or says something that
/// changes its meaning and that we do not understand: what it permits there it does not permit us.
fn is_limited(provision: &Value) -> bool {
    let limits = ["actor", "securityLabel", "class", "code", "dataPeriod", "data", "modifierExtension"];
    let actions = each(provision, "action");
    let is_ours = |action: &Value| USES.iter().any(|code| coded(Some(action), code));
    limits.iter().any(|limit| provision.get(limit).is_some()) || (!actions.is_empty() && !actions.iter().any(is_ours))
}

fn names(provision: &Value, purpose: Purpose) -> bool {
    each(provision, "purpose").iter().any(|coding| text(coding, "code").is_some_and(|code| codes(purpose).contains(&code)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::ledger::{How, Person};
    use crate::react::{Resource, Store};

    // When each was given and learned; a consent comes first, then a refusal.
    #[test]
    fn a_refusal_counts_unless_a_consent_was_surely_given_after_it() {
        let at = |written: &str| written.parse::<Timestamp>().unwrap().as_millisecond();
        let consent = |kind: &str, given: Option<&str>, learned: &str| Resource {
            kind: String::from("Consent"),
            id: kind.to_owned(),
            version: 1,
            fact: 1,
            source: String::from("s"),
            how: How::Live,
            learned: at(learned),
            person: Person(1),
            deleted: false,
            value: Arc::new(json!({"status": "active", "dateTime": given, "provision": {"type": kind}})),
        };
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        for (permit, deny, expected) in [
            ((Some("2026-05-10T09:00:00Z"), "2026-05-10T09:00:00Z"), Some("2026-05-10"), Answer::Refused),
            ((Some("2026-05-20T09:00:00Z"), "2026-05-20T09:00:00Z"), Some("2026-05"), Answer::Refused),
            ((Some("2026-05-10"), "2026-05-10T09:00:00Z"), Some("2026-05-10"), Answer::Refused),
            ((Some("2026-05-10"), "2026-05-20T09:00:00Z"), Some("2026-05-10T09:00:00Z"), Answer::Refused),
            // By a slip of the pen.
            ((Some("2062-05-10"), "2026-05-10T09:00:00Z"), Some("2026-05-11T09:00:00Z"), Answer::Refused),
            ((Some("2062-05-10"), "2026-05-10T09:00:00Z"), Some("2026-05-09T09:00:00Z"), Answer::Given),
            ((Some("2026-05-11"), "2026-05-11T09:00:00Z"), Some("2026-05-10"), Answer::Given),
            ((Some("2026-06-01"), "2026-06-01T09:00:00Z"), Some("2026-05"), Answer::Given),
            ((Some("2026-05-10T09:00:01Z"), "2026-05-12T09:00:00Z"), Some("2026-05-10T09:00:00Z"), Answer::Given),
            ((Some("2026-05-10T09:00:00Z"), "2026-05-12T09:00:00Z"), Some("2026-05-10T09:00:00Z"), Answer::Refused),
            // A day is that of the store.
            ((Some("2026-05-10T16:30:00Z"), "2026-05-10T16:30:00Z"), Some("2026-05-10"), Answer::Given),
            ((None, "2026-05-12T09:00:00Z"), Some("2026-05-10"), Answer::Given),
            ((None, "2026-05-10T09:00:00Z"), Some("2026-05-10"), Answer::Refused),
        ] {
            let told = [consent("permit", permit.0, permit.1), consent("deny", deny, "2026-05-11T09:00:00Z")];
            for resources in [told.to_vec(), told.iter().rev().cloned().collect()] {
                let mut story = Story::bare(&"t".into(), Person(1), at("2026-07-01T00:00:00Z"), Store::unknown(&shanghai));
                story.resources = resources;
                assert_eq!(answer(&story, Purpose::Treatment), expected, "{permit:?} {deny:?}");
                assert!(!has_lapsed(&story, Purpose::Treatment));
            }
        }
    }

    #[test]
    fn a_consent_whose_time_is_over_was_no_refusal() {
        let now = "2026-07-01T00:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
        for (value, expected) in [
            (json!({"status": "active", "provision": {"type": "permit", "period": {"end": "2026-06-01"}}}), true),
            (json!({"status": "inactive", "provision": {"type": "permit", "period": {"end": "2026-06-01"}}}), false),
            (json!({"status": "active", "provision": {"type": "deny"}}), false),
            (json!({"status": "active", "provision": {"type": "permit"}}), false),
        ] {
            let mut story = Story::bare(&"t".into(), Person(1), now, Store::unknown(&TimeZone::UTC));
            story.resources.push(Resource {
                kind: String::from("Consent"),
                id: String::from("c"),
                version: 1,
                fact: 1,
                source: String::from("s"),
                how: How::Live,
                learned: 0,
                person: Person(1),
                deleted: false,
                value: Arc::new(value.clone()),
            });
            assert_eq!(has_lapsed(&story, Purpose::Treatment), expected, "{value}");
        }
    }

    #[test]
    fn a_consent_is_read_by_its_purpose_its_policy_and_its_exceptions() {
        let treat = json!([{"code": "TREAT"}]);
        let market = json!([{"code": "HMARKT"}]);
        let (given, refused) = (Some(Answer::Given), Some(Answer::Refused));
        for (consent, treatment, marketing) in [
            (json!({"provision": {"type": "permit", "purpose": treat}}), given, None),
            (json!({"provision": {"type": "permit", "purpose": market}}), None, given),
            (json!({"provision": {"type": "permit"}}), given, None),
            (json!({"provision": {"type": "deny"}}), refused, refused),
            (json!({"policyRule": {"coding": [{"code": "OPTIN"}]}}), given, None),
            (json!({"policyRule": {"coding": [{"code": "OPTOUT"}]}}), refused, refused),
            (json!({"provision": {"type": "permit", "provision": [{"type": "deny", "purpose": market}]}}), given, refused),
            (json!({"provision": {"type": "permit", "period": {"end": "1969-12-31"}}}), refused, None),
            (json!({"provision": {"type": "deny", "period": {"end": "1969-12-31"}}}), None, None),
            (json!({"provision": {"type": "permit", "period": {"start": "1970-01-02"}}}), None, None),
            (
                json!({"provision": {"provision": [{"type": "permit", "purpose": treat, "period": {"end": "1969"}}]}}),
                refused,
                None,
            ),
            (json!({"provision": {"type": "permit", "actor": [{}]}}), None, None),
            (json!({"provision": {"type": "permit", "purpose": treat, "class": [{}]}}), None, None),
            (json!({"policyRule": {"coding": [{"code": "OPTIN"}]}, "provision": {"type": "permit", "data": [{}]}}), None, None),
            (json!({"provision": {"provision": [{"type": "permit", "purpose": market, "actor": [{}]}]}}), None, None),
            (json!({"provision": {"type": "deny", "actor": [{}]}}), refused, refused),
            (json!({"scope": {"coding": [{"code": "research"}]}, "provision": {"type": "permit"}}), None, None),
            (json!({}), None, None),
        ] {
            let mut consent = consent;
            consent["status"] = json!("active");
            assert_eq!(stated(&consent, Purpose::Treatment, 0), treatment, "{consent}");
            assert_eq!(stated(&consent, Purpose::Marketing, 0), marketing, "{consent}");
            consent["status"] = json!("draft");
            assert_eq!(stated(&consent, Purpose::Treatment, 0), None, "{consent}");
        }
    }

    #[test]
    fn a_withdrawn_consent_is_a_refusal_of_what_it_was_about() {
        let refused = Some(Answer::Refused);
        for (consent, treatment, marketing) in [
            (json!({}), refused, refused),
            (json!({"provision": {"type": "permit"}}), refused, refused),
            (json!({"provision": {"type": "permit", "purpose": [{"code": "TREAT"}]}}), refused, None),
            (json!({"provision": {"type": "permit", "purpose": [{"code": "HMARKT"}]}}), None, refused),
            (json!({"provision": {"type": "permit", "period": {"end": "1969"}}}), refused, refused),
            (json!({"provision": {"type": "permit", "actor": [{}]}}), None, None),
            (json!({"scope": {"coding": [{"code": "research"}]}, "provision": {"type": "permit"}}), None, None),
        ] {
            let mut consent = consent;
            for status in ["inactive", "rejected"] {
                consent["status"] = json!(status);
                assert_eq!(stated(&consent, Purpose::Treatment, 0), treatment, "{consent}");
                assert_eq!(stated(&consent, Purpose::Marketing, 0), marketing, "{consent}");
            }
        }
    }
}
