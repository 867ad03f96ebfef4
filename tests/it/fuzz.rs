//! Inputs that nobody would send on purpose: the gateway answers each of them, with no panic, no 5xx and no hang.
//!
//! Each target runs for the seconds that SIGNA_FUZZ_SECONDS says, or for a moment. Seeds are the fixtures, and what lies in
//! `../shared/data` beside the repository. SIGNA_FUZZ_SEED starts the chance elsewhere. A failure prints its input.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Value, json};
use signa::check;
use signa::clock::Clock;
use signa::fhir::path::{Context, Expression};
use signa::fhir::xml;

use crate::builders::patient;
use crate::house::House;
use crate::mutate::{Chance, mutated};

/// One input may take so many ticks. It is generous: the machine may be busy. They are counted, so that a process that was stopped for a
/// while is not taken for one that hangs.
const ANSWER_TICKS_MAX: u32 = 30;
const TICK: Duration = Duration::from_secs(1);
/// Seeds are smaller than this, so that changes hit something.
const SEED_BYTES_MAX: usize = 6_000;

/// How long a target runs, and its chance.
fn terms(salt: u64) -> (Duration, Chance) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("SIGNA_FUZZ_SECONDS").map_or(Duration::from_millis(700), Duration::from_secs);
    (seconds, Chance::new(number("SIGNA_FUZZ_SEED").unwrap_or(20_261_125).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt))
}

/// Honest resources: the fixtures, and of each type of the official examples the smallest few.
fn resources() -> Vec<String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds: Vec<String> =
        std::fs::read_to_string(top.join("tests/data/check/accepted.ndjson")).unwrap().lines().map(str::to_owned).collect();
    let beside = || top.join("../shared/data");
    let data = std::env::var_os("SIGNA_DATA").map_or_else(beside, std::path::PathBuf::from).join("fhir-r4-examples");
    let Ok(files) = std::fs::read_dir(&data) else {
        println!("fixtures alone: {} is absent", data.display());
        return seeds;
    };
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let bytes = std::fs::read(&path).unwrap();
        let mut text = String::new();
        if path.extension().is_some_and(|extension| extension == "gz") {
            std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(bytes.as_slice()), &mut text).unwrap();
        } else {
            text = String::from_utf8(bytes).unwrap();
        }
        let mut lines: Vec<&str> = text.lines().filter(|line| line.len() < SEED_BYTES_MAX).collect();
        lines.sort_by_key(|line| line.len());
        seeds.extend(lines.iter().take(3).map(|line| (*line).to_owned()));
    }
    seeds
}

/// Gives inputs to a function until the time is over. A panic fails with its input, and so does what does not end.
fn drive(name: &str, salt: u64, seeds: &[String], words: &[&str], target: impl Fn(&[u8])) {
    let (span, mut chance) = terms(salt);
    let clock = Clock::running();
    let end = clock.elapsed() + span;
    let (begin, watched) = channel::<Vec<u8>>();
    let watching = std::thread::spawn(move || {
        let (mut last, mut ticks) = (Vec::new(), 0);
        loop {
            match watched.recv_timeout(TICK) {
                Ok(input) => (last, ticks) = (input, 0),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) if ticks < ANSWER_TICKS_MAX => ticks += 1,
                Err(RecvTimeoutError::Timeout) => {
                    println!("an input does not end: {}", String::from_utf8_lossy(&last));
                    std::process::exit(101);
                }
            }
        }
    });
    let mut count = 0_u64;
    while clock.elapsed() < end {
        let input = mutated(&mut chance, seeds, words);
        begin.send(input.clone()).unwrap();
        let held = catch_unwind(AssertUnwindSafe(|| target(&input))).is_ok();
        assert!(held, "{name}: this input panics: {}", String::from_utf8_lossy(&input));
        count += 1;
    }
    drop(begin);
    watching.join().unwrap();
    println!("{name}: {count} inputs");
}

/// Sends inputs to a gateway until the time is over. `ask` makes method, path, content type and body of one.
async fn besiege(
    name: &str,
    salt: u64,
    seeds: &[String],
    words: &[&str],
    ask: impl Fn(&mut Chance, Vec<u8>) -> (&'static str, String, &'static str, Vec<u8>),
) {
    let (span, mut chance) = terms(salt);
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    // What waits for the beat would make every story wait.
    house.beat().await;
    let clock = Clock::running();
    let end = clock.elapsed() + span;
    let mut statuses = std::collections::BTreeMap::<u16, u64>::new();
    while clock.elapsed() < end {
        let input = mutated(&mut chance, seeds, words);
        let (method, path, kind, body) = ask(&mut chance, input);
        let shown = format!("{method} {path} {}", String::from_utf8_lossy(&body));
        let asked = house.ask(method, &format!("{}/{path}", house.base()));
        let sending = async { if body.is_empty() { asked.send().await } else { asked.body(kind, body).await } };
        let Some(answer) = in_time(sending).await else { panic!("{name}: this does not end: {shown}") };
        assert!(answer.status < 500, "{name}: {} for {shown}: {}", answer.status, answer.text);
        assert!(
            answer.status < 400 || answer.text.contains("OperationOutcome") || method == "HEAD",
            "{name}: {shown}: {}",
            answer.text
        );
        *statuses.entry(answer.status).or_default() += 1;
    }
    println!("{name}: {statuses:?}");
}

/// What comes of it; nothing when it takes too many ticks.
async fn in_time<T>(asked: impl Future<Output = T>) -> Option<T> {
    let mut asked = std::pin::pin!(asked);
    for _ in 0..ANSWER_TICKS_MAX {
        if let Ok(answer) = tokio::time::timeout(TICK, asked.as_mut()).await {
            return Some(answer);
        }
    }
    None
}

const JSON_WORDS: [&str; 24] = [
    "null",
    "\"\"",
    "[]",
    "{}",
    "true",
    "1e999",
    "-0",
    "\\u0000",
    "\\ud800",
    "\u{feff}",
    "\"resourceType\":\"Patient\"",
    "\"contained\":[{\"resourceType\":\"Patient\"}]",
    "\"extension\":[{\"url\":\"x\"}]",
    "\"_value\":",
    "\"reference\":\"#a\"",
    "\"id\":\"a\"",
    "\"$serde_json::private::Number\":",
    "\"div\":\"<div>&\"",
    "[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":",
    "\"2024-02-30\"",
    "\"urn:uuid:x\"",
    "\u{10FFFF}",
    ",,",
];

/// JSON is checked, and what is accepted can be said in XML and comes back.
#[test]
fn a_body_of_json_never_panics() {
    drive("json", 1, &resources(), &JSON_WORDS, |input| {
        if let Ok(checked) = check::resource(input, None) {
            let written = xml::write(&checked.value.to_string(), false).expect("what is accepted is of R4");
            let read = xml::read(written.as_bytes()).expect("what we write we read");
            assert!(read.faults.is_empty(), "{:?}", read.faults);
        }
    });
}

const XML_WORDS: [&str; 26] = [
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?x?>",
    "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    "&#0;",
    "&#x10FFFF;",
    "&amp;",
    "&nbsp;",
    "&b;",
    " xmlns=\"\"",
    " xmlns:f=\"http://hl7.org/fhir\"",
    "<f:",
    "</f:",
    "<div xmlns=\"http://www.w3.org/1999/xhtml\">",
    "</div>",
    "<div/>",
    " value=\"\"",
    " value='1'",
    " id=\"a\"",
    "<contained>",
    "</contained>",
    "<Patient>",
    "<extension url=\"a\">",
    "/>",
];

/// XML is read or refused, and what is read without faults can be written and comes back.
#[test]
fn a_body_of_xml_never_panics() {
    let seeds: Vec<String> = resources().iter().filter_map(|seed| xml::write(seed, seed.len() % 2 == 0)).collect();
    drive("xml", 2, &seeds, &XML_WORDS, |input| {
        let Ok(read) = xml::read(input) else { return };
        if read.faults.is_empty() && check::value(&read.value, None, "").iter().all(|issue| !issue.refuses()) {
            let written = xml::write(&read.value.to_string(), false).expect("what was read is of R4");
            let again = xml::read(written.as_bytes()).expect("what we write we read");
            assert_eq!((again.value, again.faults), (read.value, read.faults));
        }
    });
}

/// An expression is read and answered within its bounds, or refused.
#[test]
fn an_expression_never_panics() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/path/cases.txt")).unwrap();
    let cases = text.lines().filter_map(|line| line.split_once(" => ")).map(|(expression, _)| expression.to_owned());
    let mut seeds: Vec<String> = cases.filter(|expression| expression.len() < 300).collect();
    seeds.extend(
        [
            "Patient.name.given.first()",
            "name.where(use = 'official').select(given | family).count() > 1",
            "%resource.id.matches('^a+$')",
        ]
        .map(str::to_owned),
    );
    let resource = patient("ada");
    let words = [
        "(",
        ")",
        "[0]",
        ".",
        "$this",
        "%context",
        "{}",
        "'",
        "`",
        "\\u0000",
        "@2024-02-29T",
        "@T25:00",
        "1 year",
        "4 'mg'",
        " is ",
        " as ",
        " div ",
        " mod ",
        " implies ",
        ".repeat(*)",
        ".select($this)",
        ".repeat(item)",
        ".matches('(a*)*b')",
        ".replaceMatches('', 'x')",
        ".toInteger()",
        "descendants()",
        "99999999999999999999999999999",
        "-",
        ".combine($this)",
        ".aggregate($total + $this, 0)",
        ".power(1000000)",
        ".join('')",
    ];
    drive("path", 3, &seeds, &words, |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        if let Ok(expression) = Expression::parse(text) {
            let _ = expression.evaluate(&Context::new().with_resource("resource", &resource), &resource);
        }
    });
}

/// A search is answered or refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_never_fails_for_us() {
    let seeds: Vec<String> = [
        "Patient?name=ada&birthdate=ge1970&_sort=-birthdate&_count=3",
        "Observation?code=http://loinc.org|1234-5&value-quantity=gt5.4|http://unitsofmeasure.org|mg",
        "MedicationDispense?patient=Patient/ada&whenhandedover=2026-06&_include=MedicationDispense:patient",
        "Patient?_has:Observation:patient:code=1&_revinclude=Task:patient",
        "Task?owner=Organization/x&status=requested,accepted&_lastUpdated=ge2026-01-01T00:00:00Z&_total=accurate",
        "Condition?patient.name=x&code:not=a&_summary=count",
        "Patient/ada/_history?_since=2026-01-01&_count=2",
        "Patient/ada/$ledger?_count=1",
        "Patient?_id=a,b&identifier=urn:x|&active:missing=true&_elements=id",
        "ValueSet?url:below=http://x",
        "Observation?code-value-quantity=a$5&component-code:in=http://x&_text=a&_content=b&_filter=name eq a",
        "Patient/ada/Condition?code=1",
    ]
    .map(str::to_owned)
    .to_vec();
    let words = [
        ":missing=",
        ":exact=",
        ":contains=",
        ":not=",
        ":text=",
        ":in=",
        ":below=",
        ":identifier=",
        ":Patient.name=",
        "_has:",
        "%00",
        "%ff",
        "%2C",
        "%25",
        "+",
        "ge",
        "ap",
        "eb",
        "|",
        "||",
        ",",
        "$",
        "\\,",
        "\\",
        "_include=*",
        "_sort=-,",
        "_count=99999999999999",
        "_count=-1",
        "_summary=data",
        "_total=none",
        "_page=AAAA",
        "_elements=",
        "&&",
        "==",
        "9999-12-31T23:59:60Z",
        "1e999",
        "_format=xml",
        "_pretty=true",
        "é",
        "%F0%9F%98%80",
    ];
    besiege("search", 4, &seeds, &words, |_, input| {
        let escaped = |byte: &u8| {
            if byte.is_ascii_graphic() && !b"\"<>\\^`{}#".contains(byte) {
                char::from(*byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        };
        ("GET", input.iter().map(escaped).collect(), "", Vec::new())
    })
    .await;
}

/// A patch, whatever it is made of, changes the patient or is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_patch_never_fails_for_us() {
    let part = |name: &str, value: Value| {
        let mut part = json!({"name": name});
        part.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        part
    };
    let operation = |parts: Vec<Value>| {
        json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}).to_string()
    };
    let seeds = vec![
        json!([{"op": "add", "path": "/name/0/given/-", "value": "x"}, {"op": "test", "path": "/active", "value": true}])
            .to_string(),
        json!([{"op": "replace", "path": "/birthDate", "value": "1980-01-01"}, {"op": "remove", "path": "/gender"}]).to_string(),
        json!([{"op": "move", "from": "/name", "path": "/contact"}, {"op": "copy", "from": "/id", "path": "/language"}])
            .to_string(),
        operation(vec![
            part("type", json!({"valueCode": "add"})),
            part("path", json!({"valueString": "Patient"})),
            part("name", json!({"valueString": "birthDate"})),
            part("value", json!({"valueDate": "1980-01-01"})),
        ]),
        operation(vec![
            part("type", json!({"valueCode": "delete"})),
            part("path", json!({"valueString": "Patient.name[0].given"})),
        ]),
        operation(vec![
            part("type", json!({"valueCode": "insert"})),
            part("path", json!({"valueString": "Patient.name"})),
            part("index", json!({"valueInteger": 0})),
            part("value", json!({"valueHumanName": {"family": "x"}})),
        ]),
        operation(vec![
            part("type", json!({"valueCode": "move"})),
            part("path", json!({"valueString": "Patient.name"})),
            part("source", json!({"valueInteger": 1})),
            part("destination", json!({"valueInteger": 0})),
        ]),
    ];
    let words = [
        "\"op\":\"add\"",
        "/-",
        "~1",
        "~0",
        "~",
        "/0/0/0",
        "\"\"",
        "null",
        "{}",
        "[]",
        "/resourceType",
        "/id",
        "/meta/versionId",
        "\"valueString\":",
        "Patient.name.where(",
        "valueCode",
        "99999999999",
    ];
    besiege("patch", 5, &seeds, &words, |_, input| {
        let kind = if input.first() == Some(&b'[') { "application/json-patch+json" } else { "application/fhir+json" };
        ("PATCH", String::from("Patient/ada"), kind, input)
    })
    .await;
}

/// A Bundle is answered as a whole or refused, in both formats.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_never_fails_for_us() {
    let entry = |method: &str, url: &str, resource: Value| json!({"fullUrl": "urn:uuid:3f0c1f3a-7f0e-4c6b-9b7e-0a5a1d1f1c1d", "resource": resource, "request": {"method": method, "url": url}});
    let bundle = |kind: &str, entries: Vec<Value>| json!({"resourceType": "Bundle", "type": kind, "entry": entries}).to_string();
    let condition = json!({"resourceType": "Condition", "subject": {"reference": "urn:uuid:3f0c1f3a-7f0e-4c6b-9b7e-0a5a1d1f1c1d"}, "code": {"text": "x"}});
    let get = |url: &str| json!({"request": {"method": "GET", "url": url, "ifNoneMatch": "W/\"1\""}});
    let mut seeds: Vec<String> = resources().into_iter().filter(|seed| seed.contains("\"Bundle\"")).collect();
    seeds.extend([
        bundle("transaction", vec![entry("POST", "Patient", patient("x")), entry("POST", "Condition", condition.clone())]),
        bundle(
            "transaction",
            vec![
                entry("PUT", "Patient/ada", patient("ada")),
                json!({"request": {"method": "DELETE", "url": "Patient/none"}}),
                get("Patient/ada"),
            ],
        ),
        bundle(
            "transaction",
            vec![
                entry("PUT", "Patient?identifier=urn:x|1", patient("y")),
                entry("POST", "Patient", json!({"resourceType": "Patient", "active": true})),
            ],
        ),
        bundle(
            "batch",
            vec![
                get("Patient?name=a"),
                get("Patient/ada/_history"),
                get("metadata"),
                entry("PATCH", "Patient/ada", condition),
                get("Banana/1"),
            ],
        ),
    ]);
    let words = [
        "\"ifNoneExist\":\"identifier=1\"",
        "\"ifMatch\":\"W/\\\"1\\\"\"",
        "Patient?identifier=",
        "urn:uuid:",
        "#",
        "/_history/1",
        "\"method\":\"DELETE\"",
        "null",
        "{}",
        "[]",
        "%00",
        "..",
        "?",
        "\"type\":\"history\"",
        "$ledger",
        "GET",
        "_search",
    ];
    besiege("bundle", 6, &seeds, &words, |chance, input| {
        let in_xml =
            if chance.below(4) == 0 { std::str::from_utf8(&input).ok().and_then(|text| xml::write(text, false)) } else { None };
        match in_xml {
            Some(text) => ("POST", String::new(), "application/fhir+xml", text.into_bytes()),
            None => ("POST", String::new(), "application/fhir+json", input),
        }
    })
    .await;
}
