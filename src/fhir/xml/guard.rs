//! Reads XML before the library does, finds what is wrong with it, and writes anew what may be read further.
//! Follows <https://hl7.org/fhir/R4/xml.html> and <https://www.w3.org/TR/xml-names/>.
//!
//! Comments are passed over, prefixes may be used, and elements may come in any order. What is refused outright: document
//! types, processing instructions, entities of one's own, foreign namespaces, and text outside a narrative.

use std::borrow::Cow;
use std::fmt::Write;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

use super::narrative;
use crate::fhir::definitions::{Flavour, Key, Node, Primitive, node};
use crate::fhir::outcome::Issue;

/// Elements may stand in each other so deep.
pub const DEPTH_MAX: usize = 64;
/// One element may have so many attributes.
pub const ATTRIBUTES_MAX: usize = 64;
/// No answer names more faults than this.
const FAULTS_MAX: usize = 100;

const FHIR: &str = "http://hl7.org/fhir";
/// The library reads the id of a truth or a whole number as if it were the value. There it travels as an extension with this address,
/// which nobody else may write.
pub(super) const ID_IN_DISGUISE: &str = "";

const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// What may be read further.
pub(super) struct Guarded {
    /// The document as the library is given it: a number stands in the place of each narrative.
    pub(super) text: String,
    /// The narratives, as they were written.
    pub(super) narratives: Vec<String>,
    /// What was wrong and left out.
    pub(super) faults: Vec<Issue>,
}

/// Reading cannot go on; why has been said.
pub(super) struct Stop(Vec<Issue>);

impl Stop {
    /// One reason at one place.
    pub(super) fn at(key: &'static str, place: impl Into<String>, words: impl Into<String>) -> Self {
        Self(vec![Issue::error("structure", key, place, words)])
    }
}

/// Reads a whole document.
pub(super) fn read(bytes: &[u8]) -> Result<Guarded, Vec<Issue>> {
    let words = "The body is not UTF-8; send the XML in UTF-8.";
    let text = std::str::from_utf8(bytes).map_err(|_| vec![Issue::error("structure", "not-utf-8", "", words)])?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(vec![Issue::error("required", "empty-body", "", "There is no body; send a resource.")]);
    }
    let mut reader = NsReader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut guard = Guard {
        reader,
        text,
        open: Vec::new(),
        skipped: 0,
        ended: false,
        out: String::with_capacity(text.len()),
        narratives: Vec::new(),
        faults: Vec::new(),
    };
    match guard.document() {
        Ok(()) => Ok(Guarded { text: guard.out, narratives: guard.narratives, faults: guard.faults }),
        Err(Stop(why)) => {
            guard.faults.extend(why);
            Err(guard.faults)
        }
    }
}

/// An element that is not closed yet.
struct Frame {
    /// What it is; a type, or a backbone element.
    node: &'static Node,
    /// How its tag is named.
    name: &'static str,
    /// Its step in a FHIRPath; empty for a resource, which has none of its own.
    step: String,
    /// Whether it holds one resource and nothing else.
    is_wrapper: bool,
    /// Whether it has a value or anything in it.
    says_something: bool,
    /// How often each of its elements was seen, by position.
    seen: Vec<(u16, usize)>,
}

struct Guard<'i> {
    reader: NsReader<&'i [u8]>,
    text: &'i str,
    open: Vec<Frame>,
    /// How many elements are open inside one that is left out.
    skipped: usize,
    ended: bool,
    out: String,
    narratives: Vec<String>,
    faults: Vec<Issue>,
}

impl<'i> Guard<'i> {
    fn document(&mut self) -> Result<(), Stop> {
        loop {
            let start = self.at();
            let event = self.reader.read_event().map_err(|fault| self.broken(&fault))?;
            match event {
                Event::Start(tag) => self.start(&tag, start, false)?,
                Event::Empty(tag) => self.start(&tag, start, true)?,
                Event::End(_) => self.end(),
                Event::Text(words) if words.trim_matches([' ', '\t', '\r', '\n']).is_empty() => {}
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => self.loose_text(),
                Event::Comment(_) => {}
                Event::Decl(decl) => self.declaration(&decl)?,
                Event::PI(_) => {
                    return Err(Stop::at("processing-instruction", "", "Leave processing instructions out of the XML."));
                }
                Event::DocType(_) => {
                    return Err(Stop::at("document-type", "", "Leave the document type and its entities out of the XML."));
                }
                Event::Eof if self.ended => return Ok(()),
                Event::Eof => return Err(Stop::at("not-xml", "", "The XML ends in the middle; send the whole of it.")),
            }
        }
    }

    fn at(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    fn declaration(&self, decl: &quick_xml::events::BytesDecl<'_>) -> Result<(), Stop> {
        let encoding = decl.encoding().transpose().ok().flatten();
        match encoding {
            Some(encoding) if !encoding.eq_ignore_ascii_case("utf-8") => {
                Err(Stop::at("not-utf-8", "", "The XML declares another encoding than UTF-8; send and declare UTF-8."))
            }
            _ if self.open.is_empty() && !self.ended => Ok(()),
            _ => Err(Stop::at("not-xml", "", "The XML declaration stands at the beginning or nowhere.")),
        }
    }

    fn start(&mut self, tag: &BytesStart<'i>, from: usize, is_empty: bool) -> Result<(), Stop> {
        if self.ended {
            return Err(Stop::at(
                "more-than-one-document",
                "",
                "Something follows after the end of the resource; send one resource alone.",
            ));
        }
        if self.open.len() + self.skipped >= DEPTH_MAX {
            let words = format!("The elements are nested deeper than {DEPTH_MAX} levels; send a flatter resource.");
            return Err(Stop::at("too-deep", "", words));
        }
        if self.skipped > 0 {
            self.skipped += usize::from(!is_empty);
            return Ok(());
        }
        let name = tag.local_name().into_inner();
        if name == "div" && self.open.last().is_some_and(|frame| frame.node.name == "Narrative") {
            return self.narrative(tag, from, is_empty);
        }
        self.must_be_fhir(tag)?;
        match self.open.last() {
            None => self.open_resource(tag, name)?,
            Some(frame) if frame.is_wrapper => self.open_resource(tag, name)?,
            Some(frame) => match frame.node.key(name) {
                Some(key) => self.open_element(tag, key)?,
                None => {
                    self.unknown(name);
                    self.skipped = usize::from(!is_empty);
                    return Ok(());
                }
            },
        }
        if is_empty {
            self.end();
        }
        Ok(())
    }

    fn must_be_fhir(&self, tag: &BytesStart<'_>) -> Result<(), Stop> {
        match self.reader.resolver().resolve_element(tag.name()).0 {
            ResolveResult::Bound(Namespace(FHIR)) => Ok(()),
            _ => Err(Stop::at(
                "wrong-namespace",
                self.place(),
                "Elements of a resource are in the namespace http://hl7.org/fhir; declare it with xmlns.",
            )),
        }
    }

    fn open_resource(&mut self, tag: &BytesStart<'_>, name: &str) -> Result<(), Stop> {
        if self.open.last().is_some_and(|frame| frame.says_something) {
            return Err(Stop::at(
                "second-resource",
                self.place(),
                "Only one resource may stand here; repeat the element around it.",
            ));
        }
        let Some(node) = node(name).filter(|node| node.flavour == Flavour::Resource) else {
            let words = "This is no resource type of R4; names are case-sensitive.";
            return Err(Stop(vec![Issue::error("value", "unknown-resource-type", self.place(), words)]));
        };
        let step = if self.open.is_empty() { name.to_owned() } else { String::new() };
        self.push(node, node.name, step, false);
        let _ = write!(self.out, "<{name}");
        if self.open.len() == 1 {
            let _ = write!(self.out, " xmlns=\"{FHIR}\"");
        }
        self.attributes(tag)?;
        self.out.push('>');
        Ok(())
    }

    fn open_element(&mut self, tag: &BytesStart<'_>, key: &'static Key) -> Result<(), Stop> {
        let Some(parent) = self.open.last_mut() else { return Ok(()) };
        let element = parent.node.element_of(key);
        let count = match parent.seen.iter_mut().find(|(position, _)| *position == key.element) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                parent.seen.push((key.element, 0));
                0
            }
        };
        let step = if element.list { format!(".{}[{count}]", element.name) } else { format!(".{}", element.name) };
        let node = key.node();
        self.push(node, key.name, step, key.kind == "Resource");
        let _ = write!(self.out, "<{}", key.name);
        let id = self.attributes(tag)?;
        self.out.push('>');
        if let Some(id) = id {
            let _ = write!(self.out, "<extension url=\"{ID_IN_DISGUISE}\" id=\"");
            push_escaped(&mut self.out, &id);
            self.out.push_str("\"/>");
        }
        Ok(())
    }

    fn push(&mut self, node: &'static Node, name: &'static str, step: String, is_wrapper: bool) {
        if let Some(parent) = self.open.last_mut() {
            parent.says_something = true;
        }
        self.open.push(Frame { node, name, step, is_wrapper, says_something: false, seen: Vec::new() });
    }

    fn end(&mut self) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        let place = self.place();
        let Some(frame) = self.open.pop() else { return };
        if !frame.says_something && frame.node.flavour != Flavour::Resource {
            self.fault(Issue::error(
                "structure",
                "empty-value",
                place,
                "An element needs a value or elements of its own; leave it out if there is none.",
            ));
        }
        let _ = write!(self.out, "</{}>", frame.name);
        self.ended = self.open.is_empty();
    }

    /// Writes the attributes; an id that the library would misread is handed back.
    fn attributes(&mut self, tag: &BytesStart<'_>) -> Result<Option<String>, Stop> {
        let mut held_back = None;
        for (count, attribute) in tag.attributes().enumerate() {
            let attribute = attribute.map_err(|_| self.broken(&"an attribute"))?;
            if count >= ATTRIBUTES_MAX {
                let words =
                    format!("An element has more than {ATTRIBUTES_MAX} attributes; leave out what does not belong there.");
                return Err(Stop::at("too-many-attributes", self.place(), words));
            }
            held_back = self.attribute(&attribute)?.or(held_back);
        }
        Ok(held_back)
    }

    fn attribute(&mut self, attribute: &Attribute<'_>) -> Result<Option<String>, Stop> {
        let key = attribute.key.into_inner();
        if key == "xmlns" || key.starts_with("xmlns:") {
            return Ok(None);
        }
        if matches!(self.reader.resolver().resolve_attribute(attribute.key).0, ResolveResult::Bound(Namespace(INSTANCE))) {
            return Ok(None);
        }
        let Some(frame) = self.open.last() else { return Ok(None) };
        let primitive = frame.node.primitive;
        let is_known = match key {
            "value" => primitive.is_some(),
            "id" => frame.node.flavour != Flavour::Resource && !frame.is_wrapper,
            "url" => frame.node.name == "Extension",
            _ => false,
        };
        if !is_known {
            let shown: String = key.chars().filter(|letter| !letter.is_control()).take(64).collect();
            let words = format!("The attribute '{shown}' is not known here; write it as an element, or leave it out.");
            let place = self.place();
            self.fault(Issue::error("structure", "unknown-attribute", place, words));
            return Ok(None);
        }
        let value = attribute.normalized_value_with(XmlVersion::Implicit1_0, 1, resolve_xml_entity).map_err(|_| {
            Stop::at("not-xml", self.place(), "An attribute holds a reference that XML does not know; write '&' as &amp;.")
        })?;
        if !narrative::is_legal(&value) {
            let words = "An attribute holds a character that XML does not know; leave it out.";
            return Err(Stop::at("control-character", self.place(), words));
        }
        let value = match primitive.filter(|_| key == "value") {
            Some(primitive) => self.plain_value(primitive, value),
            None => value,
        };
        if let Some(frame) = self.open.last_mut() {
            frame.says_something |= key != "id";
        }
        if key == "id" && primitive.is_some_and(is_misread) {
            return Ok(Some(value.into_owned()));
        }
        if key == "url" && value == ID_IN_DISGUISE {
            let place = format!("{}.url", self.place());
            self.fault(Issue::error("structure", "empty-value", place, "An extension says with its url what it is."));
        }
        let _ = write!(self.out, " {key}=\"");
        push_escaped(&mut self.out, &value);
        self.out.push('"');
        Ok(None)
    }

    /// A truth or a number must be one, for JSON has no other way to write it. A fault is told, and something harmless goes on.
    fn plain_value<'v>(&mut self, primitive: Primitive, value: Cow<'v, str>) -> Cow<'v, str> {
        let trimmed = value.trim_matches([' ', '\t', '\r', '\n']);
        let (is_right, harmless, words) = match primitive {
            Primitive::Boolean => (matches!(trimmed, "true" | "false"), "true", "Write true or false."),
            Primitive::Integer | Primitive::UnsignedInt | Primitive::PositiveInt => {
                (is_whole(trimmed), "1", "Write a whole number up to 2147483647.")
            }
            Primitive::Decimal => (is_decimal(trimmed), "1", "Write a decimal number like -1.50, without zeros before it."),
            _ => return value,
        };
        if is_right {
            return Cow::Owned(trimmed.to_owned());
        }
        let place = self.place();
        self.fault(Issue::error("value", "wrong-format", place, words));
        Cow::Borrowed(harmless)
    }

    fn narrative(&mut self, tag: &BytesStart<'_>, from: usize, is_empty: bool) -> Result<(), Stop> {
        let place = format!("{}.div", self.place());
        narrative::must_be_xhtml(&self.reader, tag, &place)?;
        let deep = self.open.len() + 1;
        let end = if is_empty { self.at() } else { narrative::read_to_end(&mut self.reader, deep, &place)? };
        let raw = self.text.get(from..end).unwrap_or_default();
        if let Some(frame) = self.open.last_mut() {
            frame.says_something = true;
            let position = frame.node.key("div").map_or(0, |key| key.element);
            if frame.seen.iter().any(|(seen, _)| *seen == position) {
                return Err(Stop::at("second-narrative", place, "A narrative has one div."));
            }
            frame.seen.push((position, 0));
        }
        let text = narrative::from_xml(raw, &place)?;
        let _ = write!(self.out, "<div xmlns=\"{}\">{}</div>", narrative::XHTML, self.narratives.len());
        self.narratives.push(text);
        Ok(())
    }

    fn unknown(&mut self, name: &str) {
        let Some(frame) = self.open.last_mut() else { return };
        frame.says_something = true;
        let shown: String = name.chars().map(|letter| if letter.is_control() { '?' } else { letter }).take(64).collect();
        let words = format!("{} has no element '{shown}'.", frame.node.name);
        let place = format!("{}.{shown}", self.place());
        self.fault(Issue::error("structure", "unknown-element", place, words));
    }

    fn loose_text(&mut self) {
        let place = self.place();
        self.fault(Issue::error(
            "structure",
            "loose-text",
            place,
            "Text stands only in a narrative; write a value as the attribute 'value'.",
        ));
    }

    fn fault(&mut self, issue: Issue) {
        let is_said = self.faults.iter().any(|known| known.key == issue.key && known.expression == issue.expression);
        if self.faults.len() < FAULTS_MAX && !is_said {
            self.faults.push(issue);
        }
    }

    /// Where we are, as FHIRPath.
    fn place(&self) -> String {
        self.open.iter().map(|frame| frame.step.as_str()).collect()
    }

    fn broken(&self, fault: &dyn std::fmt::Debug) -> Stop {
        let at = usize::try_from(self.reader.error_position()).unwrap_or_default();
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        // The library's words may hold what was sent: only their kind is told.
        let kind: String = format!("{fault:?}").chars().take_while(char::is_ascii_alphanumeric).collect();
        Stop::at("not-xml", "", format!("The body is not well-formed XML (line {line}, {kind})."))
    }
}

/// Whether the library takes the id of such a value for the value.
fn is_misread(primitive: Primitive) -> bool {
    use Primitive::{Boolean, Integer, PositiveInt, UnsignedInt};
    matches!(primitive, Boolean | Integer | UnsignedInt | PositiveInt)
}

fn push_escaped(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' => out.push_str("&#9;"),
            letter => out.push(letter),
        }
    }
}

fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    (digits == "0" || !digits.starts_with('0')) && text.parse::<i32>().is_ok()
}

fn is_decimal(text: &str) -> bool {
    text.len() <= 256
        && text.starts_with(|letter: char| letter == '-' || letter.is_ascii_digit())
        && text.parse::<serde_json::Number>().is_ok()
}
