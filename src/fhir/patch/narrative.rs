//! A narrative that was made of the data must not go on saying what a patch has changed.
//! Follows <https://hl7.org/fhir/R4/narrative.html> and <https://hl7.org/fhir/R4/http.html#patch>.

use serde_json::Value;

use crate::fhir::outcome::Issue;

/// Makes the narrative of a patched resource safe. Where the patch changed the data and left the text as it was, a text that
/// was made of the data (`generated`, `extensions`) is taken away with a warning; a text that says more than the data
/// (`additional`) only its author can mend, so the patch is refused. A change of `meta` alone is no change of the data.
pub fn settle(before: &Value, after: &mut Value) -> Result<Option<Issue>, Issue> {
    let Some(text) = after.get("text").filter(|text| before.get("text") == Some(*text)) else { return Ok(None) };
    let status = text.get("status").and_then(Value::as_str).unwrap_or_default().to_owned();
    if status == "empty" || same_data(before, after) {
        return Ok(None);
    }
    let kind = after.get("resourceType").and_then(Value::as_str).unwrap_or("Resource");
    let place = format!("{kind}.text");
    if status == "additional" {
        let words = "The narrative says more than the data and may be wrong after this patch; change text in the same patch.";
        return Err(Issue::error("business-rule", "stale-narrative", place, words));
    }
    if let Some(members) = after.as_object_mut() {
        members.shift_remove("text");
    }
    let words = "The narrative was made of the data that the patch changed, and was taken away.";
    Ok(Some(Issue::warning("informational", "narrative-removed", place, words)))
}

/// Whether both say the same beside narrative and meta.
fn same_data(before: &Value, after: &Value) -> bool {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else { return false };
    let apart = |key: &str| matches!(key, "text" | "meta");
    let data = |map: &serde_json::Map<String, Value>| map.keys().filter(|key| !apart(key)).count();
    data(before) == data(after) && before.iter().filter(|(key, _)| !apart(key)).all(|(key, value)| after.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settled(status: &str, change: (&str, Value)) -> Result<(bool, bool), &'static str> {
        let before = json!({"resourceType": "Patient", "text": {"status": status, "div": "<div>male</div>"}, "gender": "male"});
        let mut after = before.clone();
        after[change.0] = change.1;
        let told = settle(&before, &mut after).map_err(|issue| issue.key)?;
        Ok((after.get("text").is_some(), told.is_some()))
    }

    #[test]
    fn a_generated_narrative_goes_when_the_data_changed_under_it() {
        let female = || ("gender", json!("female"));
        assert_eq!(settled("generated", female()), Ok((false, true)));
        assert_eq!(settled("extensions", female()), Ok((false, true)));
        assert_eq!(settled("empty", female()), Ok((true, false)));
        assert_eq!(settled("additional", female()), Err("stale-narrative"));
        assert_eq!(settled("generated", ("meta", json!({"tag": []}))), Ok((true, false)));
        assert_eq!(settled("additional", ("gender", json!("male"))), Ok((true, false)));
        assert_eq!(settled("generated", ("text", json!({"status": "generated", "div": "<div>new</div>"}))), Ok((true, false)));
    }
}
