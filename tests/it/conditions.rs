//! Conditional interactions, preferences, and what is deleted. Follows <https://hl7.org/fhir/R4/http.html>.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::builders::{MEMBERS, Purpose, With, bundle, consent, dispense, hypertension, patient, store, task};
use crate::database::Database;
use crate::house::House;

fn unnamed(member: &str) -> Value {
    patient(member).with("id", Value::Null)
}

fn by(member: &str) -> String {
    format!("Patient?identifier={MEMBERS}|{member}")
}

// Who has the version already gets no body, whichever way the version is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_known_version_is_not_sent_again() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    for (name, value, status) in [
        ("If-None-Match", "W/\"1\"", 304),
        ("If-None-Match", "\"1\"", 304),
        ("If-None-Match", "1", 304),
        ("If-None-Match", "W/\"2\"", 200),
        ("If-None-Match", "garbage", 200),
        ("If-Modified-Since", "Mon, 01 Jun 2026 15:00:00 GMT", 304),
        ("If-Modified-Since", "Mon, 01 Jun 2026 14:59:59 GMT", 200),
        ("If-Modified-Since", "yesterday", 200),
    ] {
        for path in ["Patient/ada", "Patient/ada/_history/1"] {
            let answer = house.ask("GET", path).header(name, value).send().await.is(status);
            assert_eq!(answer.text.is_empty(), status == 304, "{name}: {value}");
            assert_eq!((answer.header("etag"), answer.header("last-modified")), ("W/\"1\"", "Mon, 01 Jun 2026 15:00:00 GMT"));
        }
    }
}

// A conditional create makes, finds, or refuses to choose; criteria that would find everything are refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_create_has_three_ends() {
    let house = House::new().await;
    let create =
        async |criteria: String| house.ask("POST", "Patient").header("If-None-Exist", &criteria).json(&unnamed("ada")).await;
    let made = create(format!("identifier={MEMBERS}|ada")).await.is(201);
    for criteria in [format!("identifier={MEMBERS}|ada"), format!("?identifier={MEMBERS}|ada"), by("ada")] {
        let found = create(criteria).await.is(200);
        assert_eq!(found.header("location"), format!("{}/Patient/{}/_history/1", house.base(), made.id()));
        assert_eq!((found.json(), found.header("etag")), (made.json(), "W/\"1\""));
    }
    house.put(&patient("twin").with("identifier", patient("ada")["identifier"].clone())).await.is(201);
    assert_eq!(create(format!("identifier={MEMBERS}|ada")).await.is(412).codes(), ["multiple-matches"]);
    for blank in ["", " ", "?", "shoe=9", "identifier=", "_count=1", "_sort=_id"] {
        let refused = create(blank.to_owned()).await;
        assert!([400, 412].contains(&refused.status), "{blank}: {}", refused.text);
    }
    assert_eq!(house.count("Patient").await, 2);
}

// A question mark in a value of the criteria is part of it, whether the type stands before them or not, alone and in a transaction;
// what names another type or another server is refused, for here the type that is created is searched.
#[tokio::test(flavor = "multi_thread")]
async fn criteria_of_a_create_may_hold_a_question_mark() {
    const NUMBERS: &str = "http://clinic.example/ids?code=mrn";
    let house = House::new().await;
    house.put(&patient("mrn").with("identifier", json!([{"system": "urn:x", "value": "mrn"}]))).await.is(201);
    let sent = unnamed("ada").with("identifier", json!([{"system": NUMBERS, "value": "1"}]));
    let create = async |criteria: &str| house.ask("POST", "Patient").header("If-None-Exist", criteria).json(&sent).await;
    let within = async |criteria: &str| {
        let mut entries = bundle("transaction", &[("POST", "Patient", sent.clone())]);
        entries["entry"][0]["request"]["ifNoneExist"] = json!(criteria);
        house.bundle(&entries).await
    };
    let (plain, base) = (format!("identifier={NUMBERS}|1"), house.base());
    let made = create(&plain).await.is(201).id();
    for criteria in [plain.clone(), format!("?{plain}"), format!("Patient?{plain}"), format!("{base}/Patient?{plain}")] {
        assert_eq!(create(&criteria).await.is(200).id(), made, "{criteria}");
        assert_eq!(within(&criteria).await.is(200).statuses(), ["200"], "{criteria}");
    }
    // What stands behind the mark would find another one, if it were the whole.
    let other = "identifier=http://clinic.example/ids?identifier=mrn";
    let other = create(other).await.is(201).id();
    house.delete(&format!("Patient/{other}")).await;
    for criteria in [format!("Condition?{plain}"), format!("http://other.example/fhir/Patient?{plain}")] {
        assert!(create(&criteria).await.is(400).text.contains("invalid-if-none-exist"), "{criteria}");
        assert_eq!(within(&criteria).await.is(400).expressions(), ["Bundle.entry[0].request.ifNoneExist"], "{criteria}");
    }
    assert_eq!(house.count("Patient").await, 2);
}

// A conditional update has five ends, and none of them is to change what was not meant.
#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_update_has_five_ends() {
    let house = House::new().await;
    let put = async |member: &str, resource: Value| house.ask("PUT", &by(member)).json(&resource).await;
    let made = put("ada", unnamed("ada")).await.is(201);
    assert_ne!(made.id(), "ada");
    let named = put("bob", patient("bob")).await.is(201);
    assert_eq!(named.id(), "bob");
    assert_eq!(put("bob", unnamed("bob").with("gender", "male")).await.is(200).version(), "2");
    assert_eq!(put("bob", patient("bob").with("gender", "other")).await.is(200).version(), "3");
    assert_eq!(
        put("bob", patient("eve").with("identifier", patient("bob")["identifier"].clone())).await.is(400).expressions(),
        ["Patient.id"]
    );
    house.put(&patient("twin").with("identifier", patient("bob")["identifier"].clone())).await.is(201);
    put("bob", unnamed("bob")).await.is(412);
    for criteria in ["Patient?", "Patient?shoe=9", "Patient?identifier="] {
        let refused = house.ask("PUT", criteria).json(&unnamed("x")).await;
        assert!([400, 412].contains(&refused.status), "{criteria}: {}", refused.text);
    }
    let guarded = house.ask("PUT", &by("ada")).header("If-Match", "W/\"7\"");
    guarded.json(&unnamed("ada").with("gender", "other")).await.is(412);
    assert_eq!((house.count("Patient").await, house.get("Patient/bob").await.version().as_str()), (3, "3"));
}

// A conditional delete takes what one names, never some of several, and never everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_delete_takes_one_or_none() {
    let house = House::new().await;
    for id in ["a", "b", "c"] {
        house.put(&patient(id)).await.is(201);
    }
    house.delete(&by("nobody")).await.is(204);
    house.delete(&format!("{},{MEMBERS}|b,{MEMBERS}|c", by("a"))).await.is(412);
    for criteria in ["Patient?", "Patient?shoe=9", "Patient?identifier=", "Patient?_count=1", "Patient?gender=female&shoe=9"] {
        let refused = house.delete(criteria).await;
        assert!([400, 412].contains(&refused.status), "{criteria}: {}", refused.text);
    }
    house.delete("Patient").await.is(405);
    assert_eq!(house.count("Patient").await, 3);
    house.ask("DELETE", &by("a")).header("If-Match", "W/\"2\"").send().await.is(412);
    house.ask("DELETE", &by("nobody")).header("If-Match", "W/\"2\"").send().await.is(412);
    house.ask("DELETE", &by("a")).header("If-Match", "W/\"1\"").send().await.is(204);
    house.get("Patient/a").await.is(410);
    assert_eq!(house.count("Patient").await, 2);
}

// Every write answers as its sender prefers; a refusal is always told in words.
#[tokio::test(flavor = "multi_thread")]
async fn every_write_answers_as_preferred() {
    let house = House::new().await;
    let json_patch = r#"[{"op":"replace","path":"/gender","value":"male"}]"#;
    for (prefer, told) in
        [("return=minimal", ""), ("return=representation", "Patient"), ("return=OperationOutcome", "OperationOutcome")]
    {
        let ask = |method: &str, path: &str| house.ask(method, path).header("Prefer", prefer);
        let mut answers = vec![
            ask("POST", "Patient").json(&unnamed("new")).await.is(201),
            ask("POST", "Patient").header("If-None-Exist", &format!("identifier={MEMBERS}|once")).json(&unnamed("once")).await,
            ask("PUT", "Patient/ada").json(&patient("ada")).await,
            ask("PUT", &by("bob")).json(&patient("bob")).await,
            ask("PATCH", "Patient/ada").body("application/json-patch+json", json_patch).await.is(200),
        ];
        for answer in &answers {
            assert!(
                answer.status < 300 && !answer.header("etag").is_empty() && !answer.header("location").is_empty(),
                "{answer:?}"
            );
            let kind = if answer.text.is_empty() { Value::from("") } else { answer.at("/resourceType") };
            assert_eq!(kind, told, "{answer:?}");
        }
        let gone = ask("DELETE", "Patient/bob").send().await;
        answers.push(ask("PUT", "Patient/ada").json(&patient("ada").with("gender", "lady")).await.is(422));
        assert_eq!(answers.pop().unwrap().at("/resourceType"), "OperationOutcome");
        assert_eq!((gone.status, gone.text.is_empty()), if told == "OperationOutcome" { (200, false) } else { (204, true) });
    }
}

// The same content again is no new version, and nobody is told of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_again_is_no_new_version() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let rows = |house: &House| house.database.rows("SELECT (SELECT COUNT(*) FROM entries), (SELECT COUNT(*) FROM versions)");
    house.beat().await;
    let before = rows(&house);
    let again =
        house.put(&patient("ada").with("meta", json!({"versionId": "1", "lastUpdated": "2020-01-01T00:00:00Z"}))).await.is(200);
    assert_eq!((again.version().as_str(), rows(&house)), ("1", before.clone()));
    // Nor is the same in another order, as another serializer writes it.
    let backwards: serde_json::Map<String, Value> = patient("ada").as_object().unwrap().clone().into_iter().rev().collect();
    let again = house.put(&Value::Object(backwards)).await.is(200);
    assert_eq!((again.version().as_str(), rows(&house)), ("1", before));
    assert_eq!(house.database.rows("SELECT COUNT(*) FROM events"), [["0"]]);
    assert_eq!(house.get("Patient/ada/_history").await.at("/total"), 1);
    assert_eq!(house.put(&patient("ada").with("meta", json!({"tag": [{"code": "vip"}]}))).await.is(200).version(), "2");
}

// What the sender says of id, version and time in a create is ours to say; what it says of profile and tags is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_create_ignores_what_is_ours_to_say() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let meta = json!({
        "versionId": "99", "lastUpdated": "2099-01-01T00:00:00Z", "source": "urn:x:here", "profile": ["https://x.example/profile"],
        "security": [{"system": "https://x.example/s", "code": "R"}], "tag": [{"system": "https://x.example/t", "code": "t"}],
    });
    let made = house.post(&patient("ada").with("meta", meta.clone())).await.is(201);
    assert_ne!(made.id(), "ada");
    assert_eq!((made.version().as_str(), made.at("/meta/lastUpdated")), ("1", json!("2026-06-01T15:00:00.000Z")));
    for kept in ["source", "profile", "security", "tag"] {
        assert_eq!(made.at(&format!("/meta/{kept}")), meta[kept], "{kept}");
    }
    assert_eq!(house.get("Patient/ada").await.version(), "1");
    for (path, text) in [
        ("Patient", String::new()),
        ("Patient", String::from("{")),
        ("Patient", hypertension("c", "ada").to_string()),
        ("Patient", patient("../../etc").to_string()),
        ("Patient", patient(&"x".repeat(65)).to_string()),
        ("Patient", unnamed("x").with("meta", json!([])).to_string()),
        ("Patient", unnamed("x").with("meta", json!({"versionId": "a b"})).to_string()),
        ("Patient", unnamed("x").with("meta", json!({"lastUpdated": "tomorrow"})).to_string()),
    ] {
        house.ask("POST", path).body("application/fhir+json", text).await.is(400);
    }
    for id in ["%00", "a%2Fb", "a%20b", "a_b", "%2e%2e%2fx", "é", &"x".repeat(65), &"x".repeat(5_000)] {
        let answer = house.get(&format!("Patient/{id}")).await;
        assert!([400, 404, 414, 431].contains(&answer.status), "{id}: {}", answer.status);
    }
    assert!(house.get("Patient/a%2Fb").await.is(400).text.contains("slash"));
}

// A resource is deleted also while others refer to it, as they may refer to what never was; and nobody speaks to a person who
// is not there any more.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_refer_to_may_be_deleted_and_is_left_in_peace() {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("ada")).await.is(201);
    house.put(&consent("yes", "ada", &[Purpose::Treatment, Purpose::Marketing])).await.is(201);
    house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
    house.beat().await;
    let policy = house.get("metadata").await.at("/rest/0/resource/0/referencePolicy");
    assert_eq!(policy, json!(["literal", "logical", "local"]));
    house.delete("Patient/ada").await.is(204);
    house.get("Patient/ada").await.is(410);
    assert_eq!(house.get("MedicationDispense/d").await.is(200).at("/subject/reference"), "Patient/ada");
    assert_eq!(house.get("MedicationDispense?patient=ada").await.ids(), ["d"]);
    house.days(32).await;
    let messages = house.all("Communication").await;
    assert!(messages.iter().all(|message| message["status"] == "not-done"), "{messages:?}");
    assert_eq!(house.count("Task").await, 0);
}

async fn one_of_twenty_updates_wins(house: &House) {
    house.put(&patient("ada")).await.is(201);
    let update = |number: usize| {
        let resource = patient("ada").with("multipleBirthInteger", number);
        let ask = house.ask("PUT", "Patient/ada").header("If-Match", "W/\"1\"");
        async move { ask.json(&resource).await }
    };
    let answers = join_all((1..=20).map(update)).await;
    let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!((won.len(), answers.iter().filter(|answer| answer.status == 412).count()), (1, 19));
    let kept = house.get("Patient/ada").await;
    assert_eq!((kept.version().as_str(), kept.at("/multipleBirthInteger")), ("2", won[0].at("/multipleBirthInteger")));
}

// Of twenty updates with the same If-Match one wins; so on both databases.
#[tokio::test(flavor = "multi_thread")]
async fn of_20_updates_of_one_version_one_wins() {
    one_of_twenty_updates_wins(&House::over(Database::sqlite()).await).await;
    let house = House::over(Database::postgres().await).await;
    one_of_twenty_updates_wins(&house).await;
    let House { database, .. } = house;
    database.drop().await;
}

// A Task of ours moves by patch as by update: one claim wins, what it is about stays, and an end says what was done or why.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_claimed_and_ended_by_patch() {
    let house = House::new().await;
    let ours = "https://signa.example/fhir/PlanDefinition/refill|1";
    house.put(&task("t", "ada", "store-1").with("instantiatesCanonical", ours)).await.is(201);
    let patch = |tag: &str, operations: Value| {
        let ask = house.ask("PATCH", "Task/t").header("If-Match", tag);
        async move { ask.body("application/json-patch+json", operations.to_string()).await }
    };
    let status = |to: &str| json!({"op": "replace", "path": "/status", "value": to});
    let claim = |number: usize| {
        patch(
            "W/\"1\"",
            json!([status("accepted"), {"op": "replace", "path": "/owner/reference", "value": format!("PractitionerRole/{number}")}]),
        )
    };
    let answers = join_all((0..50).map(claim)).await;
    assert_eq!(
        (
            answers.iter().filter(|answer| answer.status == 200).count(),
            answers.iter().filter(|answer| answer.status == 412).count()
        ),
        (1, 49)
    );
    for (operations, place) in [
        (json!([status("completed")]), "Task.status"),
        (json!([{"op": "replace", "path": "/for/reference", "value": "Patient/eve"}]), "Task.for"),
        (json!([{"op": "replace", "path": "/owner/reference", "value": "PractitionerRole/thief"}]), "Task.owner"),
        (json!([{"op": "add", "path": "/focus", "value": {"reference": "Patient/x"}}]), "Task.focus"),
        (json!([{"op": "add", "path": "/requester", "value": {"reference": "Organization/x"}}]), "Task.requester"),
    ] {
        let refused = patch("W/\"2\"", operations).await.is(422);
        assert_eq!((refused.codes(), refused.expressions()), (vec!["business-rule".to_owned()], vec![place.to_owned()]));
    }
    patch("W/\"2\"", json!([status("in-progress")])).await.is(200);
    let waiting = patch("W/\"3\"", json!([status("on-hold")])).await.is(200);
    assert_eq!(waiting.at("/statusReason/text"), "No reason was given.");
    patch("W/\"4\"", json!([status("in-progress"), {"op": "remove", "path": "/statusReason"}])).await.is(200);
    assert_eq!(patch("W/\"5\"", json!([status("completed")])).await.is(422).expressions(), ["Task.output"]);
    let output = json!([{"type": {"text": "called"}, "valueReference": {"reference": "Communication/c"}}]);
    let done = patch("W/\"5\"", json!([status("completed"), {"op": "add", "path": "/output", "value": output}])).await.is(200);
    assert_eq!((done.at("/status"), done.at("/lastModified")), (json!("completed"), json!("2026-06-01T15:00:00.000Z")));
}

// A string is what it says to its end, also where it is longer than what is kept of it to find it by.
#[tokio::test(flavor = "multi_thread")]
async fn who_begins_alike_for_a_hundred_letters_is_not_meant() {
    for database in [Database::sqlite(), Database::postgres().await] {
        let house = House::over(database).await;
        let long = |end: &str| format!("{}{end}", "a".repeat(110));
        let named = |id: &str, end: &str| json!({"resourceType": "Organization", "id": id, "name": long(end)});
        house.put(&named("one", "one")).await.is(201);
        house.put(&named("two", "two")).await.is(201);
        for (criteria, found) in [
            (format!("name={}", long("")), 2),
            (format!("name={}", long("one")), 1),
            (format!("name={}", long("ONE")), 1),
            (format!("name={},{}", long("one"), long("two")), 2),
            (format!("name={},aaa", long("none")), 2),
            (format!("name={}", long("none")), 0),
            (format!("name:contains={}", long("one")), 1),
            (format!("name:contains={}", long("none")), 0),
            (format!("name:exact={}", long("one")), 1),
        ] {
            assert_eq!(house.count(&format!("Organization?{criteria}")).await, found, "{criteria}");
        }
        let three = named("three", "three").with("id", Value::Null);
        let query = format!("Organization?name={}", long("three"));
        house.ask("DELETE", &query).send().await.is(204);
        house.ask("PUT", &query).json(&three).await.is(201);
        house
            .ask("POST", "Organization")
            .header("If-None-Exist", &format!("name={}", long("four")))
            .json(&named("x", "four").with("id", Value::Null))
            .await
            .is(201);
        assert_eq!(house.count("Organization").await, 4);
    }
}
