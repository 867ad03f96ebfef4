//! The plans of a tenant, laid over those that came with the program: a copy stands in the place of a shipped rule until it is deleted.
//! Follows <https://hl7.org/fhir/R4/plandefinition.html>.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::json::text;
use super::read::runs;
use super::rules::Artefact;

/// The plans of a tenant as they stood at a time.
#[derive(Debug, Default)]
pub(super) struct Over {
    /// Their versions, with the shipped plans that came back.
    pub(super) artefacts: Vec<Artefact>,
    /// `url|version` of what ran and was deleted since: what that had planned is taken back.
    pub(super) ended: HashSet<String>,
}

/// Lays out the versions of each plan, up to a time. Where a copy was deleted, nothing ran in its time of which anything is left, and
/// what was shipped acts on what is learned from then on.
pub(super) fn plans(base: &[Artefact], kept: &[&[Artefact]], until: i64) -> Over {
    let mut over = Over::default();
    for (own, versions) in kept.iter().enumerate() {
        let mut begun = over.artefacts.len();
        for version in versions.iter().filter(|version| version.since <= until) {
            let Some(shipped) = left_to(base, &version.value) else {
                over.artefacts.push(version.clone());
                continue;
            };
            let mut others = kept.iter().enumerate().filter(|(other, _)| *other != own);
            if others.any(|(_, versions)| runs_at(versions, version)) {
                continue;
            }
            for past in over.artefacts.iter_mut().skip(begun).filter(|past| text(&past.value, "url") == url(version)) {
                over.ended.extend(canonical(&past.value));
                past.value = Arc::clone(&version.value);
            }
            over.artefacts.push(version.clone());
            over.artefacts.push(Artefact { value: Arc::clone(&shipped.value), since: version.since });
            begun = over.artefacts.len();
        }
    }
    over
}

/// The shipped plan to which a deleted copy leaves its url. What was deleted stands there without an id.
pub(super) fn left_to<'a>(base: &'a [Artefact], value: &Value) -> Option<&'a Artefact> {
    let url = text(value, "url").filter(|_| value.get("id").is_none())?;
    let is_it =
        |one: &&Artefact| text(&one.value, "resourceType") == Some("PlanDefinition") && text(&one.value, "url") == Some(url);
    base.iter().find(is_it)
}

/// Whether these versions run under the url of another plan at the time of its version.
fn runs_at(versions: &[Artefact], other: &Artefact) -> bool {
    let newest = versions.iter().rfind(|version| version.since <= other.since);
    newest.is_some_and(|newest| runs(&newest.value) && url(newest) == url(other))
}

fn url(artefact: &Artefact) -> Option<&str> {
    text(&artefact.value, "url")
}

fn canonical(plan: &Value) -> Option<String> {
    let version = text(plan, "version").filter(|_| runs(plan))?;
    Some(format!("{}|{version}", text(plan, "url")?))
}
