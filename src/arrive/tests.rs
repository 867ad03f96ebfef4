//! The way in as clients see it: requests go in at the door, and status, headers and body are looked at.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::{Value, json};

use super::{Door, Settings};
use crate::clock::Clock;
use crate::flow::Flow;
use crate::ledger::{self, Ledger};

const NOW: i64 = 1_709_164_800_000;
const JSON: (&str, &str) = ("content-type", "application/fhir+json");

struct House {
    door: Arc<Door>,
    clock: Clock,
    _folder: tempfile::TempDir,
}

struct Said {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Said {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn code(&self) -> &str {
        assert_eq!(self.body["resourceType"], "OperationOutcome", "{}", self.body);
        self.body["issue"][0]["code"].as_str().unwrap()
    }

    fn link(&self, relation: &str) -> Option<&str> {
        let links = self.body["link"].as_array()?;
        links.iter().find(|link| link["relation"] == relation)?["url"].as_str()
    }
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::stopped(NOW);
        let database = format!("sqlite:{}", folder.path().join("ledger.db").display());
        let settings = ledger::Settings { database, ..ledger::Settings::default() };
        let ledger = Ledger::open(&settings, clock.clone()).await.unwrap();
        let settings = Settings {
            resource_bytes_max: 4_096,
            drain_ms_max: 20,
            origins: vec![String::from("https://app.example")],
            ..Settings::default()
        };
        let teller = crate::flow::Teller {
            ledger: ledger.clone(),
            clock: clock.clone(),
            rules: Arc::default(),
            settings: crate::react::Settings::default(),
            zone: jiff::tz::TimeZone::UTC,
        };
        let door = Door::new(Flow::new(ledger, clock.clone()), teller, settings);
        Self { door, clock, _folder: folder }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Said {
        let mut request = Request::builder().method(method).uri(path).header("host", "house.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.door.answer(None, request.body(body.into()).unwrap()).await;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or(Value::Null) };
        assert_ne!(parts.headers.get("x-request-id"), None, "{method} {path}");
        if parts.status.as_u16() >= 400 && path.starts_with("/fhir") {
            assert_eq!(body["resourceType"], "OperationOutcome", "{method} {path}");
        }
        Said { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    async fn get(&self, path: &str) -> Said {
        self.ask("GET", path, &[], "").await
    }

    async fn put(&self, resource: &Value) -> Said {
        let path = format!("/fhir/{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
        self.ask("PUT", &path, &[JSON], resource.to_string()).await
    }
}

fn patient(id: &str, family: &str) -> Value {
    json!({"resourceType": "Patient", "id": id, "identifier": [{"system": "urn:x", "value": id}], "name": [{"family": family}]})
}

#[tokio::test]
async fn a_created_resource_is_read_back_under_its_location() {
    let house = House::open().await;
    let sent = json!({"resourceType": "Patient", "id": "mine", "meta": {"versionId": "7"}, "active": true});
    let made = house.ask("POST", "/fhir/Patient", &[JSON], sent.to_string()).await;
    let id = made.body["id"].as_str().unwrap();
    assert_eq!((made.status, made.header("etag")), (201, "W/\"1\""));
    assert_eq!(made.header("location"), format!("http://house.example/fhir/Patient/{id}/_history/1"));
    assert_eq!(made.header("last-modified"), "Thu, 29 Feb 2024 00:00:00 GMT");
    assert_eq!(made.header("content-type"), "application/fhir+json");
    let read = house.get(&format!("/fhir/Patient/{id}/")).await;
    assert_eq!((read.status, &read.body), (200, &made.body));
    assert_eq!(read.body["meta"], json!({"versionId": "1", "lastUpdated": "2024-02-29T00:00:00.000Z"}));
    let known = house.ask("GET", &format!("/fhir/Patient/{id}"), &[("if-none-match", "W/\"1\"")], "").await;
    assert_eq!((known.status, &known.body, known.header("etag")), (304, &Value::Null, "W/\"1\""));
    for (wanted, kind) in [("return=minimal", None), ("return=OperationOutcome", Some("OperationOutcome"))] {
        let made = house.ask("POST", "/fhir/Patient", &[JSON, ("prefer", wanted)], sent.to_string()).await;
        assert_eq!((made.status, made.body["resourceType"].as_str()), (201, kind));
    }
}

/// A read, a search, a refusal and an answer of nothing: each shows what a power cut could still take back, and waits until it
/// cannot. When the disk refuses, all of them are 500; who asks how the gateway fares hears it at once.
#[tokio::test]
async fn what_the_disk_does_not_have_yet_is_shown_to_nobody() {
    let house = Arc::new(House::open().await);
    assert_eq!(house.put(&patient("a", "One")).await.status, 201);
    let asked = [
        ("/fhir/Patient/a", 200),
        ("/fhir/Patient?_id=a", 200),
        ("/fhir/Patient/a/_history", 200),
        ("/fhir/Patient/a/$everything", 200),
        ("/fhir/Patient/b", 404),
        ("/fhir/Patient?birthdate=never", 400),
    ];
    let begin = |path: &'static str| {
        let house = Arc::clone(&house);
        tokio::spawn(async move { house.get(path).await.status })
    };
    let still_waits = async |answer: &tokio::task::JoinHandle<u16>| {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        !answer.is_finished()
    };
    for (path, status) in asked {
        assert_eq!(begin(path).await.unwrap(), status, "{path}");
        house.door.flow.ledger.run_ahead();
        let waits = begin(path);
        assert!(still_waits(&waits).await, "{path}");
        assert_eq!(begin("/health/live").await.unwrap(), 200);
        house.door.flow.ledger.catch_up(true);
        assert_eq!(waits.await.unwrap(), status, "{path}");
    }
    house.door.flow.ledger.run_ahead();
    let waiting: Vec<_> = asked.iter().map(|(path, _)| begin(path)).collect();
    house.door.flow.ledger.catch_up(false);
    for answer in waiting {
        assert_eq!(answer.await.unwrap(), 500);
    }
}

#[tokio::test]
async fn versions_are_guarded_told_and_deleted() {
    let house = House::open().await;
    assert_eq!(house.put(&patient("a", "One")).await.status, 201);
    house.clock.advance(std::time::Duration::from_secs(5));
    assert_eq!(house.put(&patient("a", "Two")).await.status, 200);
    let guarded = async |tag: &str| {
        let body = patient("a", "Three").to_string();
        house.ask("PUT", "/fhir/Patient/a", &[JSON, ("if-match", tag)], body).await.status
    };
    assert_eq!(guarded("garbage").await, 400);
    assert_eq!(guarded("W/\"1\"").await, 412);
    assert_eq!(guarded("\"2\"").await, 200);
    assert_eq!(house.ask("PUT", "/fhir/Patient/a", &[JSON, ("if-none-match", "*")], "{}").await.status, 400);
    assert_eq!(house.get("/fhir/Patient/a/_history/1").await.body["name"][0]["family"], "One");
    for version in ["9", "x", "-1", "99999999999999999999"] {
        assert_eq!(house.get(&format!("/fhir/Patient/a/_history/{version}")).await.status, 404, "{version}");
    }
    let gone = house.ask("DELETE", "/fhir/Patient/a", &[], "").await;
    assert_eq!((gone.status, gone.header("etag")), (204, "W/\"4\""));
    assert_eq!(house.ask("DELETE", "/fhir/Patient/a", &[], "").await.status, 204);
    let read = house.get("/fhir/Patient/a").await;
    assert_eq!((read.status, read.code()), (410, "deleted"));
    assert_eq!(house.get("/fhir/Patient/a/_history/4").await.status, 410);
    assert_eq!(house.get("/fhir/Patient/a/_history/3").await.status, 200);
    assert_eq!(house.get("/fhir/Patient/b").await.code(), "not-found");
    assert_eq!(house.put(&patient("a", "Back")).await.header("etag"), "W/\"5\"");
}

#[tokio::test]
async fn a_history_is_told_page_by_page() {
    let house = House::open().await;
    for family in ["One", "Two", "Three"] {
        house.put(&patient("a", family)).await;
    }
    house.ask("DELETE", "/fhir/Patient/a", &[], "").await;
    let first = house.get("/fhir/Patient/a/_history?_count=3").await;
    let told: Vec<(&str, &str, bool)> = first.body["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let (method, etag) = (&entry["request"]["method"], &entry["response"]["etag"]);
            (method.as_str().unwrap(), etag.as_str().unwrap(), entry.get("resource").is_some())
        })
        .collect();
    assert_eq!(told, [("DELETE", "W/\"4\"", false), ("PUT", "W/\"3\"", true), ("PUT", "W/\"2\"", true)]);
    assert_eq!((first.body["total"].as_i64(), first.body["type"].as_str()), (Some(4), Some("history")));
    let next = first.link("next").unwrap().strip_prefix("http://house.example").unwrap();
    let last = house.get(next).await;
    assert_eq!(last.body["entry"][0]["response"]["status"], "201 Created");
    assert_eq!((last.body["entry"].as_array().unwrap().len(), last.link("next")), (1, None));
    assert_eq!(house.get("/fhir/Patient/b/_history").await.status, 404);
}

#[tokio::test]
async fn a_search_is_answered_in_pages_that_lose_nothing() {
    let house = House::open().await;
    for number in 0..7 {
        house.put(&patient(&format!("p{number}"), "Many")).await;
    }
    let mut found = Vec::new();
    let mut path = String::from("/fhir/Patient?_count=3&_sort=_id&shoe=9");
    for page in 0.. {
        let said = house.get(&path).await;
        assert_eq!((said.status, said.body["type"].as_str()), (200, Some("searchset")));
        assert_eq!(said.body["meta"]["lastUpdated"], "2024-02-29T00:00:00.000Z");
        for entry in said.body["entry"].as_array().unwrap() {
            match entry["search"]["mode"].as_str() {
                Some("match") => found.push(entry["resource"]["id"].as_str().unwrap().to_owned()),
                // The parameter that nobody knows is told of once: it is not in the links any more.
                _ => assert_eq!((page, entry["resource"]["resourceType"].as_str()), (0, Some("OperationOutcome"))),
            }
        }
        assert!(!said.link("self").unwrap().contains("shoe"));
        let Some(next) = said.link("next") else { break };
        path = next.strip_prefix("http://house.example").unwrap().to_owned();
    }
    assert_eq!(found, ["p0", "p1", "p2", "p3", "p4", "p5", "p6"]);
    let counted = house.get("/fhir/Patient?_summary=count").await;
    assert_eq!((counted.body["total"].as_i64(), counted.body.get("entry")), (Some(7), None));
    let one = house.get("/fhir/Patient?_id=p1").await;
    assert_eq!(
        (one.body["total"].as_i64(), &one.body["entry"][0]["fullUrl"]),
        (Some(1), &json!("http://house.example/fhir/Patient/p1"))
    );
    let form = ("content-type", "application/x-www-form-urlencoded");
    let posted = house.ask("POST", "/fhir/Patient/_search?_count=5", &[form], "_id=p1,p2").await;
    assert_eq!(posted.body["entry"].as_array().unwrap().len(), 2);
    assert_eq!(posted.link("self"), Some("http://house.example/fhir/Patient?_count=5&_id=p1,p2"));
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_in_words() {
    let house = House::open().await;
    house.put(&patient("a", "One")).await;
    let plain = ("content-type", "text/plain");
    let large = format!(r#"{{"resourceType":"Patient","language":"{}"}}"#, "x".repeat(8_192));
    for (method, path, headers, body, status, code) in [
        ("GET", "/fhir/Foo/1", &[][..], "", 404, "not-supported"),
        ("GET", "/elsewhere", &[], "", 404, "not-found"),
        ("GET", "/fhir/Patient/a%00b", &[], "", 400, "invalid"),
        ("GET", "/fhir/Patient/a_b", &[], "", 400, "invalid"),
        ("PUT", "/fhir/Patient", &[], "", 405, "not-supported"),
        ("PATCH", "/fhir/Patient/a", &[], "", 415, "not-supported"),
        ("PATCH", "/fhir", &[], "", 405, "not-supported"),
        ("GET", "/fhir/Patient/_search", &[], "", 405, "not-supported"),
        ("PUT", "/fhir", &[], "", 405, "not-supported"),
        ("GET", "/fhir/_search", &[], "", 405, "not-supported"),
        ("GET", "/fhir/Patient/a/Subscription", &[], "", 404, "not-found"),
        ("GET", "/fhir?_type=Banana", &[], "", 400, "invalid"),
        ("GET", "/fhir/Patient/a", &[("accept", "text/csv")], "", 406, "not-supported"),
        ("GET", "/fhir/Patient/a?_format=turtle", &[], "", 406, "not-supported"),
        ("POST", "/fhir/Patient", &[plain], "<Patient/>", 415, "not-supported"),
        ("POST", "/fhir/Patient", &[JSON], "not json", 400, "structure"),
        ("POST", "/fhir/Patient", &[JSON], "", 400, "required"),
        ("POST", "/fhir/Patient", &[JSON], large.as_str(), 413, "too-long"),
        ("POST", "/fhir/Patient", &[JSON, ("if-none-exist", " ")], "{}", 400, "invalid"),
        ("POST", "/fhir/Patient/_search", &[JSON], "", 415, "not-supported"),
        ("POST", "/fhir", &[JSON], r#"{"resourceType":"Patient"}"#, 400, "invalid"),
        ("GET", "/fhir/Patient?shoe=9", &[("prefer", "handling=strict")], "", 400, "not-supported"),
        ("GET", "/fhir/Patient?_count=abc", &[], "", 400, "invalid"),
        ("GET", "/fhir/Patient?_lastUpdated=notadate", &[], "", 400, "invalid"),
        ("GET", "/fhir/Patient?_page=AAAA", &[], "", 400, "invalid"),
        ("GET", "/fhir/Patient?a=%ff", &[], "", 400, "invalid"),
        ("GET", "/fhir/Patient/b/$ledger", &[], "", 404, "not-found"),
        ("GET", "/fhir/Patient/$everything?shoe=9", &[("prefer", "handling=strict")], "", 400, "not-supported"),
        ("GET", "/fhir/Patient/$everything?_elements=id", &[], "", 400, "not-supported"),
        ("GET", "/fhir/Patient/$everything?_summary=count", &[], "", 400, "not-supported"),
    ] {
        let said = house.ask(method, path, headers, body.to_owned()).await;
        assert_eq!((said.status, said.code()), (status, code), "{method} {path}: {}", said.body);
        assert_eq!(said.header("allow").is_empty(), status != 405, "{method} {path}");
    }
    for query in ["", "shoe=9", "_count=1", "identifier="] {
        let said = house.ask("DELETE", &format!("/fhir/Patient?{query}"), &[], "").await;
        assert!((400..=412).contains(&said.status), "{query}: {}", said.status);
    }
    assert_eq!(house.get("/fhir/Patient/a").await.status, 200);
}

#[tokio::test]
async fn a_story_tells_every_entry_with_its_hash() {
    let house = House::open().await;
    house.put(&patient("a", "One")).await;
    house.put(&patient("a", "Two")).await;
    let story = house.get("/fhir/Patient/a/$ledger").await;
    let entries = story.body["entry"].as_array().unwrap();
    assert_eq!((story.status, entries.len()), (200, 2), "{}", story.body);
    let said = &entries[1]["extension"][0]["extension"];
    let names: Vec<&str> = said.as_array().unwrap().iter().map(|part| part["url"].as_str().unwrap()).collect();
    assert_eq!(names, ["source", "line", "how", "happened", "learned", "version", "hash"]);
    assert_eq!(entries[1]["resource"]["name"][0]["family"], "Two");
    let page = house.get("/fhir/Patient/a/$ledger?_count=1").await;
    let next = page.link("next").unwrap().strip_prefix("http://house.example").unwrap();
    assert_eq!(house.get(next).await.body["entry"][0]["resource"]["meta"]["versionId"], "2");
}

#[tokio::test]
async fn a_batch_is_answered_entry_by_entry() {
    let house = House::open().await;
    house.put(&patient("a", "One")).await;
    let get = |url: &str| json!({"request": {"method": "GET", "url": url}});
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [
        get("Patient/a"), get("Patient/b"), get("Patient?_id=a"), get("Patient/a/_history"), get("Foo/1"),
        {"resource": patient("c", "New"), "request": {"method": "PUT", "url": "Patient/c"}},
    ]});
    let said = house.ask("POST", "/fhir/", &[JSON], batch.to_string()).await;
    assert_eq!((said.status, said.body["type"].as_str()), (200, Some("batch-response")), "{}", said.body);
    let told: Vec<(&str, Option<&str>)> = said.body["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (&entry["response"]["status"].as_str().unwrap()[..3], entry["resource"]["resourceType"].as_str()))
        .collect();
    let expected = [("200", Some("Patient")), ("404", None), ("200", Some("Bundle")), ("200", Some("Bundle")), ("404", None)];
    assert_eq!(told[..5], expected);
    assert_eq!(told[5].0, "201");
}

#[tokio::test]
async fn what_is_offered_is_stated_and_stays_the_same() {
    let house = House::open().await;
    let said = house.get("/fhir/metadata").await;
    assert_eq!((said.status, said.body["fhirVersion"].as_str()), (200, Some("4.0.1")));
    assert_eq!(said.body["implementation"]["url"], "http://house.example/fhir");
    let resources = said.body["rest"][0]["resource"].as_array().unwrap();
    assert!(resources.iter().any(|resource| resource["type"] == "MedicationDispense"));
    let again = house.ask("GET", "/fhir/metadata", &[("if-none-match", said.header("etag"))], "").await;
    assert_eq!(again.status, 304);
    for resource in resources {
        let kind = resource["type"].as_str().unwrap();
        for parameter in resource["searchParam"].as_array().unwrap() {
            let (name, sort) = (parameter["name"].as_str().unwrap(), parameter["type"].as_str().unwrap());
            let value = match sort {
                "date" => "2024",
                "number" | "quantity" => "1",
                // What a composite takes is said by its definition alone.
                "composite" => continue,
                _ => "x",
            };
            let strict = [("prefer", "handling=strict")];
            let said = house.ask("GET", &format!("/fhir/{kind}?{name}={value}"), &strict, "").await;
            assert_eq!((said.status, said.body["total"].as_i64()), (200, Some(0)), "{kind}?{name}: {}", said.body);
        }
    }
}

#[tokio::test]
async fn the_house_says_how_it_fares() {
    let house = House::open().await;
    assert_eq!(house.get("/health/live").await.status, 200);
    assert_eq!(house.get("/health/ready").await.body, json!({"status": "pass"}));
    assert_eq!(house.get("/metrics").await.header("content-type"), "text/plain; version=0.0.4");
    let named = house.ask("GET", "/fhir/Patient/x", &[("x-request-id", "mine-1")], "").await;
    assert_eq!(named.header("x-request-id"), "mine-1");
    let asked = house.ask("OPTIONS", "/fhir/Patient/x", &[("origin", "https://app.example")], "").await;
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, "https://app.example"));
    let foreign = house.ask("OPTIONS", "/fhir/Patient/x", &[("origin", "https://other.example")], "").await;
    assert_eq!(foreign.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn a_search_finds_what_the_parameters_mean() {
    let house = House::open().await;
    house.put(&patient("a", "Müller")).await;
    house.put(&patient("b", "Smith")).await;
    let tagged = json!({"resourceType": "Patient", "id": "t", "meta": {"profile": ["http://x/p"], "tag": [{"system": "urn:t", "code": "gold"}]}});
    assert_eq!(house.put(&tagged).await.body["meta"]["tag"][0]["code"], "gold");
    for (id, subject, code, onset) in [
        ("c1", "Patient/a", "44054006", "2024-02-01"),
        ("c2", "Patient/a", "38341003", "2024-02-03"),
        ("c3", "Patient/b", "44054006", "2023"),
    ] {
        let condition = json!({"resourceType": "Condition", "id": id, "subject": {"reference": subject}, "onsetDateTime": onset,
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": code}]}});
        assert_eq!(house.put(&condition).await.status, 201);
    }
    for (query, expected) in [
        ("Condition?patient=Patient/a", &["c1", "c2"][..]),
        ("Condition?patient=a", &["c1", "c2"]),
        ("Condition?subject=http://house.example/fhir/Patient/a", &["c1", "c2"]),
        ("Condition?subject=http://other.example/fhir/Patient/a", &[]),
        ("Condition?subject:Patient=b", &["c3"]),
        ("Condition?code=http%3A%2F%2Fsnomed.info%2Fsct%7C44054006", &["c1", "c3"]),
        ("Condition?code=44054006&patient=a", &["c1"]),
        ("Condition?code=44054006,38341003&_sort=-onset-date", &["c2", "c1", "c3"]),
        ("Condition?code=%7C44054006", &[]),
        ("Condition?onset-date=2024-02", &["c1", "c2"]),
        ("Condition?onset-date=gt2024-02-01&onset-date=lt2024-03", &["c2"]),
        ("Condition?onset-date=2023", &["c3"]),
        ("Condition?_id=c1,c3", &["c1", "c3"]),
        ("Condition?abatement-date:missing=true&patient=b", &["c3"]),
        ("Condition?_lastUpdated=ge2024-02-29T00:00:00Z&patient=b", &["c3"]),
        ("Condition?_lastUpdated=gt2024-02-29T08:00:00.000+08:00", &[]),
        ("Patient?identifier=urn:x%7Ca", &["a"]),
        ("Patient?identifier=a", &["a"]),
        ("Patient?_tag=urn:t%7Cgold", &["t"]),
        ("Patient?_profile=http://x/p", &["t"]),
        ("Patient?family=MUL", &["a"]),
        ("Patient?name=smi", &["b"]),
        ("Patient?family=ul", &[]),
    ] {
        let said = house.get(&format!("/fhir/{query}")).await;
        let entries = said.body["entry"].as_array().cloned().unwrap_or_default();
        let mut found: Vec<&str> = entries.iter().map(|entry| entry["resource"]["id"].as_str().unwrap()).collect();
        if !query.contains("_sort") {
            found.sort_unstable();
        }
        assert_eq!((said.status, found.as_slice()), (200, expected), "{query}");
    }
}

#[tokio::test]
async fn conditions_decide_which_resource_is_meant() {
    let house = House::open().await;
    let sent =
        json!({"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}], "name": [{"family": "Twin"}]});
    let create = async || {
        let headers = [JSON, ("if-none-exist", "identifier=urn:x|1")];
        house.ask("POST", "/fhir/Patient", &headers, sent.to_string()).await
    };
    let first = create().await;
    let again = create().await;
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(again.header("location"), first.header("location"));
    let id = first.body["id"].as_str().unwrap();
    let put =
        async |query: &str, body: &Value| house.ask("PUT", &format!("/fhir/Patient?{query}"), &[JSON], body.to_string()).await;
    let mut changed = sent.clone();
    changed["active"] = json!(true);
    assert_eq!(put("identifier=urn:x%7C1", &changed).await.body["id"], id);
    changed["id"] = json!("other");
    assert_eq!(put("identifier=urn:x%7C1", &changed).await.status, 400);
    changed["identifier"][0]["value"] = json!("2");
    let made = put("identifier=urn:x%7C2", &changed).await;
    assert_eq!((made.status, made.body["id"].as_str()), (201, Some("other")));
    assert_eq!(put("family=twin", &sent).await.code(), "multiple-matches");
    let remove = async |query: &str| house.ask("DELETE", &format!("/fhir/Patient?{query}"), &[], "").await.status;
    assert_eq!(remove("family=twin").await, 412);
    assert_eq!(remove("identifier=urn:x%7C9").await, 204);
    assert_eq!(remove("identifier=urn:x%7C2").await, 204);
    assert_eq!(house.get("/fhir/Patient/other").await.status, 410);
}

/// A body that panics when it is read: a fault of ours in the middle of a handler, as real as any.
fn trap() -> Body {
    Body::from_stream(futures_util::stream::poll_fn(|_| -> std::task::Poll<Option<Result<&str, std::io::Error>>> {
        panic!("secret of Ada Ledger")
    }))
}

#[tokio::test]
async fn a_panic_costs_its_own_request_and_says_nothing() {
    let house = House::open().await;
    let said = house.ask("POST", "/fhir/Patient", &[JSON, ("x-request-id", "r-8")], trap()).await;
    let told = said.body["issue"][0]["diagnostics"].as_str().unwrap();
    assert!(said.code() == "exception" && told.contains("r-8") && !told.contains("secret") && !told.contains("panic"), "{told}");
    let request = Request::post("/fhir/Patient").header(JSON.0, JSON.1).header("accept", "application/fhir+xml");
    let response = house.door.answer(None, request.body(trap()).unwrap()).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (500, &"application/fhir+xml".parse().unwrap())
    );
    // Whoever comes next is answered.
    assert_eq!(house.get("/fhir/Patient").await.status, 200);
}
