//! Addresses: our own as the client sees it, queries put together, and the place where a page begins.
//! Follows <https://hl7.org/fhir/R4/http.html#general> and <https://hl7.org/fhir/R4/http.html#paging>.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::settings::Settings;
use crate::fhir::search::query::Cursor;

/// The parameter that holds the place where a page begins.
pub(super) const PAGE: &str = "_page";

/// Our own address as this client sees it, without a slash at its end: what the settings say; else `X-Forwarded-*`, else
/// `Forwarded`, where the settings believe them; else the host that was asked.
pub(super) fn base(settings: &Settings, headers: &HeaderMap) -> String {
    if !settings.base.is_empty() {
        return settings.base.trim_end_matches('/').to_owned();
    }
    let plain = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let first = |name: &str| plain(name).map(|value| value.split(',').next().unwrap_or_default().trim());
    let mut scheme = "http";
    let mut host = plain("host").unwrap_or_default();
    let mut prefix = "";
    let mut port = None;
    // Who comes without a proxy is asked for none of its names.
    if settings.forwarded && headers.keys().any(|name| name.as_str().contains("forwarded")) {
        let forwarded = first("forwarded").unwrap_or_default();
        let proto = first("x-forwarded-proto").or_else(|| element(forwarded, "proto"));
        scheme = match proto {
            Some(proto) if proto.eq_ignore_ascii_case("https") => "https",
            _ => scheme,
        };
        host = first("x-forwarded-host").or_else(|| element(forwarded, "host")).filter(|host| is_host(host)).unwrap_or(host);
        port = first("x-forwarded-port").filter(|port| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()));
        prefix = first("x-forwarded-prefix").map(|prefix| prefix.trim_end_matches('/')).filter(|p| is_prefix(p)).unwrap_or("");
    }
    let host = if is_host(host) { host } else { "localhost" };
    // A port of its own is said only where the host does not say one, and where it is not the usual one.
    let usual = if scheme == "https" { "443" } else { "80" };
    let port = port.filter(|port| !port.is_empty() && *port != usual && !host.contains(':')).unwrap_or_default();
    let colon = if port.is_empty() { "" } else { ":" };
    let mut base = String::with_capacity(scheme.len() + host.len() + prefix.len() + 16);
    for part in [scheme, "://", host, colon, port, prefix, "/fhir"] {
        base.push_str(part);
    }
    base
}

/// The value of one element of a `Forwarded` header (RFC 7239).
fn element<'a>(forwarded: &'a str, name: &str) -> Option<&'a str> {
    forwarded.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte))
}

fn is_prefix(text: &str) -> bool {
    text.is_empty()
        || (text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/.-_~".contains(&byte)))
}

/// Appends `name=value` as it may stand in an address and, unescaped, in JSON.
pub(super) fn push_pair(url: &mut String, name: &str, value: &str) {
    let mark = if url.contains('?') { '&' } else { '?' };
    url.push(mark);
    push_encoded(url, name);
    url.push('=');
    push_encoded(url, value);
}

fn push_encoded(url: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/,@$*!".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push('%');
            url.push(char::from(DIGITS[usize::from(byte >> 4)]));
            url.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// The place where the next page begins, in a form that says nothing to its reader. `search` is what it belongs to.
pub(super) fn place(cursor: &Cursor, search: &str) -> String {
    let plain = format!("{:08x}{}.{}", check_sum(&cursor.key, cursor.number, search), cursor.number, cursor.key);
    URL_SAFE_NO_PAD.encode(plain)
}

/// The place back from its form; `None` if we did not make it for this search.
pub(super) fn place_of(text: &str, search: &str) -> Option<Cursor> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (sum, rest) = plain.split_at_checked(8)?;
    // No text in the store has a NUL in it, and PostgreSQL takes none.
    let (number, key) = rest.split_once('.').filter(|(_, key)| !key.contains('\0'))?;
    let number = number.parse().ok()?;
    (u32::from_str_radix(sum, 16).ok()? == check_sum(key, number, search)).then(|| Cursor { key: key.to_owned(), number })
}

/// FNV-1a: it tells a mistake, not an attack; a false place shows nothing that the search would not show.
fn check_sum(key: &str, number: i64, search: &str) -> u32 {
    let parts = [key.as_bytes(), &number.to_be_bytes(), search.as_bytes()];
    parts.iter().flat_map(|part| part.iter()).fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (axum::http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_base_is_what_the_client_sees() {
        let open = Settings::default();
        let deaf = Settings { forwarded: false, ..Settings::default() };
        let named = Settings { base: String::from("https://clinic.example/fhir/"), ..Settings::default() };
        let proxy = [("host", "inner:8080"), ("x-forwarded-host", "clinic.example, b"), ("x-forwarded-proto", "https")];
        let hostile = [("host", "a\"b"), ("x-forwarded-prefix", "/x\"y")];
        for (settings, sent, expected) in [
            (&open, &[("host", "127.0.0.1:8080")][..], "http://127.0.0.1:8080/fhir"),
            (&open, &proxy, "https://clinic.example/fhir"),
            (&open, &[("host", "a"), ("forwarded", "for=1;proto=https;host=\"b.example\"")], "https://b.example/fhir"),
            (&open, &[("host", "a"), ("x-forwarded-prefix", "/one/")], "http://a/one/fhir"),
            (
                &open,
                &[("host", "a"), ("x-forwarded-host", "b"), ("x-forwarded-port", "8443"), ("x-forwarded-proto", "https")],
                "https://b:8443/fhir",
            ),
            (&open, &[("host", "a:80"), ("x-forwarded-proto", "https"), ("x-forwarded-port", "443")], "https://a:80/fhir"),
            (&open, &[("host", "a"), ("x-forwarded-port", "80")], "http://a/fhir"),
            (&open, &[("host", "a"), ("x-forwarded-port", "x/y")], "http://a/fhir"),
            (&open, &[("host", "a"), ("forwarded", "host=b"), ("x-forwarded-host", "c")], "http://c/fhir"),
            (&deaf, &proxy, "http://inner:8080/fhir"),
            (&named, &proxy, "https://clinic.example/fhir"),
            (&open, &hostile, "http://localhost/fhir"),
            (&open, &[], "http://localhost/fhir"),
        ] {
            assert_eq!(base(settings, &headers(sent)), expected);
        }
    }

    #[test]
    fn a_query_is_put_together() {
        let mut url = String::from("http://a/fhir/Patient");
        push_pair(&mut url, "identifier", "urn:x|1 \"2\"");
        push_pair(&mut url, "name", "José");
        assert_eq!(url, "http://a/fhir/Patient?identifier=urn:x%7C1%20%222%22&name=Jos%C3%A9");
    }

    #[test]
    fn a_place_is_taken_only_for_its_own_search() {
        let cursor = Cursor { key: String::from("1709164800000"), number: 42 };
        let place = place(&cursor, "Patient?a=1");
        assert_eq!(place_of(&place, "Patient?a=1"), Some(cursor));
        assert_eq!(place_of(&place, "Patient?a=2"), None);
        let hostile = Cursor { key: String::from("a\0b"), number: 1 };
        assert_eq!(place_of(&super::place(&hostile, "Patient?a=1"), "Patient?a=1"), None);
        for text in ["", "x", "AAAA", "éé"] {
            assert_eq!(place_of(text, "Patient?a=1"), None, "{text}");
        }
    }
}
