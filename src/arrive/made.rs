//! Resources that are shown and not stored: where Signa's own outputs came from, and the definitions of its operations.
//! Follows <https://hl7.org/fhir/R4/provenance.html> and <https://hl7.org/fhir/R4/operationdefinition.html>.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::call::Call;
use super::outcome::Refusal;
use crate::fhir::search::parse::parse;
use crate::fhir::search::query::Criterion;
use crate::fhir::search::{Include, Subject, make_relative, pairs};
use crate::fhir::time::Moment;
use crate::ledger::{Decision, How, Person, Stored};
use crate::react::{self, Made};

/// The definitions of our own operations. A new one is a file in `profiles/operations/` and its line here.
pub(super) const DEFINITIONS: &[(&str, &str)] = &[
    ("adherence", include_str!("../../profiles/operations/adherence.json")),
    ("effect", include_str!("../../profiles/operations/effect.json")),
    ("ledger", include_str!("../../profiles/operations/ledger.json")),
    ("secret", include_str!("../../profiles/operations/secret.json")),
    ("simulate", include_str!("../../profiles/operations/simulate.json")),
    ("why", include_str!("../../profiles/operations/why.json")),
    ("why-not", include_str!("../../profiles/operations/why-not.json")),
];

/// Who records what Signa made.
const SIGNA: &str = "signa";
/// Versions of one output that are looked at.
const VERSIONS_MAX: i64 = 1_000;
/// Targets that one search is told of.
const TARGETS_MAX: usize = 20;
/// Provenances that are shown beside the matches of one page.
const BESIDE_MAX: usize = 1_000;

/// The definition of one of our operations.
pub(super) fn definition(id: &str) -> Option<Value> {
    let (_, text) = DEFINITIONS.iter().find(|(own, _)| *own == id)?;
    serde_json::from_str(text).ok()
}

/// What is shown at an address where nothing is stored.
pub(super) async fn made(call: &Call<'_>, kind: &str, id: &str) -> Result<Option<Value>, Refusal> {
    match kind {
        "OperationDefinition" => Ok(definition(id)),
        "Provenance" => {
            let Some((kind, id, version)) = react::provenance_target(id) else { return Ok(None) };
            let all = provenances(call, kind, id, &mut Decided::new()).await?;
            let suffix = format!("/_history/{version}");
            let mut all = all.into_iter().map(|(_, one)| one);
            Ok(all.find(|one| one["target"][0]["reference"].as_str().is_some_and(|target| target.ends_with(&suffix))))
        }
        _ => Ok(None),
    }
}

/// What was decided of persons, read once for all that is asked about them.
type Decided = BTreeMap<Person, Vec<Decision>>;

/// The Provenances of all versions of a resource that Signa made, each with its stamp, newest first.
async fn provenances(call: &Call<'_>, kind: &str, id: &str, decided: &mut Decided) -> Result<Vec<(i64, Value)>, Refusal> {
    if !matches!(kind, "Communication" | "CommunicationRequest" | "Task") {
        return Ok(Vec::new());
    }
    let mut own = call.door.flow.ledger.history(call.scope(), kind, id, VERSIONS_MAX).await?;
    own.retain(|version| version.source == SIGNA && !version.deleted && version.person != Person::NOBODY);
    let Some(person) = own.first().map(|version| version.person) else { return Ok(Vec::new()) };
    let decisions = match decided.entry(person) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => place.insert(all_decided(call, person).await?),
    };
    let scope = call.scope();
    let told = own.iter().filter_map(|version| {
        let made = Made { kind, id, version: version.version, updated: version.updated };
        Some((version.updated, react::provenance(decisions, &made, &call.door.teller.rules, &scope.tenant)?))
    });
    Ok(told.collect())
}

/// What was decided of a person, and of those who were taken for one with them: what was said to one for a fact of the other was
/// decided about the other.
async fn all_decided(call: &Call<'_>, person: Person) -> Result<Vec<Decision>, Refusal> {
    let (ledger, scope) = (&call.door.flow.ledger, call.scope());
    let mut decisions = ledger.all_decisions(scope, person).await?;
    let parted: BTreeSet<Person> = ledger.parted(scope, person).await?.iter().map(|parting| parting.person).collect();
    for other in parted {
        decisions.extend(ledger.all_decisions(scope, other).await?);
    }
    Ok(decisions)
}

/// The types of which some are shown and not stored.
pub(super) const MADE: [&str; 2] = ["OperationDefinition", "Provenance"];

/// A searchset of what is stored of such a type with that added which is shown and not stored, and meets the search: Provenances of the
/// targets that were asked for, or the definitions of our operations. All of it is on the first page.
pub(super) async fn with_made(call: &Call<'_>, base: &str, kind: &str, query: &str, found: String) -> Result<String, Refusal> {
    let mut pairs = pairs(query).map_err(|issue| vec![issue])?;
    if pairs.iter().any(|(name, _)| name == super::links::PAGE) {
        return Ok(found);
    }
    let told = if kind == "Provenance" { of_targets(call, base, &pairs).await? } else { definitions() };
    let own = format!("{base}/");
    for (name, value) in &mut pairs {
        make_relative(kind, name, value, &own);
    }
    let now = call.door.flow.clock.now();
    if told.is_empty() {
        return Ok(found);
    }
    let criteria = parse(kind, &pairs, now).query.criteria;
    let mut told = meeting(kind, &call.door.flow.ledger.meant(call.scope(), kind, criteria).await?, told, now);
    if kind == "OperationDefinition" {
        told = unstored(call, told).await?;
    }
    if told.is_empty() {
        return Ok(found);
    }
    let mut bundle: Value = serde_json::from_str(&found).map_err(|error| Refusal::ours(error.to_string()))?;
    if let Some(total) = bundle["total"].as_u64() {
        bundle["total"] = json!(total + told.len() as u64);
    }
    if pairs.iter().any(|(name, value)| name == "_summary" && value == "count") {
        return Ok(bundle.to_string());
    }
    let entry = |one: Value| {
        let id = one["id"].as_str().unwrap_or_default();
        json!({"fullUrl": format!("{base}/{kind}/{id}"), "resource": one, "search": {"mode": "match"}})
    };
    let mut entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries.extend(told.into_iter().map(entry));
    bundle["entry"] = Value::Array(entries);
    Ok(bundle.to_string())
}

/// What is shown, each with its stamp.
type Told = Vec<(i64, Value)>;

/// The Provenances of the targets that a search asks for.
async fn of_targets(call: &Call<'_>, base: &str, pairs: &[(String, String)]) -> Result<Told, Refusal> {
    let (mut told, mut decided) = (Vec::new(), Decided::new());
    for (kind, id) in targets(base, pairs).into_iter().take(TARGETS_MAX) {
        told.extend(provenances(call, &kind, &id, &mut decided).await?);
    }
    Ok(told)
}

/// The definitions of our operations, as of the day that each of them tells.
fn definitions() -> Told {
    let of = |(id, _): &(&str, &str)| {
        let one = definition(id)?;
        let day = Moment::parse(one["date"].as_str()?)?;
        Some((day.span(&TimeZone::UTC).low, one))
    };
    DEFINITIONS.iter().filter_map(of).collect()
}

/// Those of our definitions in whose place nothing was stored.
async fn unstored(call: &Call<'_>, definitions: Vec<Value>) -> Result<Vec<Value>, Refusal> {
    let mut left = Vec::new();
    for one in definitions {
        let id = one["id"].as_str().unwrap_or_default();
        if call.door.flow.ledger.read(call.scope(), "OperationDefinition", id).await?.is_none() {
            left.push(one);
        }
    }
    Ok(left)
}

/// Where those of a page's matches came from that Signa made, if the search wants Provenances beside them; of what stands beside them, if
/// it wants that to go on. And whether there are more.
pub(super) async fn beside(
    call: &Call<'_>,
    wishes: &[Include],
    matches: &[Stored],
    found: &[Stored],
) -> Result<(Vec<Stored>, bool), Refusal> {
    let (mut told, mut decided) = (Vec::new(), Decided::new());
    let all = matches.iter().map(|one| (one, false)).chain(found.iter().map(|one| (one, true)));
    for (made, is_beside) in all {
        if !wishes.iter().any(|wish| (wish.iterate || !is_beside) && wants_origin(wish, &made.kind)) {
            continue;
        }
        let more = provenances(call, &made.kind, &made.id, &mut decided).await?;
        if !fit(&mut told, more.into_iter().map(|(updated, one)| shown(made.person, updated, one))) {
            return Ok((told, true));
        }
    }
    Ok((told, false))
}

/// Adds what there is room for; whether that is all.
fn fit(told: &mut Vec<Stored>, more: impl Iterator<Item = Stored>) -> bool {
    let mut more = more.fuse();
    told.extend(more.by_ref().take(BESIDE_MAX - told.len()));
    more.next().is_none()
}

/// Whether a wish is one for Provenances of which a resource of this type is a target.
fn wants_origin(wish: &Include, kind: &str) -> bool {
    let is_target = wish.code.is_none_or(|code| code == "target") && wish.target.is_none_or(|target| target == kind);
    wish.reverse && wish.kind == Some("Provenance") && is_target
}

/// A Provenance that is not stored, as if it were.
fn shown(person: Person, updated: i64, mut provenance: Value) -> Stored {
    let id = provenance["id"].as_str().unwrap_or_default().to_owned();
    if let Some(members) = provenance.as_object_mut() {
        members.retain(|name, _| name != "id" && name != "meta");
    }
    Stored {
        number: 0,
        kind: String::from("Provenance"),
        id,
        version: 1,
        updated,
        deleted: false,
        person,
        fact: 0,
        source: String::from(SIGNA),
        how: How::Live,
        meta: String::new(),
        body: provenance.to_string(),
    }
}

/// Those that meet all of a search, each once. What only the store can tell, where a chain leads, none of them meets.
fn meeting(kind: &str, criteria: &[Criterion], told: Told, now: i64) -> Vec<Value> {
    let mut known = BTreeSet::new();
    let meets = |(updated, one): &(i64, Value)| {
        let id = one["id"].as_str().unwrap_or_default();
        let subject = Subject { kind, id, updated: Some(*updated), value: one, now };
        criteria.iter().all(|criterion| subject.meets(criterion)) && known.insert(id.to_owned())
    };
    told.into_iter().filter(meets).map(|(_, one)| one).collect()
}

/// Types and ids of the targets that are asked for.
fn targets(base: &str, pairs: &[(String, String)]) -> Vec<(String, String)> {
    let asked = pairs.iter().filter(|(name, _)| name == "target" || name.starts_with("target:"));
    let each = |(name, value): &(String, String)| {
        let kind = name.split_once(':').map(|(_, kind)| kind);
        value.split(',').filter_map(|value| target(base, kind, value)).collect::<Vec<_>>()
    };
    asked.flat_map(each).collect()
}

/// Type and id of a target, however it is written.
fn target(base: &str, kind: Option<&str>, value: &str) -> Option<(String, String)> {
    let plain = value.strip_prefix(base).map_or(value, |rest| rest.trim_start_matches('/'));
    let plain = plain.split_once("/_history/").map_or(plain, |(plain, _)| plain);
    let (kind, id) = plain.split_once('/').or_else(|| Some((kind?, plain)))?;
    Some((kind.to_owned(), id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_stand_beside_a_page_and_no_more() {
        let some = |count: usize| (0..count).map(|at| shown(Person::NOBODY, 0, json!({"id": at.to_string()})));
        let mut told = Vec::new();
        assert!(fit(&mut told, some(BESIDE_MAX - 1)) && fit(&mut told, some(1)) && fit(&mut told, some(0)));
        assert!(!fit(&mut told, some(1)));
        assert_eq!(told.len(), BESIDE_MAX);
        assert!(!fit(&mut Vec::new(), some(BESIDE_MAX + 1)));
    }

    #[test]
    fn a_target_is_found_however_it_is_written() {
        let base = "http://a/fhir";
        for (kind, value, expected) in [
            (None, "Task/1", Some(("Task", "1"))),
            (None, "Task/1/_history/2", Some(("Task", "1"))),
            (None, "http://a/fhir/Task/1", Some(("Task", "1"))),
            (Some("Task"), "1", Some(("Task", "1"))),
            (None, "1", None),
        ] {
            let found = target(base, kind, value);
            assert_eq!(found.as_ref().map(|(kind, id)| (kind.as_str(), id.as_str())), expected, "{value}");
        }
    }

    #[test]
    fn what_is_shown_meets_all_that_was_asked() {
        let told = |kind: &str, recorded: &str| {
            json!({"resourceType": "Provenance", "id": format!("{kind}.1.2"), "recorded": recorded,
                "target": [{"reference": format!("{kind}/1/_history/2")}], "agent": [{"who": {"display": "Signa"}}]})
        };
        let (task, message) = (told("Task", "2026-06-26T08:00:00Z"), told("Communication", "2026-07-01T08:00:00Z"));
        for (query, expected) in [
            ("target=Task/1", &["Task.1.2"][..]),
            ("target:Task=1&_count=5&_summary=false", &["Task.1.2"]),
            ("target=Task/1,Communication/1", &["Task.1.2", "Communication.1.2"]),
            ("target=Task/1&target=Communication/1", &[]),
            ("target=Task/1&target=Task/1", &["Task.1.2"]),
            ("target=Task/1&recorded=2026-06-26", &["Task.1.2"]),
            ("target=Task/1&recorded=gt2026-06-27", &[]),
            ("target=Task/1&_lastUpdated=lt1970-01-02", &["Task.1.2"]),
            ("target=Task/1&_id=other", &[]),
            ("target=Task/1&agent=Practitioner/1", &[]),
            ("target=Task/1&agent:Practitioner.name=ana", &[]),
            ("target=Task/1&_has:Provenance:entity:_id=x", &[]),
        ] {
            let parsed = parse("Provenance", &pairs(query).unwrap(), 0);
            assert!(parsed.issues.is_empty() && parsed.unknown.is_empty(), "{query}: {parsed:?}");
            let all = [&task, &message, &task].map(|one| (1_000, one.clone())).to_vec();
            let found = meeting("Provenance", &parsed.query.criteria, all, 0);
            let ids: Vec<&str> = found.iter().filter_map(|one| one["id"].as_str()).collect();
            assert_eq!(ids, expected, "{query}");
        }
    }

    #[test]
    fn every_definition_is_of_its_operation() {
        for (id, _) in DEFINITIONS {
            let definition = definition(id).unwrap();
            assert_eq!(definition["url"], format!("https://signa.example/fhir/OperationDefinition/{id}"));
            assert_eq!((&definition["id"], &definition["code"]), (&json!(id), &json!(id)));
            let faults: Vec<_> = crate::check::value(&definition, Some("OperationDefinition"), "")
                .into_iter()
                .filter(crate::fhir::outcome::Issue::refuses)
                .collect();
            assert_eq!(faults, [], "{id}");
            let operation = super::super::operations::OPERATIONS.iter().find(|operation| operation.name == *id).unwrap();
            assert_eq!(operation.definition, definition["url"], "{id}");
        }
        let ours = super::super::operations::OPERATIONS
            .iter()
            .filter(|operation| operation.definition.starts_with("https://signa.example/"));
        for operation in ours {
            assert!(
                DEFINITIONS.iter().any(|(id, _)| *id == operation.name),
                "${} has no file in profiles/operations",
                operation.name
            );
        }
    }
}
