//! The tables in memory, read once from what is built in.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::Read;
use std::sync::LazyLock;

use super::codes::ValueSet;
use super::primitive::Primitive;

/// What sort of thing a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// A resource type that can stand by itself.
    Resource,
    /// A data type with elements.
    Complex,
    /// A primitive type; its value is the JSON value itself.
    Primitive,
    /// `Resource`, `DomainResource`, `Element`, `BackboneElement`.
    Abstract,
    /// An element with elements of its own inside a type.
    Backbone,
}

/// A type or a backbone element.
#[derive(Debug)]
pub struct Node {
    /// `Patient`, `HumanName`, `date`, `Patient.contact`.
    pub name: &'static str,
    /// What sort of thing it is.
    pub flavour: Flavour,
    /// Which primitive type it is, if it is one.
    pub primitive: Option<Primitive>,
    /// Its elements in the order of the standard, at most 128.
    pub elements: Vec<Element>,
    /// The JSON keys of its elements, in the same order; a choice has one for each of its types.
    pub keys: Vec<Key>,
    /// Numbers of the invariants that hold for it.
    pub invariants: Vec<u16>,
    /// One bit for each element that must be there, the first element lowest.
    pub required: u128,
    /// The marks of the keys with their positions in `keys`, in order.
    marks: Vec<(u64, u16)>,
}

/// An element of a node.
#[derive(Debug)]
pub struct Element {
    /// Its name in FHIRPath, without the `[x]` of a choice.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it may repeat.
    pub list: bool,
    /// Whether its JSON key carries its type.
    pub choice: bool,
    /// Resource types that a Reference here may name, split by spaces; empty means any.
    pub targets: &'static str,
    /// Numbers of the invariants that hold for its values beside those of their type.
    pub invariants: Vec<u16>,
    first_key: u16,
    last_key: u16,
    codes: Option<u16>,
}

/// A JSON key of a node.
#[derive(Debug)]
pub struct Key {
    /// As JSON writes it: `valueQuantity`.
    pub name: &'static str,
    /// The type, or the path of a backbone element.
    pub kind: &'static str,
    /// The position of its element in [`Node::elements`].
    pub element: u16,
    node: u16,
}

/// A constraint of the standard.
#[derive(Debug)]
pub struct Invariant {
    /// `con-3`.
    pub key: &'static str,
    /// Whether breaking it refuses the resource; else it is only remarked.
    pub refuses: bool,
    /// The standard's sentence.
    pub human: &'static str,
    /// The FHIRPath expression that must be true of the node.
    pub expression: &'static str,
}

impl Node {
    /// The key of this name.
    #[must_use]
    pub fn key(&'static self, name: &str) -> Option<&'static Key> {
        let mark = mark(name);
        let first = self.marks.partition_point(|(known, _)| *known < mark);
        let alike = self.marks[first..].iter().take_while(|(known, _)| *known == mark);
        alike.map(|(_, position)| &self.keys[usize::from(*position)]).find(|key| key.name == name)
    }

    /// The element of this FHIRPath name.
    #[must_use]
    pub fn element(&'static self, name: &str) -> Option<&'static Element> {
        match self.key(name) {
            Some(key) if !self.element_of(key).choice => Some(self.element_of(key)),
            _ => self.elements.iter().find(|element| element.choice && element.name == name),
        }
    }

    /// The element that a key of this node belongs to.
    #[must_use]
    pub fn element_of(&'static self, key: &Key) -> &'static Element {
        &self.elements[usize::from(key.element)]
    }

    /// The keys of the element of this FHIRPath name.
    #[must_use]
    pub fn choices(&'static self, name: &str) -> &'static [Key] {
        self.element(name).map_or(&[], |element| self.keys_of(element))
    }

    /// The keys of one of its elements.
    #[must_use]
    pub fn keys_of(&'static self, element: &Element) -> &'static [Key] {
        &self.keys[usize::from(element.first_key)..usize::from(element.last_key)]
    }
}

impl Element {
    /// The value set that its code must be from, where the definitions list one.
    #[must_use]
    pub fn codes(&self) -> Option<&'static ValueSet> {
        self.codes.map(|number| &TABLES.codes[usize::from(number)])
    }
}

impl Key {
    /// The node of its type.
    #[must_use]
    pub fn node(&self) -> &'static Node {
        &TABLES.nodes[usize::from(self.node)]
    }
}

/// Everything, once.
pub(super) struct Tables {
    pub(super) nodes: Vec<Node>,
    pub(super) by_name: HashMap<&'static str, u16, BuildHasherDefault<Fnv>>,
    pub(super) invariants: Vec<Invariant>,
    codes: Vec<ValueSet>,
}

pub(super) static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let codes = unpack(include_bytes!("../../../profiles/r4/codes.tsv.gz")).lines().map(ValueSet::read).collect();
    let invariants = unpack(include_bytes!("../../../profiles/r4/invariants.tsv.gz")).lines().map(read_invariant).collect();
    let mut nodes: Vec<Node> = Vec::with_capacity(700);
    for line in unpack(include_bytes!("../../../profiles/r4/elements.tsv.gz")).lines() {
        if let Some(head) = line.strip_prefix("T\t") {
            nodes.push(read_node(head));
        } else if let Some(node) = nodes.last_mut() {
            read_element(node, line);
        }
    }
    nodes.sort_by_key(|node| node.name);
    let by_name: HashMap<_, _, _> = nodes.iter().enumerate().map(|(index, node)| (node.name, narrow(index))).collect();
    for node in &mut nodes {
        let keys = &mut node.keys;
        for key in keys.iter_mut() {
            key.node = by_name.get(key.kind).copied().unwrap_or_default();
        }
        node.marks = keys.iter().enumerate().map(|(position, key)| (mark(key.name), narrow(position))).collect();
        node.marks.sort_unstable();
    }
    Tables { nodes, by_name, invariants, codes }
});

/// The text of a table, kept for the life of the program so that names can be slices of it.
#[expect(clippy::expect_used, reason = "the bytes are part of the binary and the tests read all of them")]
fn unpack(packed: &[u8]) -> &'static str {
    let mut text = String::with_capacity(packed.len() * 8);
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("a built-in table is whole");
    text.leak()
}

fn read_invariant(line: &'static str) -> Invariant {
    let mut fields = line.split('\t');
    let mut next = || fields.next().unwrap_or_default();
    Invariant { key: next(), refuses: next() == "error", human: next(), expression: next() }
}

fn read_node(head: &'static str) -> Node {
    let mut fields = head.split('\t');
    let name = fields.next().unwrap_or_default();
    let flavour = match fields.next().unwrap_or_default() {
        "resource" => Flavour::Resource,
        "complex" => Flavour::Complex,
        "primitive" => Flavour::Primitive,
        "abstract" => Flavour::Abstract,
        _ => Flavour::Backbone,
    };
    let invariants = numbers(fields.next().unwrap_or_default());
    let primitive = Primitive::named(name).filter(|_| flavour == Flavour::Primitive);
    Node { name, flavour, primitive, elements: Vec::new(), keys: Vec::new(), invariants, required: 0, marks: Vec::new() }
}

fn read_element(node: &mut Node, line: &'static str) {
    let mut fields = line.split('\t');
    let mut next = || fields.next().unwrap_or_default();
    let (name, cardinality, kinds, targets, codes, invariants) = (next(), next(), next(), next(), next(), next());
    let (position, first_key) = (narrow(node.elements.len()), narrow(node.keys.len()));
    let choice = name.strip_suffix("[x]");
    for kind in kinds.split(' ') {
        let key = choice.map_or(name, |name| choice_key(name, kind));
        node.keys.push(Key { name: key, kind, element: position, node: 0 });
    }
    if cardinality.starts_with('1') {
        node.required |= 1 << position;
    }
    node.elements.push(Element {
        name: choice.unwrap_or(name),
        required: cardinality.starts_with('1'),
        list: cardinality.ends_with('*'),
        choice: choice.is_some(),
        targets,
        invariants: numbers(invariants),
        first_key,
        last_key: narrow(node.keys.len()),
        codes: codes.parse().ok(),
    });
}

/// `value` and `dateTime` make `valueDateTime`.
fn choice_key(name: &str, kind: &str) -> &'static str {
    let (first, rest) = kind.split_at_checked(1).unwrap_or((kind, ""));
    format!("{name}{}{rest}", first.to_ascii_uppercase()).leak()
}

fn numbers(field: &str) -> Vec<u16> {
    field.split(',').filter_map(|number| number.parse().ok()).collect()
}

/// Positions in our tables: a few thousand at most.
fn narrow(position: usize) -> u16 {
    u16::try_from(position).unwrap_or(u16::MAX)
}

/// What tells most names apart without reading them whole: how they begin, how they end, how long they are.
fn mark(name: &str) -> u64 {
    let four = |bytes: &[u8]| bytes.iter().fold(0, |mark, byte| mark << 8 | u64::from(*byte));
    let bytes = name.as_bytes();
    let (begin, end) = (&bytes[..bytes.len().min(4)], &bytes[bytes.len().saturating_sub(4)..]);
    (four(begin) << 32 | four(end)).wrapping_add((bytes.len() as u64) << 56)
}

/// A quick hash for names of our own; nothing a sender chooses is ever stored in the map.
#[derive(Default)]
pub(super) struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
