//! A resource made ready for the store: its text in two parts, its search rows, whose it is and when it happened.
//! Follows <https://hl7.org/fhir/R4/resource.html>.

use std::io::Write;

use serde_json::{Map, Value};

use super::subject::{replaced, subject};
use crate::fhir::kinds;
use crate::ledger::{Draft, search};

/// Members of `meta` that only the store writes.
const OWN: [&str; 2] = ["versionId", "lastUpdated"];

/// Makes a checked resource ready for the store. What its sender wrote stays as it was written, in the same order.
#[must_use]
pub fn draft(resource: &Value) -> Draft {
    let name = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    let kind = kinds::of(name);
    let happened = kind.happened(resource);
    let (subject, is_only_named) = subject(kind, resource);
    let empty = Map::new();
    let members = resource.as_object().unwrap_or(&empty);
    let meta = resource.get("meta").and_then(Value::as_object).unwrap_or(&empty);
    Draft {
        meta: text(meta.iter().filter(|(key, _)| !OWN.contains(&key.trim_start_matches('_')))),
        body: body(name, members),
        rows: search::lines(name, resource).into(),
        subject,
        is_only_named,
        identifiers: kinds::identifiers(resource),
        links: if name == "Patient" { replaced(resource) } else { Vec::new() },
        happened,
        store: kind.store(resource).unwrap_or_default().to_owned(),
        is_stop: false,
        accepted: None,
    }
}

fn body(name: &str, members: &Map<String, Value>) -> String {
    let rest = text(members.iter().filter(|(key, _)| !matches!(key.as_str(), "resourceType" | "id" | "meta")));
    let comma = if rest.is_empty() { "" } else { "," };
    format!("{{\"resourceType\":\"{name}\"{comma}{rest}}}")
}

/// JSON members without the braces around them.
fn text<'a>(members: impl Iterator<Item = (&'a String, &'a Value)>) -> String {
    let mut out = Vec::with_capacity(TEXT_BYTES_USUAL);
    for (key, value) in members {
        let comma: &[u8] = if out.is_empty() { b"" } else { b"," };
        // Writing JSON into memory cannot fail: keys are text and there is no map with other keys.
        let _ = out.write_all(comma);
        let _ = serde_json::to_writer(&mut out, key);
        let _ = out.write_all(b":");
        let _ = serde_json::to_writer(&mut out, value);
    }
    String::from_utf8(out).unwrap_or_default()
}

/// Room for a usual resource, so that writing it does not grow the buffer step by step.
const TEXT_BYTES_USUAL: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Subject;

    #[test]
    fn the_text_is_kept_as_written_without_what_the_store_owns() {
        let sent = r#"{"id":"mine","meta":{"versionId":"9","profile":["urn:p"],"lastUpdated":"2020-01-01T00:00:00Z","tag":[{"code":"a"}]},
            "resourceType":"Observation","valueQuantity":{"value":1.00,"unit":"\u00b5g"},"subject":{"reference":"Patient/1"},
            "effectiveDateTime":"2026-01-02","performer":[{"reference":"Organization/west"}],"identifier":[{"system":"urn:s","value":"v"}]}"#;
        let draft = draft(&serde_json::from_str(sent).unwrap());
        assert_eq!(draft.meta, r#""profile":["urn:p"],"tag":[{"code":"a"}]"#);
        assert!(
            draft.body.starts_with(r#"{"resourceType":"Observation","valueQuantity":{"value":1.00,"unit":"µg"},"#),
            "{}",
            draft.body
        );
        assert!(!draft.body.contains("mine"));
        assert_eq!(draft.subject, Subject::Literal("Patient/1".into()));
        assert_eq!(draft.happened, Some(1_767_312_000_000));
        assert_eq!(draft.store, "west");
        assert_eq!(draft.identifiers, [("urn:s".into(), "v".into())]);
    }

    #[test]
    fn a_bare_resource_has_a_bare_text() {
        let draft = draft(&serde_json::json!({"resourceType": "Basic", "id": "1"}));
        assert_eq!((draft.meta.as_str(), draft.body.as_str()), ("", r#"{"resourceType":"Basic"}"#));
    }
}
