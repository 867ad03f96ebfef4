//! Profiles: what a resource claims to be beyond its type, compiled once when it is learned and held against who claims it.
//! Follows <https://hl7.org/fhir/R4/profiling.html>.
//!
//! A resource that claims none costs one look into its meta. Profiles of this house advise; all others refuse.

mod compare;
mod compile;
mod extension;
mod rule;
mod slice;
mod surroundings;
#[cfg(test)]
mod tests;
mod walk;

pub use compile::ELEMENTS_MAX;
pub use rule::Profile;
pub use surroundings::Neighbour;
pub use walk::{LOOKS_A_VALUE, NESTED_MAX, VALUES_MAX};

use std::cell::Cell;

use serde_json::Value;

use super::canon::Canon;
use super::findings::Findings;
use super::place::Place;
use crate::fhir::definitions;
use crate::fhir::outcome::Issue;
use crate::fhir::path::{Budget, Node};
use crate::fhir::terms::split;
use compile::STANDARD;
use surroundings::Surroundings;
use walk::Inspector;

/// Holds the profiles that a resource, what is contained in it, and the entries of a Bundle claim against them. Places begin
/// with `prefix`; `beside` is what came together with it. Constraints may do the work of one evaluation, [`STEPS_MAX`](crate::fhir::path::STEPS_MAX), for all of it.
#[must_use]
pub fn claimed(canon: &Canon, resource: &Value, prefix: &str, beside: &[Neighbour<'_>]) -> Vec<Issue> {
    let mut findings = Findings::default();
    let around = Surroundings { root: resource, resource, beside, work: &Budget::new() };
    all_in(canon, &around, &Place::Root(prefix), &mut findings);
    findings.into_issues()
}

/// Holds one profile, asked for by name, and the extensions that are known against a resource.
#[must_use]
pub fn asked(canon: &Canon, resource: &Value, address: &str, prefix: &str) -> Vec<Issue> {
    let mut findings = Findings::default();
    let entries = entries(resource);
    let around = Surroundings { root: resource, resource, beside: &entries, work: &Budget::new() };
    let place = Place::Root(prefix);
    if !is_base(address, resource) && !one(canon, &around, address, &place, &mut findings) {
        let words = format!("The profile {address} is not known here; store its StructureDefinition first.");
        findings.push(Issue::error("not-found", "unknown-profile", place.to_string(), words));
    }
    findings.into_issues()
}

/// Holds all extensions of a resource that are known here against their definitions.
#[must_use]
pub fn extensions(canon: &Canon, resource: &Value, prefix: &str) -> Vec<Issue> {
    let mut findings = Findings::default();
    let around = Surroundings { root: resource, resource, beside: &[], work: &Budget::new() };
    extension::all(canon, &around, Node::resource(resource), &Place::Root(prefix), &mut findings);
    findings.into_issues()
}

fn all_in(canon: &Canon, around: &Surroundings<'_>, place: &Place<'_>, findings: &mut Findings) {
    let resource = around.resource;
    let own = if resource.get("resourceType").is_some_and(|kind| kind == "Bundle") { entries(resource) } else { Vec::new() };
    let within = Surroundings { beside: if own.is_empty() { around.beside } else { &own }, ..*around };
    let around = &within;
    let mut claims = false;
    for (index, address) in profiles_of(resource).enumerate() {
        if is_base(address, resource) {
            continue;
        }
        if one(canon, around, address, place, findings) {
            claims = true;
            continue;
        }
        let meta = place.element("meta");
        let list = meta.element("profile");
        let words =
            "The profile is not known here, so nothing was held against it; store its StructureDefinition to have it held.";
        findings.push(Issue::warning("not-found", "unknown-profile", list.item(index).to_string(), words));
    }
    if claims {
        extension::all(canon, around, Node::resource(resource), place, findings);
    }
    let inner = |key: &str| resource.get(key).and_then(Value::as_array).into_iter().flatten().enumerate();
    let list = place.element("contained");
    for (index, contained) in inner("contained") {
        all_in(canon, &Surroundings { resource: contained, ..*around }, &list.item(index), findings);
    }
    let key = match resource.get("resourceType").and_then(Value::as_str) {
        Some("Bundle") => "entry",
        Some("Parameters") => "parameter",
        _ => return,
    };
    let list = place.element(key);
    for (index, item) in inner(key) {
        if let Some(resource) = item.get("resource") {
            let around = Surroundings { root: resource, resource, beside: &own, ..*around };
            all_in(canon, &around, &list.item(index).element("resource"), findings);
        }
    }
}

/// Holds one profile against the resource at hand; false if it is not known.
fn one(canon: &Canon, around: &Surroundings<'_>, address: &str, place: &Place<'_>, findings: &mut Findings) -> bool {
    let kind = around.resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    let Some(profile) = canon.profile(address) else {
        let Some(other) = another_type(address, kind) else { return false };
        let words = format!("The profile is the definition of {other} itself, and this is a {kind}.");
        findings.push(Issue::error("invariant", "profile-type", place.to_string(), words));
        return true;
    };
    let left = Cell::new(VALUES_MAX * LOOKS_A_VALUE);
    let inspector = Inspector { canon, around, profile, nested: 0, left: &left };
    if profile.kind != kind {
        let words = format!("The profile is one of {}, and this is a {kind}.", profile.kind);
        inspector.fault("invariant", "profile-type", place, &words, findings);
    } else if profile.is_whole {
        inspector.inspect(Node::resource(around.resource), place, findings);
        if left.get() == 0 || around.work.is_spent() {
            say_spent(address, place, findings);
        }
    } else {
        let words = format!("The profile {address} has no snapshot, so nothing was held against it; store it with one.");
        findings.push(Issue::warning("incomplete", "profile-without-snapshot", place.to_string(), words));
    }
    true
}

/// Says that a profile was not held to its end.
fn say_spent(address: &str, place: &Place<'_>, findings: &mut Findings) {
    let words = format!("The profile {address} asks for more work than is done for one resource; the rest was not held.");
    findings.push_each(Issue::warning("too-costly", "profile-too-costly", place.to_string(), words));
}

fn profiles_of(resource: &Value) -> impl Iterator<Item = &str> {
    let claims = resource.get("meta").and_then(|meta| meta.get("profile"));
    claims.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Whether the address is the standard's own definition of the resource's type, to which it was held already.
fn is_base(address: &str, resource: &Value) -> bool {
    let (url, version) = split(address);
    let name = url.strip_prefix(STANDARD).and_then(definitions::node).map(|node| node.name);
    let kind = resource.get("resourceType").and_then(Value::as_str);
    let is_above = matches!(name, Some("Resource" | "DomainResource"));
    version.is_none_or(|version| version == "4.0.1" || version == "4.0") && name.is_some() && (name == kind || is_above)
}

/// The type that the address defines, where it is the standard's own definition of another than this.
fn another_type(address: &str, kind: &str) -> Option<&'static str> {
    let name = definitions::node(split(address).0.strip_prefix(STANDARD)?)?.name;
    (name != kind && !matches!(name, "Resource" | "DomainResource")).then_some(name)
}

fn entries(bundle: &Value) -> Vec<Neighbour<'_>> {
    let all = bundle.get("entry").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    all.iter().filter_map(|entry| Some((entry.get("fullUrl").and_then(Value::as_str), entry.get("resource")?))).collect()
}

/// Whether a resource, or one inside it, claims any profile: the one question that everybody is asked.
#[must_use]
pub fn claims(resource: &Value) -> bool {
    if profiles_of(resource).next().is_some() {
        return true;
    }
    let inner = |key: &str| resource.get(key).and_then(Value::as_array).into_iter().flatten();
    if inner("contained").any(|contained| profiles_of(contained).next().is_some()) {
        return true;
    }
    match resource.get("resourceType").and_then(Value::as_str) {
        Some("Bundle") => inner("entry").filter_map(|entry| entry.get("resource")).any(claims),
        Some("Parameters") => inner("parameter").filter_map(|parameter| parameter.get("resource")).any(claims),
        _ => false,
    }
}
