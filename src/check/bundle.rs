//! A Bundle is checked as a frame and, apart from it, entry by entry, so that one bad entry of a batch harms no other.
//! Follows <https://hl7.org/fhir/R4/bundle.html>.

use serde_json::Value;

use super::findings::Findings;
use super::guard;
use super::place::Place;
use super::shape::Walker;
use crate::fhir::outcome::Issue;

/// A Bundle may have so many entries; the largest real ones have 3,500.
pub const ENTRIES_MAX: usize = 20_000;

/// The invariant that entries have requests where the Bundle asks for something, and nowhere else.
const REQUESTS: &str = "bdl-3";

/// A Bundle whose frame is right; whether its entries are, each of them says.
#[derive(Debug)]
pub struct Bundle<'a> {
    /// The frame: the Bundle without the resources of its entries.
    pub frame: Value,
    /// What stood in the entries, in their order.
    pub entries: Vec<Entry<'a>>,
    /// Remarks on the frame.
    pub warnings: Vec<Issue>,
}

/// What one entry holds.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The resource, if there is one.
    pub resource: Option<Value>,
    /// Its text as it was sent.
    pub text: Option<&'a str>,
    /// Faults and remarks; their places begin with `Bundle.entry[…]`.
    pub issues: Vec<Issue>,
}

impl Entry<'_> {
    /// Whether the entry must be refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.issues.iter().any(Issue::refuses)
    }
}

impl Bundle<'_> {
    /// The faults of all entries, for a transaction, which is refused as a whole.
    #[must_use]
    pub fn refusals(&self) -> Vec<Issue> {
        let mut findings = Findings::default();
        let all = self.entries.iter().flat_map(|entry| &entry.issues).filter(|issue| issue.refuses());
        all.for_each(|issue| findings.push(issue.clone()));
        findings.into_issues()
    }
}

/// Checks the body of a Bundle. An error is about the frame and then also names the faults of the entries.
pub fn bundle(bytes: &[u8], bytes_max: usize) -> Result<Bundle<'_>, Vec<Issue>> {
    let mut findings = Findings::default();
    let Some(mut document) = guard::read(bytes, bytes_max, None, &mut findings) else { return Err(findings.into_issues()) };
    let root = Place::Root("Bundle");
    Walker { findings: &mut findings, skips_entries: true }.resource(&document.value, Some("Bundle"), &root);
    // In a batch an entry answers for all of itself, and one that has no request is refused by who reads requests.
    let is_batch = document.value.get("type").and_then(Value::as_str) == Some("batch");
    let mut frame_findings = Findings::default();
    let mut of_entries = Vec::new();
    for issue in findings.into_issues() {
        match entry_of(&issue.expression, is_batch) {
            Some(index) => of_entries.push((index, issue)),
            None if is_batch && issue.key == REQUESTS => {}
            None => frame_findings.push(issue),
        }
    }
    let mut entries = Vec::new();
    if let Some(Value::Array(items)) = document.value.get_mut("entry") {
        if items.len() > ENTRIES_MAX {
            let words = format!("The Bundle has {} entries; at most {ENTRIES_MAX} are taken.", items.len());
            frame_findings.push(Issue::error("too-long", "too-many-entries", "Bundle.entry", words));
            return Err(frame_findings.into_issues());
        }
        let list = root.element("entry");
        for (index, item) in items.iter_mut().enumerate() {
            let resource = item.as_object_mut().and_then(|map| map.shift_remove("resource"));
            let text = document.resources.get(index).cloned().flatten().and_then(|range| document.text.get(range));
            let mut own = Findings::default();
            of_entries.iter().filter(|(of, _)| *of == index).for_each(|(_, issue)| own.push(issue.clone()));
            if let Some(resource) = &resource {
                let place = list.item(index);
                Walker { findings: &mut own, skips_entries: false }.resource(resource, None, &place.element("resource"));
            }
            entries.push(Entry { resource, text, issues: own.into_issues() });
        }
    }
    let warnings = frame_findings.into_issues();
    let bundle = Bundle { frame: document.value, entries, warnings };
    if bundle.warnings.iter().any(Issue::refuses) {
        let mut issues = bundle.refusals();
        issues.splice(..0, bundle.warnings);
        return Err(issues);
    }
    Ok(bundle)
}

/// The number of the entry that a place is in; where the frame stands for its entries, only of one in the entry's resource.
fn entry_of(place: &str, is_batch: bool) -> Option<usize> {
    let (number, rest) = place.strip_prefix("Bundle.entry[")?.split_once(']')?;
    (is_batch || rest.starts_with(".resource")).then(|| number.parse().ok()).flatten()
}
