//! Makes a request of an operation.
//! Follows <https://hl7.org/fhir/R4/testscript-definitions.html#TestScript.setup.action.operation>.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::scene::Scene;
use super::script::{Body, Operation};
use crate::fhir::xml;
use crate::speak::post::Asked;

const JSON: &str = "application/fhir+json";

/// What is to be sent for an operation.
pub(super) fn request(scene: &Scene<'_>, operation: &Operation, base: &str) -> Result<Asked, String> {
    let body = body(scene, operation)?;
    let method = method(operation, body.is_some());
    let url = url(scene, operation, base, &method)?;
    let url = if operation.encode_request_url { encoded(&url) } else { url };
    let mut headers = Vec::new();
    for header in &operation.request_header {
        headers.push((header.field.clone(), scene.fill(&header.value)?));
    }
    let is_set = |name: &str| operation.request_header.iter().any(|header| header.field.eq_ignore_ascii_case(name));
    let accept = operation.accept.as_deref().unwrap_or("json");
    if accept != "none" && !is_set("accept") {
        headers.push((String::from("Accept"), mime(accept)));
    }
    let sent = operation.content_type.as_deref().unwrap_or("json");
    if body.is_some() && sent != "none" && !is_set("content-type") {
        headers.push((String::from("Content-Type"), mime(sent)));
    }
    Ok(Asked { method, url, headers, body })
}

fn mime(code: &str) -> String {
    match code {
        "json" => JSON.to_owned(),
        "xml" => String::from("application/fhir+xml"),
        "ttl" => String::from("text/turtle"),
        other => other.to_owned(),
    }
}

fn body(scene: &Scene<'_>, operation: &Operation) -> Result<Option<Vec<u8>>, String> {
    match (operation.body(), &operation.source_id) {
        (Some(Body::Text(text)), _) => Ok(Some(scene.fill(text)?.into_bytes())),
        (Some(Body::Bytes(text)), _) => STANDARD.decode(text).map(Some).map_err(|fault| fault.to_string()),
        (None, Some(source)) => {
            let text = scene.resource(source)?.to_string();
            let is_xml = operation.content_type.as_deref().is_some_and(|kind| kind.contains("xml"));
            let text = if is_xml { xml::write(&text, false).ok_or("the resource cannot be said in XML")? } else { text };
            Ok(Some(text.into_bytes()))
        }
        (None, None) => Ok(None),
    }
}

fn method(operation: &Operation, has_body: bool) -> String {
    if let Some(method) = &operation.method {
        return method.to_ascii_uppercase();
    }
    let method = match operation.code() {
        "create" | "transaction" | "batch" => "POST",
        "update" | "updateCreate" => "PUT",
        "patch" => "PATCH",
        "delete" | "deleteCondSingle" | "deleteCondMultiple" => "DELETE",
        _ if has_body => "POST",
        _ => "GET",
    };
    method.to_owned()
}

/// Where an operation goes: by its `url`, or by its type, resource, target and parameters.
fn url(scene: &Scene<'_>, operation: &Operation, base: &str, method: &str) -> Result<String, String> {
    if let Some(url) = &operation.url {
        let url = scene.fill(url)?;
        return Ok(match () {
            () if url.starts_with("http://") || url.starts_with("https://") => url,
            () if url.is_empty() || url.starts_with('?') => format!("{base}{url}"),
            () => format!("{base}/{}", url.trim_start_matches('/')),
        });
    }
    let params = operation.params.as_deref().map(|params| scene.fill(params)).transpose()?.unwrap_or_default();
    let target = operation.target_id.as_deref().map(|name| scene.seen(name)).transpose()?;
    let (target_kind, target_id) = target.as_ref().map(super::scene::Seen::place).unwrap_or_default();
    let source = operation.source_id.as_deref().map(|name| scene.resource(name)).transpose()?;
    let own =
        |name: &str| source.as_ref().and_then(|source| source.get(name)).and_then(|value| value.as_str()).map(str::to_owned);
    let kind = operation.resource.clone().or(target_kind);
    let mut place: Vec<String> = vec![base.to_owned()];
    let code = operation.code();
    match code {
        "capabilities" => place.push(String::from("metadata")),
        "transaction" | "batch" => {}
        "create" => place.extend(kind.or_else(|| own("resourceType"))),
        "update" | "updateCreate" => {
            place.extend(kind.or_else(|| own("resourceType")));
            if params.is_empty() {
                place.extend(target_id.or_else(|| own("id")));
            }
        }
        "search" => {
            place.extend(kind);
            place.extend((method == "POST").then(|| String::from("_search")));
        }
        _ => {
            place.extend(kind);
            place.extend(target_id);
            match code {
                "vread" => {
                    place.push(String::from("_history"));
                    place.extend(target.as_ref().and_then(super::scene::Seen::version));
                }
                "history" => place.push(String::from("_history")),
                "" | "read" | "patch" | "delete" | "deleteCondSingle" | "deleteCondMultiple" => {}
                operation => place.push(format!("${operation}")),
            }
        }
    }
    Ok(place.join("/") + &params)
}

/// What is no part of an address's own syntax is percent-encoded; a `%` is taken to be the beginning of such an escape.
fn encoded(url: &str) -> String {
    let mut text = String::with_capacity(url.len());
    for byte in url.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/?@!$&'()*,;=%[]".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::scene::Seen;
    use super::super::script::Script;
    use super::*;
    use crate::speak::post::Answer;

    fn asked(operation: &Value) -> Asked {
        let script = json!({
            "id": "t",
            "contained": [{"resourceType": "Patient", "id": "p", "active": true}],
            "fixture": [{"id": "p", "resource": {"reference": "#p"}}],
            "variable": [{"name": "family", "defaultValue": "van der Berg"}]
        });
        let script = Script::read(&script.to_string()).unwrap();
        let mut scene = Scene::of(&script, &Value::Null, 0).unwrap();
        let headers = vec![
            (String::from("location"), String::from("http://x/fhir/Patient/7/_history/2")),
            (String::from("etag"), String::from("W/\"2\"")),
        ];
        scene.remember(Seen::new(Asked::default(), Answer { status: 201, headers, body: Vec::new() }), None, Some("made"));
        request(&scene, &serde_json::from_value(operation.clone()).unwrap(), "http://x/fhir").unwrap()
    }

    #[test]
    fn an_operation_knows_its_method_and_place() {
        for (operation, expected) in [
            (json!({"type": {"code": "create"}, "sourceId": "p"}), "POST http://x/fhir/Patient"),
            (json!({"type": {"code": "read"}, "targetId": "made"}), "GET http://x/fhir/Patient/7"),
            (json!({"type": {"code": "vread"}, "targetId": "made"}), "GET http://x/fhir/Patient/7/_history/2"),
            (json!({"type": {"code": "history"}, "resource": "Patient"}), "GET http://x/fhir/Patient/_history"),
            (json!({"type": {"code": "update"}, "sourceId": "p", "targetId": "made"}), "PUT http://x/fhir/Patient/7"),
            (json!({"type": {"code": "update"}, "sourceId": "p", "params": "?_id=7"}), "PUT http://x/fhir/Patient?_id=7"),
            (json!({"type": {"code": "delete"}, "targetId": "made"}), "DELETE http://x/fhir/Patient/7"),
            (
                json!({"type": {"code": "search"}, "resource": "Patient", "params": "?family=${family}|+"}),
                "GET http://x/fhir/Patient?family=van%20der%20Berg%7C%2B",
            ),
            (json!({"type": {"code": "search"}, "resource": "Patient", "method": "post"}), "POST http://x/fhir/Patient/_search"),
            (json!({"type": {"code": "transaction"}, "sourceId": "p"}), "POST http://x/fhir"),
            (json!({"type": {"code": "capabilities"}}), "GET http://x/fhir/metadata"),
            (json!({"type": {"code": "everything"}, "targetId": "made"}), "GET http://x/fhir/Patient/7/$everything"),
            (json!({"method": "get", "url": "Patient?a=b+c", "encodeRequestUrl": false}), "GET http://x/fhir/Patient?a=b+c"),
            (json!({"method": "head", "url": "/Patient/7"}), "HEAD http://x/fhir/Patient/7"),
        ] {
            let asked = asked(&operation);
            assert_eq!(format!("{} {}", asked.method, asked.url), expected);
        }
    }

    #[test]
    fn a_resource_may_be_sent_as_xml() {
        let asked = asked(&json!({"type": {"code": "create"}, "sourceId": "p", "contentType": "xml"}));
        let text = String::from_utf8(asked.body.unwrap()).unwrap();
        assert!(text.contains(r#"<Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient>"#), "{text}");
        assert!(asked.headers.contains(&(String::from("Content-Type"), String::from("application/fhir+xml"))));
    }

    #[test]
    fn a_body_may_be_no_resource() {
        let extension =
            json!([{"url": "https://signa.example/fhir/StructureDefinition/testscript-body", "valueString": "a=${family}"}]);
        let asked = asked(
            &json!({"method": "post", "url": "Patient/_search", "contentType": "application/x-www-form-urlencoded", "extension": extension}),
        );
        assert_eq!(asked.body.unwrap(), b"a=van der Berg");
        assert!(asked.headers.contains(&(String::from("Content-Type"), String::from("application/x-www-form-urlencoded"))));
    }
}
