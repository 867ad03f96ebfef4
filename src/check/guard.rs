//! The first station of the check: bytes in, one JSON object out, or all that is wrong with the bytes.
//! Follows <https://hl7.org/fhir/R4/json.html>.
//!
//! It knows nothing of types; what an element may hold is for `shape`.

use std::ops::Range;

use serde_json::Value;

use super::findings::Findings;
use super::json::Reader;
use super::place::Place;
use crate::fhir::outcome::Issue;

/// The body of a single resource may have so many bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The body of a transaction or batch may have so many bytes.
pub const BUNDLE_BYTES_MAX: usize = 64 * 1024 * 1024;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A body that is JSON.
#[derive(Debug)]
pub(super) struct Document<'a> {
    /// The text without a byte order mark.
    pub(super) text: &'a str,
    /// The object at its top.
    pub(super) value: Value,
    /// Where in the text the resource of each entry stands; empty if it has no entries.
    pub(super) resources: Vec<Option<Range<usize>>>,
}

/// Reads a JSON object that need not be a resource, for example parameters of a patch; all faults at once.
pub fn object(bytes: &[u8], bytes_max: usize) -> Result<Value, Vec<Issue>> {
    let mut findings = Findings::default();
    match read(bytes, bytes_max, None, &mut findings) {
        Some(document) if findings.count() == 0 => Ok(document.value),
        _ => Err(findings.into_issues()),
    }
}

/// Reads a JSON array that is no resource, as a JSON Patch is one; places begin with `patch`.
pub fn patch(bytes: &[u8], bytes_max: usize) -> Result<Value, Vec<Issue>> {
    const ROOT: &str = "patch";
    let mut findings = Findings::default();
    if bytes.len() > bytes_max {
        let words = format!("The body has {} bytes; at most {bytes_max} are taken.", bytes.len());
        return Err(vec![Issue::error("too-long", "body-too-long", ROOT, words)]);
    }
    let Some(text) = text(without_bom(bytes), ROOT, &mut findings) else { return Err(findings.into_issues()) };
    match Reader::new(text, &mut findings).document(&Place::Root(ROOT)) {
        Ok(value) if findings.count() == 0 => Ok(value),
        _ => Err(findings.into_issues()),
    }
}

/// The body without the byte order mark that some senders put before it.
#[must_use]
pub fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BOM).unwrap_or(bytes)
}

/// Reads a body; `None` if it cannot be read at all. Places begin with `prefix`, or else with the resource type.
pub(super) fn read<'a>(bytes: &'a [u8], bytes_max: usize, prefix: Option<&str>, findings: &mut Findings) -> Option<Document<'a>> {
    let root = prefix.unwrap_or_default();
    if bytes.len() > bytes_max {
        let words = format!("The body has {} bytes; at most {bytes_max} are taken.", bytes.len());
        findings.push(Issue::error("too-long", "body-too-long", root, words));
        return None;
    }
    let text = text(without_bom(bytes), root, findings)?;
    let mut own = Findings::default();
    let mut reader = Reader::new(text, &mut own);
    let value = reader.document(&Place::Root(root)).ok();
    let resources = std::mem::take(&mut reader.resources);
    let name = value.as_ref().map_or("Resource", super::type_name);
    for mut issue in own.into_issues() {
        if prefix.is_none() && issue.expression.starts_with('.') {
            issue.expression.insert_str(0, name);
        }
        findings.push(issue);
    }
    let value = value?;
    if !value.is_object() {
        let words = "The body is JSON, but not an object; a resource is an object with a resourceType.";
        findings.push(Issue::error("structure", "not-an-object", root, words));
        return None;
    }
    Some(Document { text, value, resources })
}

fn text<'a>(bytes: &'a [u8], root: &str, findings: &mut Findings) -> Option<&'a str> {
    let fault = match std::str::from_utf8(bytes) {
        Ok(text) if text.trim_ascii().is_empty() => {
            Issue::error("required", "empty-body", root, "The body is empty; send a resource.")
        }
        Ok(text) => return Some(text),
        Err(error) => {
            let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
            let words = format!("The body is not UTF-8 at byte {} (line {line}); send UTF-8.", error.valid_up_to());
            Issue::error("structure", "not-utf-8", root, words)
        }
    };
    findings.push(fault);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(body: &[u8]) -> Vec<(&'static str, String)> {
        let mut findings = Findings::default();
        read(body, BODY_BYTES_MAX, None, &mut findings);
        findings.into_issues().into_iter().map(|issue| (issue.key, issue.expression)).collect()
    }

    #[test]
    fn a_good_body_becomes_the_same_value_that_serde_json_makes() {
        for body in [
            r#"{"resourceType":"Patient","a":[1.00,-2e5,true,false,null,"x\n\u00e9\ud83d\ude00\/"],"b":{}}"#,
            " {\r\n\t\"a\" : [ ] , \"b\" : [ 0 , -0.10E+3 ] } \n",
            r#"{"é":"\"\\\b\f\r\t"}"#,
        ] {
            let expected: Value = serde_json::from_str(body).unwrap();
            assert_eq!(object(body.as_bytes(), BODY_BYTES_MAX).unwrap(), expected, "{body}");
            let marked = [BOM, body.as_bytes()].concat();
            assert_eq!(object(&marked, BODY_BYTES_MAX).unwrap(), expected, "{body}");
        }
    }

    #[test]
    fn each_broken_body_is_refused_with_its_own_key() {
        let cases: [(&[u8], &str); 22] = [
            (b"", "empty-body"),
            (b" \n", "empty-body"),
            (b"this is not json", "not-json"),
            (br#"{"resourceType":"Patient""#, "not-json"),
            (br#"{"resourceType":"Pat"#, "not-json"),
            (br#"{"a":1,}"#, "not-json"),
            (br#"{"a":[1,]}"#, "not-json"),
            (br#"{"a" 1}"#, "not-json"),
            (br"{a:1}", "not-json"),
            (br#"{"a":01}"#, "not-json"),
            (br#"{"a":1.}"#, "not-json"),
            (br#"{"a":+1}"#, "not-json"),
            (br#"{"a":nul}"#, "not-json"),
            (br#"{"a":"\x"}"#, "not-json"),
            (br#"{"a":"\ud800"}"#, "not-json"),
            (br#"{"a":"\udc00"}"#, "not-json"),
            (b"{\"a\":\"\n\"}", "not-json"),
            (b"{\"a\":\"\xff\"}", "not-utf-8"),
            (br#"{"a":1}{"a":1}"#, "more-than-one-document"),
            (br#"[{"a":1}]"#, "not-an-object"),
            (br#""x""#, "not-an-object"),
            (br#"{"$serde_json::private::Number":"1"}"#, "unknown-element"),
        ];
        for (body, key) in cases {
            assert_eq!(faults(body).iter().map(|fault| fault.0).collect::<Vec<_>>(), [key], "{}", String::from_utf8_lossy(body));
        }
        assert_eq!(object(b"{}  ", 3).unwrap_err()[0].code, "too-long");
    }

    #[test]
    fn duplicates_and_nulls_in_strings_are_all_found_with_their_places() {
        let body = br#"{"resourceType":"Patient","name":[{"given":["a\u0000"],"given":["b"]}],"gender":"male","gender":"male"}"#;
        let expected = [
            ("control-character", "Patient.name[0].given[0]"),
            ("duplicate-key", "Patient.name[0].given"),
            ("duplicate-key", "Patient.gender"),
        ];
        assert_eq!(faults(body), expected.map(|(key, place)| (key, place.to_string())));
    }

    #[test]
    fn the_place_of_a_broken_text_is_told_by_line_and_column() {
        let issues = object(b"{\n  \"a\": tru\n}", BODY_BYTES_MAX).unwrap_err();
        assert!(issues[0].diagnostics.ends_with("(line 2, column 8)"), "{}", issues[0].diagnostics);
    }

    #[test]
    fn a_body_of_any_depth_is_refused_and_never_overflows() {
        for depth in [65, 5_000, 500_000] {
            let body = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(faults(body.as_bytes()), [("too-deep", String::new())], "{depth}");
        }
        let fits = format!("{{\"a\":{}{}}}", "[".repeat(63), "]".repeat(63));
        assert_eq!(faults(fits.as_bytes()), []);
    }

    #[test]
    fn a_patch_is_read_as_strictly_as_a_body() {
        let read = |body: &str| patch(body.as_bytes(), BODY_BYTES_MAX).map_err(|issues| issues[0].key);
        assert!(read(r#"[{"op":"add","path":"/a","value":null}]"#).is_ok());
        assert_eq!(read(r#"[{"op":"add","op":"remove"}]"#), Err("duplicate-key"));
        assert_eq!(read("[{]"), Err("not-json"));
        assert_eq!(read("[] []"), Err("more-than-one-document"));
        assert_eq!(read(""), Err("empty-body"));
        assert_eq!(patch(b"[ ]", 2).unwrap_err()[0].key, "body-too-long");
    }

    #[test]
    fn the_text_of_each_entry_is_known() {
        let body = r#"{"resourceType":"Bundle","entry":[{"resource": {"id":"1"} },{"fullUrl":"x"},{"resource":{"resource":2}}]}"#;
        let mut findings = Findings::default();
        let document = read(body.as_bytes(), BODY_BYTES_MAX, None, &mut findings).unwrap();
        let texts: Vec<_> = document.resources.iter().map(|range| range.clone().map(|range| &body[range])).collect();
        assert_eq!(texts, [Some(r#"{"id":"1"}"#), None, Some(r#"{"resource":2}"#)]);
    }
}
