//! Patches: read, applied to the version that is current, and checked like an update of it.
//! Follows <https://hl7.org/fhir/R4/http.html#patch>.
//!
//! What is written rests on the version that was patched, so that of two patches at once the second sees what the first did.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::aim::Aim;
use super::interaction::{Act, Interaction, real_id, refuse};
use super::{Done, Flow, Refused, Sender, broken, one};
use crate::check::{self, guard};
use crate::fhir::outcome::Issue;
use crate::fhir::patch::{Patch, settle_narrative};
use crate::ledger::Precondition;

/// The media type of a JSON Patch.
const JSON_PATCH: &str = "application/json-patch+json";

/// A patch as it was sent.
#[derive(Debug, Clone, Copy)]
pub enum Sent<'a> {
    /// RFC 6902.
    JsonPatch(&'a [u8]),
    /// FHIRPath Patch: a Parameters resource in JSON.
    Parameters(&'a [u8]),
}

impl Sent<'_> {
    fn read(self) -> Result<Arc<Patch>, Refused> {
        let patch = match self {
            Self::JsonPatch(bytes) => guard::patch(bytes, guard::BODY_BYTES_MAX).and_then(Patch::of_json),
            Self::Parameters(bytes) => {
                check::resource(bytes, Some("Parameters")).and_then(|checked| Patch::of_parameters(&checked.value))
            }
        };
        patch.map(Arc::new).map_err(Refused::Issues)
    }
}

impl Flow {
    /// `PATCH [type]/[id]`. Follows <https://hl7.org/fhir/R4/http.html#patch>.
    pub async fn patch(
        &self,
        sender: &Sender,
        kind: &str,
        id: &str,
        sent: Sent<'_>,
        if_match: Option<i64>,
    ) -> Result<Done, Refused> {
        real_id(id)?;
        let patch = Some(sent.read()?);
        let wish = Interaction { id: Some(id.to_owned()), if_match, patch, ..Interaction::new(Act::Patch, kind) };
        one(self.settle(sender, || Ok(vec![wish.clone()])).await)
    }

    /// `PATCH [type]?criteria`: what they find must be there, and be one.
    pub async fn patch_where(
        &self,
        sender: &Sender,
        kind: &str,
        criteria: &str,
        sent: Sent<'_>,
        if_match: Option<i64>,
    ) -> Result<Done, Refused> {
        let (condition, patch) = (Some(self.condition(kind, criteria)?), Some(sent.read()?));
        let wish = Interaction { condition, if_match, patch, ..Interaction::new(Act::Patch, kind) };
        one(self.settle(sender, || Ok(vec![wish.clone()])).await)
    }

    /// Applies the patch of a wish to the current version, and aims what it gives at that very version.
    pub(super) async fn patched(&self, sender: &Sender, wish: &mut Interaction, id: &str) -> Result<Aim, Refused> {
        let Some(patch) = wish.patch.clone() else { return Err(Refused::Broken(String::from("a patch without operations"))) };
        let current = self.ledger.read(&sender.scope, &wish.kind, id).await.map_err(broken)?.ok_or(Refused::NotFound)?;
        if current.deleted {
            return Err(Refused::Gone);
        }
        if wish.if_match.is_some_and(|version| version != current.version) {
            return Err(Refused::VersionConflict { current: Some(current.version) });
        }
        let was = current.value();
        // Aside: what a stranger's paths take is bounded, but others should not wait for it.
        let kind = wish.kind.clone();
        let made = tokio::task::spawn_blocking(move || result(&patch, &was, &kind).map(|made| (was, made))).await;
        let (was, (now, warnings)) = made.map_err(|_| Refused::Broken(String::from("a patch was not applied to its end")))??;
        wish.warnings.extend(warnings);
        wish.resource = Some(now);
        self.step(sender, &was, wish).await?;
        let guarded = wish.if_match.is_none();
        Ok(Aim::Write { id: id.to_owned(), when: Precondition::Version(current.version), guarded })
    }
}

/// What the patch makes of a resource, when it is still that resource and a good one. The patch itself was understood, so
/// whatever is wrong with its result is told as a broken rule.
fn result(patch: &Patch, was: &Value, kind: &str) -> Result<(Value, Vec<Issue>), Refused> {
    let rule = |issue| Refused::Rule(vec![issue]);
    let mut now = patch.apply(was).map_err(|issue| match issue.code {
        "too-long" => Refused::Issues(vec![issue]),
        _ => rule(issue),
    })?;
    for (element, words) in [("resourceType", "A patch cannot change the type."), ("id", "A patch cannot change the id.")] {
        if now.get(element) != was.get(element) {
            return Err(rule(Issue::error("business-rule", "patch-identity", format!("{kind}.{element}"), words)));
        }
    }
    let mut warnings = Vec::from_iter(settle_narrative(was, &mut now).map_err(rule)?);
    let found = check::value(&now, Some(kind), "");
    if found.iter().any(Issue::refuses) {
        return Err(Refused::Rule(found));
    }
    warnings.extend(found);
    Ok((now, warnings))
}

/// The patch of an entry: Parameters, or a Binary that holds a JSON Patch. `place` is the place of the resource.
pub(super) fn of_entry(resource: Option<&Value>, place: &str) -> Result<Arc<Patch>, Refused> {
    let text = |name: &str| resource.and_then(|resource| resource.get(name)).and_then(Value::as_str).unwrap_or_default();
    let patch = match text("resourceType") {
        "Parameters" => Patch::of_parameters(resource.unwrap_or(&Value::Null)),
        "Binary" => {
            let media = text("contentType").split(';').next().unwrap_or_default().trim();
            if !media.eq_ignore_ascii_case(JSON_PATCH) {
                let words = format!("The Binary of a PATCH holds a JSON Patch; its contentType is {JSON_PATCH}.");
                return Err(refuse(Issue::error("not-supported", "patch-format", format!("{place}.contentType"), words)));
            }
            let plain: String = text("data").split_ascii_whitespace().collect();
            let Ok(bytes) = STANDARD.decode(plain) else {
                let words = "The data of the Binary is the JSON Patch in base64.";
                return Err(refuse(Issue::error("value", "patch-format", format!("{place}.data"), words)));
            };
            guard::patch(&bytes, guard::BODY_BYTES_MAX).and_then(Patch::of_json)
        }
        _ => {
            let words = "PATCH needs Parameters (FHIRPath Patch) or a Binary (JSON Patch) in the entry.";
            return Err(refuse(Issue::error("required", "entry-resource", place, words)));
        }
    };
    patch.map(Arc::new).map_err(Refused::Issues)
}
