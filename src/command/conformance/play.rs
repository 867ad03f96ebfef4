//! Plays a script: fixtures, setup, tests, teardown. What it made on the server is taken away at the end.
//! Follows <https://hl7.org/fhir/R4/testscript.html#execution>.

use std::collections::BTreeSet;

use serde_json::Value;

use super::judge::judge;
use super::request::request;
use super::scene::{Scene, Seen, located};
use super::script::{Action, COLUMN, Each, Operation, Script, Test};
use crate::clock::Clock;
use crate::speak::post::{Asked, Post};

/// So many failures of one test are told in full.
const TOLD_MAX: usize = 5;
/// Rows that one test may have; the parameters of all resource types are fewer.
const ROWS_MAX: usize = 20_000;

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything it asks for is true.
    Passed,
    /// Something is not.
    Failed(Vec<String>),
    /// The server does not say that it can do this.
    NotOffered(String),
}

/// A test with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The rows of the checklist that it proves.
    pub rows: Vec<String>,
    /// What it proves.
    pub sentence: String,
    /// The script that holds it.
    pub script: String,
    /// What became of it.
    pub verdict: Verdict,
    /// What should be better and does not count.
    pub warnings: Vec<String>,
}

/// Plays scripts against one server.
pub(super) struct Player<'a> {
    pub(super) post: &'a Post,
    /// Headers that go with every request, as for a token.
    pub(super) headers: &'a [(String, String)],
    pub(super) capability: &'a Value,
    pub(super) clock: &'a Clock,
}

/// A script under way.
struct Play<'a> {
    player: &'a Player<'a>,
    scene: Scene<'a>,
    /// What was made, as `Type/id`.
    made: Vec<String>,
    warnings: Vec<String>,
}

impl Player<'_> {
    /// Tries the tests of a script that prove any of these rows; all when none is named.
    pub(super) async fn play(&self, script: &Script, only: &[String]) -> Vec<Tried> {
        let is_wanted = |test: &&Test| only.is_empty() || test.rows().iter().any(|row| only.contains(row));
        let wanted: Vec<&Test> = script.test.iter().filter(is_wanted).collect();
        if wanted.is_empty() {
            return Vec::new();
        }
        let tell = |test: &Test, verdict: Verdict, warnings: Vec<String>| {
            let (rows, sentence, script) = (test.rows(), test.sentence(), script.id.clone());
            Tried { rows, sentence, script, verdict, warnings }
        };
        let scene = match Scene::of(script, self.capability, self.clock.now()) {
            Ok(scene) => scene,
            Err(fault) => return wanted.iter().map(|test| tell(test, failed(&fault), Vec::new())).collect(),
        };
        let mut play = Play { player: self, scene, made: Vec::new(), warnings: Vec::new() };
        let ready = match play.lacking(&script.needs()) {
            Ok(None) => play.set_up(script).await.map_err(|fault| failed(&format!("in the setup: {fault}"))),
            Ok(Some(need)) => Err(Verdict::NotOffered(need)),
            Err(fault) => Err(failed(&fault)),
        };
        let mut tried = Vec::new();
        for test in wanted {
            let verdict = match &ready {
                Ok(()) => play.test(test).await,
                Err(verdict) => verdict.clone(),
            };
            tried.push(tell(test, verdict, std::mem::take(&mut play.warnings)));
        }
        // What goes wrong here is nobody's row: some servers do not delete.
        let _ = play.actions(&script.teardown.action).await;
        play.sweep().await;
        tried
    }
}

fn failed(fault: &str) -> Verdict {
    Verdict::Failed(vec![fault.to_owned()])
}

impl Play<'_> {
    /// The first of these that the server does not say of itself.
    fn lacking(&self, needs: &[&str]) -> Result<Option<String>, String> {
        for need in needs {
            let need = self.scene.fill(need)?;
            if self.scene.evaluate(&need, self.scene.capability)? != ["true"] {
                return Ok(Some(need));
            }
        }
        Ok(None)
    }

    async fn set_up(&mut self, script: &Script) -> Result<(), String> {
        for fixture in script.fixture.iter().filter(|fixture| fixture.autocreate) {
            self.operate(&Operation::autocreate(&fixture.id)).await?;
            let answer = &self.scene.last.answer;
            if answer.status != 201 {
                return Err(format!("the fixture {} is not taken: {} {}", fixture.id, answer.status, self.scene.last.text()));
            }
        }
        self.actions(&script.setup.action).await
    }

    async fn test(&mut self, test: &Test) -> Verdict {
        let each = test.each();
        let names: BTreeSet<String> = each.iter().flat_map(|each| each.names.clone()).collect();
        let mut rows = vec![Vec::new()];
        for each in &each {
            match self.rows(each, &rows) {
                Ok(found) => rows = found,
                Err(fault) => return failed(&fault),
            }
        }
        let (count, mut faults, mut lacking) = (rows.len(), Vec::new(), Vec::new());
        for row in rows {
            self.take_row(&row);
            match self.lacking(&test.needs()) {
                Ok(Some(need)) => lacking.push(need),
                Err(fault) => faults.push(fault),
                Ok(None) => {
                    if let Err(fault) = self.actions(&test.action).await {
                        let of: Vec<&str> = row.iter().map(|(_, value)| value.as_str()).collect();
                        faults.push(if of.is_empty() { fault } else { format!("[{}] {fault}", of.join(COLUMN)) });
                    }
                }
            }
        }
        self.scene.unfixed(&names);
        let wrong = faults.len();
        if wrong > TOLD_MAX {
            faults.truncate(TOLD_MAX);
            faults.push(format!("and {} more: {wrong} of {count} in all", wrong - TOLD_MAX));
        }
        let is_absent = lacking.len() == count;
        match lacking.into_iter().next() {
            _ if wrong > 0 => Verdict::Failed(faults),
            Some(need) if is_absent => Verdict::NotOffered(need),
            _ if count == 0 => Verdict::NotOffered(String::from("the server's own statement names nothing of this")),
            _ => Verdict::Passed,
        }
    }

    /// The rows made of those so far and of this repetition.
    fn rows(&mut self, each: &Each, so_far: &[Row]) -> Result<Vec<Row>, String> {
        let mut rows = Vec::new();
        for outer in so_far {
            self.take_row(outer);
            let given = match &each.expression {
                Some(expression) => self.scene.evaluate(&self.scene.fill(expression)?, self.scene.capability)?,
                None => Vec::new(),
            };
            for text in each.rows.iter().chain(&given) {
                let columns = text.splitn(each.names.len().max(1), COLUMN);
                let pairs = each.names.iter().cloned().zip(columns.map(str::to_owned));
                rows.push(outer.iter().cloned().chain(pairs).collect());
            }
            if rows.len() > ROWS_MAX {
                return Err(format!("the test has more than {ROWS_MAX} rows"));
            }
        }
        Ok(rows)
    }

    fn take_row(&mut self, row: &Row) {
        for (name, value) in row {
            // A row may hold names of its own run.
            let value = self.scene.fill(value).unwrap_or_else(|_| value.clone());
            self.scene.fix(name, &value);
        }
    }

    async fn actions(&mut self, actions: &[Action]) -> Result<(), String> {
        for action in actions {
            if let Some(operation) = &action.operation {
                self.operate(operation).await?;
            }
            let Some(assert) = &action.assert else { continue };
            let Err(fault) = judge(&self.scene, assert) else { continue };
            let words = assert.description.as_deref().or(assert.label.as_deref());
            let fault = words.map_or_else(|| fault.clone(), |words| format!("{words}: {fault}"));
            if assert.warning_only {
                self.warnings.push(fault);
            } else {
                return Err(fault);
            }
        }
        Ok(())
    }

    async fn operate(&mut self, operation: &Operation) -> Result<(), String> {
        let asked = request(&self.scene, operation, self.player.post.base())?;
        let label = operation.label.clone().unwrap_or_else(|| format!("{} {}", asked.method, asked.url));
        let seen = self.exchange(asked).await.map_err(|fault| format!("{label}: {fault}"))?;
        self.note_made(&seen);
        self.scene.remember(seen, operation.request_id.as_deref(), operation.response_id.as_deref());
        Ok(())
    }

    async fn exchange(&self, mut asked: Asked) -> Result<Seen, String> {
        for (name, value) in self.player.headers {
            if !asked.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                asked.headers.push((name.clone(), value.clone()));
            }
        }
        let answer = self.player.post.exchange(asked.clone()).await.map_err(|fault| fault.to_string())?;
        Ok(Seen::new(asked, answer))
    }

    /// Remembers what must be taken away again.
    fn note_made(&mut self, seen: &Seen) {
        let mut places: Vec<String> = Vec::new();
        if seen.answer.status == 201 {
            places.extend(seen.answer.header("location").map(str::to_owned));
        }
        let entries = seen.body.as_ref().and_then(|body| body.get("entry")).and_then(Value::as_array);
        for entry in entries.into_iter().flatten() {
            let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str);
            if text("/response/status").is_some_and(|status| status.starts_with("201")) {
                places.extend(text("/response/location").map(str::to_owned));
            }
        }
        for place in places {
            if let Some((kind, id)) = located(&place) {
                self.made.push(format!("{kind}/{id}"));
            }
        }
    }

    /// Deletes what was made, the last first, since what refers stands after what it refers to.
    async fn sweep(&mut self) {
        for place in std::mem::take(&mut self.made).into_iter().rev() {
            let url = format!("{}/{place}", self.player.post.base());
            let asked = Asked { method: String::from("DELETE"), url, ..Asked::default() };
            // What cannot be deleted stays: the suite does not depend on it.
            let _ = self.exchange(asked).await;
        }
    }
}

type Row = Vec<(String, String)>;
