//! What client and server agree on in headers: preferences, versions and dates.
//! Follows <https://hl7.org/fhir/R4/http.html#mime-type> and <https://hl7.org/fhir/R4/http.html#ops>.

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::format::are_known;

/// The format that is spoken inside the house.
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

/// Whether `return=representation` was said, and is not only what is given without it.
pub(super) fn asks_for_representation(headers: &HeaderMap) -> bool {
    let said = |value: &axum::http::HeaderValue| {
        value.to_str().is_ok_and(|text| text.to_ascii_lowercase().contains("return=representation"))
    };
    headers.get_all("prefer").iter().any(said)
}

/// Whether the body is said to be a form.
pub(super) fn sends_form(headers: &HeaderMap) -> bool {
    let sent = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (name, parameters) = sent.split_once(';').unwrap_or((sent, ""));
    name.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") && are_known(parameters)
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
    number(tag)
}

/// A version as answers write it: no sign, and no zero before it.
pub(super) fn number(text: &str) -> Option<i64> {
    let version: i64 = text.parse().ok()?;
    (version >= 0 && version.to_string() == text).then_some(version)
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
        (None, Some(date)) => moment(date).is_some_and(|since| updated.div_euclid(1_000) <= since),
        (None, None) => false,
    }
}

/// The second of an HTTP date, or of an instant as a Bundle's request has it.
fn moment(text: &str) -> Option<i64> {
    let of_header = rfc2822::parse(text).map(|date| date.timestamp());
    of_header.or_else(|_| text.parse::<Timestamp>()).ok().map(Timestamp::as_second)
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
    fn a_form_must_be_said_to_be_one() {
        assert!(sends_form(&headers("content-type", &["application/x-www-form-urlencoded;charset=UTF-8"])));
        assert!(!sends_form(&headers("content-type", &["application/fhir+json"])) && !sends_form(&HeaderMap::new()));
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
            ("W/\"02\"", Err(Garbage)),
            ("+2", Err(Garbage)),
            ("-2", Err(Garbage)),
            ("99999999999999999999", Err(Garbage)),
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
            (None, Some("2024-02-29T01:00:00+01:00"), true),
            (None, Some("2024-02-28T00:00:00Z"), false),
            (None, Some("yesterday"), false),
            (None, None, false),
        ] {
            assert_eq!(has_version(tags, since, 3, 1_709_164_800_999), expected, "{tags:?} {since:?}");
        }
    }
}
