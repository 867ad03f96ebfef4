//! The words by which somebody ends or resumes our messages, and the answer they give to an inbound message.
//! Follows <https://hl7.org/fhir/R4/communication.html>.

use serde_json::Value;

use super::Resource;
use super::json::{contained, each, local, reference, text};
use crate::ledger::How;

/// What an inbound message wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
}

/// To add a language: its words here, in capitals. They bind in every language, whatever the person speaks.
const STOP: &[&str] = &[
    "STOP",
    "STOPALL",
    "STOP ALL",
    "UNSUBSCRIBE",
    "CANCEL",
    "END",
    "QUIT",
    "OPTOUT",
    "OPT OUT",
    "OPT-OUT",
    "REVOKE",
    "停止",
    "退订",
    "退訂",
    "取消",
    "取消订阅",
    "不要再发",
    "TD",
    "T",
    "ALTO",
    "PARAR",
    "BAJA",
    "CANCELAR",
    "ARRET",
    "ARRÊT",
    "STOPP",
    "ABMELDEN",
    "SAIR",
];

/// What may stand before or after a word, in capitals.
const PLEASE: &[&str] = &["PLEASE ", "PLEASE, ", " PLEASE", "PLS ", " PLS", "请", "請"];

const START: &[&str] = &[
    "START",
    "UNSTOP",
    "RESUME",
    "SUBSCRIBE",
    "OPTIN",
    "OPT IN",
    "OPT-IN",
    "开始",
    "開始",
    "恢复",
    "恢復",
    "订阅",
    "訂閱",
    "INICIAR",
    "COMENZAR",
    "ANMELDEN",
    "INSCREVER",
];

/// Kinds of those who speak for themselves, and not for a patient.
const OTHERS: &[&str] = &["Practitioner", "PractitionerRole", "Organization", "Device", "CareTeam", "HealthcareService"];

/// What somebody wants by a resource; by what we say ourselves, nobody wants anything.
pub(crate) fn wish_of(said: &Resource) -> Option<Wish> {
    let is_word = said.kind == "Communication" && said.how != How::Derived;
    is_word.then(|| wish(&said.value)).flatten()
}

/// Whether a word was said: one that is not done yet, or was entered in error, takes no STOP back.
pub(crate) fn was_said(said: &Resource) -> bool {
    matches!(text(&said.value, "status"), Some("completed" | "in-progress"))
}

/// Whether a resource says STOP.
#[must_use]
pub fn is_stop(resource: &Value) -> bool {
    text(resource, "resourceType") == Some("Communication") && wish(resource) == Some(Wish::Stop)
}

/// What an inbound Communication of a Patient wants, if it is one of the words alone. START must come from the patient or somebody who
/// is related to them; STOP binds unless it is known to come from others.
pub(crate) fn wish(communication: &Value) -> Option<Wish> {
    let said = each(communication, "payload").iter().find_map(|payload| text(payload, "contentString"))?;
    let plain = bare(&said.to_uppercase()).to_owned();
    let kind = kind_of_sender(communication);
    if STOP.contains(&unasked(&plain)) && !kind.as_deref().is_some_and(|kind| OTHERS.contains(&kind)) {
        return Some(Wish::Stop);
    }
    let typed = communication.get("sender").and_then(|sender| text(sender, "type"));
    let is_theirs = sender(communication).is_some() || matches!(typed, Some("Patient" | "RelatedPerson"));
    (START.contains(&plain.as_str()) && is_theirs).then_some(Wish::Start)
}

/// Words without what stands around them.
fn bare(said: &str) -> &str {
    said.trim_matches(|letter: char| letter.is_whitespace() || letter.is_ascii_punctuation() || "。！，“”".contains(letter))
}

/// A word without the courtesy: who says please means it no less.
fn unasked(plain: &str) -> &str {
    let before = PLEASE.iter().find_map(|word| plain.strip_prefix(word));
    let after = PLEASE.iter().find_map(|word| plain.strip_suffix(word));
    bare(before.or(after).unwrap_or(plain))
}

/// What the sender is, by the reference, what is contained, or the type that is stated.
fn kind_of_sender(communication: &Value) -> Option<String> {
    let named = reference(communication, "sender");
    let literal = named.and_then(local).and_then(|named| named.split('/').next().map(str::to_owned));
    let inner = || text(contained(communication, named?)?, "resourceType").map(str::to_owned);
    // A type is a name, or the url that ends in it.
    let typed = || text(communication.get("sender")?, "type")?.rsplit('/').next().map(str::to_owned);
    literal.or_else(inner).or_else(typed)
}

/// Whether a Communication comes from somebody who is not the patient.
pub(crate) fn is_related(communication: &Value) -> bool {
    let typed = communication.get("sender").and_then(|sender| text(sender, "type"));
    sender(communication).map_or(typed == Some("RelatedPerson"), |sender| sender.starts_with("RelatedPerson/"))
}

/// `Patient/id` or `RelatedPerson/id` that a Communication comes from.
pub(crate) fn sender(communication: &Value) -> Option<String> {
    let sender = super::json::local(reference(communication, "sender")?)?;
    (sender.starts_with("Patient/") || sender.starts_with("RelatedPerson/")).then_some(sender)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::ledger::Person;

    #[test]
    fn a_word_alone_binds_in_every_language_and_a_sentence_does_not() {
        for (said, expected) in [
            ("STOP", Some(Wish::Stop)),
            (" stop. ", Some(Wish::Stop)),
            ("退订", Some(Wish::Stop)),
            ("停止！", Some(Wish::Stop)),
            ("Stop please", Some(Wish::Stop)),
            ("Please, stop!", Some(Wish::Stop)),
            ("stop, pls.", Some(Wish::Stop)),
            ("请停止", Some(Wish::Stop)),
            ("please", None),
            ("Please tell me when to stop", None),
            ("Start", Some(Wish::Start)),
            ("恢复", Some(Wish::Start)),
            ("When does my supply end?", None),
            ("", None),
        ] {
            let message = json!({"sender": {"reference": "Patient/1"}, "payload": [{"contentString": said}]});
            assert_eq!(wish(&message), expected, "{said}");
        }
    }

    #[test]
    fn a_stop_binds_whoever_sent_it_unless_it_is_known_to_come_from_others() {
        let (stop, start) = (Some(Wish::Stop), Some(Wish::Start));
        let number = json!({"system": "urn:x", "value": "1"});
        let structure = |kind: &str| format!("http://hl7.org/fhir/StructureDefinition/{kind}");
        for (sender, to_stop, to_start) in [
            (json!({"reference": "Patient/1"}), stop, start),
            (json!({"reference": "RelatedPerson/1/_history/2"}), stop, start),
            (json!({"type": "Patient", "identifier": number}), stop, start),
            (json!({"type": structure("RelatedPerson"), "identifier": number}), stop, None),
            (json!({"identifier": number}), stop, None),
            (json!({"display": "Ada"}), stop, None),
            (json!({"reference": "#ada"}), stop, None),
            (Value::Null, stop, None),
            (json!({"reference": "#doctor"}), None, None),
            (json!({"reference": "Organization/1"}), None, None),
            (json!({"reference": "https://x.example/fhir/Practitioner/1"}), None, None),
            (json!({"type": "PractitionerRole", "identifier": number}), None, None),
            (json!({"type": structure("Device"), "display": "gateway"}), None, None),
            (json!({"reference": "CareTeam/1"}), None, None),
            (json!({"reference": "HealthcareService/1"}), None, None),
        ] {
            let contained = json!([{"resourceType": "Practitioner", "id": "doctor"}, {"resourceType": "Patient", "id": "ada"}]);
            let said = |words: &str| {
                let mut message = json!({"contained": contained, "payload": [{"contentString": words}]});
                if !sender.is_null() {
                    message["sender"] = sender.clone();
                }
                wish(&message)
            };
            assert_eq!((said("STOP"), said("START")), (to_stop, to_start), "{sender}");
        }
    }

    #[test]
    fn what_we_say_ourselves_is_nobodys_word() {
        let of = |kind: &str, how: How| {
            let value = json!({"sender": {"reference": "Patient/1"}, "payload": [{"contentString": "STOP"}]});
            wish_of(&Resource {
                kind: kind.to_owned(),
                id: String::from("1"),
                version: 1,
                fact: 1,
                source: String::from("s"),
                how,
                learned: 0,
                person: Person(1),
                deleted: false,
                value: Arc::new(value),
            })
        };
        assert_eq!((of("Communication", How::Live), of("Communication", How::Import)), (Some(Wish::Stop), Some(Wish::Stop)));
        assert_eq!((of("Communication", How::Derived), of("CommunicationRequest", How::Live)), (None, None));
    }
}
