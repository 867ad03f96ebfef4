//! What is imported keeps its ids: whoever imports the same again changes nothing.
//! Follows <https://hl7.org/fhir/R4/http.html#upsert>.

use serde_json::Value;

use super::bundle::Line;
use super::interaction::{Act, Interaction, refuse};
use super::{Done, Flow, Refused, Sender, one};
use crate::check;
use crate::fhir::outcome::Issue;
use crate::identify;
use crate::identify::bundle::{Method, id_of_text, own_id};
use crate::identify::references::Links;

impl Flow {
    /// One resource under its own id, or, where it has none, under one made of its text. `links` says what references in it
    /// (`urn:uuid:…`) are called here, seen from the entry with this fullUrl; others stay as they are.
    pub async fn import(&self, sender: &Sender, text: &[u8], full_url: &str, links: &Links) -> Result<Done, Refused> {
        let build = || {
            let checked = check::resource(text, None).map_err(Refused::Issues)?;
            let mut resource = checked.value;
            let kind = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default().to_owned();
            if links.names_any() && identify::references::rewrite(&mut resource, full_url, links, &kind).changed {
                let misled = check::references(&resource, &kind);
                if !misled.is_empty() {
                    return Err(Refused::Issues(misled));
                }
            }
            let id = own_id(&resource, "").unwrap_or_else(|| id_of_text(text));
            let wish = Interaction::new(Act::Update, &kind);
            Ok(vec![Interaction { id: Some(id), resource: Some(resource), warnings: checked.warnings, ..wish }])
        };
        one(self.settle(sender, build).await)
    }

    /// A transaction Bundle in which a POST keeps the id of its resource, or that of its `urn:uuid:` fullUrl.
    pub async fn import_transaction(&self, sender: &Sender, body: &[u8]) -> Result<Vec<Done>, Refused> {
        let build = || {
            let sheet = self.sheet(body)?;
            if !sheet.whole {
                return Err(refuse(Issue::error("invalid", "bundle-type", "Bundle.type", "This is no transaction.")));
            }
            let wish = |line: Line| (line.index, self.line_wish(keeping_id(line), true));
            let named = |(index, wish): (usize, Result<_, _>)| wish.map_err(|cause| super::bundle::in_entry(index, cause));
            sheet.split().1.into_iter().map(wish).map(named).collect()
        };
        self.settle(sender, build).await
    }
}

/// A plain POST becomes a PUT to the resource's own id.
fn keeping_id(mut line: Line) -> Line {
    let (Ok(request), Some(resource)) = (&mut line.request, &mut line.resource) else { return line };
    if request.method == Method::Create && request.if_none_exist.is_none() {
        let own = own_id(resource, line.full_url.as_deref().unwrap_or_default());
        let id = own.unwrap_or_else(|| id_of_text(resource.to_string().as_bytes()));
        resource["id"] = id.as_str().into();
        request.method = Method::Update;
        request.id = Some(id);
    }
    line
}
