//! Where a walker stands, as a chain on the stack; text is made of it only when there is something to say.

use std::fmt;

/// A place in a resource; displayed as FHIRPath: `Patient.name[0].given[1]`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// The beginning: the name of the resource type, or what stands before this piece.
    Root(&'a str),
    /// An element of the place.
    Element(&'a Place<'a>, &'a str),
    /// One of several values at the place.
    Item(&'a Place<'a>, usize),
}

impl<'a> Place<'a> {
    /// The element of this JSON key here.
    pub(super) fn element(&'a self, key: &'a str) -> Self {
        Place::Element(self, key)
    }

    /// The value with this position here.
    pub(super) fn item(&'a self, index: usize) -> Self {
        Place::Item(self, index)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Root(name) => out.write_str(name),
            Place::Element(parent, key) => write!(out, "{parent}.{}", shown(key)),
            Place::Item(parent, index) => write!(out, "{parent}[{index}]"),
        }
    }
}

/// A key as it may be shown: short, on one line. A sender may have put anything there.
pub(super) fn shown(key: &str) -> String {
    let plain = |letter: char| if letter.is_control() { '?' } else { letter };
    match key.char_indices().nth(KEY_SHOWN_MAX) {
        Some((cut, _)) => key[..cut].chars().map(plain).chain(['…']).collect(),
        None => key.chars().map(plain).collect(),
    }
}

/// So many letters of a sender's key are shown.
const KEY_SHOWN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_as_fhirpath() {
        let root = Place::Root("Patient");
        let name = root.element("name");
        let first = name.item(0);
        let given = first.element("given");
        assert_eq!(given.item(1).to_string(), "Patient.name[0].given[1]");
        assert_eq!(root.element("a\nb").to_string(), "Patient.a?b");
        assert_eq!(shown(&"x".repeat(100)).chars().count(), 65);
    }
}
