//! Whom a reference names: a Patient by id, by identifier, or as a contained resource; and whose a resource says by it that it is.
//! Follows <https://hl7.org/fhir/R4/references.html#logical>.

use serde_json::Value;

use super::{Kind, find, identifier, identifiers, of};

/// A Patient as a reference names one: by an id, by an identifier, or by both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// `Patient/123`, or the whole address of a foreign one, without a version.
    pub literal: Option<String>,
    /// System and value.
    pub identifier: Option<(String, String)>,
}

/// Where references lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lead {
    /// To nobody: a Group, a device, a name alone.
    Nowhere,
    /// To a Patient of whom it cannot be known who it is, or to several.
    Unknown,
    /// To this one.
    To(Named),
}

/// The records that a Person links are one human's: the first of them tells whose it is.
const OF_ONE: &str = "link.target";

impl Named {
    fn literal(literal: String) -> Self {
        Self { literal: Some(literal), identifier: None }
    }

    fn identified(identifier: (String, String)) -> Self {
        Self { literal: None, identifier: Some(identifier) }
    }

    /// Whether both surely mean one record. Whether an id and an identifier do is not known here.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        match (&self.literal, &other.literal) {
            (Some(one), Some(other)) => one == other,
            (None, None) => self.identifier == other.identifier,
            _ => false,
        }
    }
}

impl Lead {
    /// Where two references lead together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nowhere, lead) | (lead, Self::Nowhere) => lead,
            (Self::To(one), Self::To(other)) if one.is_like(&other) => Self::To(one),
            _ => Self::Unknown,
        }
    }
}

/// Whose a resource says that it is: by the first of the elements of its type that leads to one Patient.
#[must_use]
pub fn whose(kind: &Kind, resource: &Value) -> Lead {
    let mut is_unclear = false;
    for path in kind.subject {
        let mut found = Lead::Nowhere;
        find(resource, path, &mut |reference| {
            let before = std::mem::replace(&mut found, Lead::Nowhere);
            found = before.and(lead(resource, reference));
            (*path == OF_ONE && found != Lead::Nowhere).then_some(())
        });
        match found {
            Lead::To(named) => return Lead::To(named),
            Lead::Unknown => is_unclear = true,
            Lead::Nowhere => {}
        }
    }
    match writer(kind, resource) {
        Lead::Nowhere if is_unclear => Lead::Unknown,
        lead => lead,
    }
}

/// Whether a resource says whose it is; one that only names a Patient, as the recipient of a message is named, is not about them.
#[must_use]
pub fn is_about(name: &str, resource: &Value) -> bool {
    name == "Patient" || matches!(whose(of(name), resource), Lead::To(_))
}

/// Whether the text of a resource may say whose it is: without it, it certainly does not.
#[must_use]
pub fn may_say_whose(name: &str, text: &str) -> bool {
    let kind = of(name);
    let elements = kind.subject.iter().filter_map(|path| path.split('.').next());
    let mut elements = elements.chain((kind.name == "Communication").then_some("sender"));
    name == "Patient" || elements.any(|element| text.contains(&format!("\"{element}\":")))
}

/// A message without a subject belongs to the Patient who wrote it, so that a STOP is heard whoever passes it on. Whose
/// RelatedPerson wrote it is not known here: the message then belongs to a person known by that reference alone.
fn writer(kind: &Kind, resource: &Value) -> Lead {
    let Some(sender) = resource.get("sender").filter(|_| kind.name == "Communication") else { return Lead::Nowhere };
    let written = sender.get("reference").and_then(Value::as_str);
    if let Some(related) = written.and_then(|written| literal_of("RelatedPerson", written)) {
        return Lead::To(Named::literal(related));
    }
    let literal = written.and_then(patient);
    let typed = sender.get("type").and_then(Value::as_str) == Some("Patient");
    if literal.is_some() || typed { lead(resource, sender) } else { Lead::Nowhere }
}

/// Whom a Reference in this resource leads to. Absolute references to ourselves, `urn:` references and conditional ones are resolved
/// before.
#[must_use]
pub fn lead(resource: &Value, reference: &Value) -> Lead {
    let literal = reference.get("reference").and_then(Value::as_str);
    if let Some(own) = literal.and_then(|literal| literal.strip_prefix('#')) {
        let contained = contained(resource, own);
        let named = contained.and_then(|patient| identifiers(patient).into_iter().next()).or_else(|| logical(reference));
        let unnamed = if contained.is_some() { Lead::Unknown } else { Lead::Nowhere };
        return named.map_or(unnamed, |identifier| Lead::To(Named::identified(identifier)));
    }
    match (literal.map(patient), logical(reference)) {
        (Some(None), _) | (None, None) => Lead::Nowhere,
        (None, Some(identifier)) => Lead::To(Named::identified(identifier)),
        (Some(literal), identifier) => Lead::To(Named { literal, identifier }),
    }
}

/// `Patient/123` of a literal reference to a Patient, without its version. A foreign absolute one is kept whole: it
/// names one person, only not ours.
fn patient(literal: &str) -> Option<String> {
    literal_of("Patient", literal)
}

fn literal_of(kind: &str, literal: &str) -> Option<String> {
    let current = literal.split_once("/_history/").map_or(literal, |(current, _)| current);
    let (before, id) = current.rsplit_once('/')?;
    let is_kind = before.rsplit('/').next() == Some(kind);
    (is_kind && !id.is_empty()).then(|| current.to_owned())
}

/// A logical reference, unless it says that it means something else than a Patient.
fn logical(reference: &Value) -> Option<(String, String)> {
    let kind = reference.get("type").and_then(Value::as_str);
    if kind.is_some_and(|kind| kind != "Patient" && !kind.ends_with("/StructureDefinition/Patient")) {
        return None;
    }
    identifier(reference.get("identifier")?)
}

/// The contained Patient of this id.
fn contained<'a>(resource: &'a Value, id: &str) -> Option<&'a Value> {
    let contained = resource.get("contained")?.as_array()?;
    let own = |inner: &&Value| inner.get("id").and_then(Value::as_str) == Some(id);
    contained.iter().find(own).filter(|inner| inner.get("resourceType").and_then(Value::as_str) == Some("Patient"))
}
