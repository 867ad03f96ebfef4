//! What a search can ask: every kind of value, modifier, chain and compartment, on both databases.
//! Follows <https://hl7.org/fhir/R4/search.html>.

use serde_json::{Value, json};

use crate::builders::{With, hypertension, patient, store, task};
use crate::database::Database;
use crate::house::House;

const UCUM: &str = "http://unitsofmeasure.org";

fn observation(id: &str, subject: &str, code: &str, value: f64, unit: &str) -> Value {
    json!({
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": "Body weight"}], "text": "Weight at home"},
        "subject": {"reference": format!("Patient/{subject}")},
        "effectiveDateTime": "2026-03-01T08:00:00+08:00",
        "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit}
    })
}

/// Two patients in a store's care, with what was measured and diagnosed.
pub(crate) async fn furnished(house: &House) {
    let ada = patient("ada")
        .with("name", json!([{"family": "van der Berg", "given": ["José", "Ana,Maria"], "text": "José van der Berg"}]))
        .with("managingOrganization", json!({"reference": "Organization/store-1"}))
        .with("generalPractitioner", json!([{"reference": "Practitioner/dr"}, {"reference": "Practitioner/nobody"}]));
    let mut ada = ada.clone();
    ada["identifier"].as_array_mut().unwrap().push(json!({"type": {"coding": [{"system": "urn:types", "code": "MR"}],
        "text": "Medical record"}, "system": "urn:mrn", "value": "a|1"}));
    let bob = patient("bob").with("name", json!([{"family": "李", "given": ["小龍"]}])).with("gender", Value::Null);
    let mut bob = bob;
    bob.as_object_mut().unwrap().remove("gender");
    let pressure = json!({"resourceType": "Observation", "id": "bp", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
        "subject": {"reference": "Patient/ada"}, "effectivePeriod": {"start": "2026-04-01"},
        "performer": [{"reference": "Practitioner/dr"}],
        "component": [
            {"code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}, "valueQuantity": {"value": 150, "code": "mm[Hg]", "system": UCUM}},
            {"code": {"coding": [{"system": "http://loinc.org", "code": "8462-4"}]}, "valueQuantity": {"value": 90, "code": "mm[Hg]", "system": UCUM}}]});
    let plan = json!({"resourceType": "ValueSet", "id": "vs", "status": "active", "url": "http://acme.example/fhir/ValueSet/1"});
    let foreign = hypertension("c3", "ada").with("subject", json!({"reference": "https://other.example/fhir/Patient/ada"}));
    let logical = hypertension("c4", "ada").with("subject", json!({"identifier": {"system": "urn:mrn", "value": "a|1"}}));
    let task_of = |id: &str, of: &str| {
        let mut task = task(id, of, "store-1");
        task["focus"] = json!({"reference": "Observation/bp"});
        task
    };
    let unowned = task("t2", "bob", "store-1");
    let mut unowned = unowned;
    unowned.as_object_mut().unwrap().remove("owner");
    let resources = [
        store("store-1"),
        json!({"resourceType": "Practitioner", "id": "dr", "name": [{"family": "House"}]}),
        ada,
        bob,
        observation("w1", "ada", "29463-7", 72.5, "kg"),
        observation("w2", "bob", "29463-7", 100.0, "kg").with("effectiveDateTime", "2026-03"),
        pressure,
        hypertension("c1", "ada"),
        hypertension("c2", "bob").with(
            "clinicalStatus",
            json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "resolved"}]}),
        ),
        foreign,
        logical,
        task_of("t1", "ada"),
        unowned,
        plan,
        // What must have a status, and does not tell it.
        json!({"resourceType": "Goal", "id": "g1", "description": {"text": "Walk"}, "subject": {"reference": "Organization/store-1"},
            "_lifecycleStatus": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}}),
        json!({"resourceType": "Goal", "id": "g2", "description": {"text": "Run"}, "subject": {"reference": "Organization/store-1"},
            "lifecycleStatus": "active"}),
    ];
    for resource in &resources {
        house.put(resource).await.is(201);
    }
}

/// A search and the ids it must find, in any order.
const FINDS: &[(&str, &[&str])] = &[
    // Token
    ("Patient?identifier=urn:mrn|a\\|1", &["ada"]),
    ("Patient?identifier=urn:mrn|", &["ada"]),
    ("Patient?identifier=|ada", &[]),
    ("Patient?identifier:of-type=urn:types|MR|a\\|1", &["ada"]),
    ("Patient?identifier:of-type=urn:types|XX|a\\|1", &[]),
    ("Patient?identifier:text=medical", &["ada"]),
    ("Patient?gender:not=male", &["ada", "bob"]),
    ("Patient?gender:not=female", &["bob"]),
    ("Patient?gender:missing=true", &["bob"]),
    ("Goal?lifecycle-status:not=active", &["g1"]),
    ("Goal?lifecycle-status:not=active,proposed", &["g1"]),
    ("Goal?lifecycle-status:not=proposed", &["g1", "g2"]),
    ("Goal?lifecycle-status:missing=true", &["g1"]),
    ("Goal?lifecycle-status=active", &["g2"]),
    ("Goal?lifecycle-status=http://hl7.org/fhir/goal-status|", &["g2"]),
    ("Goal?lifecycle-status:not=http://hl7.org/fhir/goal-status|", &["g1"]),
    ("Observation?status:not=final", &[]),
    ("Observation?status:not=amended&code=29463-7", &["w1", "w2"]),
    ("Patient?gender:missing=false", &["ada"]),
    ("Observation?code:text=weight", &["w1", "w2"]),
    ("Observation?code:text=body", &["w1", "w2"]),
    ("Observation?code:text=pressure", &[]),
    ("Condition?clinical-status=http://terminology.hl7.org/CodeSystem/condition-clinical|", &["c1", "c2", "c3", "c4"]),
    ("Patient?_tag=nothing", &[]),
    // String
    ("Patient?family=VAN DER", &["ada"]),
    ("Patient?given=jose", &["ada"]),
    ("Patient?given=Ana\\,M", &["ada"]),
    ("Patient?name=李", &["bob"]),
    ("Patient?name:contains=berg", &["ada"]),
    ("Patient?name:contains=der%20b", &["ada"]),
    ("Patient?name:contains=xyz", &[]),
    ("Patient?name:contains=n%20", &["ada"]),
    ("Patient?name:contains=龍,berg", &["ada", "bob"]),
    ("Patient?given:exact=José", &["ada"]),
    ("Patient?given:exact=Jose", &[]),
    ("Patient?name:exact=van der Berg", &["ada"]),
    ("Patient?name:exact= van der Berg", &[]),
    ("Patient?name= van  der Berg", &["ada"]),
    // Date
    ("Observation?date=2026-03-01", &["w1"]),
    ("Observation?date=2026-03", &["w1", "w2"]),
    ("Observation?date=2026-03-01T00:00:00Z", &["w1"]),
    ("Observation?date=ge2026-03-01T08:00:00 08:00", &["w1", "w2", "bp"]),
    ("Observation?date=gt2027", &["bp"]),
    ("Observation?date=sa2026-03", &["bp"]),
    ("Observation?date=eb2026-04", &["w1", "w2"]),
    ("Observation?date:missing=true", &[]),
    // Quantity, composite
    ("Observation?value-quantity=72.5", &["w1"]),
    ("Observation?value-quantity=72", &[]),
    ("Observation?value-quantity=1e2", &["w1", "w2"]),
    ("Observation?value-quantity=100", &["w2"]),
    ("Observation?value-quantity=gt72.5|http://unitsofmeasure.org|kg", &["w2"]),
    ("Observation?value-quantity=ge72.5||kg", &["w1", "w2"]),
    ("Observation?value-quantity=lt200|http://unitsofmeasure.org|g", &[]),
    ("Observation?combo-value-quantity=150", &["bp"]),
    ("Observation?value-quantity:missing=true", &["bp"]),
    ("Observation?component-code-value-quantity=http://loinc.org|8480-6$gt140", &["bp"]),
    ("Observation?component-code-value-quantity=http://loinc.org|8462-4$gt140", &[]),
    ("Observation?component-code-value-quantity=8462-4$gt140,8480-6$gt140", &["bp"]),
    ("Observation?code-value-quantity=29463-7$lt80", &["w1"]),
    // Uri
    ("ValueSet?url=http://acme.example/fhir/ValueSet/1", &["vs"]),
    ("ValueSet?url:below=http://acme.example/fhir", &["vs"]),
    ("ValueSet?url:below=http://acme.example/fh", &[]),
    ("ValueSet?url:above=http://acme.example/fhir/ValueSet/1/x", &["vs"]),
    // Reference
    ("Condition?subject=https://other.example/fhir/Patient/ada", &["c3"]),
    ("Condition?subject=Patient/ada", &["c1"]),
    ("Condition?subject:Patient=ada", &["c1"]),
    ("Condition?subject:identifier=urn:mrn|a\\|1", &["c4"]),
    ("Condition?subject:identifier=a\\|1", &["c4"]),
    ("Task?owner:missing=true", &["t2"]),
    ("Task?owner:missing=false&status=requested", &["t1"]),
    ("Condition?patient:missing=true", &["c4"]),
    // Chains
    ("Condition?subject:Patient.identifier=urn:mrn|a\\|1", &["c1"]),
    ("Condition?patient.family=van&clinical-status=active", &["c1"]),
    ("Condition?subject.identifier=urn:mrn|a\\|1", &["c1"]),
    ("Condition?patient.organization.name=corner", &["c1"]),
    ("Condition?patient.gender:missing=true", &["c2"]),
    ("Condition?patient.family=nobody", &[]),
    ("Patient?_has:Condition:patient:clinical-status=resolved", &["bob"]),
    ("Patient?_has:Observation:patient:performer:Practitioner.family=house", &["ada"]),
    ("Practitioner?_has:Patient:general-practitioner:_has:Condition:patient:clinical-status=active", &["dr"]),
    ("Organization?_has:Patient:organization:_id=ada", &["store-1"]),
    ("Patient?_has:Condition:patient:clinical-status=nothing", &[]),
    ("Observation?subject:Patient.organization:missing=false", &["w1", "bp"]),
    ("Observation?subject:Patient.organization:missing=true", &["w2"]),
    ("Patient?_has:Observation:patient:encounter:missing=false", &[]),
    ("Patient?_has:Observation:patient:performer:missing=false", &["ada"]),
    // Compartments
    ("Patient/ada/Task", &["t1"]),
    ("Patient/bob/Condition", &["c2"]),
    ("Patient/ada/Observation?code=85354-9", &["bp"]),
    ("Patient/ada/Patient", &["ada"]),
    ("Practitioner/dr/Observation", &["bp"]),
    ("Patient/bob/*?_type=Task,Condition", &["t2", "c2"]),
    // All types
    ("?_type=Patient,Task&_id=ada,t1", &["ada", "t1"]),
    ("?_id=w1", &["w1"]),
    ("?_type=ValueSet", &["vs"]),
];

async fn each_search_finds_what_it_should(database: Database) {
    let house = House::over(database).await;
    furnished(&house).await;
    let mut wrong = Vec::new();
    for (search, expected) in FINDS {
        let answer = house.ask("GET", search).header("Prefer", "handling=strict").send().await;
        if answer.status != 200 {
            wrong.push(format!("{search}: {}", answer.text));
            continue;
        }
        let (mut found, mut expected) = (answer.ids(), expected.to_vec());
        found.sort();
        expected.sort_unstable();
        if found != expected {
            wrong.push(format!("{search}: {found:?}"));
        }
        let sign = if search.contains('?') { '&' } else { '?' };
        let counted = house.get(&format!("{search}{sign}_summary=count")).await;
        if counted.at("/total") != json!(expected.len()) {
            wrong.push(format!("{search}: counted {}", counted.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    house.database.drop().await;
}

// Every search finds what it should and nothing else, and its number is counted alike.
#[tokio::test(flavor = "multi_thread")]
async fn each_search_finds_what_it_should_on_sqlite() {
    each_search_finds_what_it_should(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_search_finds_what_it_should_on_postgresql() {
    each_search_finds_what_it_should(Database::postgres().await).await;
}

// A canonical address with a version means that one. Chains do not follow addresses, and say so.
#[tokio::test(flavor = "multi_thread")]
async fn a_canonical_address_leads_to_the_version_it_names() {
    let house = House::new().await;
    for version in ["1", "2"] {
        let asked = json!({"resourceType": "Questionnaire", "id": format!("q{version}"), "url": "http://q.example/1",
            "version": version, "status": "active", "title": "Asked"});
        house.put(&asked).await.is(201);
    }
    for (id, address) in [("named", "http://q.example/1|2"), ("any", "http://q.example/1"), ("none", "http://q.example/1|9")] {
        let answered =
            json!({"resourceType": "QuestionnaireResponse", "id": id, "status": "completed", "questionnaire": address});
        house.put(&answered).await.is(201);
    }
    for (id, expected) in [("named", vec!["named", "q2"]), ("any", vec!["any", "q1", "q2"]), ("none", vec!["none"])] {
        let path = format!("QuestionnaireResponse?_id={id}&_include=QuestionnaireResponse:questionnaire");
        let mut found = house.get(&path).await.is(200).ids();
        found.sort();
        assert_eq!(found, expected);
    }
    for chain in
        ["QuestionnaireResponse?questionnaire.title=asked", "Questionnaire?_has:QuestionnaireResponse:questionnaire:_id=any"]
    {
        let refused = house.get(chain).await.is(400);
        assert!(refused.text.contains("canonical"), "{}", refused.text);
    }
}

fn encounter(id: &str, period: &Value) -> Value {
    json!({"resourceType": "Encounter", "id": id, "status": "finished", "class": {"code": "AMB"},
        "subject": {"reference": "Patient/ada"}, "period": period})
}

/// A search and the ids that all its pages have, in order.
const OPEN: &[(&str, &[&str])] = &[
    ("Encounter?date=ge2026-01-01&_sort=_id", &["e1", "e2"]),
    ("Encounter?date=gt2026-02-15&_sort=_id", &["e1"]),
    ("Encounter?date=ap2026-03-01&_sort=_id", &["e1"]),
    ("Encounter?date=lt2026-01-01&_sort=_id", &["e1"]),
    ("Encounter?date=eb2026-04-01&_sort=_id", &["e1", "e2"]),
    ("Encounter?date=sa2026-01-01&_sort=_id", &["e2"]),
    ("Encounter?date=ge2026-04-01&_sort=_id", &[]),
    ("Encounter?date=ge2026-01-01&_sort=-date", &["e2", "e1"]),
    ("Encounter?patient=Patient/ada&_sort=-date", &["e2", "e1", "e3"]),
    ("Encounter?patient=Patient/ada&_sort=date", &["e1", "e2", "e3"]),
    ("Encounter?_sort=-date", &["e2", "e1", "e3"]),
    ("Encounter?_sort=date", &["e1", "e2", "e3"]),
];

async fn what_began_at_no_known_time_is_found(database: Database) {
    let house = House::over(database).await;
    let mut undated = encounter("e3", &Value::Null);
    undated.as_object_mut().unwrap().remove("period");
    let ended = encounter("e1", &json!({"end": "2026-03-01"}));
    for resource in [patient("ada"), ended, encounter("e2", &json!({"start": "2026-02-01", "end": "2026-02-02"})), undated] {
        house.put(&resource).await.is(201);
    }
    for (search, expected) in OPEN {
        let found: Vec<Value> = house.all(&format!("{search}&_count=1")).await;
        let ids: Vec<&str> = found.iter().filter_map(|one| one["id"].as_str()).collect();
        assert_eq!(ids, *expected, "{search}");
    }
    house.database.drop().await;
}

// A Period without a start is found by its end, and has its place in the order of dates.
#[tokio::test(flavor = "multi_thread")]
async fn what_began_at_no_known_time_is_found_on_sqlite() {
    what_began_at_no_known_time_is_found(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_began_at_no_known_time_is_found_on_postgresql() {
    what_began_at_no_known_time_is_found(Database::postgres().await).await;
}

async fn what_is_deleted_is_not_counted(database: Database) {
    let house = House::over(database).await;
    furnished(&house).await;
    let search = "Patient?_has:Observation:patient:performer.family=house";
    assert_eq!((house.get(search).await.is(200).ids(), house.count(search).await), (vec![String::from("ada")], 1));
    house.delete("Patient/ada").await.is(204);
    assert_eq!((house.get(search).await.is(200).ids(), house.count(search).await), (Vec::new(), 0));
    house.database.drop().await;
}

// A chain that leads to a deleted resource neither finds nor counts it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_not_counted_on_sqlite() {
    what_is_deleted_is_not_counted(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_not_counted_on_postgresql() {
    what_is_deleted_is_not_counted(Database::postgres().await).await;
}

// Numbers are told apart beyond what rows hold of them: below a millionth, and above what fits there.
async fn the_smallest_and_the_greatest_are_found(database: Database) {
    let house = House::over(database).await;
    house.put(&patient("ada")).await.is(201);
    let stored = [
        ("n0", "-1e15"),
        ("n1", "0"),
        ("n2", "5.2e-9"),
        ("n3", "0.00000081"),
        ("n4", "0.000001"),
        ("n5", "0.0000019"),
        ("n6", "10000000000000"),
        ("n7", "2e13"),
        ("n8", "5e19"),
    ];
    for (id, value) in stored {
        let mut one = observation(id, "ada", "2-1", 0.0, "mol/L");
        one["valueQuantity"]["value"] = serde_json::from_str(value).unwrap();
        house.put(&one).await.is(201);
    }
    for (asked, expected) in [
        ("5.2e-9", "n2"),
        ("0.0000000052", "n2"),
        ("0.0000000053", ""),
        ("ne5.2e-9", "n0 n1 n3 n4 n5 n6 n7 n8"),
        ("lt0.00000081", "n0 n1 n2"),
        ("le0.00000081", "n0 n1 n2 n3"),
        ("gt0", "n2 n3 n4 n5 n6 n7 n8"),
        ("sa0.000001", "n5 n6 n7 n8"),
        ("eb0.000001", "n0 n1 n2 n3"),
        ("ap5.5e-9", "n2"),
        ("10000000000000", "n6"),
        ("gt10000000000000", "n7 n8"),
        ("ge10000000000000", "n6 n7 n8"),
        ("lt20000000000000", "n0 n1 n2 n3 n4 n5 n6"),
        ("5e19", "n8"),
        ("-1e15", "n0"),
        ("lt-1e14", "n0"),
        ("1e-6,5e19", "n3 n4 n8"),
    ] {
        for search in [
            format!("Observation?value-quantity={asked}|{UCUM}|mol/L"),
            format!("Observation?code-value-quantity=http://loinc.org|2-1${asked}").replace(',', ",http://loinc.org|2-1$"),
        ] {
            let mut found = house.get(&search).await.is(200).ids();
            found.sort();
            assert_eq!(found.join(" "), expected, "{search}");
        }
    }
    // A page link goes on behind numbers that are one in their rows.
    let mut sorted = Vec::new();
    let mut page = String::from("Observation?_sort=value-quantity&_count=2");
    while !page.is_empty() {
        let answer = house.get(&page).await.is(200);
        sorted.extend(answer.ids());
        page = answer.link("next");
    }
    assert_eq!(sorted.len(), stored.len(), "{sorted:?}");
    assert_eq!((sorted.first().unwrap().as_str(), sorted.iter().position(|id| id == "n4")), ("n0", Some(4)), "{sorted:?}");
    house.database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_and_the_greatest_numbers_are_found() {
    the_smallest_and_the_greatest_are_found(Database::sqlite()).await;
    the_smallest_and_the_greatest_are_found(Database::postgres().await).await;
}

// A code comes before those that begin with it, whichever way the order is found: by the index, or of several keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_comes_before_those_that_begin_with_it() {
    for database in [Database::sqlite(), Database::postgres().await] {
        let house = House::over(database).await;
        for number in 1..=12 {
            let identifier = json!([{"system": "urn:mrn", "value": format!("MRN{number}")}]);
            house.put(&patient(&format!("p{number}")).with("identifier", identifier)).await.is(201);
        }
        let expected = ["p1", "p10", "p11", "p12", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"];
        for keys in ["identifier", "identifier,birthdate", "birthdate,identifier"] {
            assert_eq!(house.get(&format!("Patient?_sort={keys}")).await.is(200).ids(), expected, "{keys}");
        }
        let mut backwards = house.get("Patient?_sort=-identifier").await.is(200).ids();
        backwards.reverse();
        assert_eq!(backwards, expected);
        house.database.drop().await;
    }
}
