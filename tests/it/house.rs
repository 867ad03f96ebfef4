//! Boots a gateway for a story: its own database, a clock that only the story moves, real HTTP on loopback.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use signa::clock::Clock;
use signa::config::Config;

use crate::answer::Answer;
use crate::database::Database;
use crate::engine::Engine;

/// A Monday in June at eleven in New York, where our patients live: no quiet hours, and no change of summer time near.
pub(crate) const START: &str = "2026-06-01T15:00:00Z";

const FHIR_JSON: &str = "application/fhir+json";

/// A running gateway and the story's hands on it.
pub(crate) struct House {
    pub(crate) clock: Clock,
    pub(crate) database: Database,
    engine: Option<Engine>,
    /// What is set otherwise than by default, also after a restart.
    change: fn(&mut Config),
    client: reqwest::Client,
}

impl House {
    /// On a new SQLite file.
    pub(crate) async fn new() -> Self {
        Self::over(Database::sqlite()).await
    }

    /// With so many places for requests, and so long a wait for one.
    pub(crate) async fn crowded(requests_max: usize, turn_ms_max: u64) -> Self {
        let mut house = Self::over(Database::sqlite()).await;
        house.stop().await;
        let engine = Engine::with(&house.database, &house.clock, |config| {
            config.arrive.requests_max = requests_max;
            config.arrive.turn_ms_max = turn_ms_max;
        });
        house.engine = Some(engine.await);
        house
    }

    /// On this database.
    pub(crate) async fn over(database: Database) -> Self {
        Self::set(database, |_| {}).await
    }

    /// On this database, with other settings.
    pub(crate) async fn set(database: Database, change: fn(&mut Config)) -> Self {
        let clock = Clock::stopped(millis(START));
        let engine = Engine::with(&database, &clock, change).await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { clock, database, engine: Some(engine), change, client }
    }

    /// Stops the gateway and starts another on the same database: nothing is handed over but what is in the ledger.
    pub(crate) async fn restart(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.stop().await;
        }
        self.engine = Some(Engine::with(&self.database, &self.clock, self.change).await);
    }

    /// Stops the gateway, so that the database can be looked at or tampered with.
    pub(crate) async fn stop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.stop().await;
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// The FHIR base, without a final slash.
    pub(crate) fn base(&self) -> String {
        format!("http://{}/fhir", self.engine().address())
    }

    /// Lets the beat run by itself, as in a gateway that serves.
    pub(crate) fn start_beat(&mut self) {
        self.engine.as_mut().unwrap().start_beat();
    }

    /// Lets the beat do all that there is to do now: react, plan, deliver.
    pub(crate) async fn beat(&self) {
        self.engine().beat().await;
    }

    /// One turn of the beat, and no more; how much was done.
    pub(crate) async fn turn(&self) -> usize {
        self.engine().turn().await
    }

    /// Moves the clock on by whole days, with a beat in every hour, as time passes for a real gateway.
    pub(crate) async fn days(&self, days: u32) {
        for _ in 0..days * 24 {
            self.clock.advance(Duration::from_hours(1));
            self.beat().await;
        }
    }

    /// Lets so many seconds pass, with a beat in each.
    pub(crate) async fn seconds(&self, count: u64) {
        for _ in 0..count {
            self.clock.advance(Duration::from_secs(1));
            self.beat().await;
        }
    }

    /// Begins a request. `path` is relative to the base, or absolute as in a link.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Ask {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}/{path}", self.base()) };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let asked = format!("{method} {url}");
        Ask { request: self.client.request(method, url), asked }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).send().await
    }

    /// A plain create.
    pub(crate) async fn post(&self, resource: &Value) -> Answer {
        self.ask("POST", resource["resourceType"].as_str().unwrap()).json(resource).await
    }

    /// An update under the resource's own id.
    pub(crate) async fn put(&self, resource: &Value) -> Answer {
        let (kind, id) = (resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
        self.ask("PUT", &format!("{kind}/{id}")).json(resource).await
    }

    /// A batch or transaction.
    pub(crate) async fn bundle(&self, bundle: &Value) -> Answer {
        self.ask("POST", "").json(bundle).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path).send().await
    }

    /// How many resources a search finds.
    pub(crate) async fn count(&self, search: &str) -> u64 {
        let sign = if search.contains('?') { '&' } else { '?' };
        let answer = self.get(&format!("{search}{sign}_summary=count")).await.is(200);
        answer.at("/total").as_u64().unwrap()
    }

    /// All resources that a search finds, page after page.
    pub(crate) async fn all(&self, search: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut next = search.to_owned();
        while !next.is_empty() {
            let page = self.get(&next).await.is(200);
            found.extend(page.resources());
            next = page.link("next");
        }
        found
    }

    /// The text with the port, which differs from run to run, taken out.
    pub(crate) fn stable(&self, text: &str) -> String {
        text.replace(&self.base(), "http://signa.test/fhir")
    }
}

/// Tells a story on one database after the other.
pub(crate) async fn both(story: impl AsyncFn(Database) -> House) {
    for database in [Database::sqlite(), Database::postgres().await] {
        let House { database, .. } = story(database).await;
        database.drop().await;
    }
}

/// A request in the making.
pub(crate) struct Ask {
    request: reqwest::RequestBuilder,
    asked: String,
}

impl Ask {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) async fn json(self, resource: &Value) -> Answer {
        self.body(FHIR_JSON, resource.to_string()).await
    }

    pub(crate) async fn body(mut self, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.request = self.request.header("Content-Type", content_type).body(body);
        self.send().await
    }

    /// The body as it came, piece by piece.
    pub(crate) async fn pieces(self) -> Vec<Vec<u8>> {
        let mut response = self.request.send().await.unwrap();
        let mut pieces = Vec::new();
        while let Some(piece) = response.chunk().await.unwrap() {
            pieces.push(piece.to_vec());
        }
        pieces
    }

    pub(crate) async fn send(self) -> Answer {
        Answer::read(self.asked, self.request.send().await.unwrap()).await
    }
}

/// UTC milliseconds of an instant.
pub(crate) fn millis(instant: &str) -> i64 {
    instant.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}
