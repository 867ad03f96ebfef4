//! References inside a resource that must be turned into ours before it is stored: to entries of the same Bundle by their
//! fullUrl, conditional ones, and absolute ones to ourselves.
//! Follows <https://hl7.org/fhir/R4/http.html#trules>.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::address::Address;
use super::bundle::is_id;
use crate::fhir::definitions::{self, Key, Node, Primitive};
use crate::fhir::outcome::Issue;

/// What references lead to.
#[derive(Debug, Clone, Default)]
pub struct Links {
    /// `fullUrl` of an entry, whole and without a version → `Type/id`.
    pub entries: HashMap<String, String>,
    /// The same for a wider circle that many resources share, as a Bundle that is imported piece by piece.
    pub circle: Arc<HashMap<String, String>>,
    /// The `Type/id` of them that are made new: their version is the first.
    pub new: HashSet<String>,
    /// Conditional reference as written (`Patient?identifier=…`) → `Type/id`.
    pub conditional: HashMap<String, String>,
    /// Our own address without a slash at its end; empty when it is not known.
    pub base: String,
    /// Whether a `urn:uuid:` that no entry bears is refused, as a transaction demands, or left as it is.
    pub closed: bool,
}

impl Links {
    /// Whether any entry is known by a name.
    #[must_use]
    pub fn names_any(&self) -> bool {
        !self.entries.is_empty() || !self.circle.is_empty()
    }
}

/// All conditional references of a resource, each with its place after the resource: `.subject.reference`. `base` is our own address;
/// where it stands before one, it is taken off.
#[must_use]
pub fn conditional(resource: &Value, base: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(resource, "", base, &mut found);
    found
}

/// What became of the references of a resource.
#[derive(Debug)]
pub struct Rewritten {
    /// Whether one of them is another than it was.
    pub changed: bool,
    /// The issues of those that lead nowhere.
    pub issues: Vec<Issue>,
}

/// Turns the references of a resource into ours; relative ones are meant relative to the `full_url` of the entry that holds it,
/// if that is a RESTful address. The places of issues begin with `prefix`.
pub fn rewrite(resource: &mut Value, full_url: &str, links: &Links, prefix: &str) -> Rewritten {
    let root = Address::of(full_url).map(|address| address.root).filter(|root| !root.is_empty());
    let (mut dangling, mut turning) = (Vec::new(), Turning { links, root, changed: false });
    turning.turn(resource, "", None, &mut dangling);
    let issues = dangling.into_iter().map(|place| unknown_entry(&format!("{prefix}{place}"))).collect();
    Rewritten { changed: turning.changed, issues }
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

/// Whether this would be the address of a resource, or criteria, if the word before were a type of R4.
fn names_no_type(reference: &str) -> bool {
    let Some((word, rest)) = reference.find(['/', '?']).map(|at| reference.split_at(at)) else { return false };
    let is_like = || definitions::resource_names().any(|name| name.eq_ignore_ascii_case(word));
    let is_word = word.bytes().all(|byte| byte.is_ascii_alphabetic())
        && (word.starts_with(|first: char| first.is_ascii_uppercase()) || is_like());
    let id = || rest.strip_prefix('/').map(|rest| rest.split_once("/_history/").map_or(rest, |(id, _)| id));
    let has_id = || id().and_then(|id| id.split('#').next()).is_some_and(is_id);
    is_word && !definitions::is_resource(word) && (rest.starts_with('?') || has_id())
}

/// The reference without our own address, if it stands before it and is known.
fn without<'a>(reference: &'a str, base: &str) -> &'a str {
    let ours = reference.strip_prefix(base).filter(|_| !base.is_empty());
    ours.and_then(|ours| ours.strip_prefix('/')).unwrap_or(reference)
}

/// Whether this is a Bundle that is kept as a resource. What is in it refers to what is in it, and is left as it was sent.
fn is_kept_bundle(key: &str, members: &Map<String, Value>) -> bool {
    // A resource stands nowhere else, so few objects are asked.
    matches!(key, "" | "resource" | "contained") && members.get("resourceType").is_some_and(|kind| kind == "Bundle")
}

fn collect(value: &Value, key: &str, base: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) if is_kept_bundle(key, members) => {}
        Value::Object(members) => {
            for (key, value) in members {
                let before = found.len();
                collect(value, key, base, found);
                for (place, _) in &mut found[before..] {
                    place.insert_str(0, &format!(".{key}"));
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let before = found.len();
                collect(item, key, base, found);
                for (place, _) in &mut found[before..] {
                    place.insert_str(0, &format!("[{index}]"));
                }
            }
        }
        Value::String(text) if key == "reference" => {
            let ours = without(text, base);
            if criteria(ours).is_some() {
                found.push((String::new(), ours.to_owned()));
            }
        }
        _ => {}
    }
}

enum Turned {
    Same,
    Into(String),
    Nowhere,
}

/// One resource being turned.
struct Turning<'a> {
    links: &'a Links,
    /// What relative references in it are relative to, with its slash; `None` where they mean what is here.
    root: Option<&'a str>,
    changed: bool,
}

impl Turning<'_> {
    /// Walks down; the places of dangling references grow at their front on the way back. The types are only looked up where
    /// entries have names that may stand in a uri.
    fn turn(&mut self, value: &mut Value, key: &str, node: Option<&'static Node>, dangling: &mut Vec<String>) {
        match value {
            Value::Object(members) if is_kept_bundle(key, members) => {}
            Value::Object(members) => {
                let named = || members.get("resourceType").and_then(Value::as_str).and_then(definitions::node);
                let node = if self.links.names_any() { named().or(node) } else { None };
                for (key, value) in members {
                    let before = dangling.len();
                    self.turn(value, key, node.and_then(|node| node.key(key)).map(Key::node), dangling);
                    for place in &mut dangling[before..] {
                        place.insert_str(0, &format!(".{key}"));
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    let before = dangling.len();
                    self.turn(item, key, node, dangling);
                    for place in &mut dangling[before..] {
                        place.insert_str(0, &format!("[{index}]"));
                    }
                }
            }
            Value::String(text) => match self.turned(key, node, text) {
                Turned::Same => {}
                Turned::Into(other) => {
                    *text = other;
                    self.changed = true;
                }
                Turned::Nowhere => dangling.push(String::new()),
            },
            _ => {}
        }
    }

    fn turned(&self, key: &str, node: Option<&'static Node>, text: &str) -> Turned {
        if key == "reference" {
            return self.reference(text);
        }
        let turned = match node.and_then(|node| node.primitive) {
            Some(Primitive::Xhtml) => self.narrative(text),
            Some(Primitive::Url) => self.entry(text),
            // Names, never addresses: of code systems and identifiers, of extensions, of the definition itself.
            Some(Primitive::Uri) if matches!(key, "system" | "url") => None,
            // A uri that looks like an address is a name more often: only what no name looks like is taken for an entry.
            Some(Primitive::Uri | Primitive::Oid | Primitive::Uuid) if text.starts_with("urn:") => self.entry(text),
            // The rest are texts, such as an Identifier's value, and canonicals, which the standard has left alone.
            _ => None,
        };
        turned.map_or(Turned::Same, Turned::Into)
    }

    fn reference(&self, text: &str) -> Turned {
        let conditional = || self.links.conditional.get(without(text, &self.links.base)).cloned();
        if let Some(ours) = self.entry(text).or_else(conditional).or_else(|| self.own(text)) {
            return Turned::Into(ours);
        }
        if self.links.closed && (text.starts_with("urn:uuid:") || text.starts_with("urn:oid:")) {
            return Turned::Nowhere;
        }
        Turned::Same
    }

    /// What the entry with this address is called here. A fragment is kept; a version becomes that of what is made, and goes
    /// where only the ledger will know it: the one that was written counts versions elsewhere.
    fn entry(&self, text: &str) -> Option<String> {
        if !self.links.names_any() || text.len() > URL_BYTES_MAX {
            return None;
        }
        let (url, fragment) = text.split_at(text.find('#').unwrap_or(text.len()));
        let (whole, version) = match Address::of(url) {
            Some(Address { root: "", resource, version }) => (Cow::Owned(format!("{}{resource}", self.root?)), version),
            Some(Address { resource, version, .. }) => (Cow::Borrowed(resource), version),
            None => (Cow::Borrowed(url), None),
        };
        let ours = self.links.entries.get(&*whole).or_else(|| self.links.circle.get(&*whole))?;
        let version = version.filter(|_| self.links.new.contains(ours)).map_or("", |_| "/_history/1");
        Some(format!("{ours}{version}{fragment}"))
    }

    /// An absolute reference to ourselves without our address; also one to what is no type, which is refused then like a relative one.
    fn own(&self, text: &str) -> Option<String> {
        let ours = Some(without(text, &self.links.base)).filter(|ours| ours.len() < text.len())?;
        let is_ours = Address::of(ours.split('#').next()?).is_some() || names_no_type(ours);
        is_ours.then(|| ours.to_owned())
    }

    /// The narrative with its `href` and `src` turned; `None` if nothing had to be.
    fn narrative(&self, text: &str) -> Option<String> {
        if !self.links.names_any() {
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
    text.match_indices('=').find_map(|(at, _)| {
        let name = text[..at].trim_ascii_end();
        let value = text[at + 1..].trim_ascii_start();
        let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let start = text.len() - value.len() + 1;
        let end = text[start..].find(quote)? + start;
        (name.ends_with("href") || name.ends_with("src")).then_some((start, end))
    })
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
            new: HashSet::from(["Observation/b".to_owned()]),
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
                {"url": "y", "valueUuid": "urn:uuid:1"},
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
        assert_eq!(turn(&mut resource, "urn:uuid:9", &links(), "DiagnosticReport"), []);
        let expected = json!({
            "resourceType": "DiagnosticReport",
            "text": {"div": "<div><a href=\"Patient/a\">x</a> urn:uuid:1 <img src='Observation/b'/></div>"},
            "contained": [{"resourceType": "List", "subject": {"reference": "Patient/a"}}],
            "extension": [
                {"url": "urn:x", "extension": [{"url": "y", "valueUri": "Patient/a"}, {"url": "y", "valueUrl": "Patient/a"}]},
                {"url": "y", "valueUuid": "Patient/a"},
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

    /// Turns the references of a resource, and gives the issues.
    fn turn(resource: &mut Value, full_url: &str, links: &Links, prefix: &str) -> Vec<Issue> {
        let was = resource.clone();
        let rewritten = rewrite(resource, full_url, links, prefix);
        assert_eq!(rewritten.changed, *resource != was);
        rewritten.issues
    }

    /// What becomes of a reference in an entry with this fullUrl.
    fn turned(full_url: &str, reference: &str) -> String {
        let mut resource = json!({"resourceType": "Basic", "subject": {"reference": reference}});
        assert_eq!(turn(&mut resource, full_url, &links(), ""), []);
        resource["subject"]["reference"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_relative_reference_is_meant_beside_the_entry_that_holds_it() {
        let beside = "http://other.example/fhir/Basic/1";
        for (full_url, reference, expected) in [
            (beside, "Observation/7", "Observation/b"),
            ("http://other.example/fhir/Basic/1/_history/2", "Observation/7", "Observation/b"),
            (beside, "Observation/7#part", "Observation/b#part"),
            (beside, "Observation/8", "Observation/8"),
            (beside, "7", "7"),
            (beside, "#Observation/7", "#Observation/7"),
            ("http://third.example/fhir/Basic/1", "Observation/7", "Observation/7"),
            ("http://other.example/fhir/other/Basic/1", "Observation/7", "Observation/7"),
            ("https://here.example/fhir/Basic/1", "Observation/7", "Observation/7"),
            ("http://other.example/fhir/7", "Observation/7", "Observation/7"),
            ("Basic/1", "Observation/7", "Observation/7"),
            ("urn:uuid:9", "Observation/7", "Observation/7"),
            ("", "Observation/7", "Observation/7"),
            ("urn:uuid:9", "http://other.example/fhir/Observation/7", "Observation/b"),
            ("", "https://here.example/fhir/Observation/7", "Observation/7"),
            ("", "https://here.example/fhir/Observation/7/_history/2#part", "Observation/7/_history/2#part"),
            ("", "https://here.example/fhir/Patient?identifier=s|v", "Patient/c"),
            ("", "https://here.example/fhir/Banana/7", "Banana/7"),
            ("", "https://here.example/fhir/Banana?a=1", "Banana?a=1"),
            ("", "https://here.example/fhir/metadata", "https://here.example/fhir/metadata"),
            ("", "https://there.example/fhir/Banana/7", "https://there.example/fhir/Banana/7"),
            ("", "https://there.example/fhir/Patient?identifier=s|v", "https://there.example/fhir/Patient?identifier=s|v"),
            ("", "https://here.example/fhirs/Observation/7", "https://here.example/fhirs/Observation/7"),
        ] {
            assert_eq!(turned(full_url, reference), expected, "{reference} in {full_url}");
        }
    }

    #[test]
    fn a_version_is_that_of_what_is_made_or_goes() {
        let beside = "http://other.example/fhir/Basic/1";
        assert_eq!(turned("", "http://other.example/fhir/Observation/7/_history/3"), "Observation/b/_history/1");
        assert_eq!(turned(beside, "Observation/7/_history/3#part"), "Observation/b/_history/1#part");
        assert_eq!(turned("", "Observation/7/_history/3"), "Observation/7/_history/3");
        assert_eq!(
            turned("", "http://third.example/fhir/Observation/7/_history/3"),
            "http://third.example/fhir/Observation/7/_history/3"
        );
        let updated = Links { new: HashSet::new(), ..links() };
        let mut resource = json!({"subject": {"reference": "http://other.example/fhir/Observation/7/_history/3"}});
        turn(&mut resource, "", &updated, "");
        assert_eq!(resource["subject"]["reference"], "Observation/b");
    }

    #[test]
    fn names_are_not_taken_for_addresses() {
        let address = "http://other.example/fhir/Observation/7";
        let named = json!({
            "resourceType": "CodeSystem", "url": "urn:uuid:1", "valueSet": "urn:uuid:1",
            "identifier": [{"system": "urn:uuid:1"}],
            "jurisdiction": [{"coding": [{"system": "urn:uuid:1"}, {"system": address}]}],
            "extension": [
                {"url": "urn:uuid:1", "valueCanonical": "urn:uuid:1|2.0"}, {"url": address, "valueUri": address},
                {"url": "y", "valueCanonical": address}, {"url": "y", "valueQuantity": {"system": "urn:uuid:1"}},
            ],
        });
        let mut resource = named.clone();
        assert_eq!(turn(&mut resource, "", &links(), ""), []);
        assert_eq!(resource, named);
        // A url is an address: what it leads to is called otherwise here.
        let mut resource = json!({"resourceType": "Media", "content": {"url": address}});
        turn(&mut resource, "", &links(), "");
        assert_eq!(resource["content"]["url"], "Observation/b");
    }

    #[test]
    fn a_kept_bundle_is_left_as_it_was_sent() {
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": {
            "resourceType": "Basic", "subject": {"reference": "urn:uuid:1"}, "author": {"reference": "urn:uuid:2"},
            "extension": [{"url": "y", "valueReference": {"reference": "Patient?identifier=s|v"}}],
        }}]});
        let ours = json!({"reference": "urn:uuid:1"});
        for sent in [
            bundle.clone(),
            json!({"resourceType": "Parameters", "parameter": [{"name": "x", "resource": bundle}]}),
            json!({"resourceType": "Basic", "contained": [bundle]}),
        ] {
            let mut resource = sent.clone();
            assert_eq!((turn(&mut resource, "", &links(), ""), conditional(&sent, "")), (vec![], vec![]));
            assert_eq!(resource, sent);
        }
        let mut resource = json!({"resourceType": "Basic", "contained": [bundle, {"resourceType": "Basic", "subject": ours}]});
        turn(&mut resource, "", &links(), "");
        assert_eq!(
            (&resource["contained"][0], &resource["contained"][1]["subject"]["reference"]),
            (&bundle, &json!("Patient/a"))
        );
    }

    #[test]
    fn links_of_the_narrative_are_turned_however_they_are_written() {
        for (div, expected) in [
            ("<a href = 'urn:uuid:1'>", "<a href = 'Patient/a'>"),
            ("<a\nhref\t=\r\n\"urn:uuid:1\">", "<a\nhref\t=\r\n\"Patient/a\">"),
            ("<img alt='src' src= 'urn:uuid:1'/>", "<img alt='src' src= 'Patient/a'/>"),
            ("href <a title='href' href ='urn:uuid:1#x'>src = </a>", "href <a title='href' href ='Patient/a#x'>src = </a>"),
            ("<a href = x 'urn:uuid:1'>", "<a href = x 'urn:uuid:1'>"),
            ("<a href", "<a href"),
            ("<a href = ", "<a href = "),
            ("<a href = 'urn:uuid:1", "<a href = 'urn:uuid:1"),
        ] {
            let mut resource = json!({"resourceType": "Patient", "text": {"div": div}});
            assert_eq!(turn(&mut resource, "", &links(), ""), []);
            assert_eq!(resource["text"]["div"], expected);
        }
    }

    #[test]
    fn a_reference_to_no_entry_is_refused_with_its_place() {
        let mut resource = json!({"result": [{"reference": "urn:uuid:1"}, {"reference": "urn:uuid:2"}]});
        let issues = turn(&mut resource, "urn:uuid:9", &links(), "Bundle.entry[3].resource");
        assert_eq!(
            issues.iter().map(|issue| issue.expression.as_str()).collect::<Vec<_>>(),
            ["Bundle.entry[3].resource.result[1].reference"]
        );
        let open = Links { closed: false, ..links() };
        assert_eq!(turn(&mut resource, "", &open, ""), []);
    }

    #[test]
    fn conditional_references_are_told_with_their_places() {
        let resource = json!({
            "subject": {"reference": "Patient?identifier=s|v"},
            "performer": [{"reference": "Practitioner/1"}, {"reference": "Organization?name=x"}],
            "note": [{"reference": "what? is this"}],
        });
        let expected = [(".subject.reference", "Patient?identifier=s|v"), (".performer[1].reference", "Organization?name=x")];
        assert_eq!(conditional(&resource, ""), expected.map(|(place, text)| (place.to_owned(), text.to_owned())));
        assert_eq!(criteria("Patient?identifier=s|v"), Some(("Patient", "identifier=s|v")));
        assert_eq!(criteria("http://x/Patient?identifier=1"), None);
        let told = |reference: &str, base: &str| conditional(&json!({"subject": {"reference": reference}}), base);
        let one = (".subject.reference".to_owned(), "Patient?a=1".to_owned());
        assert_eq!(told("http://x/Patient?a=1", "http://x"), [one]);
        assert_eq!(told("http://x/Patient?a=1", ""), []);
        for other in ["http://x/Banana?a=1", "http://xx/Patient?a=1", "http://x?a=1", "http://x/Patient/1", "/Patient?a=1"] {
            assert_eq!(told(other, "http://x"), [], "{other}");
        }
    }
}
