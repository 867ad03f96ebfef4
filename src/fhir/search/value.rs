//! The values of search parameters: escapes, alternatives, tokens, dates with prefixes, references.
//! Follows <https://hl7.org/fhir/R4/search.html#escaping>.

use jiff::tz::TimeZone;

use super::query::{Compare, When, Word};
use super::{Parameter, code_range, identifier_reference, normalized, prefix_end, reference, token};
use crate::fhir::definitions::{is_resource, resource_names};
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
    let shown: String = modifier.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    Fault { code: "invalid", key: "invalid-modifier", words: format!("the modifier :{shown} is not offered for it.") }
}

pub(super) fn no_modifier(modifier: Option<&str>) -> Result<(), Fault> {
    modifier.map_or(Ok(()), |modifier| Err(bad_modifier(modifier)))
}

/// Cuts at each `mark` that no backslash stands before; escapes stay as they are.
fn cut(text: &str, mark: char) -> Vec<&str> {
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
fn unescape(text: &str) -> Result<String, Fault> {
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

fn alternatives(text: &str) -> impl Iterator<Item = &str> {
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

/// `code`, `system|code`, `|code`
pub(super) fn tokens(parameter: &Parameter, modifier: Option<&str>, text: &str) -> Result<Vec<Word>, Fault> {
    no_modifier(modifier)?;
    alternatives(text)
        .map(|part| {
            let (system, code) = coded(part)?;
            Ok(match system.filter(|_| !parameter.is_systemless) {
                Some(system) => Word::Is(token(&system, &code)),
                None if parameter.is_systemless => Word::Is(token("", &code)),
                None => {
                    let (low, high) = code_range(&code);
                    Word::Between { low, high }
                }
            })
        })
        .collect()
}

/// The system, where a bar stands, and the code.
fn coded(text: &str) -> Result<(Option<String>, String), Fault> {
    match cut(text, '|').as_slice() {
        [code] => Ok((None, unescape(code)?)),
        ["", ""] => Err(invalid("invalid-token", "a token needs a code, with or without a system before a |")),
        [_, ""] => Err(not_supported("a system without a code is not searched by")),
        [system, code] => Ok((Some(unescape(system)?), unescape(code)?)),
        _ => Err(invalid("invalid-token", r"a token has at most one |; inside a value it is written \|")),
    }
}

/// Begins like this, whatever its case and accents.
pub(super) fn strings(modifier: Option<&str>, text: &str) -> Result<Vec<Word>, Fault> {
    no_modifier(modifier)?;
    alternatives(text)
        .map(|part| {
            let low = normalized(&unescape(part)?);
            match prefix_end(&low).filter(|_| !low.is_empty()) {
                Some(high) => Ok(Word::Between { low, high }),
                None => Err(invalid("invalid-string", "it must hold a letter or a digit")),
            }
        })
        .collect()
}

/// The same address.
pub(super) fn uris(modifier: Option<&str>, text: &str) -> Result<Vec<Word>, Fault> {
    no_modifier(modifier)?;
    alternatives(text).map(|part| unescape(part).map(Word::Is)).collect()
}

/// `Patient/1`, `1`, a whole address, `:Patient`, `:identifier`.
pub(super) fn references(parameter: &Parameter, modifier: Option<&str>, text: &str) -> Result<Vec<Word>, Fault> {
    let target = match modifier {
        None => None,
        Some("identifier") => return alternatives(text).map(by_identifier).collect(),
        Some(kind) if is_resource(kind) && may_name(parameter, kind) => Some(kind),
        Some(other) => return Err(bad_modifier(other)),
    };
    let mut words = Vec::new();
    for part in alternatives(text) {
        refer(parameter, target, &unescape(part)?, &mut words)?;
    }
    Ok(words)
}

fn by_identifier(text: &str) -> Result<Word, Fault> {
    let (system, value) = coded(text)?;
    let system = system.ok_or_else(|| invalid("invalid-token", ":identifier takes system|value"))?;
    Ok(Word::Is(identifier_reference(&system, &value)))
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

fn prefix(text: &str) -> Result<(Compare, &str), Fault> {
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
        _ => return Err(invalid("invalid-prefix", "a date may begin with eq, ne, gt, lt, ge, le, sa, eb or ap")),
    };
    Ok((compare, rest))
}
