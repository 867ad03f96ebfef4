//! The words by which somebody ends or resumes our messages, and the answer they give to an inbound message.
//! Follows <https://hl7.org/fhir/R4/communication.html>.

use serde_json::Value;

use super::json::{each, reference, text};

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

/// What an inbound Communication of a Patient wants, if it is one of the words alone.
pub(crate) fn wish(communication: &Value) -> Option<Wish> {
    let typed = communication.get("sender").and_then(|sender| text(sender, "type"));
    if sender(communication).is_none() && !matches!(typed, Some("Patient" | "RelatedPerson")) {
        return None;
    }
    let said = each(communication, "payload").iter().find_map(|payload| text(payload, "contentString"))?;
    let plain: String =
        said.trim().trim_matches(|letter: char| letter.is_ascii_punctuation() || "。！，“”".contains(letter)).to_uppercase();
    if STOP.contains(&plain.as_str()) {
        return Some(Wish::Stop);
    }
    START.contains(&plain.as_str()).then_some(Wish::Start)
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
    use serde_json::json;

    use super::*;

    #[test]
    fn a_word_alone_binds_in_every_language_and_a_sentence_does_not() {
        for (said, expected) in [
            ("STOP", Some(Wish::Stop)),
            (" stop. ", Some(Wish::Stop)),
            ("退订", Some(Wish::Stop)),
            ("停止！", Some(Wish::Stop)),
            ("Start", Some(Wish::Start)),
            ("恢复", Some(Wish::Start)),
            ("When does my supply end?", None),
            ("", None),
        ] {
            let message = json!({"sender": {"reference": "Patient/1"}, "payload": [{"contentString": said}]});
            assert_eq!(wish(&message), expected, "{said}");
        }
        assert_eq!(wish(&json!({"sender": {"reference": "Organization/1"}, "payload": [{"contentString": "STOP"}]})), None);
    }
}
