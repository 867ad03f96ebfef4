//! Plays the month: hands everything in at its time, by the same way as real input, and lets the beat act at its own times.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, anyhow, bail};
use serde_json::Value;

use super::month::{Calendar, Input, Month};
use super::tell::Teller;
use crate::beat::Beat;
use crate::clock::Clock;
use crate::flow::{Done, Flow, Refused, Sender};
use crate::ledger::{Decision, How, Ledger, Person, Scope};

/// The beat is waited for so many times between two inputs before it is said to go in circles.
const TURNS_MAX: usize = 1_000;

/// The month as it is played.
pub(super) struct Play<'a> {
    beat: &'a Beat,
    scope: Scope,
    month: &'a Month,
    calendar: Calendar,
    end: i64,
    teller: &'a mut Teller,
    /// What has been told of each person.
    known: BTreeMap<Person, Known>,
}

/// What has been told of a person: the last decision on each output, and what is planned for when.
#[derive(Default)]
struct Known {
    decisions: HashMap<(Person, String), Decision>,
    dues: HashMap<String, i64>,
}

/// What is new about a person.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Decisions, in the order in which they were made.
    pub(super) decisions: Vec<Decision>,
    /// Steps and when they come now, where that is new.
    pub(super) planned: Vec<(i64, String)>,
}

impl<'a> Play<'a> {
    /// A month that ends at this moment.
    pub(super) fn new(beat: &'a Beat, scope: Scope, month: &'a Month, end: i64, teller: &'a mut Teller) -> Result<Self> {
        Ok(Self { beat, scope, month, calendar: month.calendar(end)?, end, teller, known: BTreeMap::new() })
    }

    fn ledger(&self) -> &'a Ledger {
        &self.beat.flow.ledger
    }

    fn clock(&self) -> &'a Clock {
        &self.beat.flow.clock
    }

    /// Plays it from its first day to its end.
    pub(super) async fn run(&mut self) -> Result<()> {
        let month = self.month;
        for input in &month.inputs {
            let at = self.calendar.sent(input)?;
            self.until(at).await?;
            let resource = self.calendar.resource(input)?;
            let done = hand_in(&self.beat.flow, &self.scope, input, &resource).await?;
            let person = done.receipt.person;
            self.known.entry(person).or_default();
            self.teller.came(at, input, &resource, &done)?;
            self.settle().await?;
            let news = self.news(person).await?;
            let nothing = news.decisions.is_empty() && news.planned.is_empty();
            self.tell(&news).await?;
            if nothing && done.receipt.kind == "MedicationDispense" {
                let supplies = self.ledger().supplies(&self.scope, person).await?;
                self.teller.counted_once(&done.receipt.id, &supplies)?;
            }
        }
        self.until(self.end).await
    }

    /// Lets everything happen that comes due before a time, each at its own.
    async fn until(&mut self, at: i64) -> Result<()> {
        for _ in 0..TURNS_MAX {
            match self.ledger().next_due().await? {
                Some(due) if due <= at => self.clock().set(due.max(self.clock().now())),
                _ => {
                    self.clock().set(at.max(self.clock().now()));
                    return Ok(());
                }
            }
            self.settle().await?;
            let people: Vec<Person> = self.known.keys().copied().collect();
            for person in people {
                let news = self.news(person).await?;
                self.tell(&news).await?;
            }
        }
        bail!("what is due before the next input does not come to an end")
    }

    /// Lets the beat do all there is to do now.
    async fn settle(&self) -> Result<()> {
        for _ in 0..TURNS_MAX {
            if self.beat.turn().await? == 0 {
                return Ok(());
            }
        }
        bail!("the beat does not come to rest")
    }

    async fn news(&mut self, person: Person) -> Result<News> {
        let mut news = News::default();
        if person == Person::NOBODY {
            return Ok(news);
        }
        let decisions = self.ledger().decisions(&self.scope, person).await?;
        let dues = self.ledger().dues(&self.scope, person).await?;
        let known = self.known.entry(person).or_default();
        for decision in decisions {
            let key = (decision.person, decision.output.clone());
            if known.decisions.get(&key) != Some(&decision) {
                known.decisions.insert(key, decision.clone());
                news.decisions.push(decision);
            }
        }
        let planned = |decision: &Decision| known.dues.get(&decision.output).copied().unwrap_or(decision.at);
        news.decisions.sort_by_key(|decision| (decision.at, decision.priority, planned(decision)));
        for due in &dues {
            // What is held says itself until when.
            let is_held = news.decisions.iter().any(|decision| decision.output == due.output);
            if known.dues.get(&due.output) != Some(&due.due) && !is_held {
                news.planned.push((due.due, due.step.clone()));
            }
        }
        known.dues = dues.into_iter().map(|due| (due.output, due.due)).collect();
        Ok(news)
    }

    async fn tell(&mut self, news: &News) -> Result<()> {
        for decision in &news.decisions {
            let recorded = match decision.recorded.split_once('/') {
                Some((kind, id)) => self.ledger().read(&self.scope, kind, id).await?,
                None => None,
            };
            self.teller.decided(decision, recorded.map(|stored| stored.value()).as_ref())?;
        }
        self.teller.planned(news)
    }
}

/// Sends one thing as its system would.
async fn hand_in(flow: &Flow, scope: &Scope, input: &Input, resource: &Value) -> Result<Done> {
    let sender = Sender { scope: scope.clone(), source: input.from.clone(), how: How::Live };
    let text = |name: &str| resource.get(name).and_then(Value::as_str);
    let kind = text("resourceType").unwrap_or_default();
    let body = serde_json::to_vec(resource)?;
    let done = match (&input.criteria, text("id")) {
        (Some(criteria), _) => flow.update_where(&sender, kind, criteria, &body, None).await,
        (None, Some(id)) => flow.update(&sender, kind, id, &body, None).await,
        (None, None) => flow.create(&sender, kind, &body, None).await,
    };
    done.map_err(|refused| anyhow!("{} \"{}\" of day {} was refused: {}", kind, input.says, input.day, words(&refused)))
}

fn words(refused: &Refused) -> String {
    match refused {
        Refused::Issues(issues) | Refused::Rule(issues) | Refused::Unresolved(issues) => {
            issues.iter().map(|issue| format!("{}: {}", issue.expression, issue.diagnostics)).collect::<Vec<_>>().join("; ")
        }
        other => format!("{other:?}"),
    }
}
