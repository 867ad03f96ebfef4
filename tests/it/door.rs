//! Everything around a request: packing, browsers, proxies, methods, ids and bounds. Follows <https://hl7.org/fhir/R4/http.html>.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::builders::{With, bundle, patient};
use crate::database::Database;
use crate::house::House;

const FHIR_JSON: &str = "application/fhir+json";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

// A large answer is packed for who asks, a small one is not; a packed body is taken, and one that would burst is refused.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_packed_both_ways() {
    let house = House::new().await;
    let sent = gzip(&patient("ada").to_string());
    let made = house.ask("PUT", "Patient/ada").header("Content-Encoding", "gzip").body(FHIR_JSON, sent).await.is(201);
    assert_eq!((made.id().as_str(), made.header("content-encoding")), ("ada", ""));
    let url = format!("{}/metadata", house.base());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let whole = house.get("metadata").await.is(200);
    let packed = client.get(url).header("Accept-Encoding", "gzip;q=1.0, *;q=0.1").send().await.unwrap();
    assert_eq!(
        (packed.headers()["content-encoding"].to_str().unwrap(), packed.headers()["vary"].to_str().unwrap()),
        ("gzip", "accept, accept-encoding")
    );
    let bytes = packed.bytes().await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    assert_eq!((text == whole.text, bytes.len() * 4 < text.len()), (true, true));
    let small = house.ask("GET", "Patient/ada").header("Accept-Encoding", "gzip").send().await.is(200);
    assert_eq!((small.header("content-encoding"), small.id().as_str()), ("", "ada"));
    let bomb = gzip(&format!("{{\"resourceType\":\"Patient\"{}}}", " ".repeat(64 << 20)));
    assert!(bomb.len() < 100_000);
    let refused = house.ask("POST", "Patient").header("Content-Encoding", "gzip").body(FHIR_JSON, bomb).await.is(413);
    assert_eq!(refused.codes(), ["too-long"]);
    house.ask("POST", "Patient").header("Content-Encoding", "gzip").body(FHIR_JSON, "{}").await.is(400);
    house.ask("POST", "Patient").header("Content-Encoding", "zstd").body(FHIR_JSON, "{}").await.is(415);
}

// Behind a proxy every address that we tell is the one the client knows: Location, fullUrl, next.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_those_the_client_knows() {
    let house = House::new().await;
    for id in ["ada", "bob"] {
        house.put(&patient(id)).await.is(201);
    }
    for (headers, base) in [
        (
            &[("X-Forwarded-Host", "clinic.example"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Prefix", "/care")][..],
            "https://clinic.example/care/fhir",
        ),
        (
            &[("Forwarded", "for=192.0.2.60;proto=https;host=clinic.example, for=10.0.0.1;host=inner")],
            "https://clinic.example/fhir",
        ),
        (
            &[("X-Forwarded-Host", "clinic.example"), ("X-Forwarded-Port", "8443"), ("X-Forwarded-Proto", "https")],
            "https://clinic.example:8443/fhir",
        ),
    ] {
        let ask =
            |method: &str, path: &str| headers.iter().fold(house.ask(method, path), |ask, (name, value)| ask.header(name, value));
        let made = ask("POST", "Patient").json(&patient("x").with("id", Value::Null)).await.is(201);
        assert_eq!(made.header("location"), format!("{base}/Patient/{}/_history/1", made.id()));
        let page = ask("GET", "Patient?_count=1").send().await.is(200);
        let full = page.at("/entry/0/fullUrl");
        assert!(full.as_str().unwrap().starts_with(&format!("{base}/Patient/")), "{full}");
        for relation in ["self", "next"] {
            assert!(page.link(relation).starts_with(&format!("{base}/Patient?")), "{}", page.link(relation));
        }
        let history = ask("GET", "Patient/ada/_history").send().await.is(200);
        assert_eq!(history.at("/entry/0/fullUrl"), json!(format!("{base}/Patient/ada")));
    }
}

// A method that is not offered is answered with those that are; a slash at the end changes nothing; HEAD is GET without a body.
#[tokio::test(flavor = "multi_thread")]
async fn methods_and_slashes_are_understood() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    for (method, path) in [
        ("PUT", "Patient"),
        ("POST", "Patient/ada"),
        ("DELETE", "Patient/ada/_history"),
        ("PUT", "metadata"),
        ("TRACE", "Patient/ada"),
        ("GET", "Patient/_search"),
    ] {
        let refused = house.ask(method, path).send().await.is(405);
        assert_eq!(refused.codes(), ["not-supported"], "{method} {path}");
        let allow: Vec<&str> = refused.header("allow").split(", ").collect();
        assert!(allow.contains(&"OPTIONS") && !allow.contains(&method), "{method} {path}: {allow:?}");
    }
    // At a type these are offered with criteria, and not without.
    for method in ["PUT", "PATCH", "DELETE"] {
        assert_eq!(house.ask(method, "Patient").send().await.is(405).header("allow"), "GET, HEAD, POST, OPTIONS");
    }
    for (path, allow) in
        [("Patient", "GET, HEAD, POST, OPTIONS"), ("Patient?_id=x", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")]
    {
        assert_eq!(house.ask("OPTIONS", path).send().await.is(204).header("allow"), allow);
    }
    for path in ["Patient/ada/", "Patient/?_id=ada", "Patient/ada/_history/", "metadata/"] {
        house.get(path).await.is(200);
    }
    for path in ["Patient/ada", "Patient?_id=ada", "Patient/ada/_history/1", "metadata"] {
        let (head, get) = (house.ask("HEAD", path).send().await.is(200), house.get(path).await.is(200));
        assert_eq!((head.text.as_str(), head.header("content-length")), ("", get.text.len().to_string().as_str()), "{path}");
        assert_eq!(
            (head.header("etag"), head.header("content-type")),
            (get.header("etag"), get.header("content-type")),
            "{path}"
        );
    }
    house.ask("HEAD", "Patient/none").send().await.is(404);
}

// A request's id comes back as it was sent, or is made; never one that could break a log or a header.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_an_id() {
    let house = House::new().await;
    let named = house.ask("GET", "Patient/none").header("X-Request-Id", "ward-7/42").send().await.is(404);
    assert_eq!(named.header("x-request-id"), "ward-7/42");
    let long = "x".repeat(200);
    let (first, second) = (house.ask("GET", "metadata").header("X-Request-Id", &long).send().await, house.get("metadata").await);
    assert!(!first.header("x-request-id").is_empty() && first.header("x-request-id") != long);
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
}

// Who is slow with a body is told so, and a full house asks to come again and still says how it fares.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_house_asks_to_come_again() {
    let house = House::crowded(1, 50).await;
    house.put(&patient("ada")).await.is(201);
    // One request that never ends takes the only place.
    let (address, head) = (
        house.engine().address(),
        "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nContent-Length: 99\r\n\r\n{",
    );
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(head.as_bytes()).await.unwrap();
    let refused = loop {
        let answer = house.get("Patient/ada").await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((refused.status, refused.codes(), refused.header("retry-after")), (503, vec![String::from("transient")], "1"));
    let live = format!("http://{address}/health/live");
    house.get(&live).await.is(200);
    drop(slow);
    let answer = loop {
        let answer = house.get("Patient/ada").await;
        if answer.status != 503 {
            break answer;
        }
    };
    assert_eq!(answer.is(200).id(), "ada");
}

// Who asks before sending is told at once that it is too much, and sends nothing; what is not too much is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_before_sending_is_answered_at_once() {
    let house = House::new().await;
    let body = patient("ada").to_string();
    for (length, told) in [(1_usize << 40, "HTTP/1.1 413 "), (body.len(), "HTTP/1.1 100 ")] {
        let mut line = TcpStream::connect(house.engine().address()).await.unwrap();
        let head = format!(
            "PUT /fhir/Patient/ada HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nContent-Length: {length}\r\n\
            Expect: 100-continue\r\n\r\n"
        );
        line.write_all(head.as_bytes()).await.unwrap();
        let mut first = [0; 13];
        line.read_exact(&mut first).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&first), told, "{length}");
    }
}

// Who does not come to the end of a request's head in time is hung up on, and so is who says nothing more; nobody else notices.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_is_hung_up_on() {
    let house = House::set(Database::sqlite(), |config| config.arrive.head_ms_max = 50).await;
    for head in ["", "GET /fhir/metadata HTTP/1.1\r\nHos", "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut slow = TcpStream::connect(house.engine().address()).await.unwrap();
        slow.write_all(head.as_bytes()).await.unwrap();
        let mut said = String::new();
        // This ends when the other side hangs up.
        let end = tokio::time::timeout(Duration::from_secs(20), slow.read_to_string(&mut said)).await;
        end.unwrap().unwrap();
        assert_eq!(said.starts_with("HTTP/1.1 200 OK"), head.ends_with("\r\n\r\n"), "{head}: {said}");
    }
    house.get("metadata").await.is(200);
}

// One address may ask so often in a minute and no more; who watches the gateway is answered all the same.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let house = House::set(Database::sqlite(), |config| config.arrive.requests_per_minute = 3).await;
    for _ in 0..3 {
        house.get("metadata").await.is(200);
    }
    let refused = house.put(&patient("ada")).await.is(429);
    assert_eq!(refused.codes(), ["throttled"]);
    assert!((1..=21).contains(&refused.header("retry-after").parse::<u64>().unwrap()), "{}", refused.header("retry-after"));
    house.get(&format!("http://{}/health/live", house.engine().address())).await.is(200);
}

// Who reads a long answer slowly keeps nobody from being answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_keeps_nobody_waiting() {
    let house = House::crowded(1, 5_000).await;
    house.put(&patient("ada")).await.is(201);
    let note = "n".repeat(20_000);
    for piece in 0..3 {
        let urls: Vec<String> = (0..300).map(|at| format!("Basic/b{piece}-{at}")).collect();
        let basic = |url: &String| {
            json!({"resourceType": "Basic", "id": url.trim_start_matches("Basic/"), "code": {"text": note},
                "subject": {"reference": "Patient/ada"}})
        };
        let entries: Vec<(&str, &str, Value)> = urls.iter().map(|url| ("PUT", url.as_str(), basic(url))).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
    let mut reader = TcpStream::connect(house.engine().address()).await.unwrap();
    reader.write_all(b"GET /fhir/Patient/ada/$everything HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 1_024];
    reader.read_exact(&mut first).await.unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200 OK"));
    // Some megabytes are on their way, and nobody takes them.
    for _ in 0..20 {
        house.get("Patient/ada").await.is(200);
    }
}

// Who is answered before all that was sent was read is told that the line ends; whose body was read goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_with_an_unread_body_is_closed_in_words() {
    let house = House::new().await;
    let body = patient("ada").to_string();
    for (method, path, status, is_closed) in [
        ("POST", "/fhir/Foo", "404", true),
        ("PUT", "/fhir/Patient", "405", true),
        ("POST", "/fhir/Patient?_format=turtle", "406", true),
        ("PUT", "/fhir/Patient/a_b", "400", true),
        ("POST", "/fhir/Patient", "201", false),
        ("PUT", "/fhir/Patient/bob", "400", false),
    ] {
        let mut line = TcpStream::connect(house.engine().address()).await.unwrap();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {FHIR_JSON}\r\nContent-Length: {}\r\n\r\n", body.len());
        line.write_all(head.as_bytes()).await.unwrap();
        if !is_closed {
            line.write_all(body.as_bytes()).await.unwrap();
        }
        let mut told = String::new();
        while !told.contains("\r\n\r\n") {
            let mut piece = [0; 1_024];
            let read = line.read(&mut piece).await.unwrap();
            assert!(read > 0, "{method} {path}: {told}");
            told.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {told}");
        assert_eq!(told.to_lowercase().contains("connection: close"), is_closed, "{method} {path}: {told}");
    }
}
