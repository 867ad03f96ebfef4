//! The values of search parameters: escapes, alternatives, tokens, dates with prefixes, references.
//! Follows <https://hl7.org/fhir/R4/search.html#escaping>.

use jiff::tz::TimeZone;

use super::query::{Compare, Sight, When, Word};
use super::{
    NONE, Parameter, code_range, identifier_range, identifier_reference, normalized, prefix_end, reference, system_end, token,
};
use crate::fhir::definitions::{is_resource, node, resource_names};
use crate::fhir::time::Moment;

/// Why a value was refused; the words go on after the parameter's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: &'static str,
    pub(super) key: &'static str,
    pub(super) words: String,
}

pub(super) fn invalid(key: &'static str, words: impl Into<String>) -> Fault {
    Fault { code: "invalid", key, words: format!("{}.", words.into()) }
}

pub(super) fn not_supported(words: &str) -> Fault {
    Fault { code: "not-supported", key: "search-not-supported", words: format!("{words}.") }
}

pub(super) fn too_costly(words: &str) -> Fault {
    Fault { code: "too-costly", key: "too-many-alternatives", words: format!("{words}.") }
}

fn bad_modifier(modifier: &str) -> Fault {
    let shown: String = modifier.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').take(32).collect();
    let words = match modifier {
        "in" | "not-in" | "above" | "below" => {
            format!("the modifier :{shown} is not offered for it: it would need the hierarchy or a value set of its codes.")
        }
        _ => format!("the modifier :{shown} is not offered for it."),
    };
    Fault { code: "invalid", key: "invalid-modifier", words }
}

pub(super) fn no_modifier(modifier: Option<&str>) -> Result<(), Fault> {
    modifier.map_or(Ok(()), |modifier| Err(bad_modifier(modifier)))
}

/// Cuts at each `mark` that no backslash stands before; escapes stay as they are.
pub(super) fn cut(text: &str, mark: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, letter) in text.char_indices() {
        if letter == mark && !escaped {
            parts.push(&text[start..at]);
            start = at + mark.len_utf8();
        }
        escaped = letter == '\\' && !escaped;
    }
    parts.push(&text[start..]);
    parts
}

/// Takes `\,` `\|` `\$` and `\\` as the letter that is meant.
pub(super) fn unescape(text: &str) -> Result<String, Fault> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some(meant @ (',' | '|' | '$' | '\\')) => plain.push(meant),
            _ => return Err(invalid("invalid-escape", r"a backslash may stand only before a comma, |, $ or another backslash")),
        }
    }
    Ok(plain)
}

/// Whether one of the alternatives is empty, or ends with a bar behind which nothing stands: `system|`.
#[must_use]
pub fn has_gap(text: &str) -> bool {
    let parts = cut(text, ',').into_iter().flat_map(|part| cut(part, '$'));
    parts.map(|part| cut(part, '|')).any(|part| part.last().is_none_or(|value| value.trim().is_empty()))
}

pub(super) fn alternatives(text: &str) -> impl Iterator<Item = &str> {
    cut(text, ',').into_iter().map(str::trim).filter(|part| !part.is_empty())
}

/// `_id`
pub(super) fn ids(modifier: Option<&str>, text: &str) -> Result<Vec<String>, Fault> {
    no_modifier(modifier)?;
    alternatives(text)
        .map(|id| if is_id(id) { Ok(id.to_owned()) } else { Err(invalid("invalid-id", "it must be the id of a resource")) })
        .collect()
}

/// Whether this can be the id of a resource.
#[must_use]
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

/// `:missing`
pub(super) fn flag(text: &str) -> Result<bool, Fault> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(invalid("invalid-missing", ":missing takes true or false")),
    }
}

/// `code`, `system|code`, `|code`, `system|`
pub(super) fn tokens(parameter: &Parameter, modifier: Option<&str>, text: &str) -> Result<Vec<Word>, Fault> {
    no_modifier(modifier)?;
    alternatives(text)
        .map(|part| {
            let (system, code) = coded(part)?;
            Ok(match (system, code.as_str()) {
                // A code without any system in the data is not told apart by one.
                (Some(_), "") if parameter.is_systemless => any_word(),
                (Some(system), "") => Word::Ends(system_end(&system)),
                (_, code) if parameter.is_systemless => Word::Is(token("", code)),
                (Some(system), code) => Word::Is(token(&system, code)),
                (None, code) => between(code_range(code)),
            })
        })
        .collect()
}

fn between((low, high): (String, String)) -> Word {
    Word::Between { low, high }
}

/// Whatever it is, but not [`NONE`]: what has no value has none of any system.
fn any_word() -> Word {
    Word::Between { low: format!("{NONE}\u{1}"), high: String::from(char::MAX) }
}

/// The system, where a bar stands, and the code, which only after a system may be empty.
fn coded(text: &str) -> Result<(Option<String>, String), Fault> {
    match cut(text, '|').as_slice() {
        [code] => Ok((None, unescape(code)?)),
        ["", ""] => Err(invalid("invalid-token", "a token needs a code, with or without a system before a |")),
        [system, code] => Ok((Some(unescape(system)?), unescape(code)?)),
        _ => Err(invalid("invalid-token", r"a token has at most one |; inside a value it is written \|")),
    }
}

/// `:of-type`: system of the type, its code, and the value.
pub(super) fn typed(text: &str) -> Result<Vec<Sight>, Fault> {
    alternatives(text)
        .map(|part| match cut(part, '|').as_slice() {
            [system, code, value] if !code.is_empty() && !value.is_empty() => {
                Ok(Sight::Typed { system: unescape(system)?, code: unescape(code)?, value: unescape(value)? })
            }
            _ => Err(invalid("invalid-token", ":of-type takes system|code|value, of the identifier's type and of itself")),
        })
        .collect()
}

/// The words by which identifiers of these values are found.
pub(super) fn values_of(any: &[Sight]) -> Vec<Word> {
    let value = |sight: &Sight| if let Sight::Typed { value, .. } = sight { Some(between(code_range(value))) } else { None };
    any.iter().filter_map(value).collect()
}

/// Texts without case and accents, each with something in it and whole, however long.
pub(super) fn texts(text: &str) -> Result<Vec<String>, Fault> {
    let folded = |part: &str| Ok(Some(super::word::folded(&unescape(part)?, usize::MAX)).filter(|text| !text.is_empty()));
    alternatives(text)
        .map(|part| folded(part)?.ok_or_else(|| invalid("invalid-string", "it must hold a letter or a digit")))
        .collect()
}

/// `:exact`: texts as they are.
pub(super) fn exact(text: &str) -> Result<Vec<String>, Fault> {
    cut(text, ',').into_iter().filter(|part| !part.trim().is_empty()).map(unescape).collect()
}

/// Begins like one of these, as far as words are kept.
pub(super) fn strings(texts: &[String]) -> Vec<Word> {
    let all = texts.iter().map(|text| normalized(text));
    all.map(|low| Word::Between { high: prefix_end(&low).unwrap_or_else(|| String::from(char::MAX)), low }).collect()
}

/// The same address; with `:below` and `:above` what lies in it, or what it lies in.
pub(super) fn uris(parameter: &Parameter, modifier: Option<&str>, text: &str) -> Result<Vec<Word>, Fault> {
    let mut words = Vec::new();
    for part in alternatives(text) {
        let uri = unescape(part)?;
        match modifier {
            None if parameter.code == "_profile" && !uri.contains('|') => {
                words.push(between((format!("{uri}|"), format!("{uri}}}"))));
                words.push(Word::Is(uri));
            }
            None => words.push(Word::Is(uri)),
            Some("below") => {
                let bare = uri.trim_end_matches('/');
                // The letter after a slash is a zero.
                words.push(between((format!("{bare}/"), format!("{bare}0"))));
                words.extend([uri.clone(), bare.to_owned()].map(Word::Is));
            }
            Some("above") => words.extend(folders(&uri).into_iter().map(Word::Is)),
            Some(other) => return Err(bad_modifier(other)),
        }
    }
    Ok(words)
}

/// The address and every folder that it lies in, with and without a slash at the end.
fn folders(uri: &str) -> Vec<String> {
    let start = uri.find("://").map_or(0, |at| at + 3);
    let mut found = vec![uri.to_owned()];
    let mut rest = uri.trim_end_matches('/');
    while rest.len() > start {
        for folder in [rest.to_owned(), format!("{rest}/")] {
            if !found.contains(&folder) {
                found.push(folder);
            }
        }
        match rest.get(start..).and_then(|path| path.rfind('/')) {
            Some(at) => rest = rest.get(..start + at).unwrap_or_default(),
            None => break,
        }
    }
    found
}

/// `Patient/1`, `1`, a whole address, `:Patient`, `:identifier`.
pub(super) fn references(parameter: &Parameter, modifier: Option<&str>, text: &str) -> Result<Vec<Word>, Fault> {
    let target = match modifier {
        None => None,
        Some("identifier") => return alternatives(text).map(by_identifier).collect(),
        Some(kind) if is_resource(kind) => Some(target_of(parameter, kind)?),
        Some(other) => return Err(bad_modifier(other)),
    };
    let mut words = Vec::new();
    for part in alternatives(text) {
        refer(parameter, target, &unescape(part)?, &mut words)?;
    }
    Ok(words)
}

/// `system|value`, `|value`, or a value of any system.
fn by_identifier(text: &str) -> Result<Word, Fault> {
    match coded(text)? {
        (_, value) if value.is_empty() => Err(invalid("invalid-token", ":identifier takes system|value")),
        (Some(system), value) => Ok(Word::Is(identifier_reference(&system, &value))),
        (None, value) => Ok(between(identifier_range(&value))),
    }
}

/// The type that a reference is said to lead to, if it can.
pub(super) fn target_of(parameter: &Parameter, kind: &str) -> Result<&'static str, Fault> {
    let known = node(kind).map(|node| node.name).filter(|kind| is_resource(kind) && may_name(parameter, kind));
    known.ok_or_else(|| bad_modifier(kind))
}

fn may_name(parameter: &Parameter, kind: &str) -> bool {
    parameter.targets.is_empty() || parameter.targets.contains(&kind)
}

fn refer(parameter: &Parameter, target: Option<&str>, text: &str, words: &mut Vec<Word>) -> Result<(), Fault> {
    if text.contains("://") || text.starts_with("urn:") {
        words.push(Word::Is(reference(text).to_owned()));
        return Ok(());
    }
    let bare = reference(text);
    match bare.split_once('/') {
        Some((kind, id)) if is_resource(kind) && is_id(id) => {
            if target.is_some_and(|target| target != kind) || !may_name(parameter, kind) {
                return Err(invalid("invalid-reference", "it does not point to resources of this type"));
            }
            words.push(Word::Is(bare.to_owned()));
        }
        None if is_id(bare) => match target {
            Some(kind) => words.push(Word::Is(format!("{kind}/{bare}"))),
            None if parameter.targets.is_empty() => words.extend(resource_names().map(|kind| Word::Is(format!("{kind}/{bare}")))),
            None => words.extend(parameter.targets.iter().map(|kind| Word::Is(format!("{kind}/{bare}")))),
        },
        _ => return Err(invalid("invalid-reference", "it must be an id, Type/id, or a whole address")),
    }
    Ok(())
}

/// `ge2024-02-29`
pub(super) fn dates(text: &str) -> Result<Vec<When>, Fault> {
    alternatives(text).map(date).collect()
}

fn date(text: &str) -> Result<When, Fault> {
    let (compare, rest) = prefix(text)?;
    // A plus that was not escaped arrives as a space: only a zone can stand behind it.
    let repaired;
    let rest = if rest.contains('T') && rest.contains(' ') {
        repaired = rest.replacen(' ', "+", 1);
        &repaired
    } else {
        rest
    };
    let moment = Moment::parse(rest).ok_or_else(|| {
        invalid(
            "invalid-date",
            "it must be a date or time on the calendar, for example 2024, 2024-02, 2024-02-29 or 2024-02-29T10:00:00Z",
        )
    })?;
    Ok(When { compare, span: moment.span(&TimeZone::UTC) })
}

pub(super) fn prefix(text: &str) -> Result<(Compare, &str), Fault> {
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (prefix, rest) = text.split_at(letters);
    let compare = match prefix {
        "" | "eq" => Compare::Equal,
        "ne" => Compare::NotEqual,
        "gt" => Compare::Greater,
        "lt" => Compare::Less,
        "ge" => Compare::GreaterOrEqual,
        "le" => Compare::LessOrEqual,
        "sa" => Compare::StartsAfter,
        "eb" => Compare::EndsBefore,
        "ap" => Compare::Approximately,
        _ => return Err(invalid("invalid-prefix", "it may begin with eq, ne, gt, lt, ge, le, sa, eb or ap")),
    };
    Ok((compare, rest))
}
