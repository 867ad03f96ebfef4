//! Reading the working form of a resource without ceremony.

use std::cmp::Ordering;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::fhir::time::Moment;

/// The member of this name. Objects of FHIR are small: to look through one takes less than to hash the name.
pub(crate) fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_object()?.iter().find(|(known, _)| *known == name).map(|(_, member)| member)
}

/// The string member of this name.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    member(value, name).and_then(Value::as_str)
}

/// The members of an array; nothing when it is absent or something else.
pub(crate) fn each<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    member(value, name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A number, also where it is written in a string.
pub(crate) fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok())).filter(|number| number.is_finite())
}

/// The reference of a Reference.
pub(crate) fn reference<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    member(value, name).and_then(|reference| text(reference, "reference"))
}

/// `Type/id` of a reference to a resource of this house, without its version.
pub(crate) fn local(reference: &str) -> Option<String> {
    let plain = reference.split("/_history/").next().unwrap_or(reference);
    let mut parts = plain.rsplit('/');
    let (id, kind) = (parts.next()?, parts.next()?);
    let named = kind.starts_with(|letter: char| letter.is_ascii_uppercase());
    (named && !id.is_empty()).then(|| format!("{kind}/{id}"))
}

/// The contained resource that `#id` names.
pub(crate) fn contained<'a>(resource: &'a Value, reference: &str) -> Option<&'a Value> {
    let id = reference.strip_prefix('#')?;
    each(resource, "contained").iter().find(|inner| text(inner, "id") == Some(id))
}

/// A canonical without its version.
pub(crate) fn unversioned(canonical: &str) -> &str {
    canonical.split_once('|').map_or(canonical, |(url, _)| url)
}

/// Every `(source, code, target system, target code)` of a ConceptMap.
pub(crate) fn mapped(map: &Value) -> Vec<(&str, &str, &str, &str)> {
    let mut rows = Vec::new();
    for group in each(map, "group") {
        let (source, system) = (text(group, "source").unwrap_or_default(), text(group, "target").unwrap_or_default());
        for element in each(group, "element") {
            for target in each(element, "target") {
                if let (Some(code), Some(to)) = (text(element, "code"), text(target, "code")) {
                    rows.push((source, code, system, to));
                }
            }
        }
    }
    rows
}

/// The value of the extension of this url, whatever its type.
pub(crate) fn extension<'a>(value: &'a Value, url: &str) -> Option<&'a Value> {
    let extension = each(value, "extension").iter().find(|extension| text(extension, "url") == Some(url))?;
    extension.as_object()?.iter().find(|(name, _)| name.starts_with("value")).map(|(_, value)| value)
}

/// Where a moment lies to the `period` of a value: before it, in it, or after it.
pub(crate) fn term(value: &Value, now: i64) -> Ordering {
    let Some(period) = value.get("period") else { return Ordering::Equal };
    let edge = |name| text(period, name).and_then(Moment::parse).map(|moment| moment.span(&TimeZone::UTC));
    if edge("end").is_some_and(|end| now >= end.high) {
        Ordering::Greater
    } else if edge("start").is_some_and(|start| now < start.low) {
        Ordering::Less
    } else {
        Ordering::Equal
    }
}

/// Whether one coding of a CodeableConcept (or array of them) has this code.
pub(crate) fn coded(concept: Option<&Value>, code: &str) -> bool {
    match concept {
        Some(Value::Array(concepts)) => concepts.iter().any(|concept| coded(Some(concept), code)),
        Some(concept) => each(concept, "coding").iter().any(|coding| text(coding, "code") == Some(code)),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_local_in_every_way_it_can_be_written() {
        assert_eq!(local("Patient/1/_history/2").as_deref(), Some("Patient/1"));
        assert_eq!(local("https://x.example/fhir/Patient/1").as_deref(), Some("Patient/1"));
        assert_eq!(local("urn:uuid:9c"), None);
        assert_eq!(local("#order"), None);
    }
}
