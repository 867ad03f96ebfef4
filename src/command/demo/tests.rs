//! The sample month, read back from the ledger: what came of it for each patient, whatever the day and hour it ends at.

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::month::{Calendar, Month};
use super::play::Play;
use super::tell::Teller;
use super::{Folder, config, uncalled};
use crate::clock::Clock;
use crate::command::gateway::Gateway;
use crate::ledger::{Decision, Ledger, Scope};
use crate::react;

/// A month that was played.
struct Played {
    gateway: Gateway,
    scope: Scope,
    calendar: Calendar,
    settings: crate::ledger::Settings,
    _folder: Folder,
}

impl Played {
    async fn until(end: &str) -> Self {
        let end = end.parse::<Timestamp>().unwrap().as_millisecond();
        let month = Month::shipped().unwrap();
        let calendar = month.calendar(end).unwrap();
        let folder = Folder::new().unwrap();
        let config = config("127.0.0.1:0", &folder.0, calendar.zone.clone()).unwrap();
        let clock = Clock::stopped(calendar.begin().unwrap());
        let gateway = Gateway::open_with(&config, clock, uncalled(react::shipped())).await.unwrap();
        let scope = Scope { tenant: config.arrive.tenant.as_str().into() };
        let mut teller = Teller::new(std::io::sink(), calendar.clone());
        Play::new(&gateway.beat, scope.clone(), &month, end, &mut teller).unwrap().run().await.unwrap();
        Self { gateway, scope, calendar, settings: config.ledger, _folder: folder }
    }

    fn ledger(&self) -> &Ledger {
        &self.gateway.flow.ledger
    }

    async fn decisions(&self, patient: &str) -> Vec<Decision> {
        let person = self.ledger().person_of(&self.scope, "Patient", patient).await.unwrap().unwrap();
        let mut decisions = self.ledger().decisions(&self.scope, person).await.unwrap();
        decisions.sort_by_key(|decision| (decision.at, decision.step.clone()));
        decisions
    }

    /// What became of a patient's steps: step, outcome, gate and day.
    async fn became(&self, patient: &str) -> Vec<String> {
        let decisions = self.decisions(patient).await;
        let words = |decision: &Decision| {
            let (day, _) = self.calendar.told(decision.at);
            format!("{} {} {} day {day}", decision.step, decision.outcome.word(), decision.gate).replace("  ", " ")
        };
        decisions.iter().map(words).collect()
    }

    /// What is still planned for a patient: step and day.
    async fn planned(&self, patient: &str) -> Vec<String> {
        let person = self.ledger().person_of(&self.scope, "Patient", patient).await.unwrap().unwrap();
        let dues = self.ledger().dues(&self.scope, person).await.unwrap();
        dues.iter().map(|due| format!("{} day {}", due.step, self.calendar.told(due.due).0)).collect()
    }

    /// The resource that was recorded of a step.
    async fn of(&self, patient: &str, step: &str) -> Value {
        let decisions = self.decisions(patient).await;
        let decision = decisions.iter().rfind(|decision| decision.step == step && !decision.recorded.is_empty()).unwrap();
        self.resource(&decision.recorded).await
    }

    async fn resource(&self, reference: &str) -> Value {
        let (kind, id) = reference.split_once('/').unwrap();
        self.ledger().read(&self.scope, kind, id).await.unwrap().unwrap().value()
    }

    /// All current resources of one kind about a patient.
    async fn held(&self, patient: &str, kind: &str) -> Vec<Value> {
        let person = self.ledger().person_of(&self.scope, "Patient", patient).await.unwrap().unwrap();
        let held = self.ledger().held(&self.scope, person, &[kind], 100).await.unwrap();
        held.iter().map(crate::ledger::Stored::value).collect()
    }

    /// What the server answers to `GET`.
    async fn get(&self, path: &str) -> Value {
        let mut stream = tokio::net::TcpStream::connect(self.gateway.address).await.unwrap();
        let request = format!("GET /fhir/{path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.gateway.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{head}");
        serde_json::from_str(body).unwrap()
    }

    /// What fired, was held, stopped or taken back for whom and when, and what is still planned.
    async fn essence(&self) -> Vec<String> {
        let mut essence = Vec::new();
        for patient in PATIENTS {
            let became = self.became(patient).await.join(", ");
            essence.push(format!("{patient}: {became}; then {}", self.planned(patient).await.join(", ")));
        }
        essence
    }
}

const PATIENTS: [&str; 9] = [
    "margaret-okafor",
    "tomas-rivera",
    "wang-fang",
    "david-cohen",
    "aisha-rahman",
    "george-brown",
    "ruth-adler",
    "helen-novak",
    "peter-lang",
];

/// An hour of an ordinary day.
const NOON: &str = "2026-11-22T17:00:00Z";

fn texts(message: &Value) -> usize {
    message["payload"].as_array().unwrap().len()
}

// A thirty days' dispense leads to advice, a reminder and a call; the offer is only for who consented to offers.
#[tokio::test(flavor = "multi_thread")]
async fn a_dispense_leads_to_advice_a_reminder_and_a_call() {
    let played = Played::until(NOON).await;
    assert_eq!(
        played.became("margaret-okafor").await,
        ["word fired day 1", "advice fired day 3", "reminder fired day 25", "call fired day 30"]
    );
    assert_eq!(texts(&played.of("margaret-okafor", "reminder").await), 2);
    let (task, owner) = (played.of("margaret-okafor", "call").await, json!("Organization/harbor-elm-street"));
    assert_eq!((task["status"].as_str(), &task["owner"]["reference"]), (Some("requested"), &owner));

    let rivera = ["advice fired day 3", "reminder fired day 25", "call withdrawn moved day 27", "advice fired day 30"];
    assert_eq!(played.became("tomas-rivera").await, rivera);
    let reminder = played.of("tomas-rivera", "reminder").await;
    assert_eq!((reminder["status"].as_str(), texts(&reminder)), (Some("completed"), 1));
    let request = played.resource(reminder["basedOn"][0]["reference"].as_str().unwrap()).await;
    assert_eq!(request["status"], json!("completed"));
    played.gateway.stop().await;
}

// A diagnosis and a report are answered: by day at once, at night in the morning, and without consent not yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_diagnosis_and_a_report_are_answered() {
    let played = Played::until(NOON).await;
    assert_eq!(played.became("aisha-rahman").await, ["nudge fired day 4"]);
    let nudge = played.of("aisha-rahman", "nudge").await;
    assert!(nudge["reasonReference"][0]["reference"].as_str().unwrap().starts_with("Condition/"));

    let nudge = played.of("helen-novak", "nudge").await;
    let sent = played.calendar.told(nudge["sent"].as_str().unwrap().parse::<Timestamp>().unwrap().as_millisecond());
    assert!(sent.0 == 10 && sent.1.ends_with("08:00"), "{sent:?}");
    assert!(nudge["reasonReference"][0]["reference"].as_str().unwrap().starts_with("DiagnosticReport/"));

    assert_eq!(played.became("peter-lang").await, ["nudge held consent day 29"]);
    assert_eq!(played.of("peter-lang", "nudge").await["status"], json!("preparation"));
    assert_eq!(played.planned("peter-lang").await, ["nudge day 32"]);
    played.gateway.stop().await;
}

// What is sent twice counts once, and what comes early moves the dates; a card that nobody knew leads to its holder.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_twice_counts_once_and_what_comes_early_moves_the_dates() {
    let played = Played::until(NOON).await;
    assert_eq!(played.held("wang-fang", "MedicationDispense").await.len(), 3);
    assert_eq!(played.became("wang-fang").await, ["advice fired day 4"]);
    assert_eq!(played.held("wang-fang", "Communication").await.len(), 1);
    assert_eq!(played.planned("wang-fang").await, ["reminder day 86", "call day 91"]);
    let person = played.ledger().person_of(&played.scope, "Patient", "wang-fang").await.unwrap().unwrap();
    let supplies = played.ledger().supplies(&played.scope, person).await.unwrap();
    let fills = react::fills(&supplies.iter().collect::<Vec<_>>());
    assert_eq!(fills.iter().map(|fill| fill.days).collect::<Vec<_>>(), [90]);

    let cohen = ["advice fired day 5", "call withdrawn moved day 20", "reminder withdrawn moved day 20", "advice fired day 23"];
    assert_eq!(played.became("david-cohen").await, cohen);
    assert_eq!(played.planned("david-cohen").await, ["reminder day 57", "call day 62", "word day 91"]);
    played.gateway.stop().await;
}

// A reversal takes back what was not said yet; STOP and death end what was planned, and the reason is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_reversal_a_stop_and_a_death_end_what_was_planned() {
    let played = Played::until(NOON).await;
    let novak = played.became("helen-novak").await;
    assert_eq!(
        novak,
        [
            "nudge fired day 10",
            "advice withdrawn reversed day 10",
            "call withdrawn reversed day 10",
            "reminder withdrawn reversed day 10"
        ]
    );
    let advice = played.of("helen-novak", "advice").await;
    let code = &advice["statusReason"]["coding"][0]["code"];
    assert_eq!((advice["status"].as_str(), code), (Some("not-done"), &json!("reversed")));
    let request = played.resource(advice["basedOn"][0]["reference"].as_str().unwrap()).await;
    assert_eq!(request["status"], json!("revoked"));

    let brown = ["advice fired day 8", "reminder stopped stop day 14", "call stopped stop day 19"];
    assert_eq!(played.became("george-brown").await, brown);
    let adler = ["advice fired day 9", "call stopped alive day 13", "reminder stopped alive day 13"];
    assert_eq!(played.became("ruth-adler").await, adler);
    for (patient, reason) in
        [("george-brown", "Somebody said STOP for an address of the recipient."), ("ruth-adler", "The person has died.")]
    {
        let stopped: Vec<Decision> =
            played.decisions(patient).await.into_iter().filter(|decision| !decision.gate.is_empty()).collect();
        assert!(stopped.iter().all(|decision| decision.reason == reason && decision.recorded.is_empty()), "{stopped:?}");
        assert!(played.planned(patient).await.is_empty() && played.held(patient, "Task").await.is_empty());
    }
    played.gateway.stop().await;
}

// What the commands at the end of the demo ask for is there, and the ledger of the month verifies.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_shows_what_came_of_the_month() {
    let played = Played::until(NOON).await;
    let reminder = played.of("margaret-okafor", "reminder").await;
    let shown = played.get(&format!("Communication/{}", reminder["id"].as_str().unwrap())).await;
    assert_eq!(shown, reminder);
    let tasks = played.get("Task?owner=Organization/harbor-elm-street&status=requested").await;
    assert_eq!(tasks["entry"].as_array().map(Vec::len), Some(1));
    assert_eq!(tasks["entry"][0]["resource"]["for"]["reference"], json!("Patient/margaret-okafor"));
    let story = played.get("Patient/margaret-okafor/$ledger").await;
    let kinds: Vec<&str> =
        story["entry"].as_array().unwrap().iter().filter_map(|entry| entry["resource"]["resourceType"].as_str()).collect();
    for kind in
        ["Patient", "Consent", "Observation", "Condition", "MedicationDispense", "CommunicationRequest", "Communication", "Task"]
    {
        assert!(kinds.contains(&kind), "{kind} is not among {kinds:?}");
    }
    let verdict = Ledger::verify(&played.settings).await.unwrap();
    assert!(verdict.fault.is_none() && verdict.entries > 60, "{verdict:?}");
    played.gateway.stop().await;
}

// The month is the same story at every hour of the day, over both changes of the clock, a leap day and a new year.
#[tokio::test(flavor = "multi_thread")]
async fn the_month_is_the_same_whenever_it_ends() {
    let noon = Played::until(NOON).await;
    let usual = noon.essence().await;
    noon.gateway.stop().await;
    for end in [
        "2026-11-22T05:00:00Z",
        "2026-11-22T04:59:59.999Z",
        "2026-11-01T05:30:00Z",
        "2026-11-01T06:30:00Z",
        "2027-01-01T13:00:00Z",
        "2027-03-14T07:00:00Z",
        "2027-04-01T23:59:00Z",
        "2028-02-29T12:59:59Z",
        "2028-03-20T03:00:00Z",
    ] {
        let played = Played::until(end).await;
        assert_eq!(played.essence().await, usual, "{end}");
        played.gateway.stop().await;
    }
}
