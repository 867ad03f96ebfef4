//! Makes rules of the snapshot of a StructureDefinition. What the standard's own tables see to already is left out, so that
//! holding a profile against a resource costs only what the profile adds.
//! Follows <https://hl7.org/fhir/R4/profiling.html>.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;

use super::rule::{Binding, By, Constraint, Discriminator, Openness, Profile, Rule, Slicing, steps};
use crate::fhir::definitions::{self, Element, Node};
use crate::fhir::path::Expression;
use crate::fhir::terms::split;

/// Where the standard's own definitions are named.
pub(super) const STANDARD: &str = "http://hl7.org/fhir/StructureDefinition/";
/// Where ours are named: they advise, and refuse nothing.
const OURS: &str = "https://signa.example/fhir/";
/// Held for every element by the check of the standard, or a best practice that refuses nobody.
const SEEN_TO: [&str; 3] = ["ele-1", "ext-1", "dom-6"];
/// A profile has so many elements at most; the largest real ones have some hundreds.
pub const ELEMENTS_MAX: usize = 5_000;
/// An element stands so deep at most: rules are made and let go of level by level, and a chain without end would take the
/// whole stack.
const DEPTH_MAX: usize = 64;

static BASE_KEYS: LazyLock<BTreeSet<&str>> =
    LazyLock::new(|| definitions::invariants().iter().map(|invariant| invariant.key).collect());

/// An element of a snapshot with what stands below it.
#[derive(Default)]
struct Raw<'v> {
    name: &'v str,
    slice: &'v str,
    element: Option<&'v Value>,
    children: Vec<Raw<'v>>,
    slices: Vec<Raw<'v>>,
}

impl Profile {
    /// Compiles a StructureDefinition; `None` if it constrains nothing (a base type, a logical model).
    #[must_use]
    pub fn compile(structure: &Value) -> Option<Self> {
        let word = |key: &str| structure.get(key).and_then(Value::as_str).unwrap_or_default();
        let kind = word("type");
        if word("derivation") != "constraint" || definitions::node(kind).is_none() || word("url").is_empty() {
            return None;
        }
        let elements = structure.pointer("/snapshot/element").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let is_whole = !elements.is_empty() && elements.len() <= ELEMENTS_MAX && !elements.iter().any(is_too_deep);
        let raw = tree(if is_whole { elements } else { &[] });
        let mut root = rule(&raw, None, definitions::node(kind));
        (root.min, root.max) = (0, None);
        Some(Self {
            url: word("url").to_owned(),
            version: word("version").to_owned(),
            kind: kind.to_owned(),
            is_advice: word("url").starts_with(OURS),
            is_whole,
            contexts: contexts(structure),
            root,
        })
    }
}

fn contexts(structure: &Value) -> Vec<(String, String)> {
    let all = structure.get("context").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let word = |context: &Value, key: &str| context.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    all.iter().map(|context| (word(context, "type"), word(context, "expression"))).collect()
}

/// Whether an element would stand deeper than any real one: each separator of its names is a level below the last.
fn is_too_deep(element: &Value) -> bool {
    let names = ["id", "path", "sliceName"].into_iter().filter_map(|key| element.get(key).and_then(Value::as_str));
    names.map(|name| name.matches(['.', '/']).count()).any(|depth| depth > DEPTH_MAX)
}

/// Puts the flat list of a snapshot back into a tree, by the ids of its elements.
fn tree(elements: &[Value]) -> Raw<'_> {
    let mut root = Raw::default();
    for element in elements {
        let id = element.get("id").or_else(|| element.get("path")).and_then(Value::as_str).unwrap_or_default();
        let mut at = &mut root;
        for segment in id.split('.').skip(1) {
            let (name, slice) = segment.split_once(':').unwrap_or((segment, ""));
            at = below(&mut at.children, |raw| raw.name == name, || Raw { name, ..Raw::default() });
            // A slice of a slice is written `outer/inner`.
            for (end, _) in slice.match_indices('/').chain([(slice.len(), "")]).filter(|(end, _)| *end > 0) {
                let slice = &slice[..end];
                at = below(&mut at.slices, |raw| raw.slice == slice, || Raw { name, slice, ..Raw::default() });
            }
        }
        at.element = Some(element);
    }
    root
}

fn below<'r, 'v>(list: &'r mut Vec<Raw<'v>>, is_it: impl Fn(&Raw<'v>) -> bool, new: impl FnOnce() -> Raw<'v>) -> &'r mut Raw<'v> {
    let at = list.iter().position(is_it).unwrap_or_else(|| {
        list.push(new());
        list.len() - 1
    });
    &mut list[at]
}

/// The rule of an element. `parent` is the node whose element it is; `kind` the node of its own type, where that is known.
fn rule(raw: &Raw<'_>, parent: Option<&'static Node>, kind: Option<&'static Node>) -> Rule {
    let nothing = Value::Null;
    let element = raw.element.unwrap_or(&nothing);
    let name = raw.name.trim_end_matches("[x]");
    let mut made = Rule { name: name.to_owned(), slice: raw.slice.to_owned(), ..Rule::default() };
    let key = parent.and_then(|parent| parent.key(name));
    let mut base = parent.and_then(|parent| parent.element(name));
    if let (None, Some(parent), Some(key)) = (base, parent, key) {
        // `valueQuantity` instead of `value[x]`.
        base = Some(parent.element_of(key));
        parent.element_of(key).name.clone_into(&mut made.name);
        made.kinds = vec![key.kind.to_owned()];
    }
    cardinality(element, base, &mut made);
    kinds(element, parent, base, &mut made);
    values(element, base, &mut made);
    made.constraints = list(element, "constraint").iter().filter_map(constraint).collect();
    made.slicing = element.get("slicing").map(slicing);
    let own = kind.or_else(|| own_kind(parent, base, &made));
    let inner = raw.children.iter().map(|child| rule(child, own, None));
    made.children = inner.filter(|child| !child.is_idle()).collect();
    made.slices = raw.slices.iter().map(|slice| rule(slice, parent, None)).collect();
    if made.slices.is_empty() && made.slicing.as_ref().is_some_and(|slicing| slicing.rules != Openness::Closed) {
        made.slicing = None;
    }
    made
}

/// The type of an element, if it can only be one.
fn own_kind(parent: Option<&'static Node>, base: Option<&'static Element>, made: &Rule) -> Option<&'static Node> {
    match made.kinds.as_slice() {
        [kind] => definitions::node(kind),
        _ => match parent?.keys_of(base?) {
            [key] => Some(key.node()),
            _ => None,
        },
    }
}

fn list<'v>(element: &'v Value, key: &str) -> &'v [Value] {
    element.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn words(element: &Value, key: &str) -> Vec<String> {
    list(element, key).iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

fn cardinality(element: &Value, base: Option<&'static Element>, made: &mut Rule) {
    let min = element.get("min").and_then(Value::as_u64).and_then(|min| usize::try_from(min).ok()).unwrap_or(0);
    let max = element.get("max").and_then(Value::as_str).and_then(|max| max.parse().ok());
    let is_slice = !made.slice.is_empty();
    let is_required = base.is_some_and(|base| base.required) && min == 1 && !is_slice;
    let is_single = base.is_some_and(|base| !base.list) && max == Some(1);
    made.min = if is_required { 0 } else { min };
    made.max = if is_single { None } else { max };
}

fn kinds(element: &Value, parent: Option<&'static Node>, base: Option<&'static Element>, made: &mut Rule) {
    let types = list(element, "type");
    let code = |one: &Value| one.get("code").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut codes: Vec<String> = types.iter().map(code).filter(|code| definitions::node(code).is_some()).collect();
    codes.dedup();
    if let (Some(parent), Some(base)) = (parent, base) {
        let known: Vec<&str> = parent.keys_of(base).iter().map(|key| key.kind).collect();
        let is_narrower = (base.choice || known == ["Resource"]) && codes.iter().collect::<BTreeSet<_>>().len() < known.len();
        let is_inner = known == ["Resource"] && codes != ["Resource"];
        if (is_narrower || is_inner) && !codes.is_empty() {
            made.kinds = codes;
        }
    }
    let is_standard = |profile: &String| profile.strip_prefix(STANDARD).is_some_and(|name| definitions::node(name).is_some());
    let profiles = types.iter().flat_map(|one| words(one, "profile"));
    made.profiles = profiles.filter(|profile| !is_standard(profile)).collect();
    let targets: Vec<String> = types.iter().flat_map(|one| words(one, "targetProfile")).collect();
    let is_any = targets.iter().any(|target| target == &format!("{STANDARD}Resource"));
    let own: BTreeSet<&str> = base.map_or("", |base| base.targets).split(' ').filter(|word| !word.is_empty()).collect();
    let named: BTreeSet<&str> = targets.iter().filter_map(|target| target.strip_prefix(STANDARD)).collect();
    if !is_any && (targets.len() != named.len() || named != own) {
        made.targets = targets;
    }
}

fn values(element: &Value, base: Option<&'static Element>, made: &mut Rule) {
    let starting = |start: &str| {
        let mut all = element.as_object().into_iter().flatten();
        all.find(|(key, _)| key.starts_with(start) && !key.ends_with("Canonical0")).map(|(_, value)| value.clone())
    };
    (made.fixed, made.pattern) = (starting("fixed"), starting("pattern"));
    (made.lowest, made.highest) = (starting("minValue"), starting("maxValue"));
    made.length_max = element.get("maxLength").and_then(Value::as_u64).and_then(|length| usize::try_from(length).ok());
    let Some(binding) = element.get("binding") else { return };
    let set = binding.get("valueSet").and_then(Value::as_str).unwrap_or_default();
    let strength = binding.get("strength").and_then(Value::as_str);
    let is_bound = matches!(strength, Some("required" | "extensible")) && !set.is_empty();
    let is_standard = base.and_then(Element::codes).is_some_and(|codes| split(codes.url).0 == split(set).0);
    if is_bound && !is_standard {
        // R4's own vital signs bind a value of any type to units: where the type is open, a set can only be a hint.
        let is_open = base.is_some_and(|base| base.choice) && made.kinds.len() != 1;
        made.binding = Some(Binding { set: set.to_owned(), is_required: strength == Some("required") && !is_open });
    }
}

fn constraint(one: &Value) -> Option<Constraint> {
    let word = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default();
    let (key, source) = (word("key"), word("source"));
    let is_standard = source.is_empty() || source.strip_prefix(STANDARD).is_some_and(|name| definitions::node(name).is_some());
    if SEEN_TO.contains(&key) || (is_standard && BASE_KEYS.contains(key)) {
        return None;
    }
    // What the engine cannot read cannot be decided, and what cannot be decided refuses nobody.
    let expression = Expression::parse(word("expression")).ok();
    let (key, human) = (key.to_owned(), word("human").to_owned());
    Some(Constraint { key, human, refuses: word("severity") == "error", expression })
}

fn slicing(one: &Value) -> Slicing {
    let word = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let discriminator = |one: &Value| {
        let by = match word(one, "type").as_str() {
            "exists" => By::Exists,
            "type" => By::Kind,
            "profile" => By::Profile,
            _ => By::Value,
        };
        steps(&word(one, "path")).map(|steps| Discriminator { by, steps })
    };
    let all: Option<Vec<Discriminator>> = list(one, "discriminator").iter().map(discriminator).collect();
    Slicing {
        // One that cannot be read would put values into wrong slices: then nothing is told apart.
        discriminators: all.unwrap_or_default(),
        rules: match word(one, "rules").as_str() {
            "closed" => Openness::Closed,
            "openAtEnd" => Openness::OpenAtEnd,
            _ => Openness::Open,
        },
        is_ordered: one.get("ordered").and_then(Value::as_bool).unwrap_or(false),
    }
}
