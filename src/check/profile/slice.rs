//! Tells the values of a sliced list apart, by what their discriminators look at.
//! Follows <https://hl7.org/fhir/R4/profiling.html#discriminator>.

use super::compare::{is_pattern_of, is_same};
use super::rule::{By, Discriminator, Openness, Rule, Slicing, Step};
use super::walk::Inspector;
use crate::check::findings::Findings;
use crate::check::place::Place;
use crate::fhir::path::Node;
use crate::fhir::terms::Member;

/// The slice of all that is of no other.
const DEFAULT: &str = "@default";

impl<'c, 'v> Inspector<'c, 'v> {
    /// The number of the slice that a value is of.
    pub(super) fn slice_of(&self, rule: &'c Rule, slicing: &'c Slicing, node: Node<'v>) -> Option<usize> {
        let named = rule.slices.iter().position(|slice| {
            slice.slice != DEFAULT && slicing.discriminators.iter().all(|discriminator| self.tells(discriminator, slice, node))
        });
        named.or_else(|| rule.slices.iter().position(|slice| slice.slice == DEFAULT))
    }

    /// Holds the place of a value in its list against the order of the slices; `seen` is the last slice so far, and whether
    /// a value of no slice was seen.
    pub(super) fn order(
        &self,
        slicing: &Slicing,
        slice: Option<usize>,
        seen: (&mut usize, &mut bool),
        place: &Place<'_>,
        findings: &mut Findings,
    ) {
        let (last, is_beyond) = seen;
        let Some(at) = slice else {
            *is_beyond = true;
            if slicing.rules == Openness::Closed {
                self.fault(
                    "invariant",
                    "profile-slice",
                    place,
                    "The value is of no slice, and no other may stand here.",
                    findings,
                );
            }
            return;
        };
        if *is_beyond && slicing.rules == Openness::OpenAtEnd {
            let words = "Values of no slice may stand only behind all others.";
            self.fault("invariant", "profile-slice", place, words, findings);
        }
        if slicing.is_ordered && at < *last {
            self.fault("invariant", "profile-slice", place, "The values stand in another order than their slices.", findings);
        }
        *last = (*last).max(at);
    }

    /// Whether a value is what the slice says, as far as this discriminator looks.
    fn tells(&self, discriminator: &'c Discriminator, slice: &'c Rule, node: Node<'v>) -> bool {
        if !self.spend(1) {
            return false;
        }
        let found = self.select(node, &discriminator.steps);
        if discriminator.by == By::Value
            && discriminator.steps == [Step::Member(String::from("url"))]
            && !slice.profiles.is_empty()
        {
            // An extension is told apart by its url, which is that of its profile.
            let url = found.first().and_then(Node::value).and_then(serde_json::Value::as_str);
            return url.is_some_and(|url| slice.profiles.iter().any(|profile| profile.split('|').next() == Some(url)));
        }
        let Some(said) = slice.at(&discriminator.steps) else {
            return match discriminator.by {
                By::Exists => !found.is_empty(),
                _ => self.behind(discriminator, slice, node),
            };
        };
        match discriminator.by {
            By::Exists => found.is_empty() == (said.max == Some(0)),
            By::Value => found.iter().any(|inner| self.meets(said, *inner) == Some(true)),
            By::Kind => {
                let is_behind = discriminator.steps.contains(&Step::Resolve);
                if is_behind {
                    self.behind(discriminator, slice, node)
                } else {
                    found.iter().any(|inner| is_of_kind(said, *inner))
                }
            }
            By::Profile if discriminator.steps.contains(&Step::Resolve) => self.behind(discriminator, slice, node),
            By::Profile => found.iter().any(|inner| self.is_of_profile(&said.profiles, *inner)),
        }
    }

    /// What stands in a profile that the slice names: of its own type, or behind a reference.
    fn behind(&self, discriminator: &'c Discriminator, slice: &'c Rule, node: Node<'v>) -> bool {
        let Some(at) = discriminator.steps.iter().position(|step| *step == Step::Resolve) else {
            return slice.profiles.iter().filter_map(|url| self.canon.profile(url)).any(|profile| {
                let said = profile.root.at(&discriminator.steps);
                let found = self.select(node, &discriminator.steps);
                said.is_some_and(|said| found.iter().any(|inner| self.meets(said, *inner) == Some(true)))
            });
        };
        let Some(said) = slice.at(&discriminator.steps[..at]) else { return false };
        self.select(node, &discriminator.steps[..at]).iter().filter_map(Node::value).any(|reference| {
            let kind = self.around.kind_of(reference);
            let of_kind = |url: &&String| self.canon.kind_of(url).is_some_and(|own| Some(own) == kind);
            match discriminator.by {
                By::Kind => said.targets.iter().any(|url| of_kind(&url)),
                _ => {
                    let target = self.around.resolve(reference).map(Node::resource);
                    let urls: Vec<String> = said.targets.iter().filter(of_kind).cloned().collect();
                    target.is_some_and(|target| self.is_of_profile(&urls, target))
                }
            }
        })
    }

    fn is_of_profile(&self, urls: &[String], node: Node<'v>) -> bool {
        urls.iter().any(|url| match self.canon.profile(url) {
            Some(profile) => profile.kind == node.kind_name() && self.conforms(profile, node),
            None => self.canon.kind_of(url) == Some(node.kind_name()),
        })
    }

    /// Whether a value has what a rule fixes, at the element itself or below; `None` if the rule fixes nothing.
    fn meets(&self, said: &'c Rule, node: Node<'v>) -> Option<bool> {
        if !self.spend(1) {
            return None;
        }
        let value = node.value();
        let mut met = None;
        let mut add = |is_met: bool| met = Some(met.unwrap_or(true) && is_met);
        if let Some(fixed) = &said.fixed {
            add(value.is_some_and(|value| is_same(fixed, value)));
        }
        if let Some(pattern) = &said.pattern {
            add(value.is_some_and(|value| is_pattern_of(pattern, value)));
        }
        if let Some(binding) = said.binding.as_ref().filter(|binding| binding.is_required) {
            add(self.canon.terms.bound(&binding.set, node) == Member::Yes);
        }
        for child in &said.children {
            let mut inner = Vec::new();
            node.each_child(&child.name, |node| inner.push(node));
            let answers: Vec<Option<bool>> = inner.iter().map(|node| self.meets(child, *node)).collect();
            if answers.contains(&Some(true)) {
                add(true);
            } else if answers.contains(&Some(false)) || (inner.is_empty() && is_fixing(child)) {
                add(false);
            }
        }
        for slice in said.children.iter().flat_map(|child| &child.slices).filter(|slice| slice.min > 0) {
            let mut inner = Vec::new();
            node.each_child(&slice.name, |node| inner.push(node));
            if is_fixing(slice) {
                add(inner.iter().any(|node| self.meets(slice, *node) == Some(true)));
            }
        }
        met
    }

    fn select(&self, node: Node<'v>, steps: &[Step]) -> Vec<Node<'v>> {
        let mut nodes = vec![node];
        for step in steps {
            if !self.spend(nodes.len()) {
                return Vec::new();
            }
            let mut next = Vec::new();
            for node in nodes {
                match step {
                    Step::Member(name) => node.each_child(name, |inner| next.push(inner)),
                    Step::Extension(url) => node.each_child("extension", |inner| {
                        let own = inner.value().and_then(|value| value.get("url")).and_then(serde_json::Value::as_str);
                        if own == Some(url) {
                            next.push(inner);
                        }
                    }),
                    Step::OfKind(kind) => next.extend((node.kind_name() == kind).then_some(node)),
                    Step::Resolve => {
                        next.extend(node.value().and_then(|value| self.around.resolve(value)).map(Node::resource));
                    }
                }
            }
            nodes = next;
        }
        nodes
    }
}

fn is_of_kind(said: &Rule, node: Node<'_>) -> bool {
    said.kinds.iter().any(|kind| kind == node.kind_name())
}

/// Whether a rule fixes something, itself or below.
fn is_fixing(rule: &Rule) -> bool {
    rule.fixed.is_some() || rule.pattern.is_some() || rule.children.iter().any(is_fixing)
}
