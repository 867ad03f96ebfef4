//! Says whether what an assert asks for is true.
//! Follows <https://hl7.org/fhir/R4/testscript-definitions.html#TestScript.setup.action.assert>.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

use super::places;
use super::scene::{Scene, Seen, brief};
use super::script::Assert;

/// Whether the assert holds; what is wrong otherwise.
pub(super) fn judge(scene: &Scene<'_>, assert: &Assert) -> Result<(), String> {
    let seen = match &assert.source_id {
        Some(name) => scene.seen(name)?,
        None => scene.last.clone(),
    };
    if let Some(minimum) = &assert.minimum_id {
        let body = resource(&seen, assert)?;
        let lacking = places::lacks(&scene.resource(minimum)?, &body, minimum);
        return lacking.map_or(Ok(()), |place| Err(format!("{place} is not in {}", brief(&body.to_string()))));
    }
    if assert.navigation_links {
        return links(&resource(&seen, assert)?);
    }
    if assert.validate_profile_id.is_some() {
        return Err(String::from("validateProfileId is not understood: say what must be true as an expression"));
    }
    let (what, found) = found(scene, assert, &seen)?;
    let expected = expected(scene, assert)?;
    let operator = assert.operator.as_deref();
    let holds = match (operator, &expected) {
        (Some("eval"), _) | (None, None) => found == ["true"],
        _ => compare(operator.unwrap_or("equals"), &found, expected.as_deref())?,
    };
    if holds {
        return Ok(());
    }
    let wanted = expected.map_or_else(String::new, |text| format!(" \"{}\"", brief(&text)));
    let operator = operator.unwrap_or(if wanted.is_empty() { "true" } else { "equals" });
    let answer = format!("{} {}", seen.answer.status, brief(&seen.text()));
    let asked = format!("{} {}", seen.asked.method, seen.asked.url);
    Err(format!("{what} should be {operator}{wanted}, found [{}]; {asked} was answered {answer}", brief(&found.join(", "))))
}

/// The resource that is looked at.
fn resource(seen: &Seen, assert: &Assert) -> Result<Value, String> {
    if assert.direction.as_deref() == Some("request") {
        let body = seen.asked.body.as_deref().unwrap_or_default();
        return serde_json::from_slice(body).map_err(|_| String::from("the request has no resource"));
    }
    seen.body.clone().ok_or_else(|| {
        let asked = format!("{} {}", seen.asked.method, seen.asked.url);
        format!("the answer to {asked} has no resource: {} {}", seen.answer.status, brief(&seen.text()))
    })
}

/// What the assert looks at, in words and as it was found.
fn found(scene: &Scene<'_>, assert: &Assert, seen: &Seen) -> Result<(String, Vec<String>), String> {
    let is_request = assert.direction.as_deref() == Some("request");
    let one = |what: &str, found: &str| Ok((what.to_owned(), vec![found.to_owned()]));
    let some = |what: &str, found: &str| if found.is_empty() { Ok((what.to_owned(), Vec::new())) } else { one(what, found) };
    if let Some(field) = &assert.header_field {
        let headers = if is_request { &seen.asked.headers } else { &seen.answer.headers };
        let found = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(field));
        return Ok((format!("the header {field}"), found.map(|(_, value)| value.clone()).collect()));
    }
    if let Some(expression) = &assert.expression {
        let expression = scene.fill(expression)?;
        let found = scene.evaluate(&expression, &resource(seen, assert)?)?;
        return Ok((format!("the expression {expression}"), found));
    }
    if let Some(path) = &assert.path {
        let path = scene.fill(path)?;
        let found = places::find(&path, &resource(seen, assert)?)?;
        return Ok((format!("the path {path}"), found));
    }
    if assert.response_code.is_some() || assert.response.is_some() {
        return one("the status", &seen.answer.status.to_string());
    }
    if assert.content_type.is_some() {
        let sent = seen.answer.header("content-type").unwrap_or_default();
        return some("the content type", sent.split(';').next().unwrap_or_default().trim());
    }
    if assert.resource.is_some() {
        let body = resource(seen, assert)?;
        return some("the resource", body.get("resourceType").and_then(Value::as_str).unwrap_or_default());
    }
    if assert.request_method.is_some() {
        return one("the method", &seen.asked.method.to_ascii_lowercase());
    }
    if assert.request_url.is_some() {
        return one("the address", &seen.asked.url);
    }
    if assert.of_body() {
        return one("the body", &seen.text());
    }
    Err(String::from("the assert says nothing of what it looks at"))
}

/// What it should be, where the assert says it.
fn expected(scene: &Scene<'_>, assert: &Assert) -> Result<Option<String>, String> {
    if let Some(source) = &assert.compare_to_source_id {
        let body = scene.seen(source)?.body.ok_or_else(|| format!("{source} has no resource"))?;
        let items = match (&assert.compare_to_source_expression, &assert.compare_to_source_path) {
            (Some(expression), _) => scene.evaluate(&scene.fill(expression)?, &body)?,
            (None, Some(path)) => places::find(&scene.fill(path)?, &body)?,
            (None, None) => return Err(String::from("compareToSourceId needs an expression or a path")),
        };
        return Ok(Some(items.join(",")));
    }
    let mime = |code: &String| match code.as_str() {
        "json" => String::from("application/fhir+json"),
        "xml" => String::from("application/fhir+xml"),
        other => other.to_owned(),
    };
    let response = assert.response.as_deref().map(status).transpose()?;
    let plain = assert.value.clone().or_else(|| assert.response_code.clone()).or(response);
    let plain = plain.or_else(|| assert.content_type.as_ref().map(mime)).or_else(|| assert.resource.clone());
    let plain = plain.or_else(|| assert.request_method.clone()).or_else(|| assert.request_url.clone());
    plain.map(|text| scene.fill(&text)).transpose()
}

/// The status that a word of `response` means.
fn status(word: &str) -> Result<String, String> {
    let status = match word {
        "okay" => 200,
        "created" => 201,
        "noContent" => 204,
        "notModified" => 304,
        "bad" => 400,
        "forbidden" => 403,
        "notFound" => 404,
        "methodNotAllowed" => 405,
        "conflict" => 409,
        "gone" => 410,
        "preconditionFailed" => 412,
        "unprocessable" => 422,
        other => return Err(format!("the response {other} is none of R4's")),
    };
    Ok(status.to_string())
}

/// The operators. Where several values were found, `equals` compares them joined by commas. Of nothing nothing is true but
/// `empty`: a denial, too, needs something that it is said of.
fn compare(operator: &str, found: &[String], expected: Option<&str>) -> Result<bool, String> {
    let is_empty = found.iter().all(String::is_empty);
    match operator {
        "empty" => return Ok(is_empty),
        "notEmpty" => return Ok(!is_empty),
        _ => {}
    }
    let expected = expected.ok_or_else(|| format!("the operator {operator} needs a value"))?;
    let is_listed = |value: &String| expected.split(',').any(|one| one.trim() == value);
    let order = || match found {
        [one] => order(one, expected),
        _ => None,
    };
    Ok(match operator {
        "equals" => found.join(",") == expected,
        "notEquals" | "notIn" | "notContains" if found.is_empty() => false,
        "notEquals" => found.join(",") != expected,
        "in" => !found.is_empty() && found.iter().all(is_listed),
        "notIn" => !found.iter().any(is_listed),
        "greaterThan" => order() == Some(Ordering::Greater),
        "lessThan" => order() == Some(Ordering::Less),
        "contains" => found.iter().any(|value| value.contains(expected)),
        "notContains" => !found.iter().any(|value| value.contains(expected)),
        other => return Err(format!("the operator {other} is none of R4's")),
    })
}

/// As numbers, else as instants, else as texts.
fn order(left: &str, right: &str) -> Option<Ordering> {
    if let (Ok(left), Ok(right)) = (left.parse::<f64>(), right.parse::<f64>()) {
        return left.partial_cmp(&right);
    }
    if let (Ok(left), Ok(right)) = (left.parse::<Timestamp>(), right.parse::<Timestamp>()) {
        return Some(left.cmp(&right));
    }
    Some(left.cmp(right))
}

/// Every link of a Bundle has a relation of its own and an absolute address; the Bundle says which page it is.
fn links(bundle: &Value) -> Result<(), String> {
    let links = bundle.get("link").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut relations = Vec::new();
    for link in &links {
        let text = |name: &str| link.get(name).and_then(Value::as_str).unwrap_or_default();
        let (relation, url) = (text("relation"), text("url"));
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(format!("the link {relation} is not absolute: {url}"));
        }
        if relations.contains(&relation.to_owned()) {
            return Err(format!("the link {relation} is there twice"));
        }
        relations.push(relation.to_owned());
    }
    if relations.iter().any(|relation| relation == "self") { Ok(()) } else { Err(String::from("there is no link self")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::script::Script;
    use super::*;
    use crate::speak::post::{Answer, Asked};

    /// Judges an answer 201 to a create with a Patient, after a fixture `f`.
    fn judged(assert: &Value) -> Result<(), String> {
        let script = json!({
            "id": "t",
            "contained": [{"resourceType": "Patient", "id": "f", "name": [{"family": "A"}]}],
            "fixture": [{"id": "f", "resource": {"reference": "#f"}}]
        });
        let script = Script::read(&script.to_string()).unwrap();
        let mut scene = Scene::of(&script, &Value::Null, 0).unwrap();
        let patient = json!({"resourceType": "Patient", "id": "7", "active": true, "name": [{"family": "A"}, {"family": "B"}]});
        let headers = vec![(String::from("content-type"), String::from("application/fhir+json;charset=utf-8"))];
        let answer = Answer { status: 201, headers, body: patient.to_string().into_bytes() };
        let asked = Asked { method: String::from("POST"), url: String::from("http://x/fhir/Patient"), ..Asked::default() };
        scene.remember(Seen::new(asked, answer), None, Some("r"));
        judge(&scene, &serde_json::from_value(assert.clone()).unwrap())
    }

    #[test]
    fn what_is_true_holds() {
        for assert in [
            json!({"response": "created"}),
            json!({"responseCode": "200,201", "operator": "in"}),
            json!({"responseCode": "500", "operator": "lessThan"}),
            json!({"contentType": "json"}),
            json!({"resource": "Patient"}),
            json!({"headerField": "Content-Type", "operator": "contains", "value": "charset"}),
            json!({"headerField": "ETag", "operator": "empty"}),
            json!({"expression": "Patient.name.count() = 2"}),
            json!({"expression": "Patient.name.family", "value": "A,B"}),
            json!({"expression": "Patient.name.family", "operator": "notIn", "value": "C,D"}),
            json!({"expression": "Patient.name.family", "operator": "notEquals", "value": "A"}),
            json!({"headerField": "Content-Type", "operator": "notContains", "value": "xml"}),
            json!({"path": "$.name[1].family", "value": "B"}),
            json!({"expression": "Patient.name.first().family", "compareToSourceId": "f", "compareToSourceExpression": "Patient.name.family"}),
            json!({"minimumId": "f"}),
            json!({"requestMethod": "post"}),
            json!({"requestURL": "http://x/fhir/Patient"}),
            json!({"sourceId": "f", "expression": "Patient.id.empty()"}),
            json!({"extension": [{"url": "https://signa.example/fhir/StructureDefinition/testscript-body", "valueBoolean": true}], "operator": "contains", "value": "Patient"}),
        ] {
            assert_eq!(judged(&assert), Ok(()), "{assert}");
        }
    }

    #[test]
    fn what_is_not_true_is_told_with_what_was_found() {
        for (assert, told) in [
            (json!({"response": "okay"}), "the status should be equals \"200\", found [201]"),
            (json!({"responseCode": "400,422", "operator": "in"}), "found [201]"),
            (json!({"headerField": "ETag", "operator": "notEmpty"}), "the header ETag should be notEmpty"),
            (json!({"expression": "Patient.active = false"}), "found [false]"),
            (json!({"expression": "Patient.photo"}), "found []"),
            (json!({"expression": "Patient.photo.url", "operator": "notEquals", "value": "A"}), "found []"),
            (json!({"headerField": "ETag", "operator": "notIn", "value": "A,B"}), "found []"),
            (json!({"path": "$.photo[0].url", "operator": "notContains", "value": "A"}), "found []"),
            (json!({"expression": "Patient.name.family", "operator": "greaterThan", "value": "1"}), "found [A, B]"),
            (json!({"expression": "Patient.active.("}), "the expression Patient.active.("),
            (json!({"navigationLinks": true}), "no link self"),
            (json!({"response": "teapot"}), "none of R4's"),
            (json!({"validateProfileId": "p"}), "not understood"),
            (json!({"direction": "request", "resource": "Patient"}), "the request has no resource"),
            (json!({}), "says nothing"),
        ] {
            let fault = judged(&assert).unwrap_err();
            assert!(fault.contains(told), "{assert}: {fault}");
        }
    }
}
