//! References inside a resource that must be turned into ours before it is stored: to entries of the same Bundle by their
//! fullUrl, conditional ones, and absolute ones to ourselves.
//! Follows <https://hl7.org/fhir/R4/http.html#trules>.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::fhir::definitions::{self, Key, Node, Primitive};
use crate::fhir::outcome::Issue;

/// What references lead to.
#[derive(Debug, Clone, Default)]
pub struct Links {
    /// `fullUrl` of an entry → `Type/id`.
    pub entries: HashMap<String, String>,
    /// The same for a wider circle that many resources share, as a Bundle that is imported piece by piece.
    pub circle: Arc<HashMap<String, String>>,
    /// Conditional reference as written (`Patient?identifier=…`) → `Type/id`.
    pub conditional: HashMap<String, String>,
    /// Our own address without a slash at its end; empty when it is not known.
    pub base: String,
    /// Whether a `urn:uuid:` that no entry bears is refused, as a transaction demands, or left as it is.
    pub closed: bool,
}

/// All conditional references of a resource, each with its place after the resource: `.subject.reference`.
#[must_use]
pub fn conditional(resource: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(resource, "", &mut found);
    found
}

/// Turns the references of a resource into ours. Gives the issues of those that lead nowhere; their places begin with `prefix`.
pub fn rewrite(resource: &mut Value, links: &Links, prefix: &str) -> Vec<Issue> {
    let mut dangling = Vec::new();
    turn(resource, "", None, links, &mut dangling);
    dangling.into_iter().map(|place| unknown_entry(&format!("{prefix}{place}"))).collect()
}

fn unknown_entry(place: &str) -> Issue {
    let words = "No entry of this Bundle has this fullUrl; add the entry or refer to a resource by Type/id.";
    Issue::error("invalid", "unknown-full-url", place, words)
}

/// Type and criteria of a conditional reference.
#[must_use]
pub fn criteria(reference: &str) -> Option<(&str, &str)> {
    let (kind, criteria) = reference.split_once('?')?;
    definitions::is_resource(kind).then_some((kind, criteria))
}

fn collect(value: &Value, key: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let before = found.len();
                collect(value, key, found);
                for (place, _) in &mut found[before..] {
                    place.insert_str(0, &format!(".{key}"));
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let before = found.len();
                collect(item, key, found);
                for (place, _) in &mut found[before..] {
                    place.insert_str(0, &format!("[{index}]"));
                }
            }
        }
        Value::String(text) if key == "reference" && criteria(text).is_some() => found.push((String::new(), text.clone())),
        _ => {}
    }
}

/// Walks down; the places of dangling references grow at their front on the way back. The types are only looked up where
/// entries have names that may stand in a uri.
fn turn(value: &mut Value, key: &str, node: Option<&'static Node>, links: &Links, dangling: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            let named = || members.get("resourceType").and_then(Value::as_str).and_then(definitions::node);
            let node = if links.names_any() { named().or(node) } else { None };
            for (key, value) in members {
                let before = dangling.len();
                turn(value, key, node.and_then(|node| node.key(key)).map(Key::node), links, dangling);
                for place in &mut dangling[before..] {
                    place.insert_str(0, &format!(".{key}"));
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                let before = dangling.len();
                turn(item, key, node, links, dangling);
                for place in &mut dangling[before..] {
                    place.insert_str(0, &format!("[{index}]"));
                }
            }
        }
        Value::String(text) => match links.turned(key, node, text) {
            Turned::Same => {}
            Turned::Into(other) => *text = other,
            Turned::Nowhere => dangling.push(String::new()),
        },
        _ => {}
    }
}

enum Turned {
    Same,
    Into(String),
    Nowhere,
}

impl Links {
    fn turned(&self, key: &str, node: Option<&'static Node>, text: &str) -> Turned {
        if key == "reference" {
            return self.reference(text);
        }
        let turned = match node.and_then(|node| node.primitive) {
            Some(Primitive::Xhtml) => self.narrative(text),
            Some(Primitive::Uri | Primitive::Url | Primitive::Canonical | Primitive::Oid | Primitive::Uuid) => self.entry(text),
            // Texts, not addresses: an Identifier may hold the very same urn as its value, and keeps it.
            _ => None,
        };
        turned.map_or(Turned::Same, Turned::Into)
    }

    fn reference(&self, text: &str) -> Turned {
        if let Some(ours) = self.entry(text).or_else(|| self.conditional.get(text).cloned()).or_else(|| self.relative(text)) {
            return Turned::Into(ours);
        }
        if self.closed && (text.starts_with("urn:uuid:") || text.starts_with("urn:oid:")) {
            return Turned::Nowhere;
        }
        Turned::Same
    }

    /// What the entry with this fullUrl is called here; a fragment or a canonical's version after it is kept.
    fn entry(&self, text: &str) -> Option<String> {
        if !self.names_any() || text.len() > URL_BYTES_MAX {
            return None;
        }
        let known = |url: &str| self.entries.get(url).or_else(|| self.circle.get(url));
        if let Some(ours) = known(text) {
            return Some(ours.clone());
        }
        let (url, rest) = text.split_at(text.find(['#', '|'])?);
        known(url).map(|ours| format!("{ours}{rest}"))
    }

    /// Whether any entry is known by a name.
    #[must_use]
    pub fn names_any(&self) -> bool {
        !self.entries.is_empty() || !self.circle.is_empty()
    }

    fn relative(&self, text: &str) -> Option<String> {
        if self.base.is_empty() {
            return None;
        }
        text.strip_prefix(&self.base)?.strip_prefix('/').filter(|rest| !rest.is_empty()).map(str::to_owned)
    }

    /// The narrative with its `href` and `src` turned; `None` if nothing had to be.
    fn narrative(&self, text: &str) -> Option<String> {
        if !self.names_any() {
            return None;
        }
        let mut out = String::new();
        let mut rest = text;
        let mut turned = false;
        while let Some((start, end)) = next_link(rest) {
            out.push_str(&rest[..start]);
            match self.entry(&rest[start..end]) {
                Some(ours) => {
                    out.push_str(&ours);
                    turned = true;
                }
                None => out.push_str(&rest[start..end]),
            }
            rest = &rest[end..];
        }
        out.push_str(rest);
        turned.then_some(out)
    }
}

/// A longer text is no fullUrl.
const URL_BYTES_MAX: usize = 2_048;

/// Where the next value of `href` or `src` stands in this narrative.
fn next_link(text: &str) -> Option<(usize, usize)> {
    let attribute = |name: &str| text.find(name).map(|at| at + name.len());
    let start =
        [attribute("href=\""), attribute("src=\""), attribute("href='"), attribute("src='")].into_iter().flatten().min()?;
    let quote = text[..start].chars().next_back()?;
    let end = text[start..].find(quote)? + start;
    Some((start, end))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn links() -> Links {
        let entries = [("urn:uuid:1", "Patient/a"), ("http://other.example/fhir/Observation/7", "Observation/b")];
        Links {
            entries: entries.map(|(from, to)| (from.to_owned(), to.to_owned())).into(),
            conditional: HashMap::from([("Patient?identifier=s|v".to_owned(), "Patient/c".to_owned())]),
            circle: Arc::default(),
            base: "https://here.example/fhir".into(),
            closed: true,
        }
    }

    #[test]
    fn references_to_entries_are_turned_wherever_they_stand() {
        let mut resource = json!({
            "resourceType": "DiagnosticReport",
            "text": {"div": "<div><a href=\"urn:uuid:1\">x</a> urn:uuid:1 <img src='http://other.example/fhir/Observation/7'/></div>"},
            "contained": [{"resourceType": "List", "subject": {"reference": "urn:uuid:1"}}],
            "extension": [
                {"url": "urn:x", "extension": [{"url": "y", "valueUri": "urn:uuid:1"}, {"url": "y", "valueUrl": "urn:uuid:1"}]},
                {"url": "y", "valueCanonical": "urn:uuid:1|2.0"}, {"url": "y", "valueUuid": "urn:uuid:1"},
                {"url": "y", "valueString": "urn:uuid:1"}, {"url": "y", "valueCode": "urn:uuid:1"},
                {"url": "y", "valueReference": {"reference": "urn:uuid:1", "display": "urn:uuid:1"}},
            ],
            "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:1"}],
            "subject": {"reference": "urn:uuid:1#part"},
            "conclusion": "urn:uuid:1",
            "presentedForm": [{"url": "urn:uuid:1", "title": "urn:uuid:1"}],
            "result": [{"reference": "http://other.example/fhir/Observation/7"}, {"reference": "Patient?identifier=s|v"}],
            "basedOn": [{"reference": "https://here.example/fhir/ServiceRequest/1/_history/2"}],
        });
        assert_eq!(rewrite(&mut resource, &links(), "DiagnosticReport"), []);
        let expected = json!({
            "resourceType": "DiagnosticReport",
            "text": {"div": "<div><a href=\"Patient/a\">x</a> urn:uuid:1 <img src='Observation/b'/></div>"},
            "contained": [{"resourceType": "List", "subject": {"reference": "Patient/a"}}],
            "extension": [
                {"url": "urn:x", "extension": [{"url": "y", "valueUri": "Patient/a"}, {"url": "y", "valueUrl": "Patient/a"}]},
                {"url": "y", "valueCanonical": "Patient/a|2.0"}, {"url": "y", "valueUuid": "Patient/a"},
                {"url": "y", "valueString": "urn:uuid:1"}, {"url": "y", "valueCode": "urn:uuid:1"},
                {"url": "y", "valueReference": {"reference": "Patient/a", "display": "urn:uuid:1"}},
            ],
            "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:1"}],
            "subject": {"reference": "Patient/a#part"},
            "conclusion": "urn:uuid:1",
            "presentedForm": [{"url": "Patient/a", "title": "urn:uuid:1"}],
            "result": [{"reference": "Observation/b"}, {"reference": "Patient/c"}],
            "basedOn": [{"reference": "ServiceRequest/1/_history/2"}],
        });
        assert_eq!(resource, expected);
    }

    #[test]
    fn a_reference_to_no_entry_is_refused_with_its_place() {
        let mut resource = json!({"result": [{"reference": "urn:uuid:1"}, {"reference": "urn:uuid:2"}]});
        let issues = rewrite(&mut resource, &links(), "Bundle.entry[3].resource");
        assert_eq!(
            issues.iter().map(|issue| issue.expression.as_str()).collect::<Vec<_>>(),
            ["Bundle.entry[3].resource.result[1].reference"]
        );
        let open = Links { closed: false, ..links() };
        assert_eq!(rewrite(&mut resource, &open, ""), []);
    }

    #[test]
    fn conditional_references_are_told_with_their_places() {
        let resource = json!({
            "subject": {"reference": "Patient?identifier=s|v"},
            "performer": [{"reference": "Practitioner/1"}, {"reference": "Organization?name=x"}],
            "note": [{"reference": "what? is this"}],
        });
        let expected = [(".subject.reference", "Patient?identifier=s|v"), (".performer[1].reference", "Organization?name=x")];
        assert_eq!(conditional(&resource), expected.map(|(place, text)| (place.to_owned(), text.to_owned())));
        assert_eq!(criteria("Patient?identifier=s|v"), Some(("Patient", "identifier=s|v")));
        assert_eq!(criteria("http://x/Patient?identifier=1"), None);
    }
}
