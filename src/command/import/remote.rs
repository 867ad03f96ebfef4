//! Import into a gateway that runs somewhere, by its FHIR interface.
//! Follows <https://hl7.org/fhir/R4/http.html#update>.

use std::time::Duration;

use serde_json::{Value, json};

use super::items::Item;
use super::report::{Fate, Outcome};
use crate::clock::Clock;
use crate::identify::bundle::{id_of_text, own_id};
use crate::identify::references::{self, Links};
use crate::speak::Error;
use crate::speak::post::{Post, Said};

/// So often an item is sent before it is given up.
const ATTEMPTS_MAX: u32 = 6;

/// Sends an item, and again where the gateway asks for it.
pub(super) async fn take(post: &Post, clock: &Clock, item: &Item, links: &Links) -> Outcome {
    let mut attempt = 1;
    loop {
        match send(post, item, links).await {
            Err(Error::Later(_)) if attempt < ATTEMPTS_MAX => {
                let wait = Duration::from_millis(250 * 2_u64.pow(attempt));
                clock.reaches(clock.now() + i64::try_from(wait.as_millis()).unwrap_or_default()).await;
                attempt += 1;
            }
            Err(error) => return Err(vec![error.to_string()]),
            Ok(outcome) => return outcome,
        }
    }
}

async fn send(post: &Post, item: &Item, links: &Links) -> Result<Outcome, Error> {
    if item.deleted {
        let said = post.delete(&format!("{}/{}", item.kind, item.id)).await?;
        return Ok(fate(said.status).map_or_else(|| Err(reasons(&said.text)), |fate| Ok(vec![(item.kind.clone(), fate)])));
    }
    let mut value: Value = match serde_json::from_slice(&item.text) {
        Ok(value) => value,
        Err(fault) => return Ok(Err(vec![format!("it is not JSON: {fault}")])),
    };
    if item.whole {
        keep_ids(&mut value);
        return Ok(of_bundle(&value, &post.bundle(value.to_string().into_bytes()).await?));
    }
    references::rewrite(&mut value, &item.full_url, links, &item.kind);
    let id = own_id(&value, "").unwrap_or_else(|| id_of_text(&item.text));
    value["id"] = id.as_str().into();
    let said = post.put(&format!("{}/{id}", item.kind), value.to_string().into_bytes()).await?;
    Ok(fate(said.status).map_or_else(|| Err(reasons(&said.text)), |fate| Ok(vec![(item.kind.clone(), fate)])))
}

/// Every plain POST becomes a PUT to the resource's own id.
fn keep_ids(bundle: &mut Value) {
    for entry in bundle.get_mut("entry").and_then(Value::as_array_mut).into_iter().flatten() {
        let is_plain =
            entry.pointer("/request/method") == Some(&json!("POST")) && entry.pointer("/request/ifNoneExist").is_none();
        let full_url = entry.get("fullUrl").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(resource) = entry.get_mut("resource").filter(|resource| is_plain && resource.is_object()) else { continue };
        let id = own_id(resource, &full_url).unwrap_or_else(|| id_of_text(resource.to_string().as_bytes()));
        resource["id"] = id.as_str().into();
        let kind = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
        let url = format!("{kind}/{id}");
        entry["request"] = json!({"method": "PUT", "url": url});
    }
}

fn of_bundle(sent: &Value, said: &Said) -> Outcome {
    if fate(said.status).is_none() {
        return Err(reasons(&said.text));
    }
    let answer: Value = serde_json::from_str(&said.text).unwrap_or_default();
    let entries = |bundle: &Value| bundle.get("entry").and_then(Value::as_array).cloned().unwrap_or_default();
    let pairs = entries(sent).into_iter().zip(entries(&answer));
    let told = pairs.filter_map(|(sent, answer)| {
        let kind = sent.pointer("/resource/resourceType")?.as_str()?.to_owned();
        let status = answer.pointer("/response/status")?.as_str()?.get(..3)?.parse().ok()?;
        Some((kind, fate(status)?))
    });
    Ok(told.collect())
}

fn fate(status: u16) -> Option<Fate> {
    match status {
        201 => Some(Fate::New),
        200 | 204 => Some(Fate::Changed),
        _ => None,
    }
}

/// The sentences of an OperationOutcome.
fn reasons(text: &str) -> Vec<String> {
    let outcome: Value = serde_json::from_str(text).unwrap_or_default();
    let issues = outcome.get("issue").and_then(Value::as_array).cloned().unwrap_or_default();
    let sentence = |issue: &Value| {
        let part = |pointer: &str| issue.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        format!("{}: {}", part("/expression/0"), part("/diagnostics")).trim_start_matches(": ").to_owned()
    };
    let told: Vec<String> = issues.iter().map(sentence).collect();
    if told.is_empty() { vec![String::from("the gateway refused it without a word")] } else { told }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sent_transaction_keeps_its_ids() {
        let mut bundle = json!({"entry": [
            {"fullUrl": "urn:uuid:x", "resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}},
            {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient", "ifNoneExist": "a=b"}},
            {"request": {"method": "DELETE", "url": "Patient/1"}},
        ]});
        let before = bundle.clone();
        keep_ids(&mut bundle);
        assert_eq!(bundle["entry"][0]["request"], json!({"method": "PUT", "url": "Patient/x"}));
        assert_eq!(bundle["entry"][0]["resource"]["id"], "x");
        assert_eq!((&bundle["entry"][1], &bundle["entry"][2]), (&before["entry"][1], &before["entry"][2]));
    }

    #[test]
    fn what_the_gateway_said_is_counted_by_type() {
        let sent = json!({"entry": [{"resource": {"resourceType": "Patient"}}, {"request": {"method": "DELETE"}}]});
        let answer = json!({"entry": [{"response": {"status": "201 Created"}}, {"response": {"status": "204"}}]});
        let said = Said { status: 200, text: answer.to_string() };
        assert_eq!(of_bundle(&sent, &said), Ok(vec![("Patient".to_owned(), Fate::New)]));
        let issue = json!({"issue": [{"expression": ["Patient.gender"], "diagnostics": "No."}]}).to_string();
        assert_eq!(of_bundle(&sent, &Said { status: 400, text: issue }), Err(vec!["Patient.gender: No.".to_owned()]));
        assert_eq!(reasons("").len(), 1);
    }
}
