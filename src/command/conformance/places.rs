//! The plain paths of a TestScript: steps through JSON, written as JSONPath or as the XPath of the same resource in XML.
//! Follows <https://hl7.org/fhir/R4/testscript-definitions.html#TestScript.setup.action.assert.path>.

use serde_json::Value;

/// What lies at `$.name[0].family`, `fhir:Patient/fhir:name/fhir:family/@value` or `Patient/name/family`, as texts.
///
/// Filters, wildcards other than `[*]` and functions are not understood; an expression in FHIRPath is the word for them.
pub(super) fn find(path: &str, resource: &Value) -> Result<Vec<String>, String> {
    if let Some(letter) = path.chars().find(|letter| !letter.is_ascii_alphanumeric() && !"$./:@[]*_-".contains(*letter)) {
        return Err(format!("the path {path} has a {letter}: only plain steps are understood; say it as an expression"));
    }
    let kind = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    let mut found = vec![resource];
    for (at, step) in path.trim_start_matches(['$', '.', '/']).split(['.', '/']).enumerate() {
        let step = step.strip_prefix("fhir:").unwrap_or(step);
        if step.is_empty() || step == "@value" || (at == 0 && step == kind) {
            continue;
        }
        let (name, index) = step.split_once('[').unwrap_or((step, ""));
        let index = index.trim_end_matches(']');
        found = found.into_iter().filter_map(|value| value.get(name)).collect();
        found = match index {
            "" | "*" => found.into_iter().flat_map(each).collect(),
            _ => {
                let index: usize = index.parse().map_err(|_| format!("the path {path} has an index that is no number"))?;
                found.into_iter().filter_map(|value| each(value).into_iter().nth(index)).collect()
            }
        };
    }
    Ok(found.into_iter().map(text).collect())
}

fn each(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether everything that `least` has is in `whole`, too: the meaning of `minimumId`. What is missing is named.
pub(super) fn lacks(least: &Value, whole: &Value, at: &str) -> Option<String> {
    match (least, whole) {
        (Value::Object(least), Value::Object(whole)) => least.iter().find_map(|(name, value)| {
            let at = format!("{at}.{name}");
            match whole.get(name) {
                Some(found) => lacks(value, found, &at),
                None => Some(at),
            }
        }),
        (Value::Array(least), Value::Array(whole)) => least.iter().enumerate().find_map(|(index, value)| {
            let is_there = whole.iter().any(|found| lacks(value, found, at).is_none());
            (!is_there).then(|| format!("{at}[{index}]"))
        }),
        _ => (least != whole).then(|| at.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_through_lists() {
        let patient =
            json!({"resourceType": "Patient", "name": [{"family": "A"}, {"family": "B", "given": ["c", "d"]}], "active": true});
        for (path, expected) in [
            ("$.name.family", &["A", "B"][..]),
            ("$.name[1].given[0]", &["c"]),
            ("fhir:Patient/fhir:name/fhir:given/@value", &["c", "d"]),
            ("Patient.active", &["true"]),
            ("$.name[7].family", &[]),
        ] {
            assert_eq!(find(path, &patient).unwrap(), expected, "{path}");
        }
        assert!(find("$.name[?(@.use=='official')]", &patient).is_err());
    }

    #[test]
    fn what_is_missing_is_named() {
        let whole = json!({"a": [{"b": 1, "c": 2}, {"b": 3}], "d": "e"});
        assert_eq!(lacks(&json!({"a": [{"b": 3}]}), &whole, "X"), None);
        assert_eq!(lacks(&json!({"a": [{"b": 4}]}), &whole, "X"), Some(String::from("X.a[0]")));
        assert_eq!(lacks(&json!({"d": "f"}), &whole, "X"), Some(String::from("X.d")));
        assert_eq!(lacks(&json!({"g": 1}), &whole, "X"), Some(String::from("X.g")));
    }
}
