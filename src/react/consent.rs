//! Whether somebody consented to what we would say.
//! Follows <https://hl7.org/fhir/R4/consent.html>.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::Story;
use super::json::{coded, each, text};
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

/// Codes of v3-ActReason that name a purpose.
fn codes(purpose: Purpose) -> &'static [&'static str] {
    match purpose {
        Purpose::Treatment => &["TREAT", "CAREMGT", "COC", "PATRQT"],
        Purpose::Marketing => &["HMARKT"],
    }
}

/// The answer that counts now: that of the newest Consent that speaks of the purpose; of two of one time, the refusal.
pub(crate) fn answer(story: &Story, purpose: Purpose) -> Answer {
    let mut newest: Option<(i64, Answer)> = None;
    for consent in story.current("Consent") {
        let Some(answer) = stated(&consent.value, purpose, story.now) else { continue };
        let at = text(&consent.value, "dateTime").and_then(Moment::parse);
        let at = at.map_or(consent.learned, |moment| moment.span(&TimeZone::UTC).low);
        let counts = newest.is_none_or(|(known, _)| at > known || (at == known && answer == Answer::Refused));
        if counts {
            newest = Some((at, answer));
        }
    }
    newest.map_or(Answer::Unasked, |(_, answer)| answer)
}

/// What one Consent says of the purpose; `None` when it is silent, no longer or not yet in force.
fn stated(consent: &Value, purpose: Purpose, now: i64) -> Option<Answer> {
    // Who takes part in research, or wrote an advance directive, said nothing of messages.
    if ["research", "adr"].iter().any(|scope| coded(consent.get("scope"), scope)) {
        return None;
    }
    let said = provisions(consent, purpose, now);
    match text(consent, "status") {
        Some("active") => said,
        // What was asked for and rejected is a refusal; drafts and what is out of force say nothing.
        Some("rejected") => said.map(|_| Answer::Refused),
        _ => None,
    }
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
    if !in_force(root, now) {
        return None;
    }
    // Inner provisions are exceptions to the outer one.
    let exception = each(root, "provision").iter().filter(|inner| names(inner, purpose) && in_force(inner, now)).find_map(kind);
    if exception.is_some() {
        return exception;
    }
    let answer = kind(root).or(by_policy);
    if names(root, purpose) {
        return answer;
    }
    if each(root, "purpose").is_empty() { general(answer, purpose) } else { None }
}

/// What names no purpose speaks of treatment; for marketing it can only refuse.
fn general(answer: Option<Answer>, purpose: Purpose) -> Option<Answer> {
    answer.filter(|answer| purpose == Purpose::Treatment || *answer == Answer::Refused)
}

fn kind(provision: &Value) -> Option<Answer> {
    match text(provision, "type") {
        Some("permit") => Some(Answer::Given),
        Some("deny") => Some(Answer::Refused),
        _ => None,
    }
}

fn names(provision: &Value, purpose: Purpose) -> bool {
    each(provision, "purpose").iter().any(|coding| text(coding, "code").is_some_and(|code| codes(purpose).contains(&code)))
}

fn in_force(provision: &Value, now: i64) -> bool {
    let Some(period) = provision.get("period") else { return true };
    let edge = |name| text(period, name).and_then(Moment::parse).map(|moment| moment.span(&TimeZone::UTC));
    edge("start").is_none_or(|start| start.low <= now) && edge("end").is_none_or(|end| now < end.high)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
            (json!({"provision": {"type": "permit", "period": {"end": "1969-12-31"}}}), None, None),
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
}
