//! Tells the month in a terminal: who sent what, what Signa said or decided, and why.

use std::collections::{HashMap, HashSet};
use std::io::Write;

use anyhow::Result;
use serde_json::Value;

use super::month::{Calendar, Input};
use super::play::News;
use crate::flow::Done;
use crate::ledger::{Decision, Outcome, Person, Supply};
use crate::react;

/// Characters that have room beside the time of an event.
const ROOM: usize = 92;
/// Characters of a text that was quoted before.
const QUOTED: usize = 60;

/// Writes the story.
pub(super) struct Teller {
    out: Box<dyn Write + Send>,
    calendar: Calendar,
    names: HashMap<Person, String>,
    senders: Vec<String>,
    day: i64,
    quoted: HashSet<String>,
    received: usize,
    outcomes: HashMap<&'static str, usize>,
    shown: Shown,
}

/// What the commands at the end show.
#[derive(Default)]
struct Shown {
    message: Option<String>,
    has_offer: bool,
    owner: Option<String>,
    patient: Option<String>,
}

impl Teller {
    pub(super) fn new(out: impl Write + Send + 'static, calendar: Calendar) -> Self {
        Self {
            out: Box::new(out),
            calendar,
            names: HashMap::new(),
            senders: Vec::new(),
            day: 0,
            quoted: HashSet::new(),
            received: 0,
            outcomes: HashMap::new(),
            shown: Shown::default(),
        }
    }

    /// Says what is to be seen.
    pub(super) fn open(&mut self, base: &str) -> Result<()> {
        let begun = self.calendar.first.strftime("%A %d %B %Y");
        writeln!(
            self.out,
            "A sample month from {begun} to now, in the time of {}.",
            self.calendar.zone.iana_name().unwrap_or("UTC")
        )?;
        writeln!(self.out, "Served from now on at {base}, from a database that is gone when this ends.\n")?;
        Ok(())
    }

    /// Something came in.
    pub(super) fn came(&mut self, at: i64, input: &Input, resource: &Value, done: &Done) -> Result<()> {
        let receipt = &done.receipt;
        self.received += 1;
        if !self.senders.contains(&input.from) {
            self.senders.push(input.from.clone());
        }
        if receipt.kind == "Patient" {
            let name = resource.pointer("/name/0/text").and_then(Value::as_str).unwrap_or(&receipt.id);
            self.names.insert(receipt.person, name.to_owned());
        }
        let whose = if receipt.person == Person::NOBODY { String::new() } else { format!("{}: ", self.name(receipt.person)) };
        let said = format!("{:<16}  {whose}{}", input.from, input.says);
        let again = if receipt.version > 1 { format!("/_history/{}", receipt.version) } else { String::new() };
        let recorded = format!("→ {}/{}{again}", receipt.kind, receipt.id);
        if said.chars().count() + recorded.len() <= ROOM {
            return self.line(at, &format!("{said}  {recorded}"));
        }
        self.line(at, &said)?;
        self.detail(&recorded)
    }

    /// What Signa will look at again, and when.
    pub(super) fn planned(&mut self, news: &News) -> Result<()> {
        if news.planned.is_empty() {
            return Ok(());
        }
        let mut planned = news.planned.clone();
        planned.sort();
        let steps: Vec<String> = planned
            .iter()
            .map(|(at, step)| format!("{step} on day {} ({})", self.calendar.told(*at).0, self.date(*at)))
            .collect();
        self.detail(&format!("SIGNA plans: {}", steps.join(", ")))
    }

    /// A dispense that adds nothing to what is known.
    pub(super) fn counted_once(&mut self, dispense: &str, supplies: &[Supply]) -> Result<()> {
        let Some(own) = supplies.iter().find(|row| row.dispense == dispense) else { return Ok(()) };
        let same: Vec<&Supply> = supplies.iter().filter(|row| row.product == own.product && row.handed == own.handed).collect();
        let days: i64 = react::fills(&same).iter().map(|fill| fill.days).sum();
        let records = same.len();
        self.detail(&format!("SIGNA changes nothing: {records} records of one dispense count once, as {days} days of supply"))
    }

    /// What a candidate came to, with the resource that was recorded of it.
    pub(super) fn decided(&mut self, decision: &Decision, recorded: Option<&Value>) -> Result<()> {
        *self.outcomes.entry(decision.outcome.word()).or_default() += 1;
        let does = match decision.outcome {
            Outcome::Fired if decision.recorded.starts_with("Task/") => "asks for",
            Outcome::Fired => "says",
            Outcome::Held => "holds",
            Outcome::Stopped => "stops",
            Outcome::Withdrawn => "takes back",
        };
        let rule = decision.rule.rsplit('/').next().unwrap_or_default().split('|').next().unwrap_or_default();
        let is_held = decision.outcome == Outcome::Held;
        let until = if is_held { format!(" until {}", self.calendar.told(decision.until).1) } else { String::new() };
        let name = self.name(decision.person);
        self.line(decision.at, &format!("SIGNA {does:<10}  {name}: {rule} {}{until}", decision.step))?;
        let because = match decision.gate.as_str() {
            "" => format!("because {} applies and every gate was open", decision.rule.rsplit('/').next().unwrap_or_default()),
            gate => format!("because of {gate}: {}", decision.reason),
        };
        let Some(recorded) = recorded else { return self.detail(&format!("{because} → recorded: this decision alone")) };
        self.detail(&because)?;
        self.recorded(decision, recorded)
    }

    fn recorded(&mut self, decision: &Decision, recorded: &Value) -> Result<()> {
        let text = |path: &str| recorded.pointer(path).and_then(Value::as_str);
        let fired = decision.outcome == Outcome::Fired;
        let payload = recorded.get("payload").and_then(Value::as_array).into_iter().flatten().filter(|_| fired);
        for words in payload.filter_map(|part| part.get("contentString")?.as_str()).chain(text("/description")) {
            self.quote(words)?;
        }
        let status = text("/status").unwrap_or("recorded");
        let whose = text("/basedOn/0/reference").or_else(|| text("/owner/reference"));
        let whose = whose.map(|reference| format!(" for {reference}")).unwrap_or_default();
        self.detail(&format!("→ {}{whose}: {status}", decision.recorded))?;
        if let Some(owner) = text("/owner/reference") {
            self.shown.owner = Some(owner.to_owned());
        }
        let has_offer = recorded.pointer("/payload/1").is_some();
        if decision.spoken && (self.shown.message.is_none() || (has_offer && !self.shown.has_offer)) {
            self.shown.message = Some(decision.recorded.clone());
            self.shown.has_offer = has_offer;
            self.shown.patient = text("/subject/reference").map(str::to_owned);
        }
        Ok(())
    }

    /// Says what came of it all, and how to look at it.
    pub(super) fn close(&mut self, base: &str, stays: bool) -> Result<()> {
        let count = |outcome: Outcome| self.outcomes.get(outcome.word()).copied().unwrap_or(0);
        writeln!(
            self.out,
            "\nIt is now. {} resources came from {} systems. Signa decided: {} said or asked for, {} held, {} stopped, {} taken back.",
            self.received,
            self.senders.len(),
            count(Outcome::Fired),
            count(Outcome::Held),
            count(Outcome::Stopped),
            count(Outcome::Withdrawn)
        )?;
        if stays {
            writeln!(self.out, "\nLook at a Communication, at the store's Tasks, and at a patient's whole ledger:\n")?;
            let Shown { message, owner, patient, .. } = &self.shown;
            writeln!(self.out, "  curl -s '{base}/{}'", message.as_deref().unwrap_or("Communication"))?;
            let of = owner.as_ref().map(|owner| format!("owner={owner}&")).unwrap_or_default();
            writeln!(self.out, "  curl -s '{base}/Task?{of}status=requested'")?;
            writeln!(self.out, "  curl -s '{base}/{}/$ledger'\n", patient.as_deref().unwrap_or("Patient"))?;
            writeln!(self.out, "The server stays up, and acts from now on as time goes by. Ctrl-C ends it.")?;
        }
        self.out.flush()?;
        Ok(())
    }

    fn name(&self, person: Person) -> &str {
        self.names.get(&person).map_or("somebody not known yet", String::as_str)
    }

    /// The first line of an event; days stand apart.
    fn line(&mut self, at: i64, words: &str) -> Result<()> {
        let (day, written) = self.calendar.told(at);
        if day != self.day {
            writeln!(self.out)?;
        }
        self.day = day;
        Ok(writeln!(self.out, "day {day:>2}  {written}  {words}")?)
    }

    /// A text in full when it is told for the first time, then its beginning.
    fn quote(&mut self, words: &str) -> Result<()> {
        if self.quoted.insert(words.to_owned()) {
            return self.detail(&format!("“{words}”"));
        }
        let begin: String = words.chars().take(QUOTED).collect();
        let rest = if begin.len() < words.len() { " …" } else { "" };
        self.detail(&format!("“{}{rest}”", begin.trim_end()))
    }

    /// A line below the first.
    fn detail(&mut self, words: &str) -> Result<()> {
        Ok(writeln!(self.out, "        {words}")?)
    }

    fn date(&self, at: i64) -> String {
        self.calendar.told(at).1.chars().take(10).collect()
    }
}
