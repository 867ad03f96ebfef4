//! What a careful reader finds in a resource that the tables of the standard let pass: told by `$validate`, never a reason to
//! refuse a write, since senders in good faith do these things and nobody is harmed by them.
//! Follows <https://hl7.org/fhir/R4/validation.html>.

use std::collections::HashSet;

use serde_json::Value;

use super::canon::Canon;
use super::findings::Findings;
use super::json::DEPTH_MAX;
use super::place::Place;
use super::profile;
use crate::fhir::definitions::{Element, Flavour};
use crate::fhir::outcome::Issue;
use crate::fhir::path::Node;
use crate::fhir::search::parameters;
use crate::fhir::terms::split;

/// Codes of vital signs and R4's own profile that an Observation with one of them is held to, whether it claims it or not.
/// Follows <https://hl7.org/fhir/R4/observation-vitalsigns.html>; the two of SNOMED CT are those for a body temperature.
const VITAL_SIGNS: [(&str, &str); 13] = [
    ("http://loinc.org|85353-1", "vitalspanel"),
    ("http://loinc.org|9279-1", "resprate"),
    ("http://loinc.org|8867-4", "heartrate"),
    ("http://loinc.org|2708-6", "oxygensat"),
    ("http://loinc.org|59408-5", "oxygensat"),
    ("http://loinc.org|8310-5", "bodytemp"),
    ("http://snomed.info/sct|276885007", "bodytemp"),
    ("http://snomed.info/sct|386725007", "bodytemp"),
    ("http://loinc.org|8302-2", "bodyheight"),
    ("http://loinc.org|9843-4", "headcircum"),
    ("http://loinc.org|29463-7", "bodyweight"),
    ("http://loinc.org|39156-5", "bmi"),
    ("http://loinc.org|85354-9", "bp"),
];

/// The entities that every XML has; others need a document type, which a narrative has not.
const ENTITIES: [&str; 5] = ["lt", "gt", "amp", "quot", "apos"];

/// All that is found beyond the standard's own tables: broken claims, wrong extensions, and what a careful reader remarks.
#[must_use]
pub fn all(canon: &Canon, resource: &Value, prefix: &str) -> Vec<Issue> {
    let mut issues = profile::claimed(canon, resource, prefix, &[]);
    issues.extend(profile::extensions(canon, resource, prefix));
    issues.extend(remarks(canon, resource, prefix));
    issues
}

/// Everything of this kind in a resource and in what it holds.
#[must_use]
pub fn remarks(canon: &Canon, resource: &Value, prefix: &str) -> Vec<Issue> {
    let mut reader = Reader { canon, ids: HashSet::new(), findings: Findings::default() };
    reader.resource(resource, &Place::Root(prefix));
    reader.findings.into_issues()
}

struct Reader<'c> {
    canon: &'c Canon,
    /// The ids of elements in the resource at hand.
    ids: HashSet<String>,
    findings: Findings,
}

impl Reader<'_> {
    fn fault(&mut self, code: &'static str, key: &'static str, place: &Place<'_>, words: &str) {
        self.findings.push_each(Issue::error(code, key, place.to_string(), words));
    }

    fn resource(&mut self, resource: &Value, place: &Place<'_>) {
        let around = std::mem::take(&mut self.ids);
        match resource.get("resourceType").and_then(Value::as_str) {
            Some("Bundle") => self.bundle(resource, place),
            Some("Observation") => self.vital_sign(resource, place),
            Some("SearchParameter") => self.derived(resource, place),
            _ => {}
        }
        self.narrative(resource, place);
        self.elements(Node::resource(resource), place, 0);
        self.ids = around;
    }

    fn elements(&mut self, node: Node<'_>, place: &Place<'_>, depth: usize) {
        let Some(kind) = node.definition().filter(|_| depth <= DEPTH_MAX) else { return };
        for element in &kind.elements {
            let mut nodes = Vec::new();
            node.each_child(element.name, |inner| nodes.push(inner));
            let list = place.element(element.name);
            for (index, inner) in nodes.into_iter().enumerate() {
                let item = list.item(index);
                let item = if element.list { &item } else { &list };
                match inner.value().filter(|_| inner.definition().is_some_and(|kind| kind.flavour == Flavour::Resource)) {
                    Some(resource) => self.resource(resource, item),
                    None => {
                        self.element(element, inner, item);
                        self.elements(inner, item, depth + 1);
                    }
                }
            }
        }
    }

    fn element(&mut self, element: &'static Element, node: Node<'_>, place: &Place<'_>) {
        let Some(value) = node.value() else { return };
        if let Some(id) = value.get("id").and_then(Value::as_str)
            && !self.ids.insert(id.to_owned())
        {
            self.fault("invalid", "duplicate-id", place, "Another element of this resource has the same id.");
        }
        match (node.kind_name(), value) {
            ("Coding", _) => self.coding(value, place),
            ("canonical", Value::String(address)) if !element.targets.is_empty() => self.canonical(element, address, place),
            _ => {}
        }
    }

    fn coding(&mut self, coding: &Value, place: &Place<'_>) {
        let Some(system) = coding.get("system").and_then(Value::as_str) else { return };
        if !system.contains(':') {
            let words = "The system of a code is an absolute address, such as http://loinc.org or urn:oid:….";
            self.fault("invalid", "relative-system", &place.element("system"), words);
        } else if self.canon.terms.system(system).is_none() && self.canon.terms.set(system).is_some() {
            let words = "This is the address of a value set; the system of a code is that of its code system.";
            self.fault("invalid", "system-is-set", &place.element("system"), words);
        }
    }

    fn canonical(&mut self, element: &'static Element, address: &str, place: &Place<'_>) {
        let terms = &self.canon.terms;
        let kind = match () {
            () if terms.set(address).is_some() => "ValueSet",
            () if terms.system(address).is_some() => "CodeSystem",
            () if terms.map(address).is_some() => "ConceptMap",
            () if self.canon.kind_of(address).is_some() => "StructureDefinition",
            () => return,
        };
        if !element.targets.split(' ').any(|target| target == kind) {
            let words = format!("A {kind} cannot stand here; refer to {}.", element.targets.replace(' ', ", "));
            self.fault("invalid", "wrong-canonical-target", place, &words);
        }
    }

    fn bundle(&mut self, bundle: &Value, place: &Place<'_>) {
        let all = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let mut relations = HashSet::new();
        let list = place.element("link");
        for (index, link) in all(bundle, "link").iter().enumerate() {
            let relation = link.get("relation").and_then(Value::as_str).unwrap_or_default().to_owned();
            if ["self", "first", "previous", "prev", "next", "last"].contains(&relation.as_str()) && !relations.insert(relation) {
                self.fault("invalid", "duplicate-link", &list.item(index), "A link of this relation is there already.");
            }
        }
        let list = place.element("entry");
        for (index, entry) in all(bundle, "entry").iter().enumerate() {
            if entry.get("fullUrl").and_then(Value::as_str).is_some_and(|address| !address.contains(':')) {
                let item = list.item(index);
                let words = "A fullUrl is an absolute address, such as https://host/fhir/Patient/1 or urn:uuid:….";
                self.fault("invalid", "relative-full-url", &item.element("fullUrl"), words);
            }
        }
    }

    fn vital_sign(&mut self, observation: &Value, place: &Place<'_>) {
        let codings = observation.pointer("/code/coding").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let word = |coding: &Value, key: &str| coding.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut held: Vec<&str> = Vec::new();
        for coding in codings {
            let code = format!("{}|{}", word(coding, "system"), word(coding, "code"));
            let found = VITAL_SIGNS.iter().find(|(known, _)| *known == code).map(|(_, profile)| *profile);
            held.extend(found.filter(|profile| !held.contains(profile)));
        }
        for name in held {
            let address = format!("http://hl7.org/fhir/StructureDefinition/{name}");
            let prefix = place.to_string();
            for issue in profile::asked(self.canon, observation, &address, &prefix) {
                self.findings.push_each(issue);
            }
        }
    }

    /// A search parameter is of the type of the one it is derived from.
    fn derived(&mut self, parameter: &Value, place: &Place<'_>) {
        let word = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
        let kinds = parameter.get("base").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let mut origins = kinds.flat_map(parameters).filter(|known| known.url == split(word("derivedFrom")).0);
        if origins.next().is_some_and(|origin| format!("{:?}", origin.kind).to_lowercase() != word("type")) {
            let words = "The type is another than that of the search parameter it is derived from.";
            self.fault("business-rule", "derived-type", &place.element("type"), words);
        }
    }

    fn narrative(&mut self, resource: &Value, place: &Place<'_>) {
        let Some(div) = resource.pointer("/text/div").and_then(Value::as_str) else { return };
        let text = place.element("text");
        let place = text.element("div");
        for (at, _) in div.match_indices('&') {
            let rest = &div[at + 1..];
            let (name, behind) = rest.split_at(rest.bytes().take_while(u8::is_ascii_alphanumeric).count());
            if behind.starts_with(';') && (1..32).contains(&name.len()) && !ENTITIES.contains(&name) {
                let words = "The narrative names an entity that XML does not have; write the letter itself or its number.";
                self.fault("invalid", "unknown-entity", &place, words);
            }
        }
        let contained = resource.get("contained").and_then(Value::as_array).into_iter().flatten();
        let mut goals: HashSet<&str> = contained.filter_map(|inner| inner.get("id").and_then(Value::as_str)).collect();
        for mark in ["id=\"", "id='", "name=\"", "name='"] {
            let values = div.match_indices(mark).map(|(at, _)| &div[at + mark.len()..]);
            goals.extend(values.filter_map(|rest| rest.split(&mark[mark.len() - 1..]).next()));
        }
        for (at, mark) in div.match_indices("href=\"#") {
            let goal = div[at + mark.len()..].split('"').next().unwrap_or_default();
            if !goal.is_empty() && !goals.contains(goal) {
                self.fault("invalid", "dead-link", &place, "A link of the narrative leads to a place that is not in it.");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(resource: &Value) -> Vec<String> {
        let kind = resource["resourceType"].as_str().unwrap();
        remarks(&Canon::default(), resource, kind).iter().map(|issue| format!("{} {}", issue.key, issue.expression)).collect()
    }

    fn div(inner: &str) -> Value {
        let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{inner}</div>");
        json!({"resourceType": "Patient", "text": {"status": "generated", "div": div}})
    }

    #[test]
    fn codes_and_addresses_are_absolute_and_of_their_kind() {
        let tagged = |system: &str| json!({"resourceType": "Patient", "meta": {"tag": [{"system": system, "code": "x"}]}});
        assert!(keys(&tagged("urn:x")).is_empty());
        assert_eq!(keys(&tagged("x")), ["relative-system Patient.meta.tag[0].system"]);
        assert_eq!(keys(&tagged("http://hl7.org/fhir/ValueSet/contact-point-use")), ["system-is-set Patient.meta.tag[0].system"]);
        let answers = |address: &str| json!({"resourceType": "QuestionnaireResponse", "questionnaire": address});
        assert!(keys(&answers("http://example.org/Questionnaire/1")).is_empty());
        let wrong = keys(&answers("http://hl7.org/fhir/ValueSet/contact-point-use"));
        assert_eq!(wrong, ["wrong-canonical-target QuestionnaireResponse.questionnaire"]);
        let parameter = |kind: &str| {
            json!({"resourceType": "SearchParameter", "base": ["Organization"], "type": kind,
            "derivedFrom": "http://hl7.org/fhir/SearchParameter/Organization-name"})
        };
        assert!(keys(&parameter("string")).is_empty());
        assert_eq!(keys(&parameter("token")), ["derived-type SearchParameter.type"]);
    }

    #[test]
    fn a_bundle_names_its_entries_and_links_well() {
        let bundle = |url: &str, relation: &str| {
            json!({"resourceType": "Bundle", "type": "searchset",
            "link": [{"relation": "self", "url": "a"}, {"relation": relation, "url": "b"}],
            "entry": [{"fullUrl": url, "resource": {"resourceType": "Patient", "name": [{"id": "1"}]}},
                {"resource": {"resourceType": "Patient", "name": [{"id": "1"}]}}]})
        };
        assert!(keys(&bundle("urn:uuid:1", "next")).is_empty());
        assert_eq!(
            keys(&bundle("Patient/1", "self")),
            ["duplicate-link Bundle.link[1]", "relative-full-url Bundle.entry[0].fullUrl"]
        );
        let twice = json!({"resourceType": "Patient", "name": [{"id": "1"}, {"id": "1"}]});
        assert_eq!(keys(&twice), ["duplicate-id Patient.name[1]"]);
    }

    #[test]
    fn a_narrative_leads_nowhere_outside_and_names_no_entities() {
        assert!(keys(&div("<a href=\"#x\">x</a> &lt; &#174; <p id=\"x\">y</p> a & b")).is_empty());
        assert_eq!(keys(&div("&reg;")), ["unknown-entity Patient.text.div"]);
        assert_eq!(keys(&div("<a href=\"#x\">x</a>")), ["dead-link Patient.text.div"]);
        for place in ["<p id='x'>y</p>", "<a name=\"x\">y</a>", "<a name='x'>y</a>"] {
            assert!(keys(&div(&format!("<a href=\"#x\">x</a> &unclosed {place}"))).is_empty(), "{place}");
        }
        let links: Vec<String> = (0..20_000).map(|at| format!("<a href=\"#{at}\">&{at}</a>")).collect();
        let places: Vec<String> = (0..20_000).map(|at| format!("<p id=\"{at}\">x</p>")).collect();
        assert!(keys(&div(&[links, places].concat().concat())).is_empty());
    }

    #[test]
    fn a_vital_sign_is_held_to_its_profile_unasked() {
        let weight = |unit: &str| {
            json!({"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/p"},
            "effectiveDateTime": "2026-05-01", "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
            "valueQuantity": {"value": 70, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}})
        };
        assert!(keys(&weight("kg")).is_empty());
        assert_eq!(keys(&weight("stone")), ["profile-code Observation.value.code"]);
    }
}
