//! The narrative between JSON and XML: letter by letter as it was written, as far as XML can say it.
//! Follows <https://hl7.org/fhir/R4/narrative.html>.

use std::fmt::Write;

use quick_xml::XmlVersion;
use quick_xml::errors::Error;
use quick_xml::escape::{resolve_html5_entity, resolve_xml_entity};
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::{NsReader, Reader};

use super::guard::{ATTRIBUTES_MAX, DEPTH_MAX, Stop};

/// The namespace of a narrative.
pub(super) const XHTML: &str = "http://www.w3.org/1999/xhtml";
const UNHEARD: &str = "The narrative holds a character that XML does not know; leave it out.";
/// Stands where a narrative cannot be said in XML, for a resource must be readable without it.
const UNSAYABLE: &str =
    "<div xmlns=\"http://www.w3.org/1999/xhtml\">This narrative is not well-formed XML; read it as JSON.</div>";

/// Reads on to the end of a `div` that was just opened, and gives the place in the text after it.
pub(super) fn read_to_end(reader: &mut NsReader<&[u8]>, depth: usize, place: &str) -> Result<usize, Stop> {
    let stop = |key, words: &str| Err(Stop::at(key, place, words));
    let ill = "The narrative is not well-formed XHTML; close every tag and quote every attribute.";
    let mut open = 1_usize;
    while open > 0 {
        let Ok(event) = reader.read_event() else { return stop("not-xml", ill) };
        match event {
            Event::Start(tag) => {
                open += 1;
                if depth + open > DEPTH_MAX {
                    let words = format!("The elements are nested deeper than {DEPTH_MAX} levels; send a flatter resource.");
                    return stop("too-deep", &words);
                }
                must_be_xhtml(reader, &tag, place)?;
            }
            Event::Empty(tag) => must_be_xhtml(reader, &tag, place)?,
            Event::End(_) => open -= 1,
            Event::GeneralRef(name) if !name.is_char_ref() && resolve_xml_entity(&name).is_none() => {
                return stop("unknown-entity", "XML knows no names of characters like &nbsp;; write its number, like &#160;.");
            }
            Event::PI(_) | Event::DocType(_) | Event::Decl(_) => {
                return stop("processing-instruction", "Leave document types and processing instructions out of the narrative.");
            }
            Event::Eof => return stop("not-xml", "The XML ends in the middle; send the whole of it."),
            Event::GeneralRef(name)
                if name.is_char_ref() && !matches!(name.resolve_char_ref(), Ok(Some(letter)) if legal(letter) == letter) =>
            {
                return stop("control-character", UNHEARD);
            }
            Event::Text(words) if words.contains("]]>") => return stop("not-xml", ill),
            Event::Text(words) if !is_legal(&words) => return stop("control-character", UNHEARD),
            Event::CData(words) if !is_legal(&words) => return stop("control-character", UNHEARD),
            Event::Comment(words) if !is_legal(&words) || !is_plain_comment(&words) => return stop("not-xml", ill),
            Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::GeneralRef(_) => {}
        }
    }
    Ok(usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX))
}

/// Holds one tag against the namespace, and its attributes against XML.
pub(super) fn must_be_xhtml(reader: &NsReader<&[u8]>, tag: &BytesStart<'_>, place: &str) -> Result<(), Stop> {
    if !matches!(reader.resolver().resolve_element(tag.name()).0, ResolveResult::Bound(Namespace(XHTML))) {
        let words = "A narrative is in the namespace http://www.w3.org/1999/xhtml; declare it with xmlns on its div.";
        return Err(Stop::at("wrong-namespace", place, words));
    }
    for (count, attribute) in tag.attributes().enumerate() {
        let is_whole = attribute.is_ok_and(|attribute| {
            let is_bound = !matches!(reader.resolver().resolve_attribute(attribute.key).0, ResolveResult::Unknown(_));
            is_name(attribute.key.into_inner())
                && is_bound
                && attribute
                    .normalized_value_with(XmlVersion::Implicit1_0, 1, resolve_xml_entity)
                    .is_ok_and(|value| is_legal(&value))
        });
        if !is_whole || count >= ATTRIBUTES_MAX {
            return Err(Stop::at(
                "not-xml",
                place,
                "An attribute of the narrative is given twice, not quoted, or names an unknown character.",
            ));
        }
    }
    Ok(())
}

/// The narrative as JSON holds it, from its text in a document of XML: verbatim, where it says its namespace itself.
pub(super) fn from_xml(raw: &str, place: &str) -> Result<String, Stop> {
    let (head, _) = raw.split_once('>').unwrap_or((raw, ""));
    let declares = head.starts_with("<div")
        && (head.contains("xmlns=\"http://www.w3.org/1999/xhtml\"") || head.contains("xmlns='http://www.w3.org/1999/xhtml'"));
    // Prefixes are declared here for nobody else to know: what uses them is written without.
    if declares && !raw.contains("xmlns:") {
        return Ok(raw.to_owned());
    }
    without_prefixes(raw).map_err(|_| Stop::at("not-xml", place, "The narrative is not well-formed XHTML."))
}

/// The same elements without prefixes, in the namespace by default.
fn without_prefixes(raw: &str) -> Result<String, Error> {
    let mut reader = Reader::from_str(raw);
    let mut out = String::with_capacity(raw.len() + 48);
    loop {
        match reader.read_event()? {
            Event::Start(tag) => plain_tag(&mut out, &tag, ">")?,
            Event::Empty(tag) => plain_tag(&mut out, &tag, "/>")?,
            Event::End(tag) => push(&mut out, &["</", tag.local_name().into_inner(), ">"]),
            Event::Text(words) => out.push_str(&words),
            Event::CData(words) => push(&mut out, &["<![CDATA[", &words, "]]>"]),
            Event::Comment(words) => push(&mut out, &["<!--", &words, "-->"]),
            Event::GeneralRef(name) => push(&mut out, &["&", &name, ";"]),
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Eof => return Ok(out),
        }
    }
}

fn plain_tag(out: &mut String, tag: &BytesStart<'_>, end: &str) -> Result<(), Error> {
    let is_first = out.is_empty();
    push(out, &["<", tag.local_name().into_inner()]);
    if is_first {
        let _ = write!(out, " xmlns=\"{XHTML}\"");
    }
    for attribute in tag.attributes() {
        let attribute = attribute?;
        let key = attribute.key.into_inner();
        if key != "xmlns" && (!key.contains(':') || key.starts_with("xml:")) {
            push(out, &[" ", key, "=\"", &attribute.value.replace('"', "&quot;"), "\""]);
        }
    }
    out.push_str(end);
    Ok(())
}

fn push(out: &mut String, parts: &[&str]) {
    for part in parts {
        out.push_str(part);
    }
}

/// The narrative as it may stand in a document of XML, from its text in JSON.
pub(super) fn to_xml(text: &str) -> String {
    as_xml(text.trim()).unwrap_or_else(|| UNSAYABLE.to_owned())
}

fn as_xml(text: &str) -> Option<String> {
    let mut reader = Reader::from_str(text);
    let mut out = String::with_capacity(text.len() + 48);
    let (mut open, mut roots, mut at) = (0_usize, 0, 0);
    loop {
        let event = reader.read_event().ok()?;
        let from = std::mem::replace(&mut at, usize::try_from(reader.buffer_position()).ok()?);
        match event {
            Event::Start(tag) => {
                roots += usize::from(open == 0);
                open += 1;
                xml_tag(&mut out, &tag, ">")?;
            }
            Event::Empty(tag) => {
                roots += usize::from(open == 0);
                xml_tag(&mut out, &tag, "/>")?;
            }
            Event::End(_) => {
                open = open.checked_sub(1)?;
                // As it was written: spaces may stand behind the name.
                out.push_str(text.get(from..at)?);
            }
            Event::Text(words) => push_text(&mut out, &words),
            Event::CData(words) => push(&mut out, &["<![CDATA[", &sayable(&words), "]]>"]),
            Event::Comment(words) if !is_plain_comment(&words) => {}
            Event::Comment(words) => push(&mut out, &["<!--", &sayable(&words), "-->"]),
            Event::GeneralRef(name) => drop(push_reference(&mut out, &name)?),
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) => return None,
            Event::Eof => return (open == 0 && roots == 1 && out.starts_with("<div")).then_some(out),
        }
    }
}

/// A tag with attributes that are there once, in a namespace that is declared, and quoted.
fn xml_tag(out: &mut String, tag: &BytesStart<'_>, end: &str) -> Option<()> {
    let is_first = out.is_empty();
    let name = tag.name().into_inner();
    if !name.starts_with(|letter: char| letter.is_ascii_alphabetic()) || name.contains(':') {
        return None;
    }
    push(out, &["<", name]);
    let mut seen: Vec<&str> = Vec::new();
    let mut is_true = true;
    let mut rebuilt = String::new();
    for attribute in tag.attributes().with_checks(false).take(ATTRIBUTES_MAX + 1) {
        let attribute = attribute.ok()?;
        let key = attribute.key.into_inner();
        let bound = key.split_once(':').is_none_or(|(prefix, local)| prefix == "xml" && !local.is_empty());
        let is_foreign = key == "xmlns" && &*attribute.value != XHTML;
        if seen.contains(&key) || !bound || !is_name(key) || is_foreign {
            is_true = false;
            continue;
        }
        seen.push(key);
        push(&mut rebuilt, &[" ", key, "=\""]);
        is_true &= push_attribute(&mut rebuilt, &attribute.value)?;
        rebuilt.push('"');
    }
    // What is true XML already goes on as it was written.
    let raw = tag.attributes_raw();
    out.push_str(if is_true && seen.len() <= ATTRIBUTES_MAX { raw } else { &rebuilt });
    if is_first && !seen.contains(&"xmlns") {
        let _ = write!(out, " xmlns=\"{XHTML}\"");
    }
    out.push_str(end);
    Some(())
}

/// Writes a value as XML may hold it; whether it was so already. `None` if it cannot be read at all.
fn push_attribute(out: &mut String, raw: &str) -> Option<bool> {
    let mut is_true = true;
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('&') {
        is_true &= push_plain(out, before);
        let (name, after) = after.split_once(';')?;
        is_true &= push_reference(out, name)?;
        rest = after;
    }
    Some(push_plain(out, rest) && is_true)
}

fn push_plain(out: &mut String, text: &str) -> bool {
    let mut is_true = true;
    for letter in text.chars() {
        is_true &= letter != '<' && legal(letter) == letter;
        match letter {
            '"' => out.push_str("&quot;"),
            '<' => out.push_str("&lt;"),
            letter => out.push(legal(letter)),
        }
    }
    is_true
}

fn push_text(out: &mut String, text: &str) {
    if !text.contains(|letter: char| letter == ']' || legal(letter) != letter) {
        return out.push_str(text);
    }
    let text = sayable(text).replace("]]>", "]]&gt;");
    out.push_str(&text);
}

/// A reference that XML knows; a name that only HTML knows becomes a number. Whether nothing had to be changed.
fn push_reference(out: &mut String, name: &str) -> Option<bool> {
    if let Some(number) = name.strip_prefix('#') {
        let code = number.strip_prefix('x').map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok());
        let letter = char::from_u32(code?)?;
        if legal(letter) != letter {
            out.push(legal(letter));
            return Some(false);
        }
        push(out, &["&", name, ";"]);
        return Some(true);
    }
    if resolve_xml_entity(name).is_some() {
        push(out, &["&", name, ";"]);
        return Some(true);
    }
    for letter in resolve_html5_entity(name)?.chars() {
        let _ = write!(out, "&#{};", u32::from(letter));
    }
    Some(false)
}

fn is_name(key: &str) -> bool {
    key.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
}

fn is_plain_comment(words: &str) -> bool {
    !words.contains("--") && !words.ends_with('-')
}

pub(super) fn is_legal(text: &str) -> bool {
    text.chars().all(|letter| legal(letter) == letter)
}

fn sayable(text: &str) -> String {
    text.chars().map(legal).collect()
}

/// The letter, or the one that stands for what XML cannot hold.
pub(super) fn legal(letter: char) -> char {
    match letter {
        '\t' | '\n' | '\r' => letter,
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        letter => letter,
    }
}
