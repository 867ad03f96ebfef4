//! Finds the patients who may be the one that was sent, best first.
//! Follows <https://hl7.org/fhir/R4/patient-operation-match.html>.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::call::{Call, json};
use super::given::{Given, wrong};
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use super::searchset::push_entry;
use crate::fhir::kinds;
use crate::fhir::search::parse::parse;
use crate::fhir::time::instant;
use crate::identify::{Grade, Likeness, comparable, likeness, order};
use crate::ledger::Stored;

/// `POST Patient/$match`
pub(super) const OPERATION: Operation = Operation {
    name: "match",
    at: &[(Level::Type, Methods::Post)],
    types: &["Patient"],
    definition: "http://hl7.org/fhir/OperationDefinition/Patient-match",
    documentation: "Patients who may be the one that was sent, with score and grade, best first.",
    changes: false,
    answer: |call, asked| Box::pin(matching(call, asked)),
};

/// Patients that one question to the index brings up at most.
const CANDIDATES: &str = "200";
/// Values of one element that are asked for.
const VALUES_MAX: usize = 10;
/// Patients of one person that are looked at for one that stands.
const PATIENTS_MAX: i64 = 1_000;
/// Matches that are shown when nothing was asked, and at most.
const COUNT_DEFAULT: i64 = 50;
const COUNT_MAX: i64 = 200;

async fn matching(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let given = Given::asked(call, asked.method, asked.body).await?;
    let patient = given.whole("resource")?.filter(|resource| resource["resourceType"] == "Patient");
    let patient = patient.ok_or_else(|| wrong("resource", "must be a Patient, in Parameters or alone in the body"))?;
    let patient = &comparable(patient);
    let only_certain = given.flag("onlyCertainMatches")?;
    let count = given.count("count", 0, COUNT_MAX)?.unwrap_or(COUNT_DEFAULT);
    let questions = questions(patient);
    if questions.is_empty() {
        return Err(wrong(
            "resource",
            "must have an identifier with its system, a whole birth date, a telecom, or a name with family and given to be found by",
        ));
    }
    let horizon = call.door.flow.ledger.horizon();
    let mut known: BTreeMap<String, Stored> = BTreeMap::new();
    for question in questions {
        let parsed = parse("Patient", &question, call.door.flow.clock.now());
        if parsed.issues.is_empty() && parsed.unknown.is_empty() {
            let page = call.door.flow.ledger.search(call.scope(), &parsed.query).await?;
            known.extend(page.found.into_iter().map(|stored| (stored.id.clone(), stored)));
        }
    }
    let mut found: Vec<(Likeness, Stored)> = Vec::new();
    for stored in known.into_values() {
        let value = stored.value();
        let Some(likeness) = likeness(patient, &value) else { continue };
        if kinds::stands(&value) || !is_replaced(call, &stored).await? {
            found.push((likeness, stored));
        }
    }
    found.sort_by(|(one, first), (other, second)| order((one, &first.id), (other, &second.id)));
    if only_certain {
        found.retain(|(likeness, _)| likeness.grade == Grade::Certain);
        if found.len() > 1 {
            // Of several that are certain none is.
            found.clear();
        }
    }
    found.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    Ok(json(StatusCode::OK, searchset(&call.base(), horizon, &found)))
}

/// Whether another Patient of the same person stands, who is found instead of one that was replaced.
async fn is_replaced(call: &Call<'_>, stored: &Stored) -> Result<bool, Refusal> {
    let held = call.door.flow.ledger.held(call.scope(), stored.person, &["Patient"], PATIENTS_MAX).await?;
    Ok(held.iter().any(|other| kinds::stands(&other.value())))
}

/// What the index is asked: each question alone brings up a few, and none of them all.
fn questions(patient: &Value) -> Vec<Vec<(String, String)>> {
    let mut questions = Vec::new();
    let mut ask = |pairs: &[(&str, &str)]| {
        let mut question: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), escaped(value))).collect();
        question.push((String::from("_count"), String::from(CANDIDATES)));
        questions.push(question);
    };
    for (system, value) in kinds::identifiers(patient).iter().take(VALUES_MAX) {
        ask(&[("identifier", &format!("{}|{}", escaped_bar(system), escaped_bar(value)))]);
    }
    let list = |name: &str| patient[name].as_array().cloned().unwrap_or_default();
    for telecom in list("telecom").iter().take(VALUES_MAX) {
        if let Some(value) = telecom["value"].as_str() {
            ask(&[("telecom", &escaped_bar(value))]);
        }
    }
    let born = patient["birthDate"].as_str();
    if let Some(born) = born.filter(|born| born.len() == 10) {
        ask(&[("birthdate", born)]);
    }
    for name in list("name").iter().take(VALUES_MAX) {
        let family = name["family"].as_str();
        let first = name["given"].as_array().and_then(|given| given.first()).and_then(Value::as_str);
        match (family, first, born) {
            (Some(family), Some(first), _) => ask(&[("family", family), ("given", first)]),
            (Some(name), None, Some(born)) => ask(&[("family", name), ("birthdate", born)]),
            (None, Some(name), Some(born)) => ask(&[("given", name), ("birthdate", born)]),
            _ => {}
        }
    }
    questions
}

/// A comma or a dollar sign in a value must not look like syntax.
fn escaped(value: &str) -> String {
    value.replace(',', "\\,").replace('$', "\\$")
}

fn escaped_bar(value: &str) -> String {
    value.replace('|', "\\|")
}

fn searchset(base: &str, horizon: i64, found: &[(Likeness, Stored)]) -> String {
    let mut text = format!(
        r#"{{"resourceType":"Bundle","meta":{{"lastUpdated":"{}"}},"type":"searchset","total":{}"#,
        instant(horizon),
        found.len()
    );
    let mut mark = r#","entry":["#;
    for (likeness, stored) in found {
        text.push_str(mark);
        mark = ",";
        push_entry(&mut text, base, stored);
        let _ = write!(
            text,
            r#","search":{{"extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/match-grade","valueCode":"{}"}}],"mode":"match","score":{:.4}}}}}"#,
            likeness.grade.code(),
            likeness.score
        );
    }
    text.push_str(if found.is_empty() { "}" } else { "]}" });
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_question_is_narrow() {
        let asked = |patient: Value| {
            let shown = |question: &Vec<(String, String)>| {
                let pairs = question.iter().filter(|(name, _)| name != "_count").map(|(name, value)| format!("{name}={value}"));
                pairs.collect::<Vec<_>>().join("&")
            };
            questions(&patient).iter().map(shown).collect::<Vec<_>>()
        };
        assert_eq!(asked(json!({"gender": "female"})), Vec::<String>::new());
        assert_eq!(asked(json!({"name": [{"family": "Wu"}]})), Vec::<String>::new());
        let whole = json!({"identifier": [{"system": "urn:s", "value": "a|b"}, {"value": "7"}], "telecom": [{"value": "1,2"}],
            "birthDate": "1961-04-12", "name": [{"family": "Wu", "given": ["Bo"]}]});
        assert_eq!(asked(whole), ["identifier=urn:s|a\\|b", "telecom=1\\,2", "birthdate=1961-04-12", "family=Wu&given=Bo"]);
        assert_eq!(asked(json!({"birthDate": "1961", "name": [{"family": "Wu"}]})), ["family=Wu&birthdate=1961"]);
    }
}
