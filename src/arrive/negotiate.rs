//! What client and server agree on in headers: formats, preferences, versions and dates.
//! Follows <https://hl7.org/fhir/R4/http.html#mime-type> and <https://hl7.org/fhir/R4/http.html#ops>.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::fhir::search::decode;

/// The one format that is spoken.
pub(super) const JSON: &str = "application/fhir+json";

/// Which answer a client wants after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Return {
    /// Nothing but headers.
    Minimal,
    /// The resource as it is kept now.
    #[default]
    Representation,
    /// What is to be said of it.
    Outcome,
}

/// The `Prefer` headers of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Preference {
    /// `return=`
    pub(super) wanted: Return,
    /// `handling=strict`
    pub(super) strict: bool,
}

/// Reads `Prefer`; what is not known is passed over, as the standard asks.
pub(super) fn preference(headers: &HeaderMap) -> Preference {
    let mut preference = Preference::default();
    for value in headers.get_all("prefer") {
        let Ok(value) = value.to_str() else { continue };
        for token in value.split([',', ';']) {
            let token: String = token.chars().filter(|letter| !letter.is_whitespace() && *letter != '"').collect();
            match token.to_ascii_lowercase().as_str() {
                "return=minimal" => preference.wanted = Return::Minimal,
                "return=representation" => preference.wanted = Return::Representation,
                "return=operationoutcome" => preference.wanted = Return::Outcome,
                "handling=strict" => preference.strict = true,
                "handling=lenient" => preference.strict = false,
                _ => {}
            }
        }
    }
    preference
}

/// Whether an answer in JSON is acceptable: `_format` decides, and without it `Accept`.
pub(super) fn accepts_json(query: &str, headers: &HeaderMap) -> bool {
    if query.contains("_format=") {
        let asked = query.split('&').filter_map(|pair| pair.strip_prefix("_format=")).find(|value| !value.is_empty());
        if let Some(asked) = asked {
            return decode(asked, false).is_some_and(|format| is_json_name(&format));
        }
    }
    let mut any = false;
    for value in headers.get_all(ACCEPT) {
        let Ok(value) = value.to_str() else { return false };
        if value == JSON || value == "*/*" {
            return true;
        }
        any |= !value.trim().is_empty();
    }
    if !any {
        return true;
    }
    let ranges: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).collect();
    is_welcome(&ranges, "fhir+json") || is_welcome(&ranges, "json")
}

fn is_json_name(format: &str) -> bool {
    // A plus that was not escaped arrives as a space.
    let (name, parameters) = format.split_once(';').unwrap_or((format, ""));
    let name = name.trim().replace(' ', "+").to_ascii_lowercase();
    matches!(name.as_str(), "json" | "application/json" | "application/fhir+json" | "text/json") && are_known(parameters)
}

/// Whether `application/[subtype]` is wanted: the most specific range decides.
fn is_welcome(ranges: &[&str], subtype: &str) -> bool {
    let mut best = (0, false);
    for range in ranges {
        let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
        let name = name.trim().to_ascii_lowercase();
        let weight = match name.as_str() {
            "*/*" => 1,
            "application/*" => 2,
            name if name.strip_prefix("application/") == Some(subtype) => 3,
            "text/json" if subtype == "json" => 3,
            _ => continue,
        };
        if weight >= best.0 && (weight < 3 || are_known(parameters)) {
            best = (weight, quality(parameters) > 0.0);
        }
    }
    best.1
}

fn quality(parameters: &str) -> f32 {
    let found = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
    found.map_or(1.0, |quality| quality.trim().parse().unwrap_or(0.0))
}

/// Whether the parameters of a media type ask for UTF-8 and this version of FHIR, or for nothing.
fn are_known(parameters: &str) -> bool {
    parameters.split(';').all(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else { return true };
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "charset" => value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8"),
            "fhirversion" => matches!(value, "4.0" | "4.0.1"),
            _ => true,
        }
    })
}

/// Whether the body is said to be JSON in UTF-8, in this version of FHIR.
pub(super) fn sends_json(headers: &HeaderMap) -> bool {
    let Some(Ok(sent)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    (sent == JSON || (sent.contains('/') && is_json_name(sent))) && is_plain(headers)
}

/// Whether the body is said to be a form.
pub(super) fn sends_form(headers: &HeaderMap) -> bool {
    let sent = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (name, parameters) = sent.split_once(';').unwrap_or((sent, ""));
    name.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") && are_known(parameters) && is_plain(headers)
}

fn is_plain(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_none_or(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// A header that was sent but cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Garbage;

/// The version that `If-Match` names: `W/"2"`, `"2"` or `2`.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Garbage> {
    let mut values = headers.get_all(IF_MATCH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Garbage);
    }
    value.to_str().ok().and_then(version).map(Some).ok_or(Garbage)
}

/// The version in an entity tag.
pub(super) fn version(tag: &str) -> Option<i64> {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let tag = match tag.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => tag,
    };
    if tag.is_empty() || !tag.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    tag.parse().ok()
}

/// Whether the client has this version already, by `If-None-Match` or, without it, by `If-Modified-Since`.
pub(super) fn is_known(headers: &HeaderMap, current: i64, updated: i64) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    has_version(text(IF_NONE_MATCH.as_str()), text(IF_MODIFIED_SINCE.as_str()), current, updated)
}

/// The same of the texts themselves.
pub(super) fn has_version(if_none_match: Option<&str>, if_modified_since: Option<&str>, current: i64, updated: i64) -> bool {
    match (if_none_match, if_modified_since) {
        (Some(tags), _) => tags.split(',').any(|tag| tag.trim() == "*" || version(tag) == Some(current)),
        (None, Some(date)) => rfc2822::parse(date).is_ok_and(|since| updated.div_euclid(1_000) <= since.timestamp().as_second()),
        (None, None) => false,
    }
}

/// `Sun, 22 Nov 2026 08:00:00 GMT` of UTC milliseconds.
pub(super) fn http_date(milliseconds: i64) -> String {
    let stamp = Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH);
    rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&stamp).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (axum::http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn json_is_given_to_who_accepts_it() {
        for (query, accept, expected) in [
            ("", &[][..], true),
            ("", &[""], true),
            ("", &["application/fhir+json"], true),
            ("", &["application/json"], true),
            ("", &["*/*"], true),
            ("", &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], true),
            ("", &["application/fhir+json; fhirVersion=4.0"], true),
            ("", &["application/fhir+json; fhirVersion=5.0"], false),
            ("", &["application/fhir+json;q=0, */*"], true),
            ("", &["application/json;q=0, application/fhir+json;q=0, */*"], false),
            ("", &["application/fhir+xml"], false),
            ("", &["application/fhir+xml, application/fhir+json;q=0.5"], true),
            ("", &["application/fhir+xml", "application/json"], true),
            ("", &["text/csv"], false),
            ("_format=json", &["text/csv"], true),
            ("_format=application/fhir+json", &["text/csv"], true),
            ("a=1&_format=application%2Ffhir%2Bjson", &[], true),
            ("_format=xml", &["application/fhir+json"], false),
            ("_format=", &["application/fhir+json"], true),
            ("_format=turtle", &[], false),
        ] {
            assert_eq!(accepts_json(query, &headers("accept", accept)), expected, "{query} {accept:?}");
        }
    }

    #[test]
    fn a_body_must_be_said_to_be_json() {
        for (sent, expected) in [
            ("application/fhir+json", true),
            ("application/json; charset=utf-8", true),
            ("application/fhir+json; fhirVersion=4.0", true),
            ("application/fhir+json; fhirVersion=5.0", false),
            ("application/json; charset=latin1", false),
            ("application/fhir+xml", false),
            ("text/plain", false),
            ("json", false),
        ] {
            assert_eq!(sends_json(&headers("content-type", &[sent])), expected, "{sent}");
        }
        assert!(!sends_json(&HeaderMap::new()));
        assert!(sends_form(&headers("content-type", &["application/x-www-form-urlencoded;charset=UTF-8"])));
    }

    #[test]
    fn preferences_are_read_from_all_headers() {
        let read = |values| preference(&headers("prefer", values));
        assert_eq!(read(&[]), Preference { wanted: Return::Representation, strict: false });
        assert_eq!(read(&["return=minimal, handling=strict"]), Preference { wanted: Return::Minimal, strict: true });
        assert_eq!(read(&["return=OperationOutcome", "foo"]).wanted, Return::Outcome);
    }

    #[test]
    fn versions_are_read_from_tags() {
        for (tag, expected) in [
            ("W/\"2\"", Ok(Some(2))),
            ("\"2\"", Ok(Some(2))),
            ("2", Ok(Some(2))),
            ("W/\"2", Err(Garbage)),
            ("\"x\"", Err(Garbage)),
            ("", Err(Garbage)),
            ("*", Err(Garbage)),
            ("\"1\", \"2\"", Err(Garbage)),
        ] {
            assert_eq!(if_match(&headers("if-match", &[tag])), expected, "{tag}");
        }
        assert_eq!(if_match(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn a_known_version_is_not_sent_again() {
        let date = http_date(1_709_164_800_999);
        assert_eq!(date, "Thu, 29 Feb 2024 00:00:00 GMT");
        for (tags, since, expected) in [
            (Some("W/\"3\""), None, true),
            (Some("3"), None, true),
            (Some("\"1\", W/\"3\""), None, true),
            (Some("*"), None, true),
            (Some("W/\"2\""), Some(date.as_str()), false),
            (None, Some(date.as_str()), true),
            (None, Some("Wed, 28 Feb 2024 00:00:00 GMT"), false),
            (None, Some("yesterday"), false),
            (None, None, false),
        ] {
            assert_eq!(has_version(tags, since, 3, 1_709_164_800_999), expected, "{tags:?} {since:?}");
        }
    }
}
