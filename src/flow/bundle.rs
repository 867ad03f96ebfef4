//! Batch and transaction: the entries of a Bundle, each alone or all together.
//! Follows <https://hl7.org/fhir/R4/http.html#transaction>.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::interaction::{Act, Interaction, refuse, same_id};
use super::settle::broken;
use super::{Done, Flow, Refused, Sender, patch};
use crate::check::{self, guard};
use crate::fhir::outcome::{self, Issue};
use crate::fhir::search::decode;
use crate::fhir::time;
use crate::identify::bundle::{Method, Request, is_transaction, request};
use crate::ledger::Receipt;

/// So many entries of a batch are on their way at once, so that one commit can take them together.
const BATCH_ABREAST: usize = 32;
/// So many of its reads: each holds a whole answer before it is counted.
const READS_ABREAST: usize = 4;

/// The entries of a Bundle, read.
pub(super) struct Sheet {
    /// Whether all of it is one transaction.
    pub(super) whole: bool,
    lines: Vec<Line>,
}

/// One entry, read.
pub(super) struct Line {
    /// Which, from 0.
    pub(super) index: usize,
    /// What it asks for.
    pub(super) request: Result<Request, Issue>,
    /// `entry.fullUrl`
    pub(super) full_url: Option<String>,
    /// `entry.resource`
    pub(super) resource: Option<Value>,
    issues: Vec<Issue>,
    if_none_match: Option<String>,
    if_modified_since: Option<String>,
}

/// What an entry asks for that reads, or has an operation answered.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// `GET` or `HEAD`; `POST` for an operation.
    pub method: &'a str,
    /// `request.url`: relative to the base, with its query.
    pub url: &'a str,
    /// What is sent to the operation.
    pub resource: Option<&'a Value>,
    /// Whether it is part of a transaction: then it is asked twice, and may change nothing.
    pub whole: bool,
    /// The version in `request.ifMatch`, for an operation that changes something.
    pub if_match: Option<i64>,
    /// `request.ifNoneMatch`
    pub if_none_match: Option<&'a str>,
    /// `request.ifModifiedSince`
    pub if_modified_since: Option<&'a str>,
}

/// The answer to one entry.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// `200 OK`
    pub status: String,
    /// Where it is.
    pub location: Option<String>,
    /// `W/"1"`
    pub etag: Option<String>,
    /// An instant.
    pub last_modified: Option<String>,
    /// The resource as JSON text.
    pub resource: Option<String>,
    /// What is to be said of it.
    pub outcome: Option<Value>,
}

/// Answers what the way in cannot: reads inside a Bundle, and how a refusal is told.
pub trait Reader: Sync {
    /// Answers an entry that reads, or asks for an operation; a failure is an answer, too.
    fn read(&self, wanted: Wanted<'_>) -> impl Future<Output = Answer> + Send;

    /// The status line (`412 Precondition Failed`) and the OperationOutcome of a refusal.
    fn refusal(&self, refused: &Refused) -> (String, Value);

    /// Bytes of resources that the answer to one Bundle may hold.
    fn bytes_max(&self) -> usize;

    /// The address put before locations, without a slash at its end; may be empty.
    fn base(&self) -> &str;

    /// What is told of entries that wrote, beside status and version.
    fn told(&self) -> Telling;
}

/// Bytes of resources that the answer to a Bundle may still hold. Once something does not fit, nothing more does.
struct Budget(AtomicUsize);

impl Budget {
    fn of(reader: &impl Reader) -> Self {
        Self(AtomicUsize::new(reader.bytes_max()))
    }

    /// Whether so many bytes still fit in; then they are taken.
    fn takes(&self, bytes: usize) -> bool {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if taken.is_err() {
            self.0.store(0, Ordering::Relaxed);
        }
        taken.is_ok()
    }

    fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// What is told of entries that wrote, beside status and version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Telling {
    /// Nothing more, except what should be mended.
    #[default]
    Little,
    /// The resource as it is kept now.
    Resource,
    /// An OperationOutcome in any case.
    Outcome,
}

impl Flow {
    /// A batch or transaction Bundle; the answer is the text of the response Bundle.
    /// Follows <https://hl7.org/fhir/R4/http.html#transaction>.
    pub async fn bundle(&self, sender: &Sender, body: &[u8], reader: &impl Reader) -> Result<String, Refused> {
        let sheet = self.sheet(body)?;
        if sheet.whole {
            let answers = self.transaction(sender, sheet, body, reader).await?;
            return Ok(response("transaction-response", reader.base(), &answers));
        }
        let answers = self.batch(sender, sheet, reader).await;
        Ok(response("batch-response", reader.base(), &answers))
    }

    /// Reads and checks the entries. Faults of a transaction refuse it here, all at once.
    pub(super) fn sheet(&self, body: &[u8]) -> Result<Sheet, Refused> {
        let bundle = check::bundle(body, guard::BUNDLE_BYTES_MAX).map_err(Refused::Issues)?;
        let whole = is_transaction(&bundle.frame).map_err(|issue| Refused::Issues(vec![issue]))?;
        let mut faults = if whole { bundle.refusals() } else { Vec::new() };
        let none = Vec::new();
        let frames = bundle.frame.get("entry").and_then(Value::as_array).unwrap_or(&none);
        let lines = frames.iter().zip(bundle.entries).enumerate().map(|(index, (frame, entry))| {
            let place = format!("Bundle.entry[{index}]");
            let text = |name: &str| frame.get("request")?.get(name)?.as_str().map(str::to_owned);
            Line {
                index,
                request: request(frame, entry.resource.as_ref(), &place, &self.base),
                full_url: frame.get("fullUrl").and_then(Value::as_str).map(str::to_owned),
                if_none_match: text("ifNoneMatch"),
                if_modified_since: text("ifModifiedSince"),
                resource: entry.resource,
                issues: entry.issues,
            }
        });
        let lines: Vec<Line> = lines.collect();
        if whole {
            faults.extend(lines.iter().filter_map(|line| line.request.as_ref().err().cloned()));
            if !faults.is_empty() {
                return Err(Refused::Issues(faults));
            }
        }
        Ok(Sheet { whole, lines })
    }

    /// All entries as one unit; reads see what it wrote.
    async fn transaction(
        &self,
        sender: &Sender,
        sheet: Sheet,
        body: &[u8],
        reader: &impl Reader,
    ) -> Result<Vec<Answer>, Refused> {
        let mut answers: Vec<Answer> = sheet.lines.iter().map(|_| Answer::default()).collect();
        let (reads, writes) = sheet.split();
        let order: Vec<(usize, bool)> = writes.iter().map(|line| (line.index, line.deletes())).collect();
        let targets: HashMap<String, bool> =
            writes.iter().filter_map(|line| line.target().map(|target| (target, line.deletes()))).collect();
        let mut first = Some(writes);
        let build = || {
            let writes = first.take().map_or_else(|| self.sheet(body).map(|sheet| sheet.split().1), Ok)?;
            let wish = |line: Line| (line.index, self.line_wish(line, true));
            let named = |(index, wish): (usize, Result<_, _>)| wish.map_err(|cause| in_entry(index, cause));
            writes.into_iter().map(wish).map(named).collect()
        };
        let trial = Budget::of(reader);
        for line in &reads {
            line.readable(&targets, reader, &trial).await?;
        }
        let done = if order.is_empty() { Vec::new() } else { self.settle(sender, build).await? };
        // What was asked for comes before what is only told.
        let budget = Budget::of(reader);
        for line in reads {
            answers[line.index] = line.read(reader, &budget, true).await;
        }
        for ((index, deletes), done) in order.into_iter().zip(done) {
            answers[index] = self.tell(sender, done, deletes, (reader.told(), &budget)).await;
        }
        Ok(answers)
    }

    /// The answer to an entry that wrote, with the resource as it is kept now where it is to be told. What cannot be read, or does
    /// not fit in, is left out: the unit is recorded, and a refusal now would have its sender do all of it twice.
    async fn tell(&self, sender: &Sender, mut done: Done, deletes: bool, (telling, budget): (Telling, &Budget)) -> Answer {
        let is_told = telling == Telling::Resource && !deletes && !budget.is_spent();
        if is_told && done.stored.is_none() {
            let Receipt { kind, id, version, .. } = &done.receipt;
            done.stored = self.ledger.version(&sender.scope, kind, id, *version).await.ok().flatten();
        }
        let resource = done.stored.take().filter(|_| is_told).map(|stored| stored.text());
        Answer { resource: resource.filter(|text| budget.takes(text.len())), ..written(&done, deletes, telling) }
    }

    /// What an entry that writes asks for.
    pub(super) fn line_wish(&self, line: Line, whole: bool) -> Result<Interaction, Refused> {
        let request = line.request.map_err(|issue| Refused::Issues(vec![issue]))?;
        if line.issues.iter().any(Issue::refuses) {
            return Err(Refused::Issues(line.issues));
        }
        let (act, criteria) = match request.method {
            Method::Create => (Act::Create, request.if_none_exist),
            Method::Update => (Act::Update, request.criteria),
            Method::Delete => (Act::Delete, request.criteria),
            Method::Patch => (Act::Patch, request.criteria),
            Method::Read => return Err(Refused::Broken(String::from("a read came among the writes"))),
        };
        let condition = criteria.map(|criteria| self.condition(&request.kind, &criteria)).transpose()?;
        let place = format!("Bundle.entry[{}].resource", line.index);
        let patch = (act == Act::Patch).then(|| patch::of_entry(line.resource.as_ref(), &place)).transpose()?;
        let wish = Interaction {
            act,
            id: request.id,
            condition,
            if_match: request.if_match,
            resource: line.resource.filter(|_| matches!(act, Act::Create | Act::Update)),
            patch,
            warnings: line.issues,
            entry: Some((line.index, line.full_url.filter(|_| whole))),
            kind: request.kind,
        };
        if let (Act::Update, Some(id)) = (act, &wish.id) {
            same_id(&wish, id)?;
        }
        Ok(wish)
    }

    /// Each entry alone, in the order of the standard; one failure leaves the others.
    async fn batch(&self, sender: &Sender, sheet: Sheet, reader: &impl Reader) -> Vec<Answer> {
        let mut answers: Vec<Answer> = sheet.lines.iter().map(|_| Answer::default()).collect();
        let budget = &Budget::of(reader);
        let (reads, writes) = sheet.split();
        let mut rest = writes.into_iter().chain(reads).peekable();
        while let Some(first) = rest.next() {
            let (turn, abreast) = (first.turn(), if first.reads() { READS_ABREAST } else { BATCH_ABREAST });
            // Entries about the same resource are not on their way at once: the later one must find what the earlier one did.
            let mut targets: HashSet<String> = first.target().into_iter().collect();
            let mut together = vec![first];
            let mut joins = |line: &Line| line.turn() == turn && line.target().is_none_or(|target| targets.insert(target));
            while let Some(line) = rest.next_if(|line| joins(line)) {
                together.push(line);
            }
            let answered = stream::iter(together).map(|line| async move {
                let index = line.index;
                (index, self.alone(sender, line, reader, budget).await)
            });
            let answered: Vec<(usize, Answer)> = answered.buffer_unordered(abreast).collect().await;
            for (index, answer) in answered {
                answers[index] = answer;
            }
        }
        answers
    }

    async fn alone(&self, sender: &Sender, line: Line, reader: &impl Reader, budget: &Budget) -> Answer {
        if line.reads() && !line.is_refused_beside() {
            return line.read(reader, budget, false).await;
        }
        let (index, deletes) = (line.index, line.deletes());
        let done = match self.line_wish(line, false) {
            Ok(wish) => self.settle(sender, || Ok(vec![wish.clone()])).await.and_then(|mut done| done.pop().ok_or(Refused::Busy)),
            Err(refused) => Err(in_entry(index, refused)),
        };
        match done {
            Ok(done) => self.tell(sender, done, deletes, (reader.told(), budget)).await,
            Err(refused) => {
                // It may have been refused for what the disk does not have yet.
                let refused = self.ledger.settled().await.map_err(broken).err().unwrap_or(refused);
                let (status, outcome) = reader.refusal(&refused);
                Answer { status, outcome: Some(outcome), ..Answer::default() }
            }
        }
    }
}

impl Sheet {
    /// What reads, and what writes in the order in which it is done.
    pub(super) fn split(self) -> (Vec<Line>, Vec<Line>) {
        let (reads, mut writes): (Vec<Line>, Vec<Line>) = self.lines.into_iter().partition(Line::reads);
        writes.sort_by_key(|line| (line.turn(), line.index));
        (reads, writes)
    }
}

impl Line {
    fn deletes(&self) -> bool {
        matches!(&self.request, Ok(request) if request.method == Method::Delete)
    }

    fn reads(&self) -> bool {
        matches!(&self.request, Ok(request) if request.method == Method::Read)
    }

    /// Whether something is wrong with the entry beside its resource, which a read does not look at and an operation judges itself.
    fn is_refused_beside(&self) -> bool {
        let resource = format!("Bundle.entry[{}].resource", self.index);
        self.issues.iter().any(|issue| issue.refuses() && !issue.expression.starts_with(&resource))
    }

    /// `Type/id`, or `Type?criteria` without escapes, of what it writes; `None` for what is new, and for reads.
    fn target(&self) -> Option<String> {
        let request = self.request.as_ref().ok().filter(|request| request.method != Method::Read)?;
        match (&request.id, &request.criteria, &request.if_none_exist) {
            (Some(id), ..) => Some(format!("{}/{id}", request.kind)),
            (_, Some(criteria), _) | (_, _, Some(criteria)) => Some(format!("{}?{}", request.kind, decode(criteria, true)?)),
            _ => None,
        }
    }

    /// Whether a read in a transaction will be answered: one that fails refuses the whole, so this is asked before anything is
    /// written. `targets` is what the unit writes, and whether it deletes it.
    async fn readable(&self, targets: &HashMap<String, bool>, reader: &impl Reader, budget: &Budget) -> Result<(), Refused> {
        let Ok(request) = &self.request else { return Ok(()) };
        let path = request.url.split('?').next().unwrap_or_default().trim_end_matches('/');
        let owner = path.rsplit_once('/').filter(|(_, last)| last.starts_with('$') || *last == "_history");
        let of_written = owner.and_then(|(owner, last)| Some((*targets.get(owner)?, last)));
        let cause = match targets.get(path) {
            Some(false) => return Ok(()),
            Some(true) => Refused::Gone,
            None if of_written.is_some_and(|(deletes, last)| deletes && last != "_history") => Refused::Gone,
            None => {
                let answer = self.read(reader, budget, true).await;
                match answer.status.get(..3).unwrap_or_default() {
                    _ if budget.is_spent() => self.too_large(),
                    // It will be there once the unit has made it.
                    "404" | "410" if of_written.is_some() => return Ok(()),
                    "404" => Refused::NotFound,
                    "410" => Refused::Gone,
                    status if status.starts_with(['2', '3']) => return Ok(()),
                    _ => {
                        let place = format!("Bundle.entry[{}].request.url", self.index);
                        let why = answer.outcome.as_ref().and_then(|told| told["issue"][0]["diagnostics"].as_str());
                        let words = "This entry cannot be answered, and a transaction is answered as a whole or not at all.";
                        let words = [words, why.unwrap_or_default()].join(" ");
                        refuse(Issue::error("invalid", "entry-request", place, words))
                    }
                }
            }
        };
        Err(in_entry(self.index, cause))
    }

    /// When it is done: DELETE, POST, PUT, reads; patients first, so that the others find their person.
    fn turn(&self) -> (Method, bool) {
        self.request.as_ref().map_or((Method::Read, true), |request| (request.method, request.kind != "Patient"))
    }

    async fn read(&self, reader: &impl Reader, budget: &Budget, whole: bool) -> Answer {
        let Ok(request) = &self.request else { return Answer::default() };
        let wanted = Wanted {
            method: request.verb,
            url: &request.url,
            resource: self.resource.as_ref(),
            whole,
            if_match: request.if_match,
            if_none_match: self.if_none_match.as_deref(),
            if_modified_since: self.if_modified_since.as_deref(),
        };
        if !budget.is_spent() {
            let answer = reader.read(wanted).await;
            if answer.resource.as_ref().is_none_or(|text| budget.takes(text.len())) {
                return answer;
            }
        }
        let (status, outcome) = reader.refusal(&self.too_large());
        Answer { status, outcome: Some(outcome), ..Answer::default() }
    }

    fn too_large(&self) -> Refused {
        let words =
            "The answers to this Bundle are larger together than a Bundle may be: ask for the rest alone, or for less of it.";
        refuse(Issue::error("too-costly", "answer-too-large", format!("Bundle.entry[{}].request.url", self.index), words))
    }
}

pub(super) fn in_entry(index: usize, cause: Refused) -> Refused {
    Refused::Entry { index, cause: Box::new(cause) }
}

/// The answer to an entry that wrote, without its resource.
fn written(done: &Done, deletes: bool, telling: Telling) -> Answer {
    let receipt = &done.receipt;
    let told = !done.issues.is_empty() || telling == Telling::Outcome;
    let status = match (deletes, receipt.created) {
        (true, _) => "204 No Content",
        (_, true) => "201 Created",
        _ => "200 OK",
    };
    let known = receipt.version > 0;
    Answer {
        status: String::from(status),
        location: (!deletes && receipt.version > 0)
            .then(|| format!("{}/{}/_history/{}", receipt.kind, receipt.id, receipt.version)),
        etag: known.then(|| format!("W/\"{}\"", receipt.version)),
        last_modified: known.then(|| time::instant(receipt.updated)),
        outcome: told.then(|| outcome::operation_outcome(&done.issues)),
        resource: None,
    }
}

/// The text of the response Bundle.
fn response(kind: &str, base: &str, answers: &[Answer]) -> String {
    let mut text = format!("{{\"resourceType\":\"Bundle\",\"type\":\"{kind}\"");
    for (index, answer) in answers.iter().enumerate() {
        text.push_str(if index == 0 { ",\"entry\":[" } else { "," });
        // Writing into a String cannot fail.
        let _ = write!(text, "{}", entry_text(base, answer));
    }
    text.push_str(if answers.is_empty() { "}" } else { "]}" });
    text
}

fn entry_text(base: &str, answer: &Answer) -> String {
    let mut response = json!({"status": answer.status});
    if let Some(location) = &answer.location {
        response["location"] = if base.is_empty() { location.clone() } else { format!("{base}/{location}") }.into();
    }
    if let Some(etag) = &answer.etag {
        response["etag"] = etag.as_str().into();
    }
    if let Some(stamp) = &answer.last_modified {
        response["lastModified"] = stamp.as_str().into();
    }
    if let Some(outcome) = &answer.outcome {
        response["outcome"] = outcome.clone();
    }
    match &answer.resource {
        Some(resource) => format!("{{\"resource\":{resource},\"response\":{response}}}"),
        None => format!("{{\"response\":{response}}}"),
    }
}
