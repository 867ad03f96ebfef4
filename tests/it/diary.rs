//! What was said and done about a patient, as lines that a story can compare.

use serde_json::Value;

use crate::house::House;

/// What names this record of the patient itself: a search finds what names the others, too.
pub(crate) async fn naming(house: &House, search: &str, member: &str, patient: &str) -> Vec<Value> {
    let mut found = house.all(&format!("{search}=Patient/{patient}")).await;
    found.retain(|one| one[member]["reference"] == format!("Patient/{patient}"));
    found
}

/// Messages said and Tasks made, oldest first: the day in New York, what it is, how it stands.
pub(crate) async fn diary(house: &House, patient: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for said in naming(house, "Communication?subject", "subject", patient).await {
        if said["sent"].is_string() && said["sender"]["reference"] != format!("Patient/{patient}") {
            lines.push((time(&said["sent"]), format!("{} {}", code(&said["category"][0]), word(&said["status"]))));
        }
    }
    for task in naming(house, "Task?patient", "for", patient).await {
        lines.push((time(&task["authoredOn"]), format!("{} {}", code(&task["code"]), word(&task["status"]))));
    }
    lines.sort();
    lines.into_iter().map(|(time, what)| format!("{} {what}", day(time))).collect()
}

/// The texts said to a patient, oldest first.
pub(crate) async fn texts(house: &House, patient: &str) -> Vec<String> {
    let mut said = naming(house, "Communication?subject", "subject", patient).await;
    said.retain(|one| one["sent"].is_string());
    said.sort_by_key(|one| time(&one["sent"]));
    said.iter().map(words).collect()
}

/// What was decided and not said: outcome and gate, each once.
pub(crate) fn held_back(house: &House) -> Vec<String> {
    let decided =
        house.database.rows("SELECT DISTINCT outcome || ' ' || gate FROM decisions WHERE outcome <> 'fired' ORDER BY 1");
    decided.into_iter().flatten().collect()
}

/// The words of a message: its parts, one after the other.
fn words(said: &Value) -> String {
    let parts = said["payload"].as_array().cloned().unwrap_or_default();
    parts.iter().map(|part| word(&part["contentString"])).collect::<Vec<_>>().join(" ")
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn code(concept: &Value) -> String {
    word(&concept["coding"][0]["code"])
}

fn time(value: &Value) -> jiff::Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

fn day(time: jiff::Timestamp) -> String {
    time.in_tz("America/New_York").unwrap().date().to_string()
}
