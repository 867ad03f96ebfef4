//! What lies in a patient's compartment and is nobody's, since it only names the patient: `$everything` has it too.
//! Follows <https://hl7.org/fhir/R4/compartmentdefinition-patient.html>.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::builders::{With, bundle, patient};
use crate::database::Database;
use crate::house::{House, both};

fn to(reference: &str) -> Value {
    json!({"reference": reference})
}

/// A message of a nurse to these.
fn message(id: &str, recipients: &[&str]) -> Value {
    let recipients: Vec<Value> = recipients.iter().map(|one| to(one)).collect();
    json!({"resourceType": "Communication", "id": id, "status": "completed", "sent": "2026-01-15T10:00:00Z",
        "recipient": recipients, "sender": to("Practitioner/nurse")})
}

/// What names Ada alone, by one element each.
fn naming_ada() -> Vec<Value> {
    let ada = to("Patient/ada");
    let code = json!({"text": "x"});
    vec![
        message("recipient", &["Patient/ada"]),
        json!({"resourceType": "MedicationDispense", "id": "receiver", "status": "completed", "receiver": [ada],
            "medicationCodeableConcept": code, "whenHandedOver": "2026-02-15"}),
        json!({"resourceType": "Observation", "id": "performer", "status": "final", "code": code, "performer": [ada],
            "effectiveDateTime": "2026-02-15"}),
        json!({"resourceType": "Task", "id": "focus", "status": "requested", "intent": "order", "focus": ada}),
        json!({"resourceType": "Basic", "id": "author", "code": code, "author": ada}),
        json!({"resourceType": "List", "id": "source", "status": "current", "mode": "working", "source": ada}),
        json!({"resourceType": "AuditEvent", "id": "agent", "type": {"code": "rest"}, "recorded": "2026-02-15T10:00:00Z",
            "agent": [{"requestor": true, "who": ada}], "source": {"observer": to("Device/d")}}),
        json!({"resourceType": "Group", "id": "alone", "type": "person", "actual": true, "member": [{"entity": ada}]}),
    ]
}

const OF_ADA: [&str; 10] = [
    "AuditEvent/agent",
    "Basic/author",
    "Communication/recipient",
    "Group/alone",
    "List/source",
    "MedicationDispense/receiver",
    "Observation/performer",
    "Patient/ada",
    "Practitioner/nurse",
    "Task/focus",
];

async fn keep(house: &House, resources: &[Value]) {
    let named = |one: &Value| format!("{}/{}", one["resourceType"].as_str().unwrap(), one["id"].as_str().unwrap());
    let urls: Vec<String> = resources.iter().map(named).collect();
    let entries: Vec<(&str, &str, Value)> =
        urls.iter().zip(resources).map(|(url, one)| ("PUT", url.as_str(), one.clone())).collect();
    house.bundle(&bundle("transaction", &entries)).await.is(200);
}

fn sorted(told: &Answer) -> Vec<String> {
    let name = |resource: &Value| format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
    let mut names: Vec<String> = told.resources().iter().map(name).collect();
    names.sort();
    names
}

/// All pages together, in order; none is empty or longer than it may be.
async fn paged(house: &House, asked: &str, count: usize) -> Vec<String> {
    let (mut found, mut next) = (Vec::new(), format!("{asked}_count={count}"));
    while !next.is_empty() {
        let page = house.get(&next).await.is(200);
        let names = sorted(&page);
        assert!(names.len() <= count && !names.is_empty(), "{count}: {names:?}");
        found.extend(names);
        next = page.link("next");
    }
    found.sort();
    found
}

// Messages to her, what she saw, wrote or is to do, whole and in pages of any size, with what that refers to; by type and time, and
// as the compartment has it. What names somebody else, too, is no more hers than theirs.
async fn what_only_names_a_patient_is_hers(database: Database) -> House {
    let house = House::over(database).await;
    let nurse = json!({"resourceType": "Practitioner", "id": "nurse"});
    keep(&house, &[patient("ada"), patient("bob"), nurse]).await;
    keep(&house, &naming_ada()).await;
    let shared =
        [message("shared", &["Patient/ada", "Patient/bob"]), message("foreign", &["Patient/ada", "https://o.example/Patient/1"])];
    keep(&house, &shared).await;
    keep(&house, &[message("bobs", &["Patient/bob"])]).await;

    let told = house.get("Patient/ada/$everything").await.is(200);
    assert_eq!(sorted(&told), OF_ADA);
    for entry in told.at("/entry").as_array().unwrap() {
        let mode = if entry["resource"]["resourceType"] == "Practitioner" { "include" } else { "match" };
        assert_eq!(entry["search"]["mode"], mode, "{entry}");
    }
    for count in [1, 2, 3, 5, 9, 10, 11] {
        assert_eq!(paged(&house, "Patient/ada/$everything?", count).await, OF_ADA, "{count}");
    }
    for name in OF_ADA.iter().filter(|name| !name.starts_with("Practitioner") && !name.starts_with("Patient")) {
        let (kind, id) = name.split_once('/').unwrap();
        assert_eq!(house.get(&format!("Patient/ada/{kind}?_id={id}")).await.is(200).ids(), [id], "{name}");
        assert_eq!(sorted(&house.get(&format!("Patient/ada/$everything?_type={kind}")).await.is(200)), [*name]);
    }
    let narrowed = async |query: &str| sorted(&house.get(&format!("Patient/ada/$everything?{query}")).await.is(200));
    assert_eq!(narrowed("_type=Practitioner").await, ["Practitioner/nurse"]);
    let january = narrowed("start=2026-01-01&end=2026-01-31").await;
    assert!(january.contains(&String::from("Communication/recipient")), "{january:?}");
    assert!(!january.contains(&String::from("Observation/performer")), "{january:?}");
    assert_eq!(
        sorted(&house.get("Patient/bob/$everything").await.is(200)),
        ["Communication/bobs", "Patient/bob", "Practitioner/nurse"]
    );
    house.delete("Task/focus").await.is(204);
    house.put(&message("recipient", &["Patient/bob"])).await.is(200);
    let left: Vec<&str> = OF_ADA
        .into_iter()
        .filter(|name| !["Task/focus", "Communication/recipient", "Practitioner/nurse"].contains(name))
        .collect();
    assert_eq!(sorted(&house.get("Patient/ada/$everything").await.is(200)), left);
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_names_a_patient_is_theirs() {
    both(what_only_names_a_patient_is_hers).await;
}

// Of all patients there is all of it, once, also what names several.
#[tokio::test(flavor = "multi_thread")]
async fn of_all_patients_it_is_there_once() {
    let house = House::new().await;
    keep(&house, &[patient("ada"), patient("bob"), json!({"resourceType": "Practitioner", "id": "nurse"})]).await;
    keep(&house, &naming_ada()).await;
    let lonely = message("lonely", &["Practitioner/nurse"]);
    keep(&house, &[message("shared", &["Patient/ada", "Patient/bob"]), lonely]).await;
    let mut expected: Vec<&str> = OF_ADA.into_iter().chain(["Communication/shared", "Patient/bob"]).collect();
    expected.sort_unstable();
    assert_eq!(sorted(&house.get("Patient/$everything").await.is(200)), expected);
    for count in [1, 3, 7] {
        assert_eq!(paged(&house, "Patient/$everything?", count).await, expected, "{count}");
    }
    assert_eq!(sorted(&house.get("Patient/$everything?_type=Task").await.is(200)), ["Task/focus"]);
}

// Two records that are one person count as one: what names either is there, and what names both is there once.
#[tokio::test(flavor = "multi_thread")]
async fn what_names_any_record_of_a_person_is_there_once() {
    let house = House::new().await;
    keep(&house, &[patient("ada"), json!({"resourceType": "Practitioner", "id": "nurse"})]).await;
    let old = patient("old").with("link", json!([{"other": to("Patient/ada"), "type": "replaced-by"}]));
    house.put(&old).await.is(201);
    let messages = [
        message("to-old", &["Patient/old"]),
        message("to-both", &["Patient/ada", "Patient/old"]),
        message("to-ada", &["Patient/ada"]),
    ];
    keep(&house, &messages).await;
    let expected = [
        "Communication/to-ada",
        "Communication/to-both",
        "Communication/to-old",
        "Patient/ada",
        "Patient/old",
        "Practitioner/nurse",
    ];
    for id in ["ada", "old"] {
        assert_eq!(sorted(&house.get(&format!("Patient/{id}/$everything")).await.is(200)), expected, "{id}");
        assert_eq!(paged(&house, &format!("Patient/{id}/$everything?"), 2).await, expected, "{id}");
    }
}

// More of it than one piece: it comes whole, in pieces, and what the patient's own resources name comes with them once.
#[tokio::test(flavor = "multi_thread")]
async fn much_of_it_comes_in_pieces() {
    let house = House::new().await;
    keep(&house, &[patient("ada"), json!({"resourceType": "Practitioner", "id": "nurse"})]).await;
    for piece in 0..3 {
        let own = |at: usize| {
            let id = format!("o{piece}-{at}");
            json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"}, "subject": to("Patient/ada"),
                "performer": [to("Patient/ada")]})
        };
        let some = (0..150).flat_map(|at| [message(&format!("m{piece}-{at}"), &["Patient/ada"]), own(at)]);
        keep(&house, &some.collect::<Vec<_>>()).await;
    }
    let pieces = house.ask("GET", "Patient/ada/$everything").pieces().await;
    let whole: Value = serde_json::from_slice(&pieces.concat()).unwrap();
    let mut urls: Vec<&str> = whole["entry"].as_array().unwrap().iter().map(|entry| entry["fullUrl"].as_str().unwrap()).collect();
    assert_eq!(urls.len(), 902);
    urls.sort_unstable();
    urls.dedup();
    assert_eq!(urls.len(), 902);
    let largest = pieces.iter().map(Vec::len).max().unwrap();
    assert!(pieces.len() >= 5 && largest < pieces.concat().len() / 2, "{} pieces, the largest {largest}", pieces.len());
}
