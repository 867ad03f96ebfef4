//! In which format a body is, and in which an answer is wanted: `_format`, `Accept` and `Content-Type`.
//! Follows <https://hl7.org/fhir/R4/http.html#mime-type> and <https://www.rfc-editor.org/rfc/rfc9110#name-accept>.

use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};

use super::negotiate::JSON;
use super::outcome::Refusal;
use crate::fhir::search::decode;

/// How a resource is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Format {
    /// `application/fhir+json`
    #[default]
    Json,
    /// `application/fhir+xml`
    Xml,
}

/// What a client wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wanted {
    /// The format.
    pub(super) format: Format,
    /// Whether it is for human eyes (`_pretty`).
    pub(super) pretty: bool,
}

/// Which answer is wanted; `None` if the client takes none that we give. `_format` decides, and without it `Accept`;
/// who takes anything gets the format that was sent.
pub(super) fn wanted(query: Option<&str>, headers: &HeaderMap) -> Option<Wanted> {
    let query = query.unwrap_or_default();
    let pretty = query.contains("_pretty=") && parameter(query, "_pretty").is_some_and(|value| value == "true");
    let asked = if query.contains("_format=") { parameter(query, "_format") } else { None };
    if let Some(asked) = asked {
        let format = decode(asked, false).and_then(|name| named(&name))?;
        return Some(Wanted { format, pretty });
    }
    let mut values = headers.get_all(ACCEPT).iter();
    let format = match (values.next(), values.next()) {
        (None, _) => sent(headers).unwrap_or_default(),
        (Some(only), None) if only == JSON => Format::Json,
        (Some(only), None) if only == "*/*" => sent(headers).unwrap_or_default(),
        _ => accepted(headers)?,
    };
    Some(Wanted { format, pretty })
}

/// The refusal of who takes none of our formats.
pub(super) fn not_acceptable() -> Refusal {
    let words = "Answers are given as application/fhir+json or application/fhir+xml (FHIR 4.0).";
    Refusal::one(StatusCode::NOT_ACCEPTABLE, "not-supported", "not-acceptable", words)
}

/// The format that the body is said to have: a resource in UTF-8, in this version of FHIR.
pub(super) fn sent(headers: &HeaderMap) -> Option<Format> {
    let sent = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    if sent == JSON { Some(Format::Json) } else { named(sent).filter(|_| sent.contains('/')) }
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value).next()
}

/// The format of this name, short or as a media type with its parameters.
fn named(text: &str) -> Option<Format> {
    let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
    // A plus that was not escaped arrives as a space.
    let name = name.trim().replace(' ', "+").to_ascii_lowercase();
    let format = match name.as_str() {
        "json" | "application/json" | "application/fhir+json" | "application/json+fhir" | "text/json" => Format::Json,
        "xml" | "application/xml" | "application/fhir+xml" | "application/xml+fhir" | "text/xml" => Format::Xml,
        _ => return None,
    };
    are_known(parameters).then_some(format)
}

/// Whether the parameters of a media type ask for UTF-8 and this version of FHIR, or for nothing.
pub(super) fn are_known(parameters: &str) -> bool {
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

/// How much one format is wanted.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Wish {
    /// The `q` of the range that fits best.
    quality: f32,
    /// How exactly it fits: 1 `*/*`, 2 `application/*`, 3 by name.
    fit: u8,
    /// What stands earlier in the list goes before.
    earlier: std::cmp::Reverse<usize>,
}

/// The format that `Accept` wants most. Between equals the one that is named goes before one that is merely allowed, then
/// the one that stands earlier, and last JSON.
fn accepted(headers: &HeaderMap) -> Option<Format> {
    let mut xml: Option<Wish> = None;
    let mut json: Option<Wish> = None;
    let lists = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = lists.flat_map(|list| list.split(',')).filter(|range| !range.trim().is_empty());
    let mut count = 0;
    for (position, range) in ranges.enumerate() {
        count += 1;
        let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
        let name = name.trim().to_ascii_lowercase();
        let note = |wish: &mut Option<Wish>, fit| {
            let found = Wish { quality: quality(parameters), fit, earlier: std::cmp::Reverse(position) };
            // What fits better decides, also when it says no; among names of the same thing the kindest.
            if wish.is_none_or(|known| fit > known.fit || (fit == known.fit && found > known)) {
                *wish = Some(found);
            }
        };
        match name.as_str() {
            "*/*" => {
                note(&mut json, 1);
                note(&mut xml, 1);
            }
            "application/*" => {
                note(&mut json, 2);
                note(&mut xml, 2);
            }
            name if name.contains('/') => match named(range) {
                Some(Format::Json) => note(&mut json, 3),
                Some(Format::Xml) => note(&mut xml, 3),
                None => {}
            },
            _ => {}
        }
    }
    if count == 0 {
        return Some(sent(headers).unwrap_or_default());
    }
    let (json, xml) = (json.filter(|wish| wish.quality > 0.0), xml.filter(|wish| wish.quality > 0.0));
    match (json, xml) {
        (None, None) => None,
        (json, Some(xml)) if json.is_none_or(|json| xml > json) => Some(Format::Xml),
        _ => Some(Format::Json),
    }
}

fn quality(parameters: &str) -> f32 {
    let found = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
    found.map_or(1.0, |quality| quality.trim().parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (axum::http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_answer_is_in_the_format_that_is_wanted_most() {
        let (json, xml) = (Some(Format::Json), Some(Format::Xml));
        for (accept, expected) in [
            ("", json),
            (" , ", json),
            ("application/fhir+json", json),
            ("application/json", json),
            ("text/json", json),
            ("application/json+fhir", json),
            ("*/*", json),
            ("application/*", json),
            ("application/fhir+xml", xml),
            ("APPLICATION/XML", xml),
            ("text/xml; charset=UTF-8", xml),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", xml),
            ("text/html, */*", json),
            ("application/fhir+json; fhirVersion=4.0", json),
            ("application/fhir+json; fhirVersion=5.0", None),
            ("application/fhir+json; fhirVersion=5.0, application/fhir+xml; fhirVersion=\"4.0\"", xml),
            ("application/fhir+json;q=0, */*", xml),
            ("application/fhir+json;q=0.4, application/fhir+xml;q=0.5", xml),
            ("application/fhir+xml, application/fhir+json;q=0.5", xml),
            ("application/fhir+xml, application/json", xml),
            ("application/json, application/fhir+xml", json),
            ("*/*, application/fhir+xml", xml),
            ("application/*;q=0.5, application/xml;q=0.1", json),
            ("application/fhir+xml;q=0", None),
            ("application/json;q=high", None),
            ("text/csv", None),
            ("json", None),
            ("text/*", None),
        ] {
            let found = wanted(None, &headers(&[("accept", accept)])).map(|wanted| wanted.format);
            assert_eq!(found, expected, "{accept}");
        }
        let two = headers(&[("accept", "text/csv"), ("accept", "application/xml")]);
        assert_eq!(wanted(None, &two).map(|wanted| wanted.format), xml);
    }

    #[test]
    fn a_parameter_overrides_the_header() {
        let (json, xml) = (Some(Format::Json), Some(Format::Xml));
        let none = headers(&[("accept", "text/csv")]);
        for (query, expected) in [
            ("_format=json", json),
            ("_format=xml", xml),
            ("a=1&_format=application/fhir+xml&b=2", xml),
            ("_format=application%2Ffhir%2Bxml", xml),
            ("_format=application/fhir%20json", json),
            ("_format=text/xml", xml),
            ("_format=application/fhir%2Bjson;%20fhirVersion=4.0", json),
            ("_format=application/fhir%2Bjson;fhirVersion=3.0", None),
            ("_format=turtle", None),
            ("_format=", None),
            ("x_format=json", None),
        ] {
            assert_eq!(wanted(Some(query), &none).map(|wanted| wanted.format), expected, "{query}");
        }
        assert_eq!(wanted(Some("_pretty=true"), &HeaderMap::new()), Some(Wanted { format: Format::Json, pretty: true }));
        assert_eq!(wanted(Some("_pretty=false&_format=xml"), &none), Some(Wanted { format: Format::Xml, pretty: false }));
    }

    #[test]
    fn who_takes_anything_is_answered_as_he_wrote() {
        for (pairs, expected) in [
            (&[("content-type", "application/fhir+xml")][..], Format::Xml),
            (&[("content-type", "application/xml"), ("accept", "*/*")], Format::Xml),
            (&[("content-type", "application/fhir+xml"), ("accept", "application/json")], Format::Json),
            (&[("content-type", "application/x-www-form-urlencoded")], Format::Json),
            (&[], Format::Json),
        ] {
            assert_eq!(wanted(None, &headers(pairs)).map(|wanted| wanted.format), Some(expected), "{pairs:?}");
        }
    }

    #[test]
    fn a_body_must_say_what_it_is() {
        for (content_type, expected) in [
            ("application/fhir+json", Some(Format::Json)),
            ("application/json; charset=utf-8", Some(Format::Json)),
            ("application/fhir+json; fhirVersion=4.0", Some(Format::Json)),
            ("application/fhir+xml;charset=\"UTF-8\"", Some(Format::Xml)),
            ("text/xml", Some(Format::Xml)),
            ("application/fhir+json; fhirVersion=5.0", None),
            ("application/json; charset=latin1", None),
            ("text/plain", None),
            ("json", None),
        ] {
            assert_eq!(sent(&headers(&[("content-type", content_type)])), expected, "{content_type}");
        }
        assert_eq!(sent(&HeaderMap::new()), None);
    }
}
