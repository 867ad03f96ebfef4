//! What one dispense supplies: the row the ledger keeps of it, or why there is none.
//! Follows <https://hl7.org/fhir/R4/medicationdispense.html>.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::json::{each, local, reference, text};
use super::{Resource, Rules, Store, Story, days, products, zones};
use crate::fhir::time::{Moment, Precision};
use crate::ledger::Supply;

/// The ValueSet of kinds of dispense that hand out only a part.
pub(crate) const PARTIAL: &str = "https://signa.example/fhir/ValueSet/partial-fill";

/// The ValueSet of kinds of dispense by which nothing was handed over.
pub(crate) const NOT_HANDED: &str = "https://signa.example/fhir/ValueSet/not-handed-over";

/// The type of an event that somebody tells of by its name.
pub(crate) const EVENT: &str = "Basic";

/// Where days begin when no store is known.
static UTC: TimeZone = TimeZone::UTC;

/// Why a dispense supplies nothing we can count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// It was taken back, or never done.
    Reversed,
    /// It is not (yet) done.
    NotDone,
    /// Its type says that nothing was handed over, against its status.
    Contradicts,
    /// It names no product.
    NoProduct,
    /// It says no day on which it was handed over or prepared.
    NoDay,
}

impl Nothing {
    /// The sentence for it.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Reversed => "The dispense was reversed.",
            Self::NotDone => "The dispense is not completed.",
            Self::Contradicts => "The dispense is called completed, but its type says that nothing was handed over.",
            Self::NoProduct => "The dispense names no product.",
            Self::NoDay => "The dispense says no day on which it was handed over or prepared.",
        }
    }
}

/// The supply row of a MedicationDispense.
pub(crate) fn row(rules: &Rules, story: &Story, dispense: &Resource) -> Result<Supply, Nothing> {
    let value = dispense.value.as_ref();
    if is_reversed(dispense) {
        return Err(Nothing::Reversed);
    }
    if text(value, "status") != Some("completed") {
        return Err(Nothing::NotDone);
    }
    let kind = value.get("type");
    if kind.is_some_and(|kind| rules.concepts.matches(NOT_HANDED, kind)) {
        return Err(Nothing::Contradicts);
    }
    let product = rules.products.group(&rules.concepts, value, story).ok_or(Nothing::NoProduct)?;
    let handed = handed(value, zone(story, value)).ok_or(Nothing::NoDay)?;
    let is_partial = kind.is_some_and(|kind| rules.concepts.matches(PARTIAL, kind));
    let order = products::order(value, story);
    let days = days::of(value, order, is_partial, order.is_some_and(|order| products::is_as_ordered(value, order, story)));
    Ok(Supply {
        person: dispense.person,
        product,
        dispense: dispense.id.clone(),
        version: dispense.version,
        fact: dispense.fact,
        source: dispense.source.clone(),
        handed,
        days: days.count,
        step: days.step.to_owned(),
        quantity: value.get("quantity").map(quantity).unwrap_or_default(),
    })
}

/// Whether a resource was taken back: deleted, or of a status that undoes it.
pub(crate) fn is_reversed(resource: &Resource) -> bool {
    resource.deleted || is_undone(&resource.value)
}

/// Whether its status undoes a resource, or says that what it tells of was never done.
pub(crate) fn is_undone(resource: &Value) -> bool {
    let taken_back = ["entered-in-error", "cancelled", "stopped", "declined", "revoked", "rejected", "abandoned", "nullified"];
    let never_done = ["not-done", "not-taken"];
    text(resource, "status").is_some_and(|status| taken_back.contains(&status) || never_done.contains(&status))
}

/// Whether its status leaves open whether a resource tells of something that is so. A dispense that is prepared or on hold is as it
/// says it is.
pub(crate) fn is_open(resource: &Resource) -> bool {
    match (resource.kind.as_str(), text(&resource.value, "status")) {
        ("MedicationDispense", _) | (_, None) => false,
        ("DiagnosticReport" | "Observation", Some("registered" | "partial" | "preliminary")) => true,
        (_, Some(status)) => matches!(status, "preparation" | "draft" | "on-hold" | "unknown"),
    }
}

/// Whether its status says that a resource was corrected.
pub(crate) fn is_corrected(resource: &Value) -> bool {
    matches!(text(resource, "status"), Some("corrected" | "amended" | "appended"))
}

/// The day it was handed over, else prepared, where that is known to the day.
pub(super) fn handed(value: &Value, zone: &TimeZone) -> Option<i64> {
    let written = text(value, "whenHandedOver").or_else(|| text(value, "whenPrepared"))?;
    let moment = Moment::parse(written).filter(|moment| moment.precision >= Precision::Day)?;
    let local = match moment.offset {
        Some(offset) => zone.to_datetime(offset.to_timestamp(moment.civil).ok()?).date(),
        None => moment.day(),
    };
    Some(zones::number(local))
}

fn quantity(quantity: &Value) -> String {
    let value = quantity.get("value").map(Value::to_string).unwrap_or_default();
    let unit = text(quantity, "code").or_else(|| text(quantity, "unit")).unwrap_or_default();
    if value.is_empty() { value } else { format!("{value}|{unit}") }
}

/// The store a resource belongs to: the Organization that handed a dispense over, else the first one of the story. An event that
/// somebody named is told by the store where something waits for the person.
pub(crate) fn store(story: &Story, value: &Value) -> Store {
    let usual = story.stores.first();
    let zone = usual.map_or(&UTC, |store| &store.zone);
    match organization(story, value) {
        Some(id) => known(story, &id).cloned().unwrap_or_else(|| Store { organization: id, zone: zone.clone() }),
        None => usual.cloned().unwrap_or_else(|| Store::unknown(zone)),
    }
}

/// In which zone the store of a resource counts its days.
pub(crate) fn zone<'s>(story: &'s Story, value: &Value) -> &'s TimeZone {
    let named = organization(story, value).and_then(|id| known(story, &id));
    named.or(story.stores.first()).map_or(&UTC, |store| &store.zone)
}

fn known<'s>(story: &'s Story, id: &str) -> Option<&'s Store> {
    story.stores.iter().find(|store| store.organization == id)
}

/// The Organization that handed over a dispense, or the one of what waits.
fn organization(story: &Story, value: &Value) -> Option<String> {
    let dispense = match text(value, "resourceType") {
        Some("MedicationDispense") => value,
        Some(EVENT) => newest_dispense(story)?,
        // Who performs a report or records a diagnosis is no store.
        _ => return None,
    };
    let mut actors = each(dispense, "performer").iter().filter_map(|performer| local(reference(performer, "actor")?));
    actors.find_map(|actor| actor.strip_prefix("Organization/").map(str::to_owned))
}

/// What waits for the person, of several the newest; where nothing waits, what was there last.
fn newest_dispense(story: &Story) -> Option<&Value> {
    let when = |value: &Value| {
        let written = ["whenHandedOver", "whenPrepared"].into_iter().filter_map(|name| text(value, name));
        written.max().map(str::to_owned)
    };
    let waits = |value: &Value| matches!(text(value, "status"), Some("preparation" | "in-progress" | "on-hold"));
    let standing = story.current("MedicationDispense").filter(|one| text(&one.value, "status") != Some("entered-in-error"));
    let newest = standing.max_by_key(|one| (waits(&one.value), when(&one.value), one.learned, &one.id));
    newest.map(|one| one.value.as_ref())
}

/// `2026-01-30`, of a day's number.
pub(crate) fn written(day: i64) -> String {
    zones::date(day).to_string()
}
