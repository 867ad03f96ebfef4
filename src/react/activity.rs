//! What a step says or asks for, in every language it is written in.
//! Follows <https://hl7.org/fhir/R4/activitydefinition.html>.

use serde_json::Value;

use super::json::{each, extension, text};
use super::pharmacist;
use super::read::known::ACTIVITY;

/// The extension that holds a text in one language, and perhaps an offer to add to it.
pub(crate) const MESSAGE: &str = "https://signa.example/fhir/StructureDefinition/message";

/// The extension that says that a Task is work inside the house: STOP and consent are about speaking to the patient.
const INWARD: &str = "https://signa.example/fhir/StructureDefinition/inward";

/// The extension that says that a message is said in the words of the request that set it off, and is based on that.
const RELAY: &str = "https://signa.example/fhir/StructureDefinition/relay";

/// The extension that names the Questionnaire which goes with a Task.
const FORM: &str = "https://signa.example/fhir/StructureDefinition/form";

/// What else the languages are called in which our own texts are written: by other codes, and in words.
const NAMES: &[(&str, &[&str])] = &[
    ("en", &["eng", "English", "英语", "英文"]),
    (
        "zh",
        &[
            "zho",
            "chi",
            "cmn",
            "yue",
            "Chinese",
            "Mandarin",
            "Cantonese",
            "中文",
            "汉语",
            "漢語",
            "普通话",
            "普通話",
            "粤语",
            "粵語",
        ],
    ),
];

/// What a step says or asks for.
#[derive(Debug, Clone)]
pub(crate) struct Activity {
    /// Whether it speaks to the patient or gives work to the store.
    pub(crate) act: Act,
    /// The category of a message, or the code of a Task.
    pub(crate) code: Value,
    /// The topic of a message.
    pub(crate) topic: Option<Value>,
    /// routine, urgent, asap, stat.
    pub(crate) priority: String,
    /// Whether it is work inside the house, for which nobody speaks to the patient.
    pub(crate) inward: bool,
    /// Whether it says what the CommunicationRequest that set it off asks to be said.
    pub(crate) relays: bool,
    /// The Questionnaire that goes with a Task, as `url|version`.
    pub(crate) form: Option<String>,
    /// The product it suggests, which the recorded allergies may forbid.
    pub(crate) product: Option<Value>,
    /// Its texts.
    pub(crate) messages: Vec<Message>,
}

/// Whether a step speaks to the patient or gives work to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// A CommunicationRequest and its Communication.
    Speak,
    /// A Task.
    Work,
}

/// A text in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The language, for example `en` or `zh`.
    pub(crate) language: String,
    /// What is said.
    pub(crate) text: String,
    /// What is added for those who consented to offers.
    pub(crate) offer: Option<String>,
}

impl Activity {
    /// Reads an ActivityDefinition; a sentence says what is wrong with it.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let act = match text(value, "kind") {
            Some("CommunicationRequest") => Act::Speak,
            Some("Task") => Act::Work,
            _ => return Err(String::from("kind must be CommunicationRequest or Task")),
        };
        if let Some(name) = ACTIVITY.strange(value).next() {
            return Err(format!("{name}, as it stands here, is not understood"));
        }
        if let Some((_, why)) = ACTIVITY.misplaced(value).into_iter().next() {
            return Err(why);
        }
        let extensions = each(value, "extension").iter().filter(|extension| text(extension, "url") == Some(MESSAGE));
        let messages = extensions.map(message).collect::<Option<Vec<Message>>>();
        let messages = messages.ok_or("a message extension needs a language and a text")?;
        let said = messages.iter().flat_map(|message| [Some(&message.text), message.offer.as_ref()]).flatten();
        if let Some(unknown) = said.flat_map(|said| placeholders(said)).find(|word| *word != pharmacist::PLACE) {
            return Err(format!("{unknown} stands for nothing: a text may name {} alone", pharmacist::PLACE));
        }
        let relays = act == Act::Speak && extension(value, RELAY).and_then(Value::as_bool) == Some(true);
        if messages.is_empty() && !relays {
            return Err(String::from("it has no message extension with a language and a text"));
        }
        let code = value.get("code").cloned().ok_or("code is missing: the category of a message or the code of a Task")?;
        Ok(Self {
            act,
            code,
            topic: each(value, "topic").first().cloned(),
            priority: text(value, "priority").unwrap_or("routine").to_owned(),
            inward: act == Act::Work && extension(value, INWARD).and_then(Value::as_bool) == Some(true),
            relays,
            form: extension(value, FORM).and_then(Value::as_str).map(str::to_owned),
            product: value.get("productCodeableConcept").cloned(),
            messages,
        })
    }

    /// The text in the first of these languages that it is written in; English, else the first there is, when in none.
    pub(crate) fn message(&self, languages: &[String]) -> Option<&Message> {
        let written = |language: &str| self.messages.iter().find(|message| message.language.eq_ignore_ascii_case(language));
        let spoken = languages.iter().find_map(|language| {
            let stem = language.trim().split(['-', '_', ' ', ',', '(', '（']).next().unwrap_or(language);
            let known = || NAMES.iter().find(|(_, names)| names.iter().any(|name| name.eq_ignore_ascii_case(stem)));
            written(language).or_else(|| written(stem)).or_else(|| written(known()?.0))
        });
        spoken.or_else(|| written("en")).or_else(|| self.messages.first())
    }
}

/// What stands in braces in a text, with them.
fn placeholders(said: &str) -> impl Iterator<Item = &str> {
    said.match_indices('{').filter_map(|(from, _)| Some(&said[from..=from + said[from..].find('}')?]))
}

fn message(value: &Value) -> Option<Message> {
    let words = |name| extension(value, name).and_then(Value::as_str).map(str::to_owned);
    Some(Message { language: words("language")?, text: words("text")?, offer: words("offer") })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn activity() -> Activity {
        let said = |language: &str, said: &str| json!({"url": MESSAGE, "extension": [{"url": "language", "valueCode": language}, {"url": "text", "valueString": said}]});
        let value = json!({"kind": "CommunicationRequest", "code": {}, "extension": [said("en", "Hello"), said("zh", "你好")]});
        Activity::read(&value).unwrap()
    }

    #[test]
    fn the_text_is_chosen_by_the_first_language_that_is_written() {
        let activity = activity();
        for (languages, expected) in [
            (vec!["zh-CN"], "你好"),
            (vec!["fr", "zh"], "你好"),
            (vec!["fr"], "Hello"),
            (vec!["en-GB"], "Hello"),
            (vec!["zho"], "你好"),
            (vec!["chi"], "你好"),
            (vec!["cmn-Hans-CN"], "你好"),
            (vec!["yue_HK"], "你好"),
            (vec!["eng", "zh"], "Hello"),
            (vec!["Chinese"], "你好"),
            (vec!["Mandarin Chinese"], "你好"),
            (vec!["中文（简体）"], "你好"),
            (vec!["English (US)", "zh"], "Hello"),
            (vec!["chit", "enga"], "Hello"),
            (vec![], "Hello"),
        ] {
            let languages: Vec<String> = languages.into_iter().map(str::to_owned).collect();
            assert_eq!(activity.message(&languages).unwrap().text, expected, "{languages:?}");
        }
    }

    #[test]
    fn an_activity_without_text_or_of_another_kind_is_refused() {
        assert!(Activity::read(&json!({"kind": "CommunicationRequest", "code": {}})).is_err());
        assert!(Activity::read(&json!({"kind": "Appointment", "code": {}})).is_err());
        let with = |name: &str, value: Value| {
            let mut activity = json!({"kind": "Task", "code": {}, "extension": [{"url": MESSAGE, "extension": [
                {"url": "language", "valueCode": "en"}, {"url": "text", "valueString": "Call."}]}]});
            match activity[name].as_array_mut() {
                Some(list) => list.push(value),
                None => activity[name] = value,
            }
            Activity::read(&activity).map(|read| read.inward)
        };
        assert_eq!(with("extension", json!({"url": INWARD, "valueBoolean": true})), Ok(true));
        assert_eq!((with("doNotPerform", json!(false)), with("title", json!("x"))), (Ok(false), Ok(false)));
        for (name, value) in [
            ("doNotPerform", json!(true)),
            ("timingDuration", json!({})),
            ("transform", json!("https://x.example/map")),
            (
                "useContext",
                json!([{"code": {"system": "http://terminology.hl7.org/CodeSystem/usage-context-type", "code": "age"}}]),
            ),
            ("extension", json!({"url": INWARD, "valueString": "true"})),
            ("extension", json!({"url": format!("{INWARD}s"), "valueBoolean": true})),
            ("extension", json!({"url": MESSAGE, "extension": [{"url": "language", "valueCode": "zh"}]})),
            (
                "extension",
                json!({"url": MESSAGE, "extension": [{"url": "language", "valueCode": "de"}, {"url": "text", "valueString": "Ask {pharmasist}."}]}),
            ),
        ] {
            assert!(with(name, value.clone()).is_err(), "{name} {value}");
        }
    }
}
