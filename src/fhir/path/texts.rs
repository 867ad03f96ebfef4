//! Functions on texts, among them regular expressions, which run in linear time whatever they are.
//! Follows <https://hl7.org/fhirpath/N1/#string-manipulation>.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use regex::Regex;

use super::Error;
use super::budget::fits;
use super::evaluate::{Frame, Machine, text_of};
use super::functions::Function as F;
use super::item::{Collection, Item};
use super::tree::Tree;
use crate::fhir::pattern::ready;

/// How large a regular expression may become once it is made ready.
const PATTERN_SIZE_MAX: usize = 1 << 20;

/// The steps that it takes to make one ready, at worst.
const PATTERN_STEPS: usize = 20_000;

/// Makes a regular expression ready; a dot also stands for the end of a line.
pub(super) fn pattern(text: &str, function: F) -> Result<Regex, regex::Error> {
    let whole = if function == F::MatchesFull { format!("^(?:{text})$") } else { text.to_owned() };
    ready(&whole, PATTERN_SIZE_MAX, true)
}

pub(super) fn call<'a>(
    machine: &Machine<'_, 'a>,
    function: F,
    input: &[Item<'a>],
    arguments: &'a [Tree],
    frame: &Frame<'_, 'a>,
) -> Result<Collection<'a>, Error> {
    if function == F::Join {
        return join(machine, input, arguments, frame);
    }
    let Some(text) = text_of(input)? else { return Ok(Vec::new()) };
    if function.makes_text() {
        machine.budget.text(text.len())?;
    } else {
        machine.budget.read(text.len());
        machine.charge(0)?;
    }
    if function == F::ToChars {
        machine.charge(text.len())?;
    }
    let Some(argument) = arguments.first() else { return Ok(alone(function, &text)) };
    if function == F::Substring {
        return substring(machine, &text, arguments, frame);
    }
    if function.takes_pattern() {
        return matched(machine, function, &text, arguments, frame);
    }
    let Some(other) = machine.text(argument, frame)? else { return Ok(Vec::new()) };
    let item = match function {
        F::StartsWith => Some(Item::Boolean(text.starts_with(&*other))),
        F::EndsWith => Some(Item::Boolean(text.ends_with(&*other))),
        F::Contains => Some(Item::Boolean(text.contains(&*other))),
        F::IndexOf => {
            let at = text.find(&*other).and_then(|at| text.get(..at)).map(|before| before.chars().count());
            Some(Item::Integer(at.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)))
        }
        F::Replace => {
            let Some(with) = arguments.get(1).map_or(Ok(None), |with| machine.text(with, frame))? else { return Ok(Vec::new()) };
            let found = text.matches(&*other).count();
            machine.charge(found)?;
            let gone = found * other.len();
            machine.budget.text((text.len() - gone).saturating_add(found.saturating_mul(with.len())))?;
            Some(Item::text(text.replace(&*other, &with)))
        }
        F::Split => {
            machine.charge(text.matches(&*other).count())?;
            return Ok(text.split(&*other).map(Item::text).collect());
        }
        F::Encode => encode(&text, &other).map(Item::text),
        F::Decode => decode(&text, &other).and_then(|bytes| String::from_utf8(bytes).ok()).map(Item::text),
        F::Escape => escape(&text, &other).map(Item::text),
        F::Unescape => unescape(&text, &other).map(Item::text),
        other => return Err(Error::Unsupported(other.name())),
    };
    Ok(item.into_iter().collect())
}

/// Functions without arguments.
fn alone<'a>(function: F, text: &str) -> Collection<'a> {
    match function {
        F::Length => i64::try_from(text.chars().count()).map(Item::Integer).into_iter().collect(),
        F::Upper => vec![Item::text(text.to_uppercase())],
        F::Lower => vec![Item::text(text.to_lowercase())],
        F::Trim => vec![Item::text(text.trim())],
        _ => text.chars().map(Item::text).collect(),
    }
}

fn join<'a>(
    machine: &Machine<'_, 'a>,
    input: &[Item<'a>],
    arguments: &'a [Tree],
    frame: &Frame<'_, 'a>,
) -> Result<Collection<'a>, Error> {
    let between = arguments.first().map_or(Ok(None), |between| machine.text(between, frame))?.unwrap_or_default();
    let texts: Vec<Cow<'_, str>> =
        input.iter().filter_map(|item| text_of(std::slice::from_ref(item)).transpose()).collect::<Result<_, _>>()?;
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    machine.budget.text(bytes.saturating_add(between.len().saturating_mul(texts.len().saturating_sub(1))))?;
    Ok(vec![Item::text(texts.join(&*between))])
}

fn substring<'a>(
    machine: &Machine<'_, 'a>,
    text: &str,
    arguments: &'a [Tree],
    frame: &Frame<'_, 'a>,
) -> Result<Collection<'a>, Error> {
    let number = |at: usize| arguments.get(at).map_or(Ok(None), |argument| machine.integer(argument, frame));
    let Some(start) = number(0)?.and_then(|start| usize::try_from(start).ok()) else { return Ok(Vec::new()) };
    if start >= text.chars().count() {
        return Ok(Vec::new());
    }
    let count = number(1)?.map_or(usize::MAX, |count| usize::try_from(count.max(0)).unwrap_or(usize::MAX));
    Ok(vec![Item::text(text.chars().skip(start).take(count).collect::<String>())])
}

fn matched<'a>(
    machine: &Machine<'_, 'a>,
    function: F,
    text: &str,
    arguments: &'a [Tree],
    frame: &Frame<'_, 'a>,
) -> Result<Collection<'a>, Error> {
    let made;
    let regex = match arguments.first() {
        Some(Tree::Pattern(regex)) => regex.as_ref(),
        Some(other) => {
            let Some(written) = machine.text(other, frame)? else { return Ok(Vec::new()) };
            machine.charge(PATTERN_STEPS)?;
            made = pattern(&written, function).map_err(|_| Error::Meaning(String::from("this is no regular expression")))?;
            &made
        }
        None => return Ok(Vec::new()),
    };
    machine.budget.read(regex.as_str().len());
    machine.charge(text.len().saturating_mul(steps_of_a_byte(regex.as_str())))?;
    if function != F::ReplaceMatches {
        return Ok(vec![Item::Boolean(regex.is_match(text))]);
    }
    let Some(with) = arguments.get(1).map_or(Ok(None), |with| machine.text(with, frame))? else { return Ok(Vec::new()) };
    replaced(machine, regex, text, &with).map(|made| vec![Item::text(made)])
}

/// How many steps a byte may take where a regular expression has to be tried in many places at once: what it counts was written
/// out as often when it was made ready.
fn steps_of_a_byte(pattern: &str) -> usize {
    let counts = pattern.split('{').skip(1).filter_map(|rest| {
        let count = rest.split('}').next()?;
        count.rsplit(',').find_map(|number| number.parse::<usize>().ok())
    });
    1 + counts.fold(pattern.len(), |size, count| size.saturating_mul(count.max(1))) / 1_024
}

/// Every match replaced. What stands for groups is counted before it is written: each is a part of the match at most.
fn replaced(machine: &Machine<'_, '_>, regex: &Regex, text: &str, with: &str) -> Result<String, Error> {
    let mut made = String::new();
    if regex.as_str().is_empty() {
        made.push_str(text);
        return Ok(made);
    }
    let groups = with.matches('$').count();
    let mut end = 0;
    for found in regex.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        made.push_str(&text[end..whole.start()]);
        end = whole.end();
        let longest = groups.saturating_mul(whole.len()).saturating_add(with.len());
        fits(made.len().saturating_add(longest))?;
        machine.charge(longest / 16)?;
        if groups > 0 {
            found.expand(with, &mut made);
        } else {
            made.push_str(with);
        }
    }
    made.push_str(&text[end..]);
    Ok(made)
}

fn encode(text: &str, how: &str) -> Option<String> {
    match how {
        "base64" => Some(STANDARD.encode(text)),
        "urlbase64" => Some(URL_SAFE.encode(text)),
        "hex" => {
            let digit = |half: u8| char::from_digit(half.into(), 16);
            text.bytes().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
        }
        _ => None,
    }
}

fn decode(text: &str, how: &str) -> Option<Vec<u8>> {
    match how {
        "base64" => STANDARD.decode(text).ok(),
        "urlbase64" => URL_SAFE.decode(text).ok(),
        "hex" if text.is_ascii() && text.len().is_multiple_of(2) => {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
        }
        _ => None,
    }
}

fn escape(text: &str, how: &str) -> Option<String> {
    match how {
        "html" => Some(
            text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;"),
        ),
        "json" => {
            let quoted = serde_json::to_string(text).ok()?;
            quoted.get(1..quoted.len() - 1).map(str::to_owned)
        }
        _ => None,
    }
}

fn unescape(text: &str, how: &str) -> Option<String> {
    match how {
        "html" => Some(
            text.replace("&#39;", "'").replace("&quot;", "\"").replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"),
        ),
        "json" if !text.contains('\\') => Some(text.to_owned()),
        "json" => serde_json::from_str(&format!("\"{text}\"")).ok(),
        _ => None,
    }
}
