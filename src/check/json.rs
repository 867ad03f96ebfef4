//! A JSON reader that goes on after a fault: it tells of duplicate keys, and where in the text each resource of a Bundle stands.
//! Follows <https://hl7.org/fhir/R4/json.html>.
//!
//! A reader of our own, since serde_json neither tells of duplicate keys nor of places, and hides numbers behind a private key
//! that a hostile body could name.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use super::findings::Findings;
use super::place::Place;
use crate::fhir::outcome::Issue;

/// Arrays and objects may stand in each other so deep.
pub const DEPTH_MAX: usize = 64;
/// A number may have so many characters; FHIR asks for 18 digits.
const NUMBER_BYTES_MAX: usize = 256;
/// Most objects of FHIR have no more members.
const MEMBERS_USUAL: usize = 3;
/// Names that serde_json keeps for itself.
const PRIVATE: &str = "$serde_json::private";

/// Reading cannot go on; why has been said.
pub(super) struct Stop;

/// What a text reader holds.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    findings: &'a mut Findings,
    /// Where in the text the value of `entry[i].resource` stands.
    pub(super) resources: Vec<Option<Range<usize>>>,
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of a text.
    pub(super) fn new(text: &'a str, findings: &'a mut Findings) -> Self {
        Self { text, at: 0, findings, resources: Vec::new() }
    }

    /// Reads the one value of the text and refuses what follows it.
    pub(super) fn document(&mut self, root: &Place<'_>) -> Result<Value, Stop> {
        let value = self.value(root, 0)?;
        if self.peek().is_some() {
            return Err(
                self.stop("more-than-one-document", "Something follows after the end of the resource; send one resource alone.")
            );
        }
        Ok(value)
    }

    fn value(&mut self, place: &Place<'_>, depth: usize) -> Result<Value, Stop> {
        match self.peek() {
            Some(b'{') => self.object(place, depth + 1),
            Some(b'[') => self.array(place, depth + 1),
            Some(b'"') => Ok(Value::String(self.string(place)?.into_owned())),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) => Err(self.unexpected("a value")),
            None => Err(self.truncated()),
        }
    }

    fn object(&mut self, place: &Place<'_>, depth: usize) -> Result<Value, Stop> {
        self.enter(depth)?;
        let mut map = Map::with_capacity(MEMBERS_USUAL);
        if self.take(b'}') {
            return Ok(Value::Object(map));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in double quotes"));
            }
            let key = self.string(place)?;
            if !self.take(b':') {
                return Err(self.unexpected("a colon after the key"));
            }
            let inner = place.element(key.strip_prefix('_').unwrap_or(&key));
            let start = self.start();
            let value = self.value(&inner, depth)?;
            if depth == ENTRY_DEPTH && *key == *"resource" {
                self.note_resource(place, start);
            }
            self.keep(&mut map, key, value, place);
            if self.take(b'}') {
                return Ok(Value::Object(map));
            }
            if !self.take(b',') {
                return Err(self.unexpected("a comma or a closing brace"));
            }
        }
    }

    fn keep(&mut self, map: &mut Map<String, Value>, key: Cow<'_, str>, value: Value, place: &Place<'_>) {
        if key.starts_with(PRIVATE) {
            let words = "A key of this name is never part of a resource; leave it out.";
            self.findings.push(Issue::error("structure", "unknown-element", place.to_string(), words));
            return;
        }
        match map.entry(key) {
            Entry::Vacant(free) => {
                free.insert(value);
            }
            Entry::Occupied(_) if self.findings.is_full() => self.findings.leave_out(),
            Entry::Occupied(first) => {
                let words = "The key is given twice in one object; give it once.";
                self.findings.push(Issue::error("structure", "duplicate-key", place.element(first.key()).to_string(), words));
            }
        }
    }

    /// A resource of a Bundle: `place` is `entry[i]` of the root.
    fn note_resource(&mut self, place: &Place<'_>, start: usize) {
        let Place::Item(Place::Element(Place::Root(_), "entry"), index) = place else { return };
        if self.resources.len() <= *index {
            self.resources.resize(*index + 1, None);
        }
        self.resources[*index] = Some(start..self.at);
    }

    fn array(&mut self, place: &Place<'_>, depth: usize) -> Result<Value, Stop> {
        self.enter(depth)?;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(&place.item(items.len()), depth)?);
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            if !self.take(b',') {
                return Err(self.unexpected("a comma or a closing bracket"));
            }
        }
    }

    fn enter(&mut self, depth: usize) -> Result<(), Stop> {
        if depth > DEPTH_MAX {
            return Err(self
                .stop("too-deep", &format!("The elements are nested deeper than {DEPTH_MAX} levels; send a flatter resource.")));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self, place: &Place<'_>) -> Result<Cow<'a, str>, Stop> {
        self.at += 1;
        let bytes = self.text.as_bytes();
        let start = self.at;
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.at += 1;
                    return Ok(Cow::Borrowed(&self.text[start..self.at - 1]));
                }
                b'\\' => return self.escaped_string(place, start).map(Cow::Owned),
                0..=0x1f => return Err(self.unexpected("an escaped control character")),
                _ => self.at += 1,
            }
        }
        Err(self.truncated())
    }

    /// The rest of a string that has an escape at the present place.
    fn escaped_string(&mut self, place: &Place<'_>, start: usize) -> Result<String, Stop> {
        let bytes = self.text.as_bytes();
        let mut out = String::from(&self.text[start..self.at]);
        let mut plain = self.at;
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'"' => {
                    out.push_str(&self.text[plain..self.at]);
                    self.at += 1;
                    return Ok(out);
                }
                b'\\' => {
                    out.push_str(&self.text[plain..self.at]);
                    out.push(self.escape(place)?);
                    plain = self.at;
                }
                0..=0x1f => return Err(self.unexpected("an escaped control character")),
                _ => self.at += 1,
            }
        }
        Err(self.truncated())
    }

    fn escape(&mut self, place: &Place<'_>) -> Result<char, Stop> {
        let letter = self.text.as_bytes().get(self.at + 1).copied();
        let meant = match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(place),
            _ => return Err(self.unexpected("an escape that JSON knows")),
        };
        self.at += 2;
        Ok(meant)
    }

    fn unicode(&mut self, place: &Place<'_>) -> Result<char, Stop> {
        let Some(first) = self.hex(self.at + 2) else { return Err(self.unexpected("four hexadecimal digits after \\u")) };
        let (code, length) = match first {
            0xd800..=0xdbff => {
                let second =
                    self.text.get(self.at + 6..self.at + 8).filter(|text| *text == "\\u").and_then(|_| self.hex(self.at + 8));
                match second {
                    Some(low @ 0xdc00..=0xdfff) => (0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00), 12),
                    _ => return Err(self.unexpected("the second half of a surrogate pair")),
                }
            }
            code => (code, 6),
        };
        let Some(letter) = char::from_u32(code) else { return Err(self.unexpected("the first half of a surrogate pair")) };
        if letter == '\0' {
            let words = "The text holds the character \\u0000, which no FHIR string may hold; leave it out.";
            self.findings.push(Issue::error("value", "control-character", place.to_string(), words));
        }
        self.at += length;
        Ok(letter)
    }

    fn hex(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Result<Value, Stop> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        let number = if text.len() <= NUMBER_BYTES_MAX { text.parse::<Number>().ok() } else { None };
        number.map(Value::Number).ok_or_else(|| {
            self.at = start;
            self.unexpected("a number as JSON writes it")
        })
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Stop> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.unexpected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn start(&mut self) -> usize {
        self.peek();
        self.at
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn unexpected(&mut self, wanted: &str) -> Stop {
        if self.at >= self.text.len() {
            return self.truncated();
        }
        self.stop("not-json", &format!("The body is not JSON: {wanted} is missing."))
    }

    fn truncated(&mut self) -> Stop {
        self.at = self.text.len();
        self.stop("not-json", "The body is not JSON: it ends in the middle; send the whole of it.")
    }

    fn stop(&mut self, key: &'static str, words: &str) -> Stop {
        let (line, column) = line_and_column(self.text, self.at);
        self.findings.push(Issue::error("structure", key, "", format!("{words} (line {line}, column {column})")));
        Stop
    }
}

/// Root object, `entry` array, entry object.
const ENTRY_DEPTH: usize = 3;

/// The line and column, from 1, of a byte of a text.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
