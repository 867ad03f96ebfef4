//! The way, tried over a real ledger in a file of its own.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Answer, Derived, Done, Flow, Output, Reader, Refused, Sender, Telling, Wanted};
use crate::clock::Clock;
use crate::identify::references::Links;
use crate::ledger::{Basis, How, Ledger, Person, Precondition, Scope, Settings};

const NOON: i64 = 1_767_268_800_000;

struct House {
    flow: Flow,
    sender: Sender,
    _folder: TempDir,
}

struct Reads;

impl Reader for Reads {
    async fn read(&self, wanted: Wanted<'_>) -> Answer {
        Answer { status: format!("200 {} {}", wanted.method, wanted.url), ..Answer::default() }
    }

    fn refusal(&self, refused: &Refused) -> (String, Value) {
        (
            String::from("400 Refused"),
            json!({"resourceType": "OperationOutcome", "issue": [{"diagnostics": format!("{refused:?}")}]}),
        )
    }

    fn bytes_max(&self) -> usize {
        1 << 20
    }

    fn base(&self) -> &'static str {
        "http://here/fhir"
    }

    fn told(&self) -> Telling {
        Telling::Little
    }
}

async fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("signa.db").display());
    let clock = Clock::stopped(NOON);
    let ledger = Ledger::open(&Settings { database, ..Settings::default() }, clock.clone()).await.unwrap();
    let flow = Flow::new(ledger, clock).at("http://here/fhir/");
    let sender = Sender { scope: Scope { tenant: "t".into() }, source: "emr".into(), how: How::Live };
    House { flow, sender, _folder: folder }
}

impl House {
    async fn create(&self, resource: &Value, condition: Option<&str>) -> Result<Done, Refused> {
        let kind = resource["resourceType"].as_str().unwrap();
        self.flow.create(&self.sender, kind, resource.to_string().as_bytes(), condition).await
    }

    async fn update(&self, resource: &Value, if_match: Option<i64>) -> Result<Done, Refused> {
        let (kind, id) = (resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
        self.flow.update(&self.sender, kind, id, resource.to_string().as_bytes(), if_match).await
    }

    async fn bundle(&self, kind: &str, entries: Value) -> Result<Value, Refused> {
        let mut bundle = json!({"resourceType": "Bundle", "type": kind});
        if entries != json!([]) {
            bundle["entry"] = entries;
        }
        let text = self.flow.bundle(&self.sender, bundle.to_string().as_bytes(), &Reads).await?;
        Ok(serde_json::from_str(&text).unwrap())
    }

    async fn stored(&self, location: &Value) -> Value {
        let path = location.as_str().unwrap().strip_prefix("http://here/fhir/").unwrap_or(location.as_str().unwrap());
        let mut parts = path.split('/');
        let (kind, id) = (parts.next().unwrap(), parts.next().unwrap());
        self.flow.ledger.read(&self.sender.scope, kind, id).await.unwrap().unwrap().value()
    }
}

fn patient(id: &str) -> Value {
    json!({"resourceType": "Patient", "id": id, "identifier": [{"system": "urn:mrn", "value": id}]})
}

fn condition(subject: &str) -> Value {
    json!({"resourceType": "Condition", "subject": {"reference": subject}})
}

fn entry(full_url: &str, method: &str, url: &str, resource: &Value) -> Value {
    json!({"fullUrl": full_url, "resource": resource, "request": {"method": method, "url": url}})
}

fn places(refused: &Refused) -> Vec<&str> {
    match refused {
        Refused::Issues(issues) | Refused::Rule(issues) | Refused::Unresolved(issues) => {
            issues.iter().map(|issue| issue.expression.as_str()).collect()
        }
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn a_create_is_answered_with_what_is_kept() {
    let house = house().await;
    let done = house.create(&patient("ignored"), None).await.unwrap();
    assert!(done.receipt.created);
    assert_ne!(done.receipt.id, "ignored");
    let kept = done.stored.unwrap();
    assert_eq!(kept.value(), house.stored(&json!(format!("Patient/{}", done.receipt.id))).await);
    assert_eq!(kept.value()["meta"]["versionId"], "1");
    let refused = house.create(&json!({"resourceType": "Patient", "gendre": "male"}), None).await.unwrap_err();
    assert_eq!(places(&refused), ["Patient.gendre"]);
}

#[tokio::test]
async fn an_update_needs_its_id_twice_and_the_right_version() {
    let house = house().await;
    assert!(house.update(&patient("p"), None).await.unwrap().receipt.created);
    let second = house.update(&json!({"resourceType": "Patient", "id": "p", "active": true}), Some(1)).await.unwrap();
    assert_eq!((second.receipt.version, second.receipt.created), (2, false));
    let stale = house.update(&patient("p"), Some(1)).await.unwrap_err();
    assert!(matches!(stale, Refused::VersionConflict { current: Some(2) }), "{stale:?}");
    let body = patient("q").to_string();
    let other = house.flow.update(&house.sender, "Patient", "p", body.as_bytes(), None).await.unwrap_err();
    assert_eq!(places(&other), ["Patient.id"]);
    let deleted = house.flow.delete(&house.sender, "Patient", "p", None).await.unwrap();
    assert!(deleted.stored.is_none());
    house.flow.delete(&house.sender, "Patient", "p", None).await.unwrap();
    assert!(house.update(&patient("p"), None).await.unwrap().receipt.created);
}

#[tokio::test]
async fn a_transaction_links_its_entries_in_any_order() {
    let house = house().await;
    let absolute = json!({"resourceType": "Condition", "id": "d", "subject": {"reference": "http://here/fhir/Patient/known"}});
    let entries = json!([
        entry("urn:uuid:c", "POST", "Condition", &condition("urn:uuid:p")),
        {"request": {"method": "GET", "url": "Patient?_count=1"}},
        entry("urn:uuid:p", "POST", "Patient", &patient("x")),
        entry("http://other/fhir/Condition/d", "PUT", "Condition/d", &absolute),
    ]);
    let answer = house.bundle("transaction", entries).await.unwrap();
    assert_eq!(answer["type"], "transaction-response");
    let response = |index: usize| answer["entry"][index]["response"].clone();
    assert_eq!(response(0)["status"], "201 Created");
    assert_eq!(response(1)["status"], "200 GET Patient?_count=1");
    assert_eq!(response(0)["etag"], "W/\"1\"");
    assert_eq!(response(0)["lastModified"], "2026-01-01T12:00:00.000Z");
    let patient = response(2)["location"].as_str().unwrap().to_owned();
    let subject = house.stored(&response(0)["location"]).await["subject"]["reference"].as_str().unwrap().to_owned();
    assert_eq!(patient, format!("http://here/fhir/{subject}/_history/1"));
    assert_eq!(house.stored(&response(3)["location"]).await["subject"]["reference"], "Patient/known");
}

#[tokio::test]
async fn a_transaction_is_refused_as_a_whole_and_names_the_entry() {
    let house = house().await;
    let bad = json!({"resourceType": "Condition"});
    let entries = json!([entry("urn:uuid:p", "PUT", "Patient/p", &patient("p")), entry("urn:uuid:c", "POST", "Condition", &bad)]);
    let refused = house.bundle("transaction", entries).await.unwrap_err();
    assert_eq!(places(&refused), ["Bundle.entry[1].resource.subject"]);
    let twice =
        json!([entry("urn:uuid:p", "PUT", "Patient/p", &patient("p")), {"request": {"method": "DELETE", "url": "Patient/p"}}]);
    assert!(places(&house.bundle("transaction", twice).await.unwrap_err())[0].starts_with("Bundle.entry["));
    let dangling = json!([entry("urn:uuid:c", "POST", "Condition", &condition("urn:uuid:none"))]);
    assert_eq!(places(&house.bundle("transaction", dangling).await.unwrap_err()), ["Bundle.entry[0].resource.subject.reference"]);
    let stale = json!([
        entry("urn:uuid:p", "PUT", "Patient/p", &patient("p")),
        {"resource": patient("q"), "request": {"method": "PUT", "url": "Patient/q", "ifMatch": "W/\"7\""}},
    ]);
    let refused = house.bundle("transaction", stale).await.unwrap_err();
    assert!(
        matches!(&refused, Refused::Entry { index: 1, cause } if matches!(**cause, Refused::VersionConflict { .. })),
        "{refused:?}"
    );
    assert!(house.flow.ledger.read(&house.sender.scope, "Patient", "p").await.unwrap().is_none());
    assert_eq!(house.bundle("transaction", json!([])).await.unwrap()["type"], "transaction-response");
    assert_eq!(places(&house.bundle("collection", json!([])).await.unwrap_err()), ["Bundle.type"]);
}

#[tokio::test]
async fn a_batch_does_what_it_can() {
    let house = house().await;
    let entries = json!([
        entry("urn:uuid:a", "PUT", "Patient/a", &patient("a")),
        entry("urn:uuid:b", "PUT", "Patient/b", &patient("c")),
        entry("urn:uuid:c", "POST", "Condition", &json!({"resourceType": "Condition"})),
        {"request": {"method": "DELETE", "url": "Patient/never"}},
        entry("urn:uuid:e", "POST", "Condition", &condition("urn:uuid:a")),
    ]);
    let answer = house.bundle("batch", entries).await.unwrap();
    let statuses: Vec<&str> = (0..5).map(|index| answer["entry"][index]["response"]["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["201 Created", "400 Refused", "400 Refused", "204 No Content", "400 Refused"]);
    assert_eq!(answer["entry"][1]["response"]["outcome"]["resourceType"], "OperationOutcome");
}

#[tokio::test]
async fn a_task_of_ours_moves_only_as_tasks_move_and_is_claimed_once() {
    let house = house().await;
    let task = |status: &str, owner: &str| {
        json!({
            "resourceType": "Task", "id": "t", "status": status, "intent": "order",
            "instantiatesCanonical": "https://signa.example/fhir/PlanDefinition/refill|1",
            "for": {"reference": "Patient/p"}, "owner": {"reference": owner}, "authoredOn": "2026-01-01",
        })
    };
    house.update(&task("requested", "Organization/west"), None).await.unwrap();
    let skipped = house.update(&task("completed", "Organization/west"), None).await.unwrap_err();
    assert!(matches!(skipped, Refused::Rule(_)));
    assert_eq!(places(&skipped), ["Task.status"]);
    let claimed = house.update(&task("accepted", "PractitionerRole/a"), Some(1)).await.unwrap();
    assert_eq!(claimed.stored.unwrap().value()["lastModified"], "2026-01-01T12:00:00.000Z");
    let late = house.update(&task("accepted", "PractitionerRole/b"), Some(1)).await.unwrap_err();
    assert!(matches!(late, Refused::VersionConflict { current: Some(2) }));
    let blind = house.update(&task("accepted", "PractitionerRole/b"), None).await.unwrap_err();
    assert_eq!(places(&blind), ["Task.owner"]);
}

#[tokio::test]
async fn the_way_may_be_walked_on_any_thread() {
    fn on_any_thread<T: Send>(_: &T) {}
    let house = house().await;
    on_any_thread(&house.flow.create(&house.sender, "Patient", b"{}", None));
    on_any_thread(&house.flow.delete_where(&house.sender, "Patient", "x", None));
    on_any_thread(&house.flow.bundle(&house.sender, b"{}", &Reads));
}

const BY_MRN: &str = "identifier=urn:mrn|a";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_racing_conditional_creates_one_is_made() {
    let house = std::sync::Arc::new(house().await);
    let racers: Vec<_> = (0..64)
        .map(|_| {
            let house = std::sync::Arc::clone(&house);
            tokio::spawn(async move { house.create(&patient("a"), Some(BY_MRN)).await.unwrap().receipt })
        })
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    let mut made = 0;
    for racer in racers {
        let receipt = racer.await.unwrap();
        made += usize::from(receipt.created);
        ids.insert(receipt.id);
    }
    assert_eq!((made, ids.len()), (1, 1));
}

#[tokio::test]
async fn a_conditional_update_has_five_ends() {
    let house = house().await;
    let put = async |resource: Value| {
        let text = resource.to_string();
        house.flow.update_where(&house.sender, "Patient", BY_MRN, text.as_bytes(), None).await
    };
    let nameless =
        |active: bool| json!({"resourceType": "Patient", "active": active, "identifier": [{"system": "urn:mrn", "value": "a"}]});
    let made = put(nameless(true)).await.unwrap();
    assert!(made.receipt.created);
    let changed = put(nameless(false)).await.unwrap();
    assert_eq!((changed.receipt.id.as_str(), changed.receipt.version), (made.receipt.id.as_str(), 2));
    let mut other = nameless(true);
    other["id"] = "other".into();
    assert_eq!(places(&put(other).await.unwrap_err()), ["Patient.id"]);
    house.update(&patient("b"), None).await.unwrap();
    let mut twin = patient("twin");
    twin["identifier"][0]["value"] = "a".into();
    house.update(&twin, None).await.unwrap();
    assert!(matches!(put(nameless(true)).await.unwrap_err(), Refused::MultipleMatches));
    assert!(matches!(house.create(&patient("a"), Some(BY_MRN)).await.unwrap_err(), Refused::MultipleMatches));
    let body = patient("fresh").to_string();
    let named =
        house.flow.update_where(&house.sender, "Patient", "identifier=urn:mrn|fresh", body.as_bytes(), None).await.unwrap();
    assert_eq!((named.receipt.id.as_str(), named.receipt.created), ("fresh", true));
}

#[tokio::test]
async fn a_conditional_delete_takes_one_and_never_all() {
    let house = house().await;
    for id in ["a", "b"] {
        house.update(&patient(id), None).await.unwrap();
    }
    let delete = async |criteria: &str| house.flow.delete_where(&house.sender, "Patient", criteria, None).await;
    for empty in ["", "foo=1", "identifier=", "_count=1"] {
        assert!(matches!(delete(empty).await.unwrap_err(), Refused::Issues(_)), "{empty}");
    }
    assert!(matches!(delete("identifier=urn:mrn|a,urn:mrn|b").await.unwrap_err(), Refused::MultipleMatches));
    assert!(delete("identifier=urn:mrn|never").await.unwrap().receipt.unchanged);
    assert_eq!(delete(BY_MRN).await.unwrap().receipt.id, "a");
    assert!(house.flow.ledger.read(&house.sender.scope, "Patient", "a").await.unwrap().unwrap().deleted);
    assert!(!house.flow.ledger.read(&house.sender.scope, "Patient", "b").await.unwrap().unwrap().deleted);
}

#[tokio::test]
async fn conditional_references_lead_to_exactly_one_resource() {
    let house = house().await;
    let about = |who: &str| condition(&format!("Patient?identifier=urn:mrn|{who}"));
    let refused = house.create(&about("a"), None).await.unwrap_err();
    assert!(matches!(refused, Refused::Unresolved(_)), "{refused:?}");
    assert_eq!(places(&refused), ["Condition.subject.reference"]);
    let entries =
        json!([entry("urn:uuid:c", "POST", "Condition", &about("a")), entry("urn:uuid:p", "PUT", "Patient/a", &patient("a")),]);
    let answer = house.bundle("transaction", entries).await.unwrap();
    let kept = house.stored(&answer["entry"][0]["response"]["location"]).await;
    assert_eq!(kept["subject"]["reference"], "Patient/a");
    let kept = house.create(&about("a"), None).await.unwrap().stored.unwrap().value();
    assert_eq!(kept["subject"]["reference"], "Patient/a");
    let mut twin = patient("twin");
    twin["identifier"][0]["value"] = "a".into();
    let entries =
        json!([entry("urn:uuid:c", "POST", "Condition", &about("a")), entry("urn:uuid:p", "PUT", "Patient/twin", &twin),]);
    let refused = house.bundle("transaction", entries).await.unwrap_err();
    assert_eq!(places(&refused), ["Bundle.entry[0].resource.subject.reference"]);
}

#[tokio::test]
async fn a_conditional_create_in_a_transaction_lends_its_name_to_what_it_finds() {
    let house = house().await;
    house.update(&patient("a"), None).await.unwrap();
    let conditional = |who: &str| {
        json!({"fullUrl": format!("urn:uuid:{who}"), "resource": patient("x"),
               "request": {"method": "POST", "url": "Patient", "ifNoneExist": format!("identifier=urn:mrn|{who}")}})
    };
    let entries = json!([
        conditional("a"),
        entry("urn:uuid:1", "POST", "Condition", &condition("urn:uuid:a")),
        conditional("x"),
        entry("urn:uuid:2", "POST", "Condition", &condition("urn:uuid:x")),
    ]);
    let answer = house.bundle("transaction", entries).await.unwrap();
    let response = |index: usize| answer["entry"][index]["response"].clone();
    assert_eq!((response(0)["status"].as_str(), response(2)["status"].as_str()), (Some("200 OK"), Some("201 Created")));
    assert_eq!(house.stored(&response(1)["location"]).await["subject"]["reference"], "Patient/a");
    let made = house.stored(&response(3)["location"]).await["subject"]["reference"].as_str().unwrap().to_owned();
    assert!(response(2)["location"].as_str().unwrap().contains(&made));
}

#[tokio::test]
async fn an_imported_subscription_stays_off() {
    let mut house = house().await;
    house.sender.how = How::Import;
    let subscription = json!({
        "resourceType": "Subscription", "id": "s", "status": "requested", "reason": "to be told",
        "criteria": "Condition?code=x", "channel": {"type": "rest-hook", "endpoint": "https://example.org/hook"},
    });
    let kept = house.update(&subscription, None).await.unwrap().stored.unwrap().value();
    assert_eq!(kept["status"], "off");
}

#[tokio::test]
async fn an_import_keeps_ids_and_taken_again_changes_nothing() {
    let mut house = house().await;
    house.sender.how = How::Import;
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        entry("urn:uuid:11111111-1111-4111-8111-111111111111", "POST", "Condition", &condition("urn:uuid:p")),
        entry("urn:uuid:p", "POST", "Patient", &patient("p")),
    ]});
    for first in [true, false] {
        let done = house.flow.import_transaction(&house.sender, bundle.to_string().as_bytes()).await.unwrap();
        assert!(done.iter().all(|done| done.receipt.created == first && done.receipt.unchanged != first), "{done:?}");
    }
    let kept = house.stored(&json!("Condition/11111111-1111-4111-8111-111111111111")).await;
    assert_eq!(kept["subject"]["reference"], "Patient/p");
    let names = Links { entries: [("urn:uuid:q".to_owned(), "Patient/q".to_owned())].into(), ..Links::default() };
    let nameless = condition("urn:uuid:q").to_string();
    let first = house.flow.import(&house.sender, nameless.as_bytes(), "", &names).await.unwrap();
    assert_eq!(first.stored.unwrap().value()["subject"]["reference"], "Patient/q");
    let again = house.flow.import(&house.sender, nameless.as_bytes(), "", &names).await.unwrap();
    assert_eq!((first.receipt.id, again.receipt.unchanged), (again.receipt.id.clone(), true));
}

#[tokio::test]
async fn another_gateway_learns_a_profile_from_the_ledger() {
    let house = house().await;
    let other = Flow::new(house.flow.ledger.clone(), house.flow.clock.clone());
    let url = "http://clinic.example/fhir/StructureDefinition/p";
    assert!(other.look(&house.sender.scope).await.unwrap().profile(url).is_none());
    let structure = json!({"resourceType": "StructureDefinition", "id": "p", "url": url, "name": "P", "status": "active",
        "kind": "resource", "abstract": false, "type": "Patient", "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "differential": {"element": [{"id": "Patient", "path": "Patient"}]}});
    house.update(&structure, None).await.unwrap();
    assert!(house.flow.canon(&house.sender.scope).await.unwrap().profile(url).is_some());
    assert!(other.look(&house.sender.scope).await.unwrap().profile(url).is_some());
    let stranger = Scope { tenant: "u".into() };
    assert!(house.flow.canon(&stranger).await.unwrap().profile(url).is_none());
    house.flow.delete(&house.sender, "StructureDefinition", "p", None).await.unwrap();
    assert!(other.look(&house.sender.scope).await.unwrap().profile(url).is_none());
    let knowing = Flow::new(house.flow.ledger.clone(), house.flow.clock.clone()).knowing(&[structure]);
    assert!(knowing.canon(&stranger).await.unwrap().profile(url).is_some());
}

// A reaction that writes one resource twice is refused as a fault of ours, and nothing of it is written; two resources are fine.
#[tokio::test]
async fn a_unit_names_each_resource_once() {
    let house = house().await;
    let output = |id: &str| Output {
        resource: json!({"resourceType": "Basic", "id": id, "code": {"text": "x"}}),
        when: Precondition::Absent,
    };
    let derived = |ids: [&str; 2]| Derived {
        scope: house.sender.scope.clone(),
        person: Person::NOBODY,
        depth: 1,
        outputs: ids.map(output).into(),
        marks: Vec::new(),
        expects: Vec::new(),
        basis: Basis::default(),
    };
    assert!(matches!(house.flow.record_derived(derived(["a", "a"])).await, Err(Refused::Rule(_))));
    house.flow.record_derived(derived(["a", "b"])).await.unwrap();
}

// What was derived of two records as of one person is refused when they are two by then, and taken while it is true.
#[tokio::test]
async fn what_was_derived_of_one_person_is_not_taken_for_two() {
    let house = house().await;
    let scope = house.sender.scope.clone();
    let link = json!([{"other": {"reference": "Patient/a"}, "type": "replaced-by"}]);
    house.update(&json!({"resourceType": "Patient", "id": "a"}), None).await.unwrap();
    house.update(&json!({"resourceType": "Patient", "id": "b", "link": link}), None).await.unwrap();
    let person = house.flow.ledger.read(&scope, "Patient", "a").await.unwrap().unwrap().person;
    let united = house.flow.ledger.united(&scope, person).await.unwrap();
    let derived = |id: &str, united: &[Person]| Derived {
        scope: scope.clone(),
        person,
        depth: 1,
        outputs: vec![Output {
            resource: json!({"resourceType": "Basic", "id": id, "code": {"text": "x"}}),
            when: Precondition::Absent,
        }],
        marks: Vec::new(),
        expects: Vec::new(),
        basis: Basis { seen: united.iter().map(|one| (*one, i64::MAX)).collect(), kinds: &[], heard: i64::MAX },
    };
    assert_eq!(united.len(), 2);
    assert!(matches!(house.flow.record_derived(derived("x", &[person])).await, Err(Refused::Busy)));
    house.flow.record_derived(derived("x", &united)).await.unwrap();
    house.update(&json!({"resourceType": "Patient", "id": "b"}), None).await.unwrap();
    assert!(matches!(house.flow.record_derived(derived("y", &united)).await, Err(Refused::Busy)));
    house.flow.record_derived(derived("y", &[person])).await.unwrap();
}

// What was decided is refused when somebody said meanwhile what binds it: of the person, or, by a STOP, of anybody. What binds nothing
// is no reason, and after it was heard it is taken.
#[tokio::test]
async fn what_was_said_meanwhile_binds_what_was_decided() {
    let house = house().await;
    let (scope, ledger) = (house.sender.scope.clone(), &house.flow.ledger);
    for id in ["a", "b"] {
        house.update(&json!({"resourceType": "Patient", "id": id}), None).await.unwrap();
    }
    let person = ledger.read(&scope, "Patient", "a").await.unwrap().unwrap().person;
    let seen = async || (ledger.chains(&scope, person).await.unwrap().last, ledger.last_stop(&scope.tenant));
    let derived = |id: &str, (seen, heard): (Vec<(Person, i64)>, i64)| {
        let resource = json!({"resourceType": "Basic", "id": id, "code": {"text": "x"}});
        let outputs = vec![Output { resource, when: Precondition::Absent }];
        let basis = Basis { seen, kinds: crate::react::BINDING, heard };
        house.flow.record_derived(Derived {
            scope: scope.clone(),
            person,
            depth: 1,
            outputs,
            marks: Vec::new(),
            expects: Vec::new(),
            basis,
        })
    };
    let says = |of: &str, id: &str, words: &str| {
        let of = json!({"reference": format!("Patient/{of}")});
        json!({"resourceType": "Communication", "id": id, "status": "completed", "subject": of, "sender": of,
            "payload": [{"contentString": words}]})
    };
    let weighed = json!({"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "weight"},
        "subject": {"reference": "Patient/a"}});
    let binding = [
        (weighed, true),
        (says("b", "b1", "Hello."), true),
        (says("a", "a1", "Hello."), false),
        (json!({"resourceType": "Patient", "id": "a", "deceasedBoolean": true}), false),
        (says("b", "b2", "STOP"), false),
    ];
    for (number, (said, is_taken)) in binding.into_iter().enumerate() {
        let before = seen().await;
        house.update(&said, None).await.unwrap();
        let taken = derived(&format!("x{number}"), before).await;
        assert!(if is_taken { taken.is_ok() } else { matches!(taken, Err(Refused::Busy)) }, "{said}: {taken:?}");
        derived(&format!("y{number}"), seen().await).await.unwrap();
    }
}
