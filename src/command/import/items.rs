//! Takes documents apart into what is imported at once: a transaction as it is, everything else resource by resource.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::files::Document;
use crate::identify::address::{Address, identity};
use crate::identify::references::Links;

/// Of so many resources the type is remembered, so that `urn:uuid:<id>` elsewhere in the import becomes `Type/<id>`.
const KNOWN_MAX: usize = 5_000_000;

/// What is imported at once.
#[derive(Debug, Default)]
pub(super) struct Item {
    /// The line of its document, from 1.
    pub(super) line: usize,
    /// Its entry in a Bundle.
    pub(super) entry: Option<usize>,
    /// Whether it is a transaction Bundle.
    pub(super) whole: bool,
    /// Its resource type, as far as it can be read.
    pub(super) kind: String,
    /// Its id, if it has one.
    pub(super) id: String,
    pub(super) text: Vec<u8>,
    /// The fullUrl of its entry; empty without one.
    pub(super) full_url: String,
    /// What fullUrls of its Bundle are called here.
    pub(super) names: Arc<HashMap<String, String>>,
    /// Whether a history tells here that it was deleted.
    pub(super) deleted: bool,
    /// Whether its Bundle calls another resource by the same type and id.
    pub(super) clashes: bool,
}

#[derive(Deserialize, Default)]
struct Head<'a> {
    #[serde(borrow, default, rename = "resourceType")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default, rename = "type")]
    bundle: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Bundle<'a> {
    #[serde(borrow, default)]
    entry: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default, rename = "fullUrl")]
    full_url: Cow<'a, str>,
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
    #[serde(borrow, default)]
    request: Option<Request<'a>>,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    url: Cow<'a, str>,
}

/// The items of a document, in its order; of a history the oldest first.
pub(super) fn split(document: Document) -> Vec<Item> {
    let Document { line, text } = document;
    let head: Head<'_> = serde_json::from_slice(&text).unwrap_or_default();
    let (kind, id) = (head.kind.into_owned(), head.id.into_owned());
    let bundle = head.bundle.map_or("", RawValue::get).trim_matches('"').to_owned();
    let whole = kind == "Bundle" && bundle == "transaction";
    if kind == "Bundle"
        && !whole
        && let Ok(parts) = serde_json::from_slice::<Bundle<'_>>(&text)
    {
        let is_history = bundle == "history";
        let mut items = entries(line, &parts, is_history);
        if is_history {
            items.reverse();
        }
        return items;
    }
    vec![Item { line, whole, kind, id, text, ..Item::default() }]
}

fn entries(line: usize, bundle: &Bundle<'_>, is_history: bool) -> Vec<Item> {
    let (mut names, mut called) = (HashMap::new(), HashMap::new());
    let mut items = Vec::new();
    let mut clashes = false;
    for (index, entry) in bundle.entry.iter().enumerate() {
        let Some(resource) = entry.resource else {
            items.extend(deletion(entry).filter(|_| is_history).map(|item| Item { line, entry: Some(index), ..item }));
            continue;
        };
        let head: Head<'_> = serde_json::from_str(resource.get()).unwrap_or_default();
        if head.kind == "OperationOutcome" {
            continue;
        }
        let kind = head.kind.into_owned();
        let (id, text) = named(head.id.into_owned(), &entry.full_url, resource.get());
        if !entry.full_url.is_empty() && !id.is_empty() {
            let (whole, name) = (identity(&entry.full_url).to_owned(), format!("{kind}/{id}"));
            clashes |= called.insert(name.clone(), whole.clone()).is_some_and(|known| known != whole);
            names.insert(whole, name);
        }
        let full_url = entry.full_url.clone().into_owned();
        items.push(Item { line, entry: Some(index), kind, id, text, full_url, ..Item::default() });
    }
    let names = Arc::new(names);
    for item in &mut items {
        item.names = Arc::clone(&names);
        item.clashes = clashes;
    }
    items
}

/// What an entry without a resource says to have been deleted.
fn deletion(entry: &Entry<'_>) -> Option<Item> {
    let request = entry.request.as_ref().filter(|request| request.method == "DELETE")?;
    let address = Address::of(&request.url).or_else(|| Address::of(&entry.full_url))?;
    let mut parts = address.resource.rsplit('/');
    let (id, kind) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    Some(Item { kind, id, deleted: true, ..Item::default() })
}

/// Id and text of a resource; one without an id gets that of its `urn:uuid:` fullUrl.
fn named(id: String, full_url: &str, text: &str) -> (String, Vec<u8>) {
    match (id.is_empty(), full_url.strip_prefix("urn:uuid:"), text.strip_prefix('{')) {
        (true, Some(urn), Some(rest)) if Uuid::try_parse(urn).is_ok() => {
            (urn.to_owned(), format!("{{\"id\":\"{urn}\",{rest}").into_bytes())
        }
        _ => (id, text.as_bytes().to_vec()),
    }
}

/// The types of the resources of an import, by their ids where these are UUIDs.
#[derive(Debug, Default)]
pub(super) struct Known {
    kinds: Vec<String>,
    by_id: HashMap<Uuid, u16>,
}

impl Known {
    /// Remembers what an item is.
    pub(super) fn note(&mut self, item: &Item) {
        if item.whole || item.deleted || self.by_id.len() >= KNOWN_MAX {
            return;
        }
        let Ok(id) = Uuid::try_parse(&item.id) else { return };
        let kind = self.kinds.iter().position(|kind| *kind == item.kind).unwrap_or_else(|| {
            self.kinds.push(item.kind.clone());
            self.kinds.len() - 1
        });
        if let Ok(kind) = u16::try_from(kind) {
            self.by_id.insert(id, kind);
        }
    }

    /// What the `urn:uuid:` references of an item are called here, and the fullUrls of its Bundle.
    pub(super) fn links(&self, item: &Item) -> Links {
        let mut links = Links { circle: Arc::clone(&item.names), ..Links::default() };
        let Ok(text) = std::str::from_utf8(&item.text) else { return links };
        for (at, urn) in text.match_indices("urn:uuid:") {
            let Some(id) = text.get(at + urn.len()..at + urn.len() + UUID_LETTERS) else { continue };
            let kind =
                Uuid::try_parse(id).ok().and_then(|id| self.by_id.get(&id)).and_then(|kind| self.kinds.get(usize::from(*kind)));
            if let Some(kind) = kind {
                links.entries.entry(format!("{urn}{id}")).or_insert_with(|| format!("{kind}/{id}"));
            }
        }
        links
    }
}

const UUID_LETTERS: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Vec<Item> {
        split(Document { line: 7, text: text.as_bytes().to_vec() })
    }

    #[test]
    fn a_transaction_stays_whole_and_other_bundles_fall_apart() {
        let transaction =
            items(r#"{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient"}}]}"#);
        assert_eq!((transaction.len(), transaction[0].whole), (1, true));
        let history = items(
            r#"{"resourceType":"Bundle","type":"history","entry":[
                {"fullUrl":"urn:x","resource":{"resourceType":"Patient","id":"a","active":true}},
                {"request":{"method":"DELETE"}},
                {"resource":{"resourceType":"OperationOutcome"}},
                {"resource":{"id":"a","resourceType":"Patient"}}]}"#,
        );
        let seen: Vec<_> = history.iter().map(|item| (item.line, item.entry, item.kind.as_str(), item.id.as_str())).collect();
        assert_eq!(seen, [(7, Some(3), "Patient", "a"), (7, Some(0), "Patient", "a")]);
        assert_eq!((history[0].full_url.as_str(), history[1].full_url.as_str()), ("", "urn:x"));
        assert_eq!(history[0].names["urn:x"], "Patient/a");
        assert_eq!(items("{broken").len(), 1);
    }

    #[test]
    fn a_history_tells_of_deletions_and_no_other_bundle_does() {
        let bundle = |sort: &str, url: &str| {
            items(&format!(
                r#"{{"resourceType":"Bundle","type":"{sort}","entry":[
                    {{"fullUrl":"http://a.example/fhir/Patient/a","request":{{"method":"DELETE","url":"{url}"}}}},
                    {{"request":{{"method":"DELETE","url":"Patient?identifier=1"}}}},
                    {{"resource":{{"id":"a","resourceType":"Patient"}}}}]}}"#
            ))
        };
        for (sort, url, expected) in [
            ("history", "Patient/a", vec![false, true]),
            ("history", "http://a.example/fhir/Patient/a", vec![false, true]),
            ("history", "", vec![false, true]),
            ("batch", "Patient/a", vec![false]),
        ] {
            let seen = bundle(sort, url);
            assert_eq!(seen.iter().map(|item| item.deleted).collect::<Vec<_>>(), expected, "{sort} {url}");
            assert!(seen.iter().all(|item| (item.kind.as_str(), item.id.as_str()) == ("Patient", "a")));
        }
    }

    #[test]
    fn two_servers_may_not_call_two_resources_alike() {
        let bundle = |urls: [&str; 2], ids: [&str; 2]| {
            let entry =
                |at: usize| format!(r#"{{"fullUrl":"{}","resource":{{"resourceType":"Patient","id":"{}"}}}}"#, urls[at], ids[at]);
            let text = format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{},{}]}}"#, entry(0), entry(1));
            items(&text).iter().map(|item| item.clashes).collect::<Vec<_>>()
        };
        let (a, b) = ("http://a.example/fhir/Patient/1", "http://b.example/fhir/Patient/1");
        assert_eq!(bundle([a, b], ["1", "1"]), [true, true]);
        assert_eq!(bundle([a, b], ["1", "2"]), [false, false]);
        assert_eq!(bundle([a, a], ["1", "1"]), [false, false]);
        assert_eq!(bundle([&format!("{a}/_history/1"), a], ["1", "1"]), [false, false]);
        assert_eq!(bundle(["", b], ["1", "1"]), [false, false]);
    }

    #[test]
    fn a_nameless_resource_is_named_by_its_full_url() {
        let bundle = items(
            r#"{"resourceType":"Bundle","type":"collection","entry":[
                {"fullUrl":"urn:uuid:11111111-1111-4111-8111-111111111111","resource":{"resourceType":"Patient"}}]}"#,
        );
        assert_eq!(bundle[0].id, "11111111-1111-4111-8111-111111111111");
        assert_eq!(bundle[0].text, br#"{"id":"11111111-1111-4111-8111-111111111111","resourceType":"Patient"}"#);
    }

    #[test]
    fn a_urn_of_a_resource_in_the_import_gets_its_type() {
        let id = "11111111-1111-4111-8111-111111111111";
        let mut known = Known::default();
        known.note(&items(&format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#))[0]);
        let text = format!(
            r#"{{"subject":{{"reference":"urn:uuid:{id}"}},"x":"urn:uuid:22222222-2222-4222-8222-222222222222 urn:uuid:é"}}"#
        );
        let links = known.links(&items(&text)[0]);
        assert_eq!(links.entries, HashMap::from([(format!("urn:uuid:{id}"), format!("Patient/{id}"))]));
    }
}
