//! What delivery promises when endpoints fail, told without the rest of the house: a ledger, a deliverer, a receiver.
//! Follows <https://hl7.org/fhir/R4/subscription.html>.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use signa::clock::Clock;
use signa::flow;
use signa::identify;
use signa::ledger::{self, Change, How, Ledger, Mark, Person, Precondition, Scope, Subscription, Unit};
use signa::speak::{Deliverer, Means, Settings, signature, subscription};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::receiver::{Received, Receiver};

const START: i64 = 1_780_000_000_000;
const SECOND: Duration = Duration::from_secs(1);

/// A ledger and its deliverer, which can be started again.
struct Post {
    _folder: TempDir,
    clock: Clock,
    ledger: Ledger,
    deliverer: Deliverer,
}

fn scope() -> Scope {
    Scope { tenant: Arc::from("chain") }
}

fn settings() -> Settings {
    Settings { loopback: true, attempt_max: Duration::from_millis(400), ..Settings::default() }
}

fn means() -> Means {
    Means { draft: identify::draft, parse: flow::listened, chance: Arc::new(|| 0) }
}

impl Post {
    async fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::stopped(START));
        let database = format!("sqlite:{}", folder.path().join("signa.db").display());
        let ledger = Ledger::open(&ledger::Settings { database, ..ledger::Settings::default() }, clock.clone()).await.unwrap();
        let deliverer = Deliverer::start(ledger.clone(), clock.clone(), settings(), means()).await.unwrap();
        Self { _folder: folder, clock, ledger, deliverer }
    }

    /// Another deliverer takes up what the ledger says; nothing is handed over from the one before.
    async fn restart(&mut self) {
        self.deliverer.stop().await;
        self.deliverer = Deliverer::start(self.ledger.clone(), self.clock.clone(), settings(), means()).await.unwrap();
    }

    /// Records a Subscription as a client's and lets it be probed.
    async fn subscribe(&self, id: &str, endpoint: &str, changes: Value) {
        let mut resource = json!({
            "resourceType": "Subscription", "id": id, "status": "requested", "reason": "a story", "criteria": "Condition",
            "channel": {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json", "header": ["X-Site: 7"]},
        });
        for (key, value) in changes.as_object().unwrap() {
            resource[key] = value.clone();
        }
        let before = self.ledger.subscription(&scope(), id).await.unwrap();
        let row = subscription::read(&resource, before.as_ref(), self.clock.now(), &settings(), flow::listened).unwrap().row;
        self.record(&resource, vec![Mark::Subscribed(row.clone())]).await;
        self.deliverer.subscribed(&scope(), row);
        self.deliverer.rest().await;
    }

    async fn record(&self, resource: &Value, marks: Vec<Mark>) -> ledger::Receipt {
        let change = Change {
            kind: resource["resourceType"].as_str().unwrap().to_owned(),
            id: resource["id"].as_str().unwrap().to_owned(),
            when: Precondition::None,
            resource: Some(identify::draft(resource)),
        };
        let unit = Unit { marks, ..Unit::one(scope(), How::Live, "story", change) };
        self.ledger.record(unit).await.unwrap().remove(0)
    }

    /// Records a Condition of a patient and a notice of it, and hands the notice over.
    async fn notice(&self, subscription: &str, id: &str, patient: &str) {
        let noticed = self.noticed(subscription, id, patient).await;
        self.deliverer.offer(&scope(), noticed, None);
    }

    async fn noticed(&self, subscription: &str, id: &str, patient: &str) -> Vec<ledger::Noticed> {
        let condition = json!({"resourceType": "Condition", "id": id, "subject": {"reference": format!("Patient/{patient}")}});
        let receipt = self.record(&condition, vec![]).await;
        let event = self.event(id).await;
        let notice = Mark::Notice {
            event,
            subscription: subscription.to_owned(),
            person: receipt.person,
            kind: receipt.kind,
            id: receipt.id,
            version: receipt.version,
        };
        assert_ne!(receipt.person, Person::NOBODY);
        self.ledger.record_all(Unit::marks(scope(), vec![notice, Mark::Told { event }])).await.unwrap().notices
    }

    /// The number of the event of a resource.
    async fn event(&self, id: &str) -> i64 {
        let events = self.ledger.events(0, 10_000).await.unwrap();
        events.iter().rfind(|event| event.id == id).unwrap().number
    }

    async fn row(&self, id: &str) -> Subscription {
        self.ledger.subscription(&scope(), id).await.unwrap().unwrap()
    }

    async fn resource(&self, id: &str) -> Value {
        self.ledger.read(&scope(), "Subscription", id).await.unwrap().unwrap().value()
    }

    async fn waiting(&self, id: &str) -> Vec<i64> {
        let waiting = self.ledger.waiting(&scope(), id, 0, 10_000).await.unwrap();
        waiting.iter().map(|notice| notice.number).collect()
    }

    async fn after(&self, time: Duration) {
        self.clock.advance(time);
        self.deliverer.rest().await;
    }
}

fn ids(received: &[Received]) -> Vec<String> {
    received.iter().map(|one| one.json()["id"].as_str().unwrap().to_owned()).collect()
}

// A requested subscription is probed without a body: 2xx makes it active, anything else an error that says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_probe_decides_what_becomes_of_a_request() {
    let (post, receiver) = (Post::new().await, Receiver::start().await);
    receiver.answers(500);
    post.subscribe("s", &receiver.url(), json!({})).await;
    assert_eq!(post.row("s").await.status, "error");
    let failed = post.resource("s").await;
    assert_eq!((&failed["status"], &failed["error"]), (&json!("error"), &json!("the endpoint answered 500")));

    receiver.answers(200);
    post.subscribe("s", &receiver.url(), json!({})).await;
    let active = post.resource("s").await;
    assert_eq!((&active["status"], active.get("error"), &active["meta"]["versionId"]), (&json!("active"), None, &json!("4")));
    assert_eq!((post.row("s").await.status.as_str(), post.row("s").await.version), ("active", 4));
    let probes = receiver.received();
    assert!(probes.len() == 2 && probes.iter().all(|probe| probe.body.is_empty() && probe.header("x-site") == "7"));

    post.subscribe("gone", "http://127.0.0.1:1/hook", json!({})).await;
    assert_eq!(post.resource("gone").await["error"], "the endpoint could not be reached");
}

// A notice is the recorded version of the resource, with the channel's own headers and a signature that its secret proves.
#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_signed_and_carries_the_recorded_version() {
    let (post, receiver) = (Post::new().await, Receiver::start().await);
    post.subscribe("s", &receiver.url(), json!({})).await;
    let first = post.noticed("s", "c1", "ada").await;
    let second = post.noticed("s", "c2", "ada").await;
    post.record(&json!({"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/ada"}, "x": 1}), vec![]).await;
    // Handed over in the wrong order, they still go in the order of their numbers.
    post.deliverer.offer(&scope(), second, None);
    post.deliverer.offer(&scope(), first, None);
    post.deliverer.rest().await;
    let notices = receiver.notices();
    assert_eq!(ids(&notices), ["c1", "c2"]);
    let notice = &notices[0];
    assert_eq!((&notice.json()["meta"]["versionId"], notice.method.as_str()), (&json!("1"), "POST"));
    assert_eq!((notice.header("content-type"), notice.header("x-site")), ("application/fhir+json", "7"));
    assert_eq!((notice.header("webhook-id"), notices[1].header("webhook-id")), ("s.1", "s.2"));
    let seconds = notice.header("webhook-timestamp").parse().unwrap();
    let signed = signature::sign(&post.row("s").await.secrets.now, "s.1", seconds, notice.body.as_bytes());
    assert_eq!((seconds, notice.header("webhook-signature")), (START / 1_000, signed.as_str()));
    assert!(post.waiting("s").await.is_empty());
}

// While the endpoint is down one notice after the other is tried, by the schedule; then all that waits goes, in order and once. That the
// endpoint is to blame, and not the first notice, is found out with the second.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_an_endpoint_goes_in_order_when_it_is_back() {
    let (post, receiver) = (Post::new().await, Receiver::start().await);
    post.subscribe("s", &receiver.url(), json!({})).await;
    receiver.answers(503);
    for number in 1..=30 {
        post.notice("s", &format!("c{number}"), ["ada", "bo", "cy"][number % 3]).await;
        post.deliverer.rest().await;
    }
    let tries = || receiver.received().len() - 1;
    assert_eq!(tries(), 2);
    for (wait, expected) in [(4, 2), (1, 3), (4, 3), (1, 4), (10, 5), (29, 5), (1, 6)] {
        post.after(SECOND * wait).await;
        assert_eq!(tries(), expected);
    }
    assert_eq!((post.row("s").await.status.as_str(), post.waiting("s").await.len()), ("active", 30));
    receiver.answers(200);
    post.after(SECOND * 30).await;
    let arrived = ids(&receiver.notices());
    for patient in 0..3 {
        let own: Vec<usize> = arrived.iter().map(|id| id[1..].parse().unwrap()).filter(|number| number % 3 == patient).collect();
        assert!(own.len() == 10 && own.is_sorted(), "{own:?}");
    }
    assert!(post.waiting("s").await.is_empty());
    post.notice("s", "c31", "ada").await;
    post.deliverer.rest().await;
    assert_eq!(ids(&receiver.notices()).last().unwrap(), "c31");
}

// More waits than memory holds; all of it arrives, each notice once, in order per patient.
#[tokio::test(flavor = "multi_thread")]
async fn what_memory_does_not_hold_is_read_from_the_ledger() {
    let (post, receiver) = (Post::new().await, Receiver::start().await);
    post.subscribe("s", &receiver.url(), json!({})).await;
    receiver.answers(503);
    post.notice("s", "c0", "ada").await;
    post.deliverer.rest().await;
    let patients = ["ada", "bo", "cy", "di", "ed"];
    for patient in patients {
        let person = {
            let condition =
                json!({"resourceType": "Condition", "id": patient, "subject": {"reference": format!("Patient/{patient}")}});
            post.record(&condition, vec![]).await.person
        };
        let notice = Mark::Notice {
            event: post.event(patient).await,
            subscription: String::from("s"),
            person,
            kind: String::from("Condition"),
            id: patient.to_owned(),
            version: 1,
        };
        let recorded = post.ledger.record_all(Unit::marks(scope(), vec![notice; 300])).await.unwrap();
        post.deliverer.offer(&scope(), recorded.notices, None);
    }
    assert_eq!(post.waiting("s").await, (1..=1_501).collect::<Vec<_>>());
    receiver.answers(200);
    post.after(SECOND * 5).await;
    let mut numbers: Vec<i64> =
        receiver.notices().iter().map(|one| one.header("webhook-id").trim_start_matches("s.").parse().unwrap()).collect();
    let per_patient = |first: i64| numbers.iter().filter(|number| (first..first + 300).contains(*number)).is_sorted();
    assert!((0..5).all(|index| per_patient(2 + 300 * index)));
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=1_501).collect::<Vec<_>>());
    assert!(post.waiting("s").await.is_empty());
}

// A notice that is refused for itself is tried three times and then dead; the others go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_notice_goes_to_the_dead_letters() {
    let (post, receiver) = (Post::new().await, Receiver::start().await);
    post.subscribe("s", &receiver.url(), json!({})).await;
    receiver.answers(422);
    post.notice("s", "c1", "ada").await;
    post.deliverer.rest().await;
    receiver.answers(200);
    post.notice("s", "c2", "bo").await;
    post.notice("s", "c3", "ada").await;
    post.deliverer.rest().await;
    assert_eq!(ids(&receiver.notices()), ["c2"]);
    receiver.answers(422);
    post.after(SECOND * 5).await;
    assert_eq!(post.waiting("s").await, [1, 3]);
    post.after(SECOND * 10).await;
    receiver.answers(200);
    post.after(SECOND * 60).await;
    let refused = receiver.received().iter().filter(|one| one.status == 422 && one.json()["id"] == "c1").count();
    assert_eq!((refused, post.waiting("s").await.contains(&1)), (3, false));
    assert_eq!(ids(&receiver.notices()), ["c2", "c3"]);
}

// What is under way when the house is closed has time to be answered, and what was taken is not sent again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_at_a_stop_is_heard_out() {
    let (mut post, receiver) = (Post::new().await, Receiver::start().await);
    post.subscribe("s", &receiver.url(), json!({})).await;
    receiver.holds(true);
    post.notice("s", "c1", "ada").await;
    receiver.has(2).await;
    tokio::join!(post.deliverer.stop(), async { receiver.holds(false) });
    assert!(post.waiting("s").await.is_empty());
    post.restart().await;
    post.notice("s", "c2", "ada").await;
    post.deliverer.rest().await;
    assert_eq!(ids(&receiver.notices()), ["c1", "c2"]);
}

// What waits, and how the lane stands, outlive a restart.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_and_its_schedule_survive_a_restart() {
    let (mut post, receiver) = (Post::new().await, Receiver::start().await);
    post.subscribe("s", &receiver.url(), json!({})).await;
    receiver.answers(503);
    post.notice("s", "c1", "ada").await;
    post.deliverer.rest().await;
    // Recorded, but the house fell before it was handed over.
    post.noticed("s", "c2", "ada").await;
    post.restart().await;
    receiver.answers(200);
    post.after(SECOND * 4).await;
    assert!(receiver.notices().is_empty());
    post.after(SECOND).await;
    assert_eq!(ids(&receiver.notices()), ["c1", "c2"]);
    post.restart().await;
    post.after(SECOND * 60).await;
    assert_eq!(ids(&receiver.notices()), ["c1", "c2"]);
}

// Recorded, but whoever recorded it broke off before it was handed over: it goes when all are told to look again. Of an event that
// was told nobody is told again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_handed_over_is_found_when_all_look_again() {
    let (post, receiver) = (Post::new().await, Receiver::start().await);
    for id in ["s", "t"] {
        post.subscribe(id, &receiver.url(), json!({})).await;
        post.noticed(id, &format!("c-{id}"), "ada").await;
    }
    post.deliverer.rest().await;
    assert!(receiver.notices().is_empty());
    post.deliverer.wake_all();
    post.deliverer.rest().await;
    let mut arrived = ids(&receiver.notices());
    arrived.sort();
    assert_eq!(arrived, ["c-s", "c-t"]);

    let event = post.event("c-s").await;
    let (subscription, kind, id) = (String::from("s"), String::from("Condition"), String::from("c-s"));
    let again = Mark::Notice { event, subscription, person: Person::NOBODY, kind, id, version: 1 };
    assert!(post.ledger.record_all(Unit::marks(scope(), vec![again])).await.unwrap().notices.is_empty());
    assert_eq!((post.row("s").await.notices, post.waiting("s").await), (1, vec![]));
}

// After 28 hours the subscription is in error; only its client can bring it back, and then what waited goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_spent_schedule_ends_in_error_and_the_client_brings_it_back() {
    let (post, receiver) = (Post::new().await, Receiver::start().await);
    post.subscribe("s", &receiver.url(), json!({})).await;
    receiver.answers(503);
    post.notice("s", "c1", "ada").await;
    post.deliverer.rest().await;
    for _ in 0..27 {
        post.after(SECOND * 3_600).await;
    }
    assert_eq!(post.row("s").await.status, "active");
    post.after(SECOND * 7_200).await;
    assert_eq!(post.row("s").await.status, "error");
    assert_eq!(post.resource("s").await["error"], "the endpoint answered 503");
    receiver.answers(200);
    post.after(SECOND * 90_000).await;
    assert!(receiver.notices().is_empty());
    post.subscribe("s", &receiver.url(), json!({})).await;
    assert_eq!((post.row("s").await.status.as_str(), ids(&receiver.notices())), ("active", vec![String::from("c1")]));
}

// An endpoint that never answers holds back nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_endpoint_harms_nobody() {
    let (post, receiver) = (Post::new().await, Receiver::start().await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}/hook", listener.local_addr().unwrap());
    let is_silent = Arc::new(AtomicBool::new(false));
    let server = tokio::spawn(answer_unless(listener, Arc::clone(&is_silent)));
    post.subscribe("slow", &silent, json!({})).await;
    post.subscribe("quick", &receiver.url(), json!({})).await;
    is_silent.store(true, Ordering::SeqCst);
    for number in 0..20 {
        post.notice("slow", &format!("a{number}"), &format!("p{number}")).await;
        post.notice("quick", &format!("b{number}"), &format!("p{number}")).await;
    }
    post.deliverer.rest().await;
    assert_eq!((receiver.notices().len(), post.waiting("slow").await.len()), (20, 20));
    is_silent.store(false, Ordering::SeqCst);
    post.after(SECOND * 5).await;
    assert!(post.waiting("slow").await.is_empty());
    server.abort();
}

/// Takes every request and answers it with 200, or with nothing at all.
async fn answer_unless(listener: TcpListener, is_silent: Arc<AtomicBool>) {
    loop {
        let (mut connection, _) = listener.accept().await.unwrap();
        let is_silent = Arc::clone(&is_silent);
        tokio::spawn(async move {
            let mut request = vec![0; 65_536];
            while connection.read(&mut request).await.is_ok_and(|read| read > 0) {
                if !is_silent.load(Ordering::SeqCst) {
                    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                }
            }
        });
    }
}

// A redirect is not followed: it could lead to where the house must not call.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let (post, receiver) = (Post::new().await, Receiver::start().await);
    receiver.answers(307);
    post.subscribe("s", &receiver.url(), json!({})).await;
    assert_eq!((receiver.received().len(), post.row("s").await.status.as_str()), (1, "error"));
}

// When its client turned it off or deleted it, nothing more is sent; when its end has passed, only what waited.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_not_carried_any_more() {
    let (post, receiver) = (Post::new().await, Receiver::start().await);
    post.subscribe("ends", &receiver.url(), json!({"end": "2026-05-28T20:27:00Z"})).await;
    post.subscribe("off", &receiver.url(), json!({})).await;
    post.subscribe("gone", &receiver.url(), json!({})).await;
    receiver.answers(503);
    for id in ["ends", "off", "gone"] {
        post.notice(id, id, "ada").await;
    }
    post.deliverer.rest().await;
    post.subscribe("off", &receiver.url(), json!({"status": "off"})).await;
    post.ledger.record(Unit::marks(scope(), vec![Mark::Unsubscribed { subscription: String::from("gone") }])).await.unwrap();
    post.deliverer.unsubscribed(&scope(), "gone");
    let end = u64::try_from(post.row("ends").await.ends - START).unwrap();
    post.after(Duration::from_millis(end)).await;
    assert_eq!(post.row("ends").await.status, "active");
    receiver.answers(200);
    post.after(SECOND * 3_600).await;
    assert_eq!(ids(&receiver.notices()), ["ends"]);
    assert_eq!((post.row("ends").await.status.as_str(), post.resource("ends").await["status"].as_str()), ("off", Some("off")));
}

// The task of a lane breaks off: it begins again from the ledger, nothing that waits is lost, and the house can be closed.
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_breaks_off_begins_again() {
    let (mut post, receiver) = (Post::new().await, Receiver::start().await);
    let breaks = Arc::new(AtomicBool::new(false));
    let will_break = Arc::clone(&breaks);
    let chance = move || {
        assert!(!will_break.swap(false, Ordering::SeqCst), "planted");
        0
    };
    let means = Means { chance: Arc::new(chance), ..means() };
    post.deliverer.stop().await;
    post.deliverer = Deliverer::start(post.ledger.clone(), post.clock.clone(), settings(), means).await.unwrap();
    post.subscribe("s", &receiver.url(), json!({})).await;
    post.subscribe("t", &receiver.url(), json!({})).await;
    receiver.answers(503);
    breaks.store(true, Ordering::SeqCst);
    post.notice("s", "c1", "ada").await;
    tokio::time::timeout(SECOND * 60, post.deliverer.rest()).await.expect("the lane works");
    receiver.answers(200);
    post.notice("t", "c2", "bo").await;
    post.after(SECOND * 5).await;
    let mut arrived = ids(&receiver.notices());
    arrived.sort();
    assert_eq!((arrived, breaks.load(Ordering::SeqCst)), (vec![String::from("c1"), String::from("c2")], false));
    tokio::time::timeout(SECOND * 60, post.deliverer.stop()).await.expect("the house can be closed");
}
