//! What the ledger knows about a resource type beyond its definition: whose it is, when it happened, in which store.
//! Follows <https://hl7.org/fhir/R4/compartmentdefinition-patient.html>.

mod allergy_intolerance;
mod communication;
mod communication_request;
mod condition;
mod consent;
mod coverage;
mod diagnostic_report;
mod encounter;
mod immunization;
mod medication_dispense;
mod medication_request;
mod medication_statement;
mod observation;
mod patient;
mod procedure;
mod provenance;
mod related_person;
mod task;
mod whose;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::definitions;
use super::time::Moment;

pub use whose::{Lead, Named, is_about, lead, may_say_whose, whose};

/// Elements of one resource type that have a meaning for the ledger. A path is element names joined by dots; lists are
/// searched through; of several paths the first that leads to a usable value counts.
#[derive(Debug)]
pub struct Kind {
    /// The resource type.
    pub name: &'static str,
    /// References that say whose it is.
    pub subject: &'static [&'static str],
    /// Dates, times, Periods or Timings that say when it happened.
    pub happened: &'static [&'static str],
    /// References to the Organization in whose store it happened.
    pub store: &'static [&'static str],
}

/// All types with a meaning of their own.
///
/// To add one: write `kinds/<type>.rs` with its `KIND` and a sentence on why these elements in this order, name it above
/// with `mod`, and add its line here. A type without a line is served by [`GENERIC`].
const KINDS: &[&Kind] = &[
    &observation::KIND,
    &condition::KIND,
    &medication_dispense::KIND,
    &medication_request::KIND,
    &diagnostic_report::KIND,
    &encounter::KIND,
    &patient::KIND,
    &task::KIND,
    &communication::KIND,
    &communication_request::KIND,
    &procedure::KIND,
    &immunization::KIND,
    &allergy_intolerance::KIND,
    &medication_statement::KIND,
    &coverage::KIND,
    &consent::KIND,
    &related_person::KIND,
    &provenance::KIND,
];

/// What holds for every other type: the names that the standard itself uses for these meanings.
const GENERIC: Kind = Kind {
    name: "",
    subject: &[
        "subject",
        "patient",
        "for",
        "beneficiary",
        "individual",
        "candidate",
        "participant.actor",
        "actor",
        "link.target",
    ],
    happened: &[
        "occurrenceDateTime",
        "occurrencePeriod",
        "performedDateTime",
        "performedPeriod",
        "effectiveDateTime",
        "effectivePeriod",
        "servicedDate",
        "started",
        "start",
        "date",
        "dateTime",
        "authoredOn",
        "authored",
        "created",
        "issued",
        "recordedDate",
        "period",
    ],
    store: &["performer.actor", "performer", "owner", "managingOrganization", "custodian", "provider"],
};

/// The types that rules are made of. An imported one rests until it is sent again.
pub const ARTEFACTS: &[&str] = &["PlanDefinition", "ActivityDefinition", "ValueSet", "ConceptMap"];

/// Whether a resource of this type may be about a person.
#[must_use]
pub fn is_of_persons(name: &str) -> bool {
    let leads = |path: &&&str| {
        let mut at = Some(name);
        path.split('.').for_each(|key| at = at.and_then(|parent| definitions::child(parent, key)).map(|child| child.kind));
        at == Some("Reference")
    };
    name == "Patient" || of(name).subject.iter().any(|path| leads(&path))
}

/// What is known of this type.
#[must_use]
pub fn of(name: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.name == name).copied().unwrap_or(&GENERIC)
}

impl Kind {
    /// When it happened, in UTC milliseconds. A plain date counts as the first moment of its day in UTC, a Period by its start.
    #[must_use]
    pub fn happened(&self, resource: &Value) -> Option<i64> {
        self.happened.iter().find_map(|path| find(resource, path, &mut moment))
    }

    /// The id of the Organization in whose store it happened.
    #[must_use]
    pub fn store<'a>(&self, resource: &'a Value) -> Option<&'a str> {
        self.store.iter().find_map(|path| find(resource, path, &mut organization))
    }
}

/// The identifiers of a resource that have both a system and a value; one without a system matches nobody.
#[must_use]
pub fn identifiers(resource: &Value) -> Vec<(String, String)> {
    match resource.get("identifier") {
        Some(Value::Array(all)) => all.iter().filter_map(identifier).collect(),
        Some(one) => identifier(one).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Whether a Patient stands for itself: who was replaced by another is found by that other.
#[must_use]
pub fn stands(patient: &Value) -> bool {
    let links = patient.get("link").and_then(Value::as_array).into_iter().flatten();
    !links.into_iter().any(|link| link.get("type").and_then(Value::as_str) == Some("replaced-by"))
}

/// System and value of an Identifier, if it has both.
#[must_use]
pub fn identifier(identifier: &Value) -> Option<(String, String)> {
    let part = |name| identifier.get(name).and_then(Value::as_str).map(str::trim).filter(|text: &&str| !text.is_empty());
    Some((part("system")?.to_owned(), part("value")?.to_owned()))
}

/// The first value at the end of the path for which `usable` has an answer.
pub fn find<'a, T>(value: &'a Value, path: &str, usable: &mut impl FnMut(&'a Value) -> Option<T>) -> Option<T> {
    if let Value::Array(items) = value {
        return items.iter().find_map(|item| find(item, path, usable));
    }
    if path.is_empty() {
        return usable(value);
    }
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    // Objects are small: to look through one takes less than to hash the name.
    let (_, inner) = value.as_object()?.iter().find(|(known, _)| *known == name)?;
    find(inner, rest, usable)
}

fn moment(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => Moment::parse(text).map(|moment| moment.span(&TimeZone::UTC).low),
        Value::Object(_) => {
            let timing = || value.get("event").and_then(|events| find(events, "", &mut moment));
            value.get("start").and_then(moment).or_else(|| value.get("end").and_then(moment)).or_else(timing)
        }
        _ => None,
    }
}

fn organization(reference: &Value) -> Option<&str> {
    let id = reference.get("reference")?.as_str()?.strip_prefix("Organization/")?;
    Some(id.split('/').next().unwrap_or(id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn happened(resource: &Value) -> Option<String> {
        let kind = of(resource["resourceType"].as_str().unwrap());
        kind.happened(resource).map(crate::fhir::time::instant)
    }

    #[test]
    fn a_dispense_happens_when_it_is_handed_over_else_when_it_is_prepared() {
        let both = json!({"resourceType": "MedicationDispense", "whenPrepared": "2026-01-01", "whenHandedOver": "2026-01-02"});
        assert_eq!(happened(&both).as_deref(), Some("2026-01-02T00:00:00.000Z"));
        let prepared = json!({"resourceType": "MedicationDispense", "whenPrepared": "2026-01-01T09:00:00+08:00"});
        assert_eq!(happened(&prepared).as_deref(), Some("2026-01-01T01:00:00.000Z"));
        assert_eq!(happened(&json!({"resourceType": "MedicationDispense"})), None);
    }

    #[test]
    fn a_condition_without_a_readable_onset_happens_when_it_is_recorded() {
        let aged = json!({"resourceType": "Condition", "onsetAge": {"value": 52}, "recordedDate": "2013-04"});
        assert_eq!(happened(&aged).as_deref(), Some("2013-04-01T00:00:00.000Z"));
        let period = json!({"resourceType": "Condition", "onsetPeriod": {"start": "2012"}, "recordedDate": "2013-04"});
        assert_eq!(happened(&period).as_deref(), Some("2012-01-01T00:00:00.000Z"));
    }

    #[test]
    fn a_type_without_a_line_is_read_by_the_names_of_the_standard() {
        let order = json!({"resourceType": "SupplyDelivery", "occurrenceTiming": {}, "occurrenceDateTime": "2026-02-03"});
        assert_eq!(happened(&order).as_deref(), Some("2026-02-03T00:00:00.000Z"));
        let visit = json!({"resourceType": "EpisodeOfCare", "period": {"end": "2020"}, "managingOrganization": {"reference": "Organization/s1"}});
        assert_eq!(happened(&visit).as_deref(), Some("2020-01-01T00:00:00.000Z"));
        assert_eq!(of("EpisodeOfCare").store(&visit), Some("s1"));
    }

    #[test]
    fn the_store_is_the_first_organization_among_the_performers() {
        let dispense = json!({"performer": [
            {"actor": {"reference": "Practitioner/p"}},
            {"actor": {"reference": "Organization/west/_history/3"}},
        ]});
        assert_eq!(of("MedicationDispense").store(&dispense), Some("west"));
        assert_eq!(of("MedicationDispense").store(&json!({"performer": [{"actor": {"reference": "#o"}}]})), None);
    }

    #[test]
    fn only_identifiers_with_system_and_value_count() {
        let patient = json!({"identifier": [{"system": "urn:a", "value": " 1 "}, {"value": "2"}, {"system": "urn:b"}, {"system": "", "value": "3"}]});
        assert_eq!(identifiers(&patient), [(String::from("urn:a"), String::from("1"))]);
        assert_eq!(identifiers(&json!({"identifier": {"system": "urn:q", "value": "7"}})).len(), 1);
    }
}
