//! `signa simulate`: what rules would have said, or decide again what was decided, over the real ledger on a simulated clock.
//! Read-only, also beside a running gateway.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::gateway;
use super::plan;
use crate::clock::Clock;
use crate::config::Config;
use crate::fhir::time::instant;
use crate::flow::{Again, Flow, Order, PERSON_ENTRIES_MAX, Rehearser, Stage, Teller};
use crate::ledger::{Ledger, Outcome, Person, Scope};
use crate::react::rehearsal::{Asked, Counts, Difference, Tally, Trial, person};

/// Persons that are asked for at once.
const PAGE: i64 = 500;
/// Differences that are told one by one.
const TOLD_MAX: usize = 20;

/// What to try.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A rule, or a folder of rules with their messages and value sets; the rules that run stand beside it as they are.
    #[arg(long, required_unless_present = "replay")]
    plan: Option<PathBuf>,
    /// First day; the rule acts on what is learned from then on.
    #[arg(long, required_unless_present = "replay")]
    from: Option<Date>,
    /// Last day.
    #[arg(long, required_unless_present = "replay")]
    to: Option<Date>,
    /// Decides again, by the rules as they ran, all that was decided, and ends with 1 where it came out otherwise.
    #[arg(long, conflicts_with_all = ["plan", "from", "to", "by"])]
    replay: bool,
    /// As of when it is told.
    #[arg(long, value_enum, default_value_t = By::Learned)]
    by: By,
    /// Names each person with what was decided.
    #[arg(long)]
    persons: bool,
    /// Answers with FHIR Parameters.
    #[arg(long)]
    json: bool,
    /// `sqlite:PATH` or `postgres://…`.
    #[arg(long)]
    database: Option<String>,
    /// A settings file.
    #[arg(long)]
    config: Option<PathBuf>,
    /// A folder of further plans and value sets, as `serve` was given.
    #[arg(long)]
    mappings: Option<PathBuf>,
}

/// As of when the ledger is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// As it was learned; what was imported sets nothing off.
    Learned,
    /// As if all of it had been learned when it happened: for a ledger that was imported. The calendar calls from a year before the first day on.
    Happened,
}

/// What is asked of a ledger.
struct Asking {
    rehearser: Rehearser,
    asked: Asked,
    clock: Clock,
}

/// Tries and tells.
pub async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut config = Config::read(arguments.config.as_deref(), |name| std::env::var(name).ok())?;
    if let Some(database) = &arguments.database {
        config.ledger.database.clone_from(database);
    }
    let clock = Clock::running();
    let artefacts = gateway::artefacts(arguments.mappings.as_deref())?;
    let ledger = Ledger::reading(&config.ledger, clock.clone()).await.context("the ledger cannot be read")?;
    let flow = Flow::new(ledger, clock.clone()).deciding(gateway::rules(&artefacts)?);
    flow.load_rules().await.context("the rules cannot be read")?;
    let teller = Teller {
        ledger: flow.ledger.clone(),
        clock: clock.clone(),
        rules: Arc::clone(&flow.rules),
        settings: config.beat.react,
        zone: config.beat.zone.clone(),
    };
    let scope = Scope { tenant: config.arrive.tenant.as_str().into() };
    let (stage, asked) = stage(arguments, &teller, &scope)?;
    let begun = clock.elapsed();
    let rehearser = Rehearser::new(&teller, &scope, stage);
    let mut asking = Asking { rehearser, asked, clock };
    let mut out = std::io::stdout().lock();
    if arguments.replay { asking.replay(&mut out, begun).await } else { asking.simulate(&mut out, arguments, begun).await }
}

/// Which rules are tried on which time.
fn stage(arguments: &Arguments, teller: &Teller, scope: &Scope) -> Result<(Stage, Asked)> {
    let (Some(path), Some(first), Some(last)) = (&arguments.plan, arguments.from, arguments.to) else {
        let (rules, later) = teller.rules.ages(&scope.tenant);
        let until = teller.clock.now();
        let asked = Asked { from: 0, to: until, rules: Vec::new(), zone: teller.zone.clone() };
        return Ok((Stage { rules, later, order: Order::Asked, from: 0, until, steps_max: usize::MAX }, asked));
    };
    let from = midnight(first, &teller.zone)?;
    let to = midnight(last.checked_add(1.day()).context("the last day")?, &teller.zone)?;
    if from >= to {
        bail!("the last day lies before the first");
    }
    let drafts = plan::drafts(path)?;
    let (rules, issues) = teller.rules.trying(&scope.tenant, &drafts, from);
    let urls: Vec<String> =
        drafts.iter().filter(|draft| draft["resourceType"] == "PlanDefinition").map(|draft| word(draft, "url")).collect();
    let faults = issues.iter().filter(|issue| issue.refuses());
    let faults: Vec<String> = faults.map(|issue| format!("{}: {}", issue.expression, issue.diagnostics)).collect();
    if !faults.is_empty() {
        bail!("the rules have faults:\n{}", faults.join("\n"));
    }
    let running = rules.running();
    let runs = |url: &String| running.iter().any(|rule| rule.split('|').next() == Some(url.as_str()));
    match urls.iter().find(|url| !runs(url)) {
        _ if urls.is_empty() => bail!("there is no PlanDefinition under {}", path.display()),
        Some(url) => bail!("{url} is no rule of Signa: its meta.profile does not claim the profile signa-plan"),
        None => {}
    }
    let order = if arguments.by == By::Happened { Order::Happened } else { Order::Learned };
    let asked = Asked { from, to, rules: urls, zone: teller.zone.clone() };
    Ok((Stage { rules: Arc::new(rules), later: Vec::new(), order, from, until: to - 1, steps_max: usize::MAX }, asked))
}

fn midnight(day: Date, zone: &TimeZone) -> Result<i64> {
    Ok(zone.to_timestamp(day.to_datetime(jiff::civil::Time::midnight()))?.as_millisecond())
}

fn word(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

impl Asking {
    async fn simulate(&mut self, out: &mut impl Write, arguments: &Arguments, begun: std::time::Duration) -> Result<ExitCode> {
        let (mut tally, mut passed_over, mut persons) = (Tally::default(), 0_u64, Vec::new());
        let mut after = Person::NOBODY;
        loop {
            let page = self.rehearser.persons(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = *last;
            for person_of in page {
                let Some(trial) = self.rehearser.trial(person_of).await? else {
                    passed_over += 1;
                    continue;
                };
                tally.add(&self.asked, &trial);
                match arguments.persons {
                    true if arguments.json => persons.extend(person(&self.asked, &trial)),
                    true => self.tell(out, &trial)?,
                    false => {}
                }
            }
        }
        let seconds = (self.clock.elapsed().saturating_sub(begun)).as_secs_f64();
        if arguments.json {
            let mut parameter = tally.parameters(&self.asked);
            parameter.push(json!({"name": "passed-over", "valueUnsignedInt": passed_over}));
            parameter.extend(persons);
            writeln!(out, "{}", json!({"resourceType": "Parameters", "parameter": parameter}))?;
        } else {
            self.sum_up(out, &tally, seconds)?;
            if passed_over > 0 {
                writeln!(out, "passed over: {passed_over} persons with more than {PERSON_ENTRIES_MAX} entries")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// One line for each decision about a person.
    fn tell(&self, out: &mut impl Write, trial: &Trial) -> Result<()> {
        let name = if trial.patient.is_empty() { "nobody known" } else { &trial.patient };
        for decision in self.asked.of(trial) {
            let (at, step, outcome) = (instant(decision.at), &decision.step, decision.outcome.word());
            match decision.outcome {
                Outcome::Fired => writeln!(out, "{name}  {at}  {step}  {outcome}")?,
                _ => writeln!(out, "{name}  {at}  {step}  {outcome} by {}: {}", decision.gate, decision.reason)?,
            }
        }
        Ok(())
    }

    fn sum_up(&self, out: &mut impl Write, tally: &Tally, seconds: f64) -> Result<()> {
        writeln!(out, "{} to {}", instant(self.asked.from), instant(self.asked.to))?;
        writeln!(out, "{} persons, {} entries of the ledger ({})", tally.persons, tally.entries, rate(tally.entries, seconds))?;
        let deciding = self.rehearser.decided_in.as_secs_f64();
        writeln!(out, "of that the rules, over facts that are read: {}", rate(tally.entries, deciding))?;
        writeln!(out, "{} persons would be contacted, by {} messages", tally.contacted, tally.messages)?;
        if tally.faults > 0 {
            writeln!(out, "FAULTS: {} times something could not be decided", tally.faults)?;
        }
        for ((rule, step), counts) in &tally.steps {
            writeln!(out, "\n{rule}  {step}")?;
            told(out, counts)?;
        }
        Ok(())
    }

    async fn replay(&mut self, out: &mut impl Write, begun: std::time::Duration) -> Result<ExitCode> {
        let (mut tally, mut exact, mut parted, mut outputs) = (Tally::default(), 0_usize, Vec::<Difference>::new(), 0);
        let (mut unheard, mut uncompared) = (0_usize, 0_usize);
        let mut after = Person::NOBODY;
        loop {
            let page = self.rehearser.persons(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = *last;
            for person in page {
                let Some(again) = self.rehearser.again(person).await? else { continue };
                let Again { trial, decisions: differences, outputs: other, .. } = again;
                exact += trial.decisions.len();
                outputs += other.len();
                unheard += again.unheard;
                uncompared += again.uncompared;
                let room = TOLD_MAX.saturating_sub(parted.len());
                tally.decisions += u64::try_from(differences.len()).unwrap_or_default();
                parted.extend(differences.into_iter().take(room));
                tally.add(&Asked { rules: Vec::new(), ..self.asked.clone() }, &Trial { decisions: Vec::new(), ..trial });
            }
        }
        let seconds = (self.clock.elapsed().saturating_sub(begun)).as_secs_f64();
        writeln!(out, "{} persons, {} entries of the ledger ({})", tally.persons, tally.entries, rate(tally.entries, seconds))?;
        writeln!(out, "{exact} decisions were made again; {} parted, and {outputs} outputs", tally.decisions)?;
        if tally.faults > 0 {
            writeln!(out, "FAULTS: {} times something could not be decided again", tally.faults)?;
        }
        if unheard > 0 {
            writeln!(out, "UNHEARD: the rules were never asked about {unheard} events that concern them")?;
        }
        if uncompared > 0 {
            writeln!(
                out,
                "not compared: {uncompared} decisions, made before it was kept when the rules were asked, or kept from being made by a fault"
            )?;
        }
        for difference in &parted {
            let told = |decision: &Option<crate::ledger::Decision>| {
                decision.as_ref().map_or(String::from("nothing"), |one| {
                    format!("{} {} {} {}", one.step, one.outcome.word(), one.gate, instant(one.at))
                })
            };
            let output = difference.live.as_ref().or(difference.again.as_ref()).map_or("", |one| one.output.as_str());
            writeln!(out, "{output}: was {}; again {}", told(&difference.live), told(&difference.again))?;
        }
        let is_same = tally.decisions == 0 && outputs == 0 && tally.faults == 0 && unheard == 0;
        Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What a step came to.
fn told(out: &mut impl Write, counts: &Counts) -> Result<()> {
    let fired: u64 = counts.fired.values().sum();
    if let (Some((first, _)), Some((last, _))) = (counts.fired.first_key_value(), counts.fired.last_key_value()) {
        writeln!(out, "  fired {fired}, from {first} to {last}")?;
        let mut months: BTreeMap<&str, u64> = BTreeMap::new();
        for (day, count) in &counts.fired {
            *months.entry(day.get(..7).unwrap_or(day)).or_default() += count;
        }
        let months: Vec<String> = months.into_iter().map(|(month, count)| format!("{month} {count}")).collect();
        writeln!(out, "    by month: {}", months.join(", "))?;
    }
    for (gate, count) in &counts.waited {
        writeln!(out, "    waited before: {count} by {gate}")?;
    }
    for ((outcome, gate), count) in &counts.kept {
        writeln!(out, "  {outcome} {count} by {gate}")?;
    }
    Ok(())
}

/// Entries a second.
fn rate(entries: u64, seconds: f64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = entries as f64 / seconds.max(0.001);
    format!("{rate:.0} a second, {seconds:.1} s")
}
