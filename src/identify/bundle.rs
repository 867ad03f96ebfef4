//! What the entries of a batch or transaction ask for, and in which order it is done.
//! Follows <https://hl7.org/fhir/R4/http.html#transaction>.

use serde_json::Value;
use uuid::Uuid;

use crate::fhir::definitions;
use crate::fhir::outcome::Issue;

/// What an entry asks for, in the order in which the standard has them done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// `DELETE`
    Delete,
    /// `POST`
    Create,
    /// `PUT`
    Update,
    /// `PATCH`
    Patch,
    /// `GET` or `HEAD`, or `POST` of an operation
    Read,
}

/// `Bundle.entry.request`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub method: Method,
    /// The resource type; empty for a read.
    pub kind: String,
    /// The id in the address.
    pub id: Option<String>,
    /// The criteria in the address (conditional update or delete).
    pub criteria: Option<String>,
    /// `request.ifNoneExist`, without a leading `?`.
    pub if_none_exist: Option<String>,
    /// The version in `request.ifMatch`.
    pub if_match: Option<i64>,
    /// The method of a read as it is asked: `GET`, `HEAD` or `POST`.
    pub verb: &'static str,
    /// `request.url` without our own base and leading slashes.
    pub url: String,
}

/// Type of the Bundle, if it is one that asks for something: whether all of it is one transaction.
pub fn is_transaction(bundle: &Value) -> Result<bool, Issue> {
    if bundle.get("resourceType").and_then(Value::as_str) != Some("Bundle") {
        return Err(Issue::error(
            "invalid",
            "not-a-bundle",
            "",
            "Only a Bundle can be sent to the base address; send a resource to its type.",
        ));
    }
    match bundle.get("type").and_then(Value::as_str) {
        Some("transaction") => Ok(true),
        Some("batch") => Ok(false),
        _ => Err(Issue::error("invalid", "bundle-type", "Bundle.type", "Bundle.type must be transaction or batch here.")),
    }
}

/// Reads what an entry with this resource asks for; `place` is the entry's: `Bundle.entry[3]`. `base` is our own address,
/// if known.
pub fn request(entry: &Value, resource: Option<&Value>, place: &str, base: &str) -> Result<Request, Issue> {
    let fault = |element: &str, words: &str| Issue::error("invalid", "entry-request", format!("{place}.{element}"), words);
    let Some(request) = entry.get("request").and_then(Value::as_object) else {
        return Err(Issue::error(
            "required",
            "entry-request",
            format!("{place}.request"),
            "Say in request.method and request.url what is to be done.",
        ));
    };
    let part = |name: &str| request.get(name).and_then(Value::as_str);
    let (method, verb) = match part("method") {
        Some("DELETE") => (Method::Delete, "DELETE"),
        Some("POST") if part("url").is_some_and(is_operation) => (Method::Read, "POST"),
        Some("POST") => (Method::Create, "POST"),
        Some("PUT") => (Method::Update, "PUT"),
        Some("PATCH") => (Method::Patch, "PATCH"),
        Some("GET") => (Method::Read, "GET"),
        Some("HEAD") => (Method::Read, "HEAD"),
        _ => return Err(fault("request.method", "request.method is one of GET, HEAD, POST, PUT, PATCH, DELETE.")),
    };
    let Some(url) = part("url") else {
        return Err(fault("request.url", "request.url is required: Type, Type/id or Type?criteria."));
    };
    let if_match = match part("ifMatch").map(|text| (text, version(text))) {
        Some((_, None)) => return Err(fault("request.ifMatch", "ifMatch holds one version: W/\"3\".")),
        other => other.and_then(|(_, version)| version),
    };
    let strange = match method {
        Method::Create => ["ifMatch", "ifNoneMatch", "ifModifiedSince"].as_slice(),
        Method::Read => ["ifNoneExist"].as_slice(),
        _ => ["ifNoneExist", "ifNoneMatch", "ifModifiedSince"].as_slice(),
    };
    if let Some(name) = strange.iter().find(|name| request.contains_key(**name)) {
        // To pass over a condition would write what its sender wanted to prevent.
        return Err(fault(&format!("request.{name}"), "This condition does not belong to the method; leave it out."));
    }
    let mut read = Request {
        method,
        kind: String::new(),
        id: None,
        criteria: None,
        if_none_exist: None,
        if_match,
        verb,
        url: relative(url, base).to_owned(),
    };
    if method == Method::Read {
        return Ok(read);
    }
    address(relative(url, base), &mut read).map_err(|words| fault("request.url", words))?;
    let criteria = part("ifNoneExist").map(|text| if_none_exist(text, &read.kind, base)).transpose();
    read.if_none_exist = criteria.map_err(|words| fault("request.ifNoneExist", words))?.map(str::to_owned);
    if matches!(method, Method::Create | Method::Update) {
        must_carry(resource, &read.kind, place)?;
    }
    Ok(read)
}

/// The criteria of a conditional create of this type, without what some clients put before them: a question mark, and before it
/// the type, perhaps with our own address. A question mark further behind is part of a value.
pub fn if_none_exist<'a>(text: &'a str, kind: &str, base: &str) -> Result<&'a str, &'static str> {
    let Some((before, criteria)) = text.split_once('?').filter(|(before, _)| !before.contains('=')) else { return Ok(text) };
    if before.is_empty() || relative(before, base).trim_end_matches('/') == kind {
        return Ok(criteria);
    }
    // To search what is created here instead could find another resource, and the one that was sent would be lost.
    Err(
        "The criteria of a conditional create search the type that is created, here: send them alone, or behind this type and '?'.",
    )
}

/// Whether an address is that of an operation: `Patient/$match`.
fn is_operation(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or_default().trim_end_matches('/');
    path.rsplit('/').next().is_some_and(|last| last.starts_with('$'))
}

/// The address without our own base and slashes around it.
#[must_use]
pub fn relative<'a>(url: &'a str, base: &str) -> &'a str {
    let own = if base.is_empty() {
        None
    } else {
        url.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    };
    own.unwrap_or(url).trim_start_matches('/')
}

fn address(url: &str, read: &mut Request) -> Result<(), &'static str> {
    let (path, criteria) = url.split_once('?').map_or((url, None), |(path, criteria)| (path, Some(criteria)));
    let mut parts = path.trim_end_matches('/').split('/');
    let kind = parts.next().unwrap_or_default();
    if !definitions::is_resource(kind) {
        return Err("request.url begins with the name of a resource type.");
    }
    let id = parts.next();
    if parts.next().is_some() || id.is_some_and(|id| !is_id(id)) {
        return Err("request.url is Type, Type/id or Type?criteria; an id has up to 64 letters, digits, '-' and '.'.");
    }
    match (read.method, id, criteria) {
        (Method::Create, None, None) => {}
        (Method::Create, ..) => return Err("POST goes to a type, without an id or criteria."),
        (_, Some(id), None) => read.id = Some(id.to_owned()),
        (_, None, Some(criteria)) => read.criteria = Some(criteria.to_owned()),
        _ => return Err("This method needs either Type/id or Type?criteria."),
    }
    kind.clone_into(&mut read.kind);
    Ok(())
}

fn must_carry(resource: Option<&Value>, kind: &str, place: &str) -> Result<(), Issue> {
    let Some(resource) = resource.filter(|resource| resource.is_object()) else {
        let words = "POST and PUT need a resource in the entry.";
        return Err(Issue::error("required", "entry-resource", format!("{place}.resource"), words));
    };
    if resource.get("resourceType").and_then(Value::as_str) != Some(kind) {
        let words = format!("request.url names {kind}; the resource must be of this type.");
        return Err(Issue::error("invalid", "wrong-type", format!("{place}.resource"), words));
    }
    Ok(())
}

/// Whether this text can be an id: <https://hl7.org/fhir/R4/datatypes.html#id>.
#[must_use]
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// The version in an entity tag: `W/"3"`, `"3"` or `3`.
#[must_use]
pub fn version(tag: &str) -> Option<i64> {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let tag = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
    tag.bytes().all(|byte| byte.is_ascii_digit()).then(|| tag.parse().ok()).flatten()
}

/// The id that a resource brings: its own, or that of its `urn:uuid:` fullUrl.
#[must_use]
pub fn own_id(resource: &Value, full_url: &str) -> Option<String> {
    let id = resource.get("id").and_then(Value::as_str).or_else(|| full_url.strip_prefix("urn:uuid:"))?;
    is_id(id).then(|| id.to_owned())
}

/// An id for a resource that brings none: the same text has the same id, so that it is not taken twice.
#[must_use]
pub fn id_of_text(text: &[u8]) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, &[b"https://signa.example/fhir/import#", text].concat()).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(entry: &Value) -> Result<Request, String> {
        request(entry, entry.get("resource"), "Bundle.entry[0]", "http://here/fhir").map_err(|issue| issue.expression)
    }

    fn asked(method: &str, url: &str) -> Result<Request, String> {
        read(&json!({"resource": {"resourceType": "Patient"}, "request": {"method": method, "url": url}}))
    }

    #[test]
    fn every_form_of_request_is_understood() {
        let put = asked("PUT", "/Patient/1").unwrap();
        assert_eq!((put.method, put.kind.as_str(), put.id.as_deref()), (Method::Update, "Patient", Some("1")));
        assert_eq!(asked("PUT", "http://here/fhir/Patient?identifier=s|v").unwrap().criteria.as_deref(), Some("identifier=s|v"));
        assert_eq!(asked("POST", "Patient").unwrap().id, None);
        assert_eq!(asked("DELETE", "Patient?").unwrap().criteria.as_deref(), Some(""));
        assert_eq!(asked("GET", "Patient/1/_history/2?_format=json").unwrap().method, Method::Read);
        for url in ["Patient/$match", "/Patient/1/$everything/", "$meta?x=Patient/1", "http://here/fhir/ValueSet/$expand"] {
            let called = read(&json!({"request": {"method": "POST", "url": url}})).unwrap();
            assert_eq!((called.method, called.verb), (Method::Read, "POST"), "{url}");
        }
        let conditions = json!({"method": "POST", "url": "Patient", "ifNoneExist": "Patient?identifier=1"});
        let conditional = read(&json!({"resource": {"resourceType": "Patient"}, "request": conditions})).unwrap();
        assert_eq!(conditional.if_none_exist.as_deref(), Some("identifier=1"));
        let guarded = json!({"method": "DELETE", "url": "Patient/1", "ifMatch": "W/\"12\""});
        assert_eq!(read(&json!({"request": guarded})).unwrap().if_match, Some(12));
    }

    #[test]
    fn criteria_keep_their_question_marks_and_name_no_other_place() {
        let read = |text: &'static str| if_none_exist(text, "Patient", "http://here/fhir").ok();
        for text in ["identifier=s|v", "identifier=http://x/ids?code=mrn|1", "identifier=s?x", ""] {
            assert_eq!(read(text), Some(text));
        }
        for (text, expected) in [
            ("?identifier=s|v", "identifier=s|v"),
            ("Patient?identifier=http://x/ids?code=mrn|1", "identifier=http://x/ids?code=mrn|1"),
            ("/Patient?identifier=s|v", "identifier=s|v"),
            ("http://here/fhir/Patient?identifier=s|v", "identifier=s|v"),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for text in ["Observation?a=1", "patient?a=1", "http://there/fhir/Patient?a=1", "http://here/fhir?a=1", "Patient/1?a=1"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_faulty_request_is_named_by_its_element() {
        for (method, url, element) in [
            ("POST", "Patient/1", "request.url"),
            ("PUT", "Patient", "request.url"),
            ("PUT", "Banana/1", "request.url"),
            ("DELETE", "Patient/1/_history/1", "request.url"),
            ("DELETE", "Patient/a b", "request.url"),
            ("PUT", "http://here/fhirPatient/1", "request.url"),
            ("PUT", "http://there/fhir/Patient/1", "request.url"),
            ("FETCH", "Patient/1", "request.method"),
            ("PUT", "Observation/1", "resource"),
        ] {
            assert_eq!(asked(method, url).unwrap_err(), format!("Bundle.entry[0].{element}"), "{method} {url}");
        }
        assert_eq!(read(&json!({})).unwrap_err(), "Bundle.entry[0].request");
        assert_eq!(read(&json!({"request": {"method": "POST", "url": "Patient"}})).unwrap_err(), "Bundle.entry[0].resource");
        for (method, name) in
            [("POST", "ifMatch"), ("PUT", "ifNoneExist"), ("DELETE", "ifNoneMatch"), ("PATCH", "ifModifiedSince")]
        {
            let url = if method == "POST" { "Patient" } else { "Patient/1" };
            let asked =
                json!({"resource": {"resourceType": "Patient"}, "request": {"method": method, "url": url, name: "W/\"1\""}});
            assert_eq!(read(&asked).unwrap_err(), format!("Bundle.entry[0].request.{name}"));
        }
        let tagged = json!({"method": "DELETE", "url": "Patient/1", "ifMatch": "x"});
        assert_eq!(read(&json!({"request": tagged})).unwrap_err(), "Bundle.entry[0].request.ifMatch");
    }

    #[test]
    fn only_transactions_and_batches_ask_for_something() {
        assert_eq!(is_transaction(&json!({"resourceType": "Bundle", "type": "transaction"})), Ok(true));
        assert_eq!(is_transaction(&json!({"resourceType": "Bundle", "type": "batch"})), Ok(false));
        for refused in [
            json!({"resourceType": "Bundle", "type": "searchset"}),
            json!({"resourceType": "Bundle"}),
            json!({"resourceType": "Patient"}),
        ] {
            assert!(is_transaction(&refused).is_err());
        }
    }

    #[test]
    fn an_entity_tag_holds_a_version() {
        assert_eq!(version("W/\"3\""), Some(3));
        assert_eq!(version("\"3\""), Some(3));
        assert_eq!(version("W/3x"), None);
        assert_eq!(version(""), None);
    }
}
