//! What a profile says beyond the standard, ready to be held against resources.
//! Follows <https://hl7.org/fhir/R4/elementdefinition.html>.

use serde_json::Value;

use crate::fhir::path::Expression;

/// A StructureDefinition that constrains a type, compiled once.
#[derive(Debug)]
pub struct Profile {
    /// Its canonical address.
    pub url: String,
    /// Its business version; empty when it has none.
    pub version: String,
    /// The type that it constrains.
    pub kind: String,
    /// Whether breaking it is only remarked: profiles of this house, by which reactions are held back and nothing is refused.
    pub is_advice: bool,
    /// Whether it has a snapshot; without one it is known by name and nothing can be held against it.
    pub is_whole: bool,
    /// Where an extension may stand: a kind of context and its expression.
    pub(super) contexts: Vec<(String, String)>,
    pub(super) root: Rule,
}

/// What is said of one element, or of one slice of it. What the standard itself says is left out.
#[derive(Debug, Default)]
pub(super) struct Rule {
    /// Its FHIRPath name.
    pub(super) name: String,
    /// The name of the slice, if it is one.
    pub(super) slice: String,
    pub(super) min: usize,
    pub(super) max: Option<usize>,
    /// The types it may have; empty when the standard's own.
    pub(super) kinds: Vec<String>,
    /// Profiles of which its value must conform to one.
    pub(super) profiles: Vec<String>,
    /// Profiles of which the target of a reference must conform to one.
    pub(super) targets: Vec<String>,
    pub(super) fixed: Option<Value>,
    pub(super) pattern: Option<Value>,
    pub(super) length_max: Option<usize>,
    pub(super) lowest: Option<Value>,
    pub(super) highest: Option<Value>,
    pub(super) binding: Option<Binding>,
    pub(super) constraints: Vec<Constraint>,
    pub(super) children: Vec<Rule>,
    pub(super) slicing: Option<Slicing>,
    pub(super) slices: Vec<Rule>,
}

/// Where codes must come from.
#[derive(Debug)]
pub(super) struct Binding {
    /// The canonical address of the value set.
    pub(super) set: String,
    /// Required, or extensible, which only remarks.
    pub(super) is_required: bool,
}

/// An invariant of the profile.
#[derive(Debug)]
pub(super) struct Constraint {
    pub(super) key: String,
    pub(super) human: String,
    pub(super) refuses: bool,
    /// `None` if the engine cannot read it: then it is held against nobody.
    pub(super) expression: Option<Expression>,
}

/// How the values of a list are told apart.
#[derive(Debug)]
pub(super) struct Slicing {
    pub(super) discriminators: Vec<Discriminator>,
    /// Whether values that are of no slice may stand there, and where.
    pub(super) rules: Openness,
    pub(super) is_ordered: bool,
}

/// Where values of no slice may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Openness {
    Open,
    OpenAtEnd,
    Closed,
}

/// One thing by which slices are told apart.
#[derive(Debug)]
pub(super) struct Discriminator {
    pub(super) by: By,
    pub(super) steps: Vec<Step>,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// A fixed value, a pattern or a required value set.
    Value,
    Exists,
    Kind,
    Profile,
}

/// A step of a discriminator's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Member(String),
    Extension(String),
    OfKind(String),
    Resolve,
}

impl Rule {
    /// Whether it says nothing that the standard does not say.
    pub(super) fn is_idle(&self) -> bool {
        let says_nothing = self.min == 0 && self.max.is_none() && self.binding.is_none() && self.length_max.is_none();
        let is_free = self.fixed.is_none() && self.pattern.is_none() && self.lowest.is_none() && self.highest.is_none();
        let lists = self.kinds.is_empty() && self.profiles.is_empty() && self.targets.is_empty() && self.constraints.is_empty();
        let below = self.children.is_empty() && self.slices.is_empty() && self.slicing.is_none();
        says_nothing && is_free && lists && below
    }

    /// What is said of the element to which these steps lead.
    pub(super) fn at(&self, steps: &[Step]) -> Option<&Self> {
        let Some((step, rest)) = steps.split_first() else { return Some(self) };
        match step {
            Step::Member(name) => {
                let child = self.children.iter().find(|child| child.name == *name)?;
                // What a list of its own must hold says what its values are, too: a blood pressure is sliced by what its codes are.
                let mut needed = child.slices.iter().filter(|slice| slice.min > 0);
                child.at(rest).or_else(|| needed.find_map(|slice| slice.at(rest)))
            }
            Step::Extension(url) => {
                let all = self.children.iter().filter(|child| child.name == "extension");
                all.flat_map(|child| &child.slices).find(|slice| slice.profiles.contains(url))?.at(rest)
            }
            Step::OfKind(_) => self.at(rest),
            // What is behind a reference is known by the target profiles of the reference itself.
            Step::Resolve => Some(self),
        }
    }
}

/// Reads the path of a discriminator; `None` if it has a step that the standard does not allow there.
pub(super) fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path.trim();
    while !rest.is_empty() {
        let end = rest.find('(').map_or(rest.len(), |open| rest.find(')').map_or(rest.len(), |close| close.max(open) + 1));
        let dot = rest.find('.').unwrap_or(rest.len());
        let cut = if rest.find('(').is_some_and(|open| open < dot) { end } else { dot };
        let (word, behind) = rest.split_at(cut);
        rest = behind.strip_prefix('.').unwrap_or(behind);
        let argument =
            |name: &str| word.strip_prefix(name)?.strip_suffix(')').map(|inner| inner.trim_matches(['\'', '"']).to_owned());
        match word {
            "$this" => {}
            "resolve()" => steps.push(Step::Resolve),
            _ => steps.push(match (argument("extension("), argument("ofType(")) {
                (Some(url), _) => Step::Extension(url),
                (_, Some(kind)) => Step::OfKind(kind),
                _ if word.contains('(') || word.is_empty() => return None,
                _ => Step::Member(word.trim_end_matches("[x]").to_owned()),
            }),
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_discriminator_is_read() {
        let member = |name: &str| Step::Member(name.to_owned());
        for (path, expected) in [
            ("$this", Some(vec![])),
            ("url", Some(vec![member("url")])),
            ("code.coding.code", Some(vec![member("code"), member("coding"), member("code")])),
            ("value[x]", Some(vec![member("value")])),
            ("$this.resolve()", Some(vec![Step::Resolve])),
            ("entry.resolve().code", Some(vec![member("entry"), Step::Resolve, member("code")])),
            ("extension('http://a.b/c').value", Some(vec![Step::Extension(String::from("http://a.b/c")), member("value")])),
            ("value.ofType(Coding)", Some(vec![member("value"), Step::OfKind(String::from("Coding"))])),
            ("where(x)", None),
        ] {
            assert_eq!(steps(path), expected, "{path}");
        }
    }
}
