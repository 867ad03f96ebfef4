//! Takes the query of an address, or a form, apart.
//! Follows <https://hl7.org/fhir/R4/search.html#escaping>.

use super::{ParameterKind, parameter};
use crate::fhir::outcome::Issue;

/// The pairs of a query or a form, decoded.
pub fn pairs(query: &str) -> Result<Vec<(String, String)>, Issue> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decode(name, true), decode(value, true)) {
                (Some(name), Some(value)) => Ok((name, value)),
                _ => Err(Issue::error("invalid", "invalid-escape", "", "The address must be UTF-8, percent-encoded.")),
            }
        })
        .collect()
}

/// References are kept relative: our own address (with its slash) before them is taken away.
pub fn make_relative(kind: &str, name: &str, value: &mut String, own: &str) {
    if !value.contains("://") {
        return;
    }
    let code = name.split(':').next().unwrap_or_default();
    let leads_on = name.contains('.') || code == "_has";
    if leads_on || parameter(kind, code).is_some_and(|parameter| parameter.kind == ParameterKind::Reference) {
        let parts: Vec<&str> = value.split(',').map(|part| part.strip_prefix(own).unwrap_or(part)).collect();
        *value = parts.join(",");
    }
}

/// Takes percent escapes away; in forms and queries a plus is a space. `None` if it is not UTF-8 or holds a NUL.
#[must_use]
pub fn decode(text: &str, plus: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' if plus => bytes.push(b' '),
            b'%' => {
                let [high, low, after @ ..] = rest else { return None };
                bytes.push(hex(*high)? << 4 | hex(*low)?);
                rest = after;
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_taken_apart() {
        let text = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        for (query, expected) in [
            ("", &[][..]),
            ("a=1&&b", &[("a", "1"), ("b", "")]),
            ("code=http%3A%2F%2Fx%7C1", &[("code", "http://x|1")]),
            ("_lastUpdated=gt2024-01-01T00:00:00+08:00", &[("_lastUpdated", "gt2024-01-01T00:00:00 08:00")]),
            ("name=Jos%C3%A9", &[("name", "José")]),
        ] {
            assert_eq!(pairs(query), Ok(text(expected)), "{query}");
        }
        for query in ["a=%", "a=%4", "a=%zz", "a=%ff", "a=%00"] {
            assert!(pairs(query).is_err(), "{query}");
        }
    }
}
