//! Holds the rules of profiles against a resource: cardinality, types, values, codes, invariants, references.
//! Follows <https://hl7.org/fhir/R4/profiling.html>.

use std::cell::Cell;

use serde_json::Value;

use super::compare::{at_least, at_most, is_pattern_of, is_same};
use super::rule::{Constraint, Profile, Rule};
use super::surroundings::Surroundings;
use crate::check::canon::Canon;
use crate::check::findings::Findings;
use crate::check::place::Place;
use crate::fhir::definitions::Flavour;
use crate::fhir::outcome::Issue;
use crate::fhir::path::{Context, Error, Node};
use crate::fhir::terms::Member;

/// Profiles lead to profiles so many times: an extension in an extension, a reference to what refers back.
pub const NESTED_MAX: usize = 8;

/// So many values are looked at for one claim; then it is said that the profile is too costly. The largest real Bundles have
/// some thousands.
pub const VALUES_MAX: usize = 100_000;

/// To hold a value against its rule is the work of so many looks that tell whether it is of a slice.
pub const LOOKS_A_VALUE: usize = 10;

/// Holds profiles against one resource.
pub(super) struct Inspector<'c, 'v> {
    pub(super) canon: &'c Canon,
    pub(super) around: &'c Surroundings<'v>,
    /// The profile at hand, by whose name a fault is told.
    pub(super) profile: &'c Profile,
    pub(super) nested: usize,
    /// How many looks may still be taken.
    pub(super) left: &'c Cell<usize>,
}

impl<'c, 'v> Inspector<'c, 'v> {
    /// Holds the profile against a value of its type.
    pub(super) fn inspect(&self, node: Node<'v>, place: &Place<'_>, findings: &mut Findings) {
        if self.nested >= NESTED_MAX || !self.profile.is_whole {
            return;
        }
        let is_resource = node.definition().is_some_and(|kind| kind.flavour == Flavour::Resource);
        match node.value().filter(|value| is_resource && !std::ptr::eq(*value, self.around.resource)) {
            Some(resource) => {
                let around = self.around.entering(resource);
                let Self { canon, profile, nested, left, .. } = *self;
                Inspector { canon, around: &around, profile, nested, left }.value(&profile.root, node, place, findings);
            }
            None => self.value(&self.profile.root, node, place, findings),
        }
    }

    /// The same for another profile that this one names.
    pub(super) fn with(&self, profile: &'c Profile) -> Self {
        Self { canon: self.canon, around: self.around, profile, nested: self.nested + 1, left: self.left }
    }

    /// Whether a value conforms to a profile, without a word about why not.
    pub(super) fn conforms(&self, profile: &'c Profile, node: Node<'v>) -> bool {
        let mut findings = Findings::default();
        self.with(profile).inspect(node, &Place::Root(""), &mut findings);
        !findings.refuse()
    }

    pub(super) fn fault(&self, code: &'static str, key: &'static str, place: &Place<'_>, words: &str, findings: &mut Findings) {
        // What could not be looked at any more is not known to be wrong.
        if self.left.get() == 0 {
            return;
        }
        let words = format!("{words} The profile {} asks for it.", self.profile.url);
        let issue = if self.profile.is_advice { Issue::warning } else { Issue::error };
        findings.push_each(issue(code, key, place.to_string(), words));
    }

    /// Takes so many looks more; false when that is too many.
    pub(super) fn spend(&self, looks: usize) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(looks));
        left > 0
    }

    fn value(&self, rule: &'c Rule, node: Node<'v>, place: &Place<'_>, findings: &mut Findings) {
        if !self.spend(LOOKS_A_VALUE) {
            return;
        }
        self.kind(rule, node, place, findings);
        self.content(rule, node, place, findings);
        if let Some(binding) = &rule.binding {
            self.codes(&binding.set, binding.is_required, node, place, findings);
        }
        if !rule.profiles.is_empty() {
            self.typed(rule, node, place, findings);
        }
        if !rule.targets.is_empty() && node.kind_name() == "Reference" {
            self.target(rule, node, place, findings);
        }
        self.children(rule, node, place, findings);
        for constraint in &rule.constraints {
            self.hold(constraint, node, place, findings);
        }
    }

    fn children(&self, rule: &'c Rule, node: Node<'v>, place: &Place<'_>, findings: &mut Findings) {
        for child in &rule.children {
            let mut nodes = Vec::new();
            node.each_child(&child.name, |inner| nodes.push(inner));
            let is_list = node.definition().and_then(|kind| kind.element(&child.name)).is_some_and(|element| element.list);
            self.list(child, &nodes, is_list, &place.element(&child.name), findings);
        }
    }

    fn list(&self, rule: &'c Rule, nodes: &[Node<'v>], is_list: bool, place: &Place<'_>, findings: &mut Findings) {
        self.count(rule, nodes.len(), place, findings);
        for (index, node) in nodes.iter().enumerate() {
            let item = place.item(index);
            self.value(rule, *node, if is_list { &item } else { place }, findings);
        }
        let nodes: Vec<(usize, Node<'v>)> = nodes.iter().copied().enumerate().collect();
        self.slices(rule, &nodes, is_list, place, findings);
    }

    /// Puts the values of a list, each with its place in it, into the slices of the rule; a slice that is sliced again is
    /// judged once, with all of its values.
    fn slices(&self, rule: &'c Rule, nodes: &[(usize, Node<'v>)], is_list: bool, place: &Place<'_>, findings: &mut Findings) {
        let Some(slicing) = rule.slicing.as_ref().filter(|slicing| !slicing.discriminators.is_empty()) else { return };
        let mut inside: Vec<Vec<(usize, Node<'v>)>> = vec![Vec::new(); rule.slices.len()];
        let mut last = 0;
        let mut is_beyond = false;
        for &(index, node) in nodes {
            let item = place.item(index);
            let item = if is_list { &item } else { place };
            let slice = self.slice_of(rule, slicing, node);
            self.order(slicing, slice, (&mut last, &mut is_beyond), item, findings);
            let Some(at) = slice else { continue };
            inside[at].push((index, node));
            self.value(&rule.slices[at], node, item, findings);
        }
        for (slice, nodes) in rule.slices.iter().zip(inside) {
            self.count(slice, nodes.len(), place, findings);
            // A slice that is not there at all owes none of its inner slices.
            if !nodes.is_empty() {
                self.slices(slice, &nodes, is_list, place, findings);
            }
        }
    }

    fn count(&self, rule: &Rule, count: usize, place: &Place<'_>, findings: &mut Findings) {
        let name = if rule.slice.is_empty() { rule.name.clone() } else { format!("{}:{}", rule.name, rule.slice) };
        if count < rule.min {
            let words = format!("{} of {name} must stand here, and {count} do.", rule.min);
            self.fault("invariant", "profile-min", place, &words, findings);
        }
        if let Some(max) = rule.max.filter(|max| count > *max) {
            let words = format!("At most {max} of {name} may stand here, and {count} do.");
            self.fault("invariant", "profile-max", place, &words, findings);
        }
    }

    fn kind(&self, rule: &Rule, node: Node<'v>, place: &Place<'_>, findings: &mut Findings) {
        let kind = node.kind_name();
        if !rule.kinds.is_empty() && !kind.is_empty() && !rule.kinds.iter().any(|own| own == kind || own == "Resource") {
            let words = format!("A {kind} cannot stand here; send {}.", rule.kinds.join(" or "));
            self.fault("invariant", "profile-type", place, &words, findings);
        }
    }

    fn content(&self, rule: &Rule, node: Node<'v>, place: &Place<'_>, findings: &mut Findings) {
        let Some(value) = node.value() else { return };
        if rule.fixed.as_ref().is_some_and(|fixed| !is_same(fixed, value)) {
            self.fault("invariant", "profile-fixed", place, "This element has a fixed value, and another stands here.", findings);
        }
        if rule.pattern.as_ref().is_some_and(|pattern| !is_pattern_of(pattern, value)) {
            let words = "This element must have all that its pattern has, and some of it is missing.";
            self.fault("invariant", "profile-pattern", place, words, findings);
        }
        if let (Some(max), Some(text)) = (rule.length_max, value.as_str())
            && text.chars().count() > max
        {
            self.fault("invariant", "profile-length", place, &format!("The text is longer than {max} characters."), findings);
        }
        let is_low = rule.lowest.as_ref().is_some_and(|lowest| !at_least(value, lowest));
        if is_low || rule.highest.as_ref().is_some_and(|highest| !at_most(value, highest)) {
            self.fault("invariant", "profile-range", place, "The value is outside the range that is allowed here.", findings);
        }
    }

    /// A value whose type is a profile: it must conform to one that is known; what is not known cannot be held against it.
    fn typed(&self, rule: &'c Rule, node: Node<'v>, place: &Place<'_>, findings: &mut Findings) {
        let known: Vec<&Profile> = rule.profiles.iter().filter_map(|url| self.canon.profile(url)).collect();
        match known.as_slice() {
            [profile] if rule.profiles.len() == 1 => self.with(profile).inspect(node, place, findings),
            all if all.len() < rule.profiles.len() || all.iter().any(|profile| self.conforms(profile, node)) => {}
            _ => {
                let words = format!("The value conforms to none of {}.", rule.profiles.join(", "));
                self.fault("invariant", "profile-type", place, &words, findings);
            }
        }
    }

    /// The target of a reference: its type, and, where it can be seen, whether it conforms to one of the target profiles.
    fn target(&self, rule: &'c Rule, node: Node<'v>, place: &Place<'_>, findings: &mut Findings) {
        let Some(reference) = node.value() else { return };
        let Some(kind) = self.around.kind_of(reference) else { return };
        let of_kind: Vec<&String> =
            rule.targets.iter().filter(|url| self.canon.kind_of(url).is_none_or(|own| own == kind)).collect();
        if of_kind.is_empty() {
            let words = format!("A {kind} cannot stand here; refer to {}.", rule.targets.join(" or "));
            return self.fault("invariant", "profile-target", place, &words, findings);
        }
        let Some(found) = self.around.resolve(reference) else { return };
        let fits = |url: &&String| self.canon.profile(url).is_none_or(|profile| self.conforms(profile, Node::resource(found)));
        if !of_kind.iter().any(fits) {
            let words = format!("What is referred to does not conform to {}.", rule.targets.join(" or "));
            self.fault("invariant", "profile-target", place, &words, findings);
        }
    }

    fn codes(&self, set: &str, is_required: bool, node: Node<'v>, place: &Place<'_>, findings: &mut Findings) {
        // Where a better code may be missing, words alone may stand.
        let is_wordy = !is_required && node.value().is_some_and(|value| value.is_object() && value.get("coding").is_none());
        let member = self.canon.terms.bound(set, node);
        if is_required && member == Member::Unknown && node.value().is_some_and(has_code) {
            let words =
                format!("A code was not held against the value set {set}: it is not known here, or not all that it includes.");
            return findings.push_words(Issue::warning("incomplete", "profile-code-unheld", place.to_string(), words));
        }
        if member != Member::No || (is_wordy && node.kind_name() == "CodeableConcept") {
            return;
        }
        let words = format!("The code is not in the value set {set}.");
        if is_required {
            self.fault("code-invalid", "profile-code", place, &words, findings);
        } else {
            let words = format!("{words} Use one of its codes if one fits. The profile {} asks for it.", self.profile.url);
            findings.push_each(Issue::warning("code-invalid", "profile-code", place.to_string(), words));
        }
    }

    fn hold(&self, constraint: &'c Constraint, node: Node<'v>, place: &Place<'_>, findings: &mut Findings) {
        if self.around.work.is_spent() {
            return;
        }
        let Some(expression) = &constraint.expression else {
            return self.unheld(constraint, place, findings);
        };
        let context = Context::new()
            .with_resource("resource", self.around.resource)
            .with_resource("rootResource", self.around.root)
            .with_resolver(self.around)
            .guessing_targets();
        let is_broken = match expression.allows_within(&context, node, self.around.work) {
            Ok(allowed) => !allowed,
            // That all work is done is said once, where the profile is claimed.
            Err(Error::Bound(_)) if !self.around.work.is_spent() => {
                let words = format!("{} was not held here: a text of it is too long.", constraint.key);
                return findings.push_each(Issue::warning("too-costly", "profile-invariant-unheld", place.to_string(), words));
            }
            Err(Error::Bound(_)) => false,
            Err(_) => return self.unheld(constraint, place, findings),
        };
        if !is_broken {
            return;
        }
        let words = format!("{}: {}.", constraint.key, constraint.human.trim_end_matches('.'));
        if constraint.refuses {
            return self.fault("invariant", "profile-invariant", place, &words, findings);
        }
        let words = format!("{words} The profile {} asks for it.", self.profile.url);
        findings.push_each(Issue::warning("invariant", "profile-invariant", place.to_string(), words));
    }

    /// Says that a constraint was held against nobody, at the first place where it would have been.
    fn unheld(&self, constraint: &Constraint, place: &Place<'_>, findings: &mut Findings) {
        let key = &constraint.key;
        let words =
            format!("{key} was not held: its expression has no answer here. The profile {} asks for it.", self.profile.url);
        findings.push_words(Issue::warning("incomplete", "profile-invariant-unheld", place.to_string(), words));
    }
}

/// Whether something stands there that a value set could have.
fn has_code(value: &Value) -> bool {
    let codings = value.get("coding").and_then(Value::as_array).into_iter().flatten();
    value.is_string() || value.get("code").is_some() || codings.into_iter().any(|coding| coding.get("code").is_some())
}
