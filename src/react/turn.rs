//! One reaction in the making: the story with what was decided since, and what will be recorded.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::back::{is_done, is_spent};
use super::cover::Fill;
use super::decide::is_void;
use super::decided::Decided;
use super::detail::{Detail, Planned};
use super::dues::Dues;
use super::facts::Ask;
use super::handed::Handed;
use super::json::unversioned;
use super::plan::{Plan, Step};
use super::{Output, Reaction, Resource, Rules, Story, episode, zones};
use crate::ledger::{Decision, Due, Mark, Outcome, Person, Precondition};

/// What would come at once, since a Medication became known, waits for others that are told after it: five minutes.
const AMID_MS: i64 = 300_000;

/// One reaction in the making.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) story: &'a Story,
    pub(crate) decisions: Decided,
    pub(crate) dues: Dues,
    pub(crate) supplies: Handed,
    /// Addresses for which somebody said STOP.
    pub(crate) stopped: Vec<String>,
    /// Dispenses that were heard, in order: they need not be in the story.
    pub(crate) told: Vec<&'a Resource>,
    /// Whether fills are counted anew since two records turned out to be of one person.
    pub(crate) unites: bool,
    /// Whether what was heard long ago is told again, since the Medication that it names is known by now.
    pub(crate) retells: bool,
    pub(crate) reaction: Reaction,
}

/// A step of a rule that wants to be done for an episode.
#[derive(Debug, Clone)]
pub(crate) struct Candidate<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) step: &'a Step,
    pub(crate) episode: String,
    pub(crate) output: String,
    /// What set it off, where it could be loaded.
    pub(crate) trigger: Option<&'a Resource>,
    /// The fill it is about, where it is about a supply.
    pub(crate) fill: Option<Fill>,
    pub(crate) detail: Detail,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(rules: &'a Rules, story: &'a Story) -> Self {
        Self {
            rules,
            story,
            decisions: Decided::of(&story.decisions),
            dues: Dues::of(&story.dues),
            supplies: story.supplies.again(),
            stopped: story.stopped.clone(),
            told: Vec::new(),
            unites: false,
            retells: false,
            reaction: Reaction::default(),
        }
    }

    /// A fact by its `Type/id`: as it was heard last, else as it was loaded.
    pub(crate) fn fact(&self, reference: &str) -> Option<&'a Resource> {
        let id = reference.strip_prefix("MedicationDispense/");
        let told = id.and_then(|id| self.told.iter().rev().find(|told| told.id == id).copied());
        told.or_else(|| self.story.find(reference))
    }

    /// Whether a `url|version` is a version of this plan.
    #[expect(clippy::unused_self, reason = "reads as a question to the turn")]
    pub(crate) fn is_of(&self, rule: &str, plan: &Plan) -> bool {
        unversioned(rule) == plan.url
    }

    /// Whether this plan is the one that carries on with what a `url|version` began.
    pub(crate) fn carries(&self, rule: &str, plan: &Plan) -> bool {
        self.is_of(rule, plan) && self.rules.plan(rule).is_some_and(|known| std::ptr::eq(known, plan))
    }

    /// What a candidate's conditions are asked about; nothing when what it rests on is not loaded.
    pub(crate) fn ask<'b>(&'b self, candidate: &'b Candidate) -> Option<Ask<'b>> {
        Some(self.ask_about(candidate.trigger?.value.as_ref(), candidate.fill.as_ref()))
    }

    /// What conditions are asked about a fact that is no fill.
    pub(crate) fn ask_of<'b>(&'b self, fact: &'b Resource) -> Ask<'b> {
        self.ask_about(&fact.value, None)
    }

    /// What conditions are asked about a fact and the fill that it belongs to.
    pub(crate) fn ask_about<'b>(&'b self, resource: &'b Value, fill: Option<&'b Fill>) -> Ask<'b> {
        let (story, supplies, decisions, rules) = (self.story, &self.supplies, &self.decisions, self.rules);
        Ask { story, resource, fill, supplies, decisions, rules }
    }

    /// What was decided of this step in this episode, also for a person that was united with this one.
    pub(crate) fn decided(&self, plan: &Plan, step: &str, episode: &str) -> Option<&Decision> {
        let same = |decision: &&Decision| decision.step == step && !is_void(decision) && self.is_of(&decision.rule, plan);
        let key = |decision: &&Decision| (decision.outcome == Outcome::Fired, !is_spent(plan, decision), decision.at);
        self.decisions.of_episode(episode).filter(same).max_by_key(key)
    }

    /// What ended this step in this episode, for whichever record of the person: nothing more may be decided of it.
    pub(crate) fn settled(&self, plan: &Plan, step: &str, episode: &str) -> Option<&Decision> {
        let same = |decision: &&Decision| decision.step == step && !is_void(decision) && self.is_of(&decision.rule, plan);
        let ended = self.decisions.of_episode(episode).filter(same).filter(|decision| is_done(plan, decision));
        // What was said or asked for stands for its doubles, not one of these for another.
        ended.min_by_key(|decision| decision.outcome != Outcome::Fired)
    }

    /// Outputs of this step in this episode that are held, for whichever record of the person.
    pub(crate) fn held(&self, plan: &Plan, step: &str, episode: &str) -> Vec<String> {
        let same = |decision: &&Decision| decision.step == step && self.is_of(&decision.rule, plan);
        let held = self.decisions.of_episode(episode).filter(same).filter(|decision| decision.outcome == Outcome::Held);
        held.map(|decision| decision.output.clone()).collect()
    }

    /// The dues of which this is true, in the order in which they would come.
    pub(crate) fn dues_where(&self, is_meant: impl Fn(&Planned) -> bool) -> Vec<Planned> {
        let mut dues: Vec<Planned> = self.dues.values().filter(|due| is_meant(due)).cloned().collect();
        dues.sort_by(|a, b| {
            (a.due, a.priority, &a.rule, &a.step, &a.output).cmp(&(b.due, b.priority, &b.rule, &b.step, &b.output))
        });
        dues
    }

    /// What was said or done, of which this is true, in the order in which it was.
    pub(crate) fn fired_where(&self, is_meant: impl Fn(&Decision) -> bool) -> Vec<Decision> {
        fired(self.decisions.all(), is_meant)
    }

    /// The fills of a product, as they are known now.
    pub(crate) fn fills(&self, product: &str) -> &[Fill] {
        self.supplies.fills(product)
    }

    /// Writes down what a candidate came to.
    pub(crate) fn decide(&mut self, decision: Decision) {
        self.decisions.keep(decision.clone());
        self.reaction.marks.push(Mark::Decided(decision));
    }

    /// Writes down when to look again; nothing when that is known already.
    pub(crate) fn plan(&mut self, due: impl Into<Planned>) {
        let mut due: Planned = due.into();
        if self.retells && due.due <= self.story.now {
            let at = (self.story.now + AMID_MS).min(due.detail().until.max(self.story.now));
            due = Planned::of(Due { due: at, ..Due::clone(&due) }, due.detail().clone());
        }
        // Another fact sets it off now, which may be of another record of the person.
        if let Some(known) = self.dues.get(&due.output).filter(|known| known.person != due.person) {
            self.reaction.marks.push(Mark::DueGone { person: known.person, output: due.output.clone() });
        }
        if self.dues.get(&due.output).is_none_or(|known| **known != *due) {
            self.dues.keep(due.clone());
            self.reaction.marks.push(Mark::Due(Due::clone(&due)));
            self.reaction.planned.push(due);
        }
    }

    /// Nothing is due for this output any more.
    pub(crate) fn drop_due(&mut self, output: &str) {
        if let Some(due) = self.dues.remove(output) {
            self.reaction.marks.push(Mark::DueGone { person: due.person, output: due.output.clone() });
        }
    }

    /// A resource to record: new, or in place of the version that is loaded. What was to be recorded of it before is so no more: a
    /// version is followed by one other.
    pub(crate) fn record(&mut self, kind: &'static str, value: Value) {
        let id = value.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let stored = self.story.find(&format!("{kind}/{id}"));
        let when = stored.map_or(Precondition::Absent, |stored| Precondition::Version(stored.version));
        let output = Output { kind, id, when, value };
        let outputs = &mut self.reaction.outputs;
        match outputs.iter_mut().find(|known| (known.kind, &known.id) == (kind, &output.id)) {
            Some(known) => *known = output,
            None => outputs.push(output),
        }
    }

    /// The decision on a candidate, with what all decisions have in common.
    pub(crate) fn decision(&self, candidate: &Candidate, outcome: Outcome, gate: &str, reason: impl Into<String>) -> Decision {
        Decision {
            person: self.whose(candidate, self.decisions.get(&candidate.output).map(|known| known.person)),
            output: candidate.output.clone(),
            at: self.story.now,
            outcome,
            gate: gate.to_owned(),
            until: 0,
            rule: candidate.plan.canonical(),
            step: candidate.step.id.clone(),
            episode: candidate.episode.clone(),
            priority: candidate.plan.priority,
            spoken: false,
            reason: reason.into(),
            facts: Arc::clone(&candidate.detail.facts),
            recorded: self.recorded(&candidate.output),
        }
    }

    /// Whose a candidate is, of all who are one: whose the fact is that set it off. So it stays theirs if they are parted.
    fn whose(&self, candidate: &Candidate, known: Option<Person>) -> Person {
        let dispense = candidate.detail.trigger.strip_prefix("MedicationDispense/");
        let row = || self.supplies.rows().find(|row| Some(row.dispense.as_str()) == dispense).map(|row| row.person);
        self.one_of_us(candidate.trigger.map(|trigger| trigger.person).or_else(row).or(known))
    }

    /// This person, if it is one with whom the story is about; else that one.
    pub(crate) fn one_of_us(&self, person: Option<Person>) -> Person {
        person.filter(|person| self.story.united.contains(person)).unwrap_or(self.story.person)
    }

    /// When a fact became known, for what is planned from then on: now, unless it is told again.
    pub(crate) fn heard_at(&self, fact: &Resource) -> i64 {
        let is_again = self.retells || !self.story.parted.persons.is_empty();
        if is_again { fact.learned.min(self.story.now) } else { self.story.now }
    }

    /// `Type/id` of what was recorded for an output; empty when nothing was. What is due may have come from another record of the
    /// person, together with the message that waits for it.
    pub(crate) fn recorded(&self, output: &str) -> String {
        let known = self.decisions.get(output).map(|decision| decision.recorded.clone());
        let waits = || {
            let message = format!("Communication/{output}");
            let detail = self.dues.get(output).map(Planned::detail)?;
            let is_loaded = (detail.held || detail.prepared) && self.story.find(&message).is_some();
            is_loaded.then_some(message)
        };
        known.filter(|known| !known.is_empty()).or_else(waits).unwrap_or_default()
    }

    /// What waits keeps its own window: being told again does not make it younger.
    pub(crate) fn keep_window(&self, output: &str, detail: &mut Detail) {
        if let Some(known) = self.dues.get(output).map(Planned::detail) {
            (detail.planned, detail.until, detail.held) = (known.planned, known.until, known.held);
            (detail.prepared, detail.uncertain) = (known.prepared, known.uncertain);
        }
    }

    /// The due of a candidate.
    pub(crate) fn due(&self, candidate: &Candidate, at: i64) -> Planned {
        let due = Due {
            person: self.whose(candidate, self.dues.get(&candidate.output).map(|known| known.person)),
            output: candidate.output.clone(),
            due: at,
            priority: candidate.plan.priority,
            rule: candidate.plan.canonical(),
            step: candidate.step.id.clone(),
            episode: candidate.episode.clone(),
            detail: candidate.detail.write(),
        };
        Planned::of(due, candidate.detail.clone())
    }

    /// The id of the output of a step in an episode; what a united person was given keeps its id.
    pub(crate) fn output(&self, plan: &Plan, step: &str, of: &str) -> String {
        let is_open = |known: &&Decision| self.is_ours(known) && !is_spent(plan, known);
        let known = self.decided(plan, step, of).filter(is_open).map(|decision| decision.output.clone());
        let due = || {
            let mut dues = self.dues.values();
            dues.find(|due| due.step == step && due.episode == of && self.is_of(&due.rule, plan)).map(|due| due.output.clone())
        };
        known.or_else(due).unwrap_or_else(|| self.fresh(plan, step, of))
    }

    /// The id of what was never planned for this person. What was planned while they were taken for one with others keeps its id,
    /// whosever it is now; several may be parted at one time, one after the other. An id that was given up, left to the other, or under
    /// which something was recorded and taken back, is not taken again.
    fn fresh(&self, plan: &Plan, step: &str, of: &str) -> String {
        let mut of = match self.story.parted_at {
            None => of.to_owned(),
            Some((at, 0 | 1)) => format!("{of}|{at}"),
            Some((at, count)) => format!("{of}|{at}|{count}"),
        };
        loop {
            let id = episode::output(&plan.url, &self.story.tenant, self.story.person, &of, step);
            let is_free = |known: &Decision| !is_void(known) && self.is_ours(known) && !is_spent(plan, known);
            if !self.is_taken(&id) && self.decisions.get(&id).is_none_or(is_free) {
                return id;
            }
            of.push_str("|again");
        }
    }

    /// Whether something that was made elsewhere stands under an id, of which nothing was recorded here: the persons of another ledger
    /// have numbers of their own.
    fn is_taken(&self, id: &str) -> bool {
        let taken = &self.story.taken;
        let stands = || taken.contains(id) || taken.contains(&episode::companion(id, "request"));
        !taken.is_empty() && self.recorded(id).is_empty() && stands()
    }

    /// The same candidate under an id that nothing else has.
    pub(crate) fn freed<'c>(&mut self, candidate: &'c Candidate<'a>) -> Cow<'c, Candidate<'a>> {
        if !self.is_taken(&candidate.output) {
            return Cow::Borrowed(candidate);
        }
        self.drop_due(&candidate.output);
        Cow::Owned(Candidate { output: self.fresh(candidate.plan, &candidate.step.id, &candidate.episode), ..candidate.clone() })
    }

    /// Whether an id still belongs to this person: one under which nothing was recorded before two were parted may have gone over to
    /// the other, with a fact of theirs.
    fn is_ours(&self, known: &Decision) -> bool {
        let is_used = known.outcome == Outcome::Fired || !known.recorded.is_empty();
        is_used || self.story.parted_at.is_none_or(|(parted, _)| known.at > parted)
    }

    /// The candidate that a due stands for; `None` when its rule or step runs no longer.
    pub(crate) fn candidate(&self, due: &Planned) -> Option<Candidate<'a>> {
        let plan = self.rules.plan(&due.rule)?;
        let (_, step) = plan.step(&due.step)?;
        let detail = due.detail().clone();
        let fill = self.fills(&detail.product).iter().find(|fill| detail.is_about(fill)).cloned();
        Some(Candidate {
            plan,
            step,
            episode: due.episode.clone(),
            output: due.output.clone(),
            trigger: self.fact(&detail.trigger),
            fill,
            detail,
        })
    }

    /// The candidate that came to a decision, as things are now; `None` when its rule or step runs no longer.
    pub(crate) fn candidate_of(&self, decision: &Decision) -> Option<Candidate<'a>> {
        let plan = self.rules.plan(&decision.rule)?;
        let (_, step) = plan.step(&decision.step)?;
        let (trigger, needed) = episode::trigger(decision);
        let mut detail = Detail { trigger, needed, facts: Arc::clone(&decision.facts), ..Detail::default() };
        let day = decision.episode.rsplit_once('|').filter(|_| detail.trigger.starts_with("MedicationDispense/"));
        if let Some((product, day)) = day.and_then(|(product, day)| Some((product, day.parse::<jiff::civil::Date>().ok()?))) {
            (detail.product, detail.first) = (product.to_owned(), zones::number(day));
        }
        let fill = self.fills(&detail.product).iter().find(|fill| detail.is_about(fill)).cloned();
        Some(Candidate {
            plan,
            step,
            episode: decision.episode.clone(),
            output: decision.output.clone(),
            trigger: self.fact(&detail.trigger),
            fill,
            detail,
        })
    }
}

/// What of these was said or done, of which this is true, in the order in which it was.
pub(crate) fn fired<'d>(among: impl Iterator<Item = &'d Decision>, is_meant: impl Fn(&Decision) -> bool) -> Vec<Decision> {
    let mut fired: Vec<Decision> =
        among.filter(|decision| decision.outcome == Outcome::Fired && is_meant(decision)).cloned().collect();
    fired.sort_by(|a, b| (a.at, a.priority, &a.rule, &a.step, &a.output).cmp(&(b.at, b.priority, &b.rule, &b.step, &b.output)));
    fired
}
