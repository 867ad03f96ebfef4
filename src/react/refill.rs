//! Dispenses: what they supply, and the steps that hang on the begin and the end of each fill.
//!
//! The steps of a product are always derived anew from all its fills, whatever event asked for it: so a late, doubled,
//! corrected or reversed dispense leads to the same dues as if all had been known in order.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::activity::Act;
use super::back;
use super::cover::{Fill, MEDIAN};
use super::decide::{LEFT, because, cancel_task, mark_said, pointless, stop, withdraw, withdraw_task};
use super::decided::{Resting, dispenses};
use super::detail::{Detail, Planned};
use super::dispensed::Dispensed;
use super::follow::{self, Comes};
use super::json::text;
use super::offset::{Base, Offset};
use super::plan::{Action, Anchor, Plan, Step, Subject};
use super::role::{Role, hand_over};
use super::supply::{self, Nothing};
use super::turn::{Candidate, Turn, fired};
use super::{Heard, Resource, copies, episode, overdue, products, retold};
use crate::ledger::{Decision, How, Line, Mark, Outcome, Supply};

/// What one event says of one dispense.
pub(super) struct News<'a> {
    pub(super) event: &'a Heard,
    row: Result<Supply, Nothing>,
    /// What supplied something before it and does so no more.
    pub(super) gone: Vec<Supply>,
}

/// Takes in dispenses, and returns what is to be decided at once.
pub(super) fn hear<'a>(turn: &mut Turn<'a>, events: &[&'a Heard]) -> Vec<Candidate<'a>> {
    let mut products = BTreeSet::new();
    let mut news = Vec::new();
    turn.told.extend(events.iter().filter(|event| event.line != Line::Left).map(|event| &event.resource));
    let before = if turn.retells { retold::supplied(turn, events) } else { Vec::new() };
    for event in events {
        let row = supply::row(turn.rules, turn.story, &event.resource);
        let mut gone = keep(turn, &event.resource.id, row.as_ref().ok(), &mut products);
        for stated in taken_back(turn, &event.resource) {
            gone.extend(keep(turn, &stated, None, &mut products));
        }
        news.push(News { event, row, gone });
    }
    if turn.retells {
        retold::carry_over(turn, &before);
    }
    for one in &news {
        uncountable(turn, one);
    }
    // What was asked of the product that it was is taken back before it is asked of the one that it is.
    let gains = |product: &String| news.iter().any(|one| one.row.as_ref().is_ok_and(|row| row.product == *product));
    let (gaining, losing): (Vec<String>, Vec<String>) = products.into_iter().partition(gains);
    losing.iter().chain(&gaining).flat_map(|product| arrange(turn, product, &news)).collect()
}

/// Counts all that was handed over anew, whatever was planned before; also what something was asked for of which nothing is left.
pub(super) fn recount(turn: &mut Turn) {
    let mut products: BTreeSet<String> = turn.supplies.by_product().map(|(product, _)| product.to_owned()).collect();
    let asked = turn.decisions.all().filter(|one| one.outcome == Outcome::Fired && one.recorded.starts_with("Task/"));
    products.extend(asked.filter_map(|one| Some(one.episode.rsplit_once('|')?.0.to_owned())));
    for product in &products {
        look_again(turn, product);
    }
}

/// Derives the steps of a product anew. Nothing was heard, so nothing is to be decided at once.
pub(super) fn look_again(turn: &mut Turn, product: &str) {
    arrange(turn, product, &[]);
}

/// Derives the steps of a product anew, rule by rule.
fn arrange<'a>(turn: &mut Turn<'a>, product: &str, news: &[News<'a>]) -> Vec<Candidate<'a>> {
    let concerned = concerned(turn, product, news);
    if concerned.is_empty() {
        return Vec::new();
    }
    let fills = turn.supplies.fills_now(product);
    let dispensed = Dispensed::of(&fills);
    let gone: Vec<&Supply> = news.iter().flat_map(|one| &one.gone).filter(|gone| gone.product == product).collect();
    hand_over(turn, &gone, &fills, &dispensed);
    let resting = turn.decisions.resting(&dispensed, fills.len());
    let mut now = Vec::new();
    for (plan, action) in concerned {
        let arranging = Arranging { plan, action, product, news, fills: &fills, dispensed: &dispensed, resting: &resting };
        now.extend(arranging.arrange(turn));
    }
    now
}

/// The rules that may have something to say of a product: those that listen to what was heard, or to what two records were given who
/// turned out to be one, and those that had planned or said something before. What a fill costs does not grow with the rules that are about other products.
fn concerned<'a>(turn: &Turn<'a>, product: &str, news: &[News<'a>]) -> Vec<(&'a Plan, &'a Action)> {
    let rules = turn.rules;
    let mut found: Vec<(&Plan, &Action)> = Vec::new();
    let united = turn.supplies.rows_of(product).filter(|_| turn.unites);
    let united = united.filter_map(|row| turn.fact(&format!("MedicationDispense/{}", row.dispense)));
    for dispense in news.iter().map(|one| &one.event.resource).chain(united) {
        let about = rules.about(Subject::of("MedicationDispense", &dispense.value, turn.story));
        found.extend(about.filter(|(_, action)| action.is_of_fills()));
    }
    let dues = turn.dues.values().filter(|due| episode::is_of_product(&due.episode, product)).map(|due| &due.rule);
    let decided = turn.decisions.of_product(product).map(|decision| &decision.rule);
    let mut known: Vec<&String> = Vec::new();
    for rule in dues.chain(decided) {
        if !known.contains(&rule) {
            known.push(rule);
        }
    }
    for plan in known.into_iter().filter_map(|rule| rules.plan(rule)) {
        let of_fills = plan.actions.iter().filter(|action| action.is_of_fills());
        found.extend(of_fills.map(|action| (plan, action)));
    }
    found.sort_by_key(|(plan, action)| (&plan.url, plan.since, &plan.version, &action.id));
    found.dedup_by(|(_, one), (_, other)| std::ptr::eq(*one, *other));
    found
}

/// Replaces the row of a dispense; the products that it concerned and concerns are noted. What it supplied before and does no more.
fn keep(turn: &mut Turn, dispense: &str, row: Option<&Supply>, products: &mut BTreeSet<String>) -> Vec<Supply> {
    let known: Vec<Supply> = turn.supplies.rows().filter(|known| known.dispense == dispense).cloned().collect();
    products.extend(known.iter().map(|known| known.product.clone()));
    products.extend(row.map(|row| row.product.clone()));
    let moved = known.iter().find(|known| row.is_none_or(|row| row.product != known.product || row.person != known.person));
    if let Some(moved) = moved {
        turn.reaction.marks.push(Mark::SupplyGone { person: moved.person, dispense: dispense.to_owned() });
    }
    if let Some(row) = row.filter(|row| known.first() != Some(*row)) {
        turn.reaction.marks.push(Mark::Supplied(row.clone()));
    }
    turn.supplies.replace(dispense, row.cloned().map(Arc::new));
    if row.is_none() { known } else { Vec::new() }
}

/// The dispenses that state the fact which a new resource takes back. Who can only send says so by sending it again as entered
/// in error; a new one that was declined, cancelled or stopped is another attempt under the same number, and says nothing of what
/// was handed over before. A known resource that is reversed may be a duplicate that somebody cleared away: it takes back itself
/// alone.
fn taken_back(turn: &Turn, resource: &Resource) -> Vec<String> {
    let never_was = text(&resource.value, "status") == Some("entered-in-error");
    if resource.version != 1 || resource.fact == 0 || resource.deleted || !never_was {
        return Vec::new();
    }
    let stated = turn.supplies.rows().filter(|row| row.fact == resource.fact);
    stated.map(|row| row.dispense.clone()).collect()
}

/// A completed dispense that cannot be counted leaves its reason with every step it would have led to.
fn uncountable(turn: &mut Turn, news: &News) {
    let Err(why @ (Nothing::NoDay | Nothing::NoProduct | Nothing::Contradicts)) = news.row else { return };
    let event = news.event;
    if !acts(event) {
        return;
    }
    let subject = Subject::of("MedicationDispense", &event.resource.value, turn.story);
    for (plan, action) in turn.rules.about(subject) {
        let listens = action.listens(&turn.rules.concepts, &turn.rules.products, event.line, subject);
        if !listens || !action.is_of_fills() || !plan.begins_with(&event.resource, turn.story) {
            continue;
        }
        for step in &action.steps {
            let episode = event.resource.reference();
            let detail = Detail { trigger: episode.clone(), facts: [event.resource.versioned()].into(), ..Detail::default() };
            let output = turn.output(plan, &step.id, &episode);
            let candidate = Candidate { plan, step, episode, output, trigger: None, fill: None, detail };
            stop(turn, &candidate, Outcome::Stopped, because::SUPPLY, why.reason());
        }
    }
}

/// Whether rules act on an event at all: nothing begins with what went over to somebody else.
pub(super) fn acts(event: &Heard) -> bool {
    event.line != Line::Left && (event.react || event.resource.how != How::Import)
}

/// The steps of one rule for one product.
pub(super) struct Arranging<'a, 'n> {
    pub(super) plan: &'a Plan,
    pub(super) action: &'a Action,
    pub(super) product: &'n str,
    pub(super) news: &'n [News<'a>],
    pub(super) fills: &'n [Fill],
    pub(super) dispensed: &'n Dispensed<'n>,
    /// What was decided before and rests on these fills.
    pub(super) resting: &'n Resting<'n>,
}

/// A fill that a rule has begun with: what all its steps have in common.
pub(super) struct Begun<'a, 'f> {
    /// Its place among the fills of the product.
    pub(super) at: usize,
    pub(super) fill: &'f Fill,
    /// The dispense of it that was heard just now.
    pub(super) fresh: Option<&'a Heard>,
    /// What set the rule off, where it could be loaded.
    pub(super) loaded: Option<&'a Resource>,
    pub(super) trigger: String,
    needed: Vec<String>,
    /// Versions of the facts, where one asks for them.
    facts: OnceCell<Arc<[String]>>,
    pub(super) episode: String,
}

impl<'a> Arranging<'a, '_> {
    fn arrange(&self, turn: &mut Turn<'a>) -> Vec<Candidate<'a>> {
        // Asked of all fills before anything changes: a fill that moves takes the episode, and with it the due, of another.
        let roles: Vec<Role> = (0..self.fills.len()).map(|at| self.role(turn, at)).collect();
        let with_roles = self.fills.iter().zip(&roles).enumerate();
        self.say_once(turn, &roles);
        let begun: Vec<Begun> = with_roles.filter_map(|(at, (fill, role))| self.begun(turn, at, fill, role)).collect();
        // Every (step, episode) that may stand; what is due and not among them is taken back.
        let mut standing: BTreeMap<(&str, &str), &'static str> = BTreeMap::new();
        let mut now = Vec::new();
        for one in &begun {
            let is_last = one.at + 1 == self.fills.len();
            for step in &self.action.steps {
                let has_moved = step.follows_end && !is_last;
                standing.insert((&step.id, &one.episode), if has_moved { because::MOVED } else { "" });
                if has_moved {
                    self.move_on(turn, step, one);
                    continue;
                }
                if let Some((gate, why)) = hindrance(turn, step, one) {
                    let output = turn.output(self.plan, &step.id, &one.episode);
                    if turn.dues.has(&output) || (one.fresh.is_some() && !self.stays_stopped(turn, step, one)) {
                        settle_stopped(turn, &self.candidate(turn, step, one), gate, &why);
                    }
                    continue;
                }
                self.put_off(turn, step, one);
                match follow::of_fill(turn, self.plan, self.action, step, one.fill, &one.episode) {
                    Comes::From(base, offset) if self.may_plan(turn, step, one, (base, offset)) => {
                        plan(turn, self.candidate(turn, step, one), base, offset);
                    }
                    Comes::AtOnce
                        if one.fresh.is_some() && !self.stays_stopped(turn, step, one) && !self.was_said(turn, step, one) =>
                    {
                        let mut candidate = self.candidate(turn, step, one);
                        turn.keep_window(&candidate.output, &mut candidate.detail);
                        now.push(candidate);
                    }
                    Comes::AtOnce => {
                        if let Some(until) = self.comes_back(turn, step, one) {
                            let mut candidate = self.candidate(turn, step, one);
                            (candidate.detail.planned, candidate.detail.until) = (until - step.window(), until);
                            let due = turn.due(&candidate, turn.story.now);
                            turn.plan(due);
                        }
                    }
                    Comes::From(..) => self.let_go(turn, step, one),
                    Comes::Later => {}
                }
            }
        }
        self.let_go_of(turn, &roles);
        self.ask_once(turn, &roles);
        self.take_back(turn, &standing, &begun);
        now
    }

    /// What was stopped for the fill as it is now is due no more: something that was taken back had planned it anew.
    fn let_go(&self, turn: &mut Turn<'a>, step: &'a Step, one: &Begun<'a, '_>) {
        let known = turn.decided(self.plan, &step.id, &one.episode).filter(|known| known.outcome == Outcome::Stopped);
        if let Some(output) = known.map(|known| known.output.clone()).filter(|_| self.stays_stopped(turn, step, one)) {
            turn.drop_due(&output);
        }
    }

    /// What was asked for too early, and nobody has taken on, is asked for at its time.
    fn put_off(&self, turn: &mut Turn<'a>, step: &'a Step, one: &Begun<'a, '_>) {
        let asked = turn.decided(self.plan, &step.id, &one.episode).filter(|known| known.outcome == Outcome::Fired).cloned();
        if let Some(asked) = asked.filter(|asked| self.goes_back(turn, step, one, asked)) {
            withdraw_task(turn, &asked, because::MOVED, RECOUNTED);
        }
    }

    /// A later fill continues this one: a step of it that was never planned says so.
    fn move_on(&self, turn: &mut Turn<'a>, step: &'a Step, one: &Begun<'a, '_>) {
        // What hangs on another step says no more than that one.
        let before = if let Anchor::Step(at, ..) = step.anchor { self.action.steps.get(at) } else { None };
        let mut asked = before.into_iter().chain([step]);
        // What was given up with the dispense is so no more, since the dispense is told again: it moves on as well.
        let is_open = |step: &Step| {
            let known = turn.decided(self.plan, &step.id, &one.episode);
            known.is_none_or(|known| known.outcome == Outcome::Withdrawn && known.gate == because::REVERSED)
        };
        if one.fresh.is_some() && asked.all(is_open) {
            let candidate = self.candidate(turn, step, one);
            if !turn.dues.has(&candidate.output) {
                stop(turn, &candidate, Outcome::Withdrawn, because::MOVED, MOVED);
            }
        }
    }

    /// What all steps of a fill have in common, where the rule has begun with it.
    fn begun<'f>(&self, turn: &Turn<'a>, at: usize, fill: &'f Fill, role: &Role<'a>) -> Option<Begun<'a, 'f>> {
        let (fresh, trigger, needed) = match role {
            Role::Fresh(event) => (Some(*event), event.resource.reference(), products::needed(&event.resource.value)),
            Role::Known(trigger, needed) | Role::Becomes(trigger, needed) => (None, trigger.clone(), needed.clone()),
            Role::Overtaken | Role::Silent => return None,
        };
        let loaded = fresh.map(|event| &event.resource).or_else(|| turn.fact(&trigger));
        // Of several that made the fill another may have been the first, with an order of its own, before it was taken back.
        let needed = loaded.map_or(needed, |dispense| products::needed(&dispense.value));
        let (facts, episode) = (OnceCell::new(), episode::of_fill(self.product, fill.first));
        Some(Begun { at, fill, fresh, loaded, trigger, needed, facts, episode })
    }

    /// Versions of the facts that a fill rests on.
    pub(super) fn facts<'o>(&self, turn: &Turn, one: &'o Begun) -> &'o Arc<[String]> {
        one.facts.get_or_init(|| {
            let versions = turn.supplies.rows_of(self.product).filter(|row| self.dispensed.is_of(&row.dispense, one.at));
            let mut facts: Vec<String> = versions.map(copies::version).collect();
            facts.extend(one.needed.iter().filter_map(|reference| turn.story.find(reference)).map(Resource::versioned));
            facts.sort();
            facts.into()
        })
    }

    pub(super) fn candidate(&self, turn: &Turn<'a>, step: &'a Step, one: &Begun<'a, '_>) -> Candidate<'a> {
        let detail = Detail {
            trigger: one.trigger.clone(),
            needed: one.needed.clone(),
            product: self.product.to_owned(),
            first: one.fill.first,
            planned: turn.story.now,
            until: turn.story.now + step.window(),
            facts: Arc::clone(self.facts(turn, one)),
            held: false,
            prepared: false,
            heard: 0,
            uncertain: false,
        };
        let (plan, episode) = (self.plan, one.episode.clone());
        let output = turn.output(plan, &step.id, &episode);
        Candidate { plan, step, episode, output, trigger: one.loaded, fill: Some(one.fill.clone()), detail }
    }

    /// Takes back what is due, or requested and not taken on, and is not among `standing`. Where its dispense is of a fill that
    /// the rule has begun with, only its days were counted anew: another fill became known, or its own day was corrected.
    fn take_back(&self, turn: &mut Turn<'a>, standing: &BTreeMap<(&str, &str), &'static str>, begun: &[Begun]) {
        let rules = turn.rules;
        let ours = |rule: &str, step: &str, episode: &str| {
            episode::is_of_product(episode, self.product)
                && self.action.steps.iter().any(|known| known.id == step)
                && rules.plan(rule).is_some_and(|plan| std::ptr::eq(plan, self.plan))
        };
        let stands = |id: &str| begun.iter().any(|one| self.dispensed.is_of(id, one.at));
        let left = |id: &str| self.news.iter().any(|one| one.event.line == Line::Left && one.event.resource.id == id);
        let why = |step: &str, episode: &str, facts: &[String]| match standing.get(&(step, episode)) {
            Some(&"") => None,
            Some(gate) => Some((*gate, MOVED)),
            None if dispenses(facts).any(stands) => Some((because::MOVED, RECOUNTED)),
            None if dispenses(facts).any(left) => Some((because::LEFT, LEFT)),
            None => Some((because::REVERSED, "The dispense it rests on was reversed or corrected.")),
        };
        // What stands is another fill's, which took the episode and plans nothing itself.
        let is_left = |due: &Planned| {
            let own = begun.iter().find(|one| self.is_about(due, one.at));
            own.is_some_and(|one| one.episode != due.episode) && !overdue::is_watch(due)
        };
        let dues = turn.dues_where(|due| ours(&due.rule, &due.step, &due.episode));
        for due in dues {
            let recounted = is_left(&due).then_some((because::MOVED, RECOUNTED));
            if let Some((gate, why)) = why(&due.step, &due.episode, &due.detail().facts).or(recounted) {
                withdraw(turn, &due, Outcome::Withdrawn, gate, why);
            }
        }
        // What was asked for in its time stays, whatever day the fill is counted from.
        let stays = |turn: &Turn<'a>, asked: &Decision| {
            let one = begun.iter().find(|one| dispenses(&asked.facts).any(|id| self.dispensed.is_of(id, one.at)));
            let step = self.action.steps.iter().find(|step| step.id == asked.step);
            one.zip(step).is_some_and(|(one, step)| {
                standing.get(&(step.id.as_str(), one.episode.as_str())) == Some(&"") && !self.goes_back(turn, step, one, asked)
            })
        };
        let of_product = turn.decisions.of_product(self.product);
        // Most of it stands as it was.
        let past = fired(of_product, |decision| {
            ours(&decision.rule, &decision.step, &decision.episode)
                && why(&decision.step, &decision.episode, &decision.facts).is_some()
        });
        for decision in past {
            if let Some((gate, why)) = why(&decision.step, &decision.episode, &decision.facts) {
                if why == RECOUNTED && stays(turn, &decision) {
                    continue;
                }
                let is_back = gate != because::MOVED;
                if is_back {
                    cancel_task(turn, &decision, gate, why);
                } else {
                    withdraw_task(turn, &decision, gate, why);
                }
                if is_back && is_gone(turn, &decision) {
                    mark_said(turn, &decision);
                }
            }
        }
        // What was said of a mistake that was none after all was said of what stands.
        let was_mistaken = |one: &Decision| {
            // It may have been told again under another id.
            let is_of_fill = || standing.get(&(one.step.as_str(), one.episode.as_str())) == Some(&"");
            let is_reversed = one.gate == because::REVERSED && ours(&one.rule, &one.step, &one.episode);
            is_reversed && (dispenses(&one.facts).any(stands) || is_of_fill())
        };
        for said in fired(turn.decisions.of_product(self.product), was_mistaken) {
            let (gate, reason) = (because::COPY.to_owned(), String::from(AFTER_ALL));
            turn.decide(Decision { gate, reason, ..said });
        }
    }
}

/// Why a step of this fill cannot be planned at all.
fn hindrance(turn: &Turn, step: &Step, one: &Begun) -> Option<(&'static str, String)> {
    if let Some(why) = uncounted(step, one.fill) {
        return Some((because::SUPPLY, why.to_owned()));
    }
    let ask = turn.ask_about(&one.loaded?.value, Some(one.fill));
    // Of what was heard before, only what it supplies may be another since: another fill was heard, or taken back.
    let mut asked = step.conditions.iter().filter(|condition| one.fresh.is_some() || condition.names("supply"));
    let broken = asked.find(|condition| !condition.holds(&ask))?;
    Some((because::CONDITION, format!("The step's condition does not hold: {}", broken.text())))
}

/// Why a step that hangs on the end of a fill cannot hang on this one.
pub(super) fn uncounted(step: &Step, fill: &Fill) -> Option<&'static str> {
    if !step.follows_end {
        return None;
    }
    if fill.last.is_none() {
        return Some("The days of supply are not known: neither dispense, order nor dose tells them.");
    }
    let is_guessed = fill.step == MEDIAN && step.activity.act == Act::Speak;
    is_guessed.then_some("The days of supply are only estimated from the person's own habit.")
}

/// Whether no dispense that something rests on supplies anything now; else the dispense was only corrected.
fn is_gone(turn: &Turn, decision: &Decision) -> bool {
    !dispenses(&decision.facts).any(|id| turn.supplies.rows().any(|row| row.dispense == id))
}

const MOVED: &str = "A later fill continues the supply; the step moves with its end.";
const AFTER_ALL: &str = "It was said of what turned out to be no mistake.";
const RECOUNTED: &str = "The days it covers were counted anew; the step moves with them.";

/// A step that cannot be planned: it says so once, and nothing of it stays due.
fn settle_stopped(turn: &mut Turn, candidate: &Candidate, gate: &str, why: &str) {
    if !turn.has_done(candidate) {
        stop(turn, candidate, Outcome::Stopped, gate, why);
    }
}

/// Plans a step, while it is worth doing.
fn plan<'a>(turn: &mut Turn<'a>, mut candidate: Candidate<'a>, base: Base, offset: Offset) {
    if !follow::schedule(turn, &mut candidate, base, offset) {
        return;
    }
    if candidate.detail.until < turn.story.now {
        // Of what had ended before nothing more need be said.
        let known = turn.decided(candidate.plan, &candidate.step.id, &candidate.episode);
        if !known.is_some_and(|known| back::is_spent(candidate.plan, known)) || turn.dues.has(&candidate.output) {
            stop(turn, &candidate, Outcome::Stopped, because::TIMELY, "It was too late when it became known.");
        }
        return;
    }
    // What makes it pointless may have been heard of before it, or with it.
    if let Some(why) = pointless(turn, &candidate) {
        return stop(turn, &candidate, Outcome::Withdrawn, because::POINTLESS, &why);
    }
    let due = turn.due(&candidate, candidate.detail.planned);
    turn.plan(due);
}
