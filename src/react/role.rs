//! What a fill is to a rule: what set it off, and who carries that on when it is taken back.

use std::sync::Arc;

use super::condition::all_hold;
use super::cover::Fill;
use super::decide::{because, stands, withdraw};
use super::decided::dispenses;
use super::detail::{Detail, Planned};
use super::dispensed::Dispensed;
use super::plan::{Action, Plan, Subject};
use super::refill::{Arranging, News, acts};
use super::turn::{Turn, fired};
use super::{Heard, Resource, back, copies, episode, overdue, products};
use crate::ledger::{Decision, Due, How, Line, Outcome, Supply};

/// What a fill is to the rule.
pub(super) enum Role<'a> {
    /// A dispense of it was heard just now.
    Fresh(&'a Heard),
    /// It set the rule off earlier; what is known of the dispense that did.
    Known(String, Vec<String>),
    /// The rule had not begun with it, and does so since another fill was heard; the same of the dispense.
    Becomes(String, Vec<String>),
    /// It set the rule off as another fill than it is now, since one before it became known or was taken back.
    Overtaken,
    /// It never set the rule off, or does no longer.
    Silent,
}

impl<'a> Arranging<'a, '_> {
    /// What the fill is to this rule: by what was just heard, else by what was due or decided before. A fill that a version of the
    /// rule has begun with stays with that version.
    pub(super) fn role(&self, turn: &Turn<'a>, at: usize) -> Role<'a> {
        let of_fill = |news: &&News<'a>| self.dispensed.is_of(&news.event.resource.id, at);
        let is_heard = self.news.iter().any(|news| of_fill(&news));
        // Of a rule of one version it need not be asked for each fill that it has long begun with.
        let began = if is_heard || !turn.rules.is_only(self.plan) { self.began(turn, at) } else { None };
        if began.is_some_and(|plan| !std::ptr::eq(plan, self.plan)) {
            return Role::Silent;
        }
        let mut silenced = Vec::new();
        let mut fresh = None;
        for news in self.news.iter().filter(of_fill) {
            if self.is_set_off(turn, news.event, &self.fills[at]) {
                let in_force = began.is_some() || self.plan.begins_with(&news.event.resource, turn.story);
                if acts(news.event) && in_force {
                    fresh = fresh.or(Some(news.event));
                }
            } else {
                silenced.push(news.event.resource.reference());
            }
        }
        if let Some(event) = fresh {
            return Role::Fresh(event);
        }
        let is_ours = |due: &&Planned| turn.carries(&due.rule, self.plan) && self.is_about(due, at) && !overdue::is_watch(due);
        let mut planned = turn.dues.values().filter(is_ours).map(Planned::detail);
        let known = planned.find(|detail| !silenced.contains(&detail.trigger));
        if let Some(known) = known {
            if self.has_news(turn) && !self.meets_demands(turn, &known.trigger, at) {
                return Role::Overtaken;
            }
            return Role::Known(known.trigger.clone(), known.needed.clone());
        }
        let is_own = |decision: &Decision| episode::is_of_product(&decision.episode, self.product) && begins(decision);
        let counts = |decision: &Decision| turn.carries(&decision.rule, self.plan) && is_own(decision);
        let named = |decision: &'_ Decision| -> Option<String> {
            let mut facts = decision.facts.iter().filter_map(|fact| fact.split("/_history/").next());
            let found = facts.find(|fact| {
                let id = fact.strip_prefix("MedicationDispense/");
                id.is_some_and(|id| self.dispensed.is_of(id, at)) && !silenced.iter().any(|one| one == fact)
            });
            found.map(str::to_owned)
        };
        let decided = || turn.decisions.resting_on(self.resting, at, counts);
        let first = decided().filter_map(|decision| Some((&decision.output, named(decision)?))).min();
        let Some((_, trigger)) = first else {
            return if is_heard || began.is_some() { Role::Silent } else { self.becomes(turn, at) };
        };
        // What the rule gave up, since it was taken back or corrected, begins again only with what is told of it.
        let is_known = |dispense: &Resource| decided().any(|decision| decision.facts.contains(&dispense.versioned()));
        let newest = decided().map(|decision| decision.at).max();
        let mut newest = decided().filter(|decision| Some(decision.at) == newest).map(|one| (one.outcome, one.gate.as_str()));
        if !is_heard && newest.all(|last| last == (Outcome::Withdrawn, because::REVERSED)) {
            let is_told = turn.fact(&trigger).is_some_and(|dispense| !is_known(dispense));
            return if is_told { self.becomes(turn, at) } else { Role::Silent };
        }
        // What was corrected into something that is not the rule's matter is nothing to it any more; what was never said of it, also
        // where it is another fill by now.
        if turn.fact(&trigger).filter(|dispense| !is_known(dispense)).is_some_and(|dispense| !self.is_meant(turn, dispense, at)) {
            return Role::Silent;
        }
        let was_said = || decided().any(|decision| decision.outcome == Outcome::Fired);
        if !was_said() && !self.meets_demands(turn, &trigger, at) {
            return Role::Silent;
        }
        Role::Known(trigger, Vec::new())
    }

    /// Whether other fills may stand beside this one than before.
    pub(super) fn has_news(&self, turn: &Turn) -> bool {
        turn.unites || !self.news.is_empty()
    }

    /// Whether what the rule demands of a fill (`%supply`) holds of it as it is now, as far as its dispense is at hand.
    pub(super) fn meets_demands(&self, turn: &Turn<'a>, trigger: &str, at: usize) -> bool {
        let mut demands = self.action.conditions.iter().filter(|condition| condition.names("supply")).peekable();
        let Some(dispense) = turn.fact(trigger).filter(|_| demands.peek().is_some()) else { return true };
        let ask = turn.ask_about(&dispense.value, Some(&self.fills[at]));
        demands.all(|condition| condition.holds(&ask))
    }

    /// Whether a dispense itself tells of what the rule is about, whatever else is known.
    fn is_meant(&self, turn: &Turn<'a>, dispense: &Resource, at: usize) -> bool {
        let subject = Subject::of("MedicationDispense", &dispense.value, turn.story);
        let is_about = subject.refers() || self.action.is_about(&turn.rules.concepts, &turn.rules.products, subject);
        let ask = turn.ask_about(&dispense.value, Some(&self.fills[at]));
        is_about && self.action.conditions.iter().all(|condition| condition.broken(&ask, None).is_none())
    }

    /// What a fill with which the rule has not begun is to it since another fill was heard: it may be the first of them now, or not.
    fn becomes(&self, turn: &Turn<'a>, at: usize) -> Role<'a> {
        let fill = &self.fills[at];
        if !self.has_news(turn) {
            return Role::Silent;
        }
        let loaded = fill.dispenses.iter().filter_map(|id| turn.fact(&format!("MedicationDispense/{id}")));
        let mut meant = loaded.filter(|dispense| {
            let subject = Subject::of("MedicationDispense", &dispense.value, turn.story);
            let (concepts, products) = (&turn.rules.concepts, &turn.rules.products);
            let listens = self.action.listens(concepts, products, Line::Created, subject);
            let is_live = dispense.how != How::Import && !dispense.deleted && self.plan.begins_with(dispense, turn.story);
            is_live && listens && is_matter(turn, self.action, dispense, Some(fill))
        });
        meant.next().map_or(Role::Silent, |dispense| Role::Becomes(dispense.reference(), products::needed(&dispense.value)))
    }

    /// Whether a dispense of a fill has set off what is due.
    pub(super) fn is_about(&self, due: &Planned, fill: usize) -> bool {
        due.detail().trigger.strip_prefix("MedicationDispense/").is_some_and(|id| self.dispensed.is_of(id, fill))
    }

    /// The version of this rule that has begun with a fill.
    fn began(&self, turn: &Turn<'a>, fill: usize) -> Option<&'a Plan> {
        let due = turn.dues.values().find(|due| turn.is_of(&due.rule, self.plan) && self.is_about(due, fill));
        let decided = || {
            let begun = |decision: &Decision| turn.is_of(&decision.rule, self.plan) && begins(decision);
            turn.decisions.resting_on(self.resting, fill, begun).min_by_key(|decision| &decision.output)
        };
        let rule = due.map(|due| due.rule.as_str()).or_else(|| decided().map(|decision| decision.rule.as_str()))?;
        turn.rules.plan(rule)
    }

    fn is_set_off(&self, turn: &Turn, event: &Heard, fill: &Fill) -> bool {
        let subject = Subject::of("MedicationDispense", &event.resource.value, turn.story);
        self.action.listens(&turn.rules.concepts, &turn.rules.products, event.line, subject)
            && holds(turn, self.action, &event.resource, Some(fill))
    }
}

/// Whether a fill is an action's matter, as its dispense tells it now. A product that is only referred to and not loaded tells nothing.
pub(super) fn is_matter(turn: &Turn, action: &Action, dispense: &Resource, fill: Option<&Fill>) -> bool {
    let subject = Subject::of("MedicationDispense", &dispense.value, turn.story);
    let is_about = subject.refers() || action.is_about(&turn.rules.concepts, &turn.rules.products, subject);
    is_about && holds(turn, action, dispense, fill)
}

fn holds(turn: &Turn, action: &Action, dispense: &Resource, fill: Option<&Fill>) -> bool {
    let ask = turn.ask_about(&dispense.value, fill);
    all_hold(&action.conditions, &ask)
}

/// Whether a rule has begun with what it decided on: where a condition did not hold, it has not.
fn begins(decision: &Decision) -> bool {
    decision.gate != because::CONDITION || back::was_left(decision)
}

/// What rested on dispenses that supply nothing any more rests on those that state the same, or supply the same on that day: of several
/// copies one may be cleared away, and the others carry on what it began.
pub(super) fn hand_over(turn: &mut Turn, gone: &[&Supply], fills: &[Fill], dispensed: &Dispensed) {
    for gone in gone.iter().filter(|gone| dispensed.fills_of(&gone.dispense).is_empty()) {
        let rows: Vec<&Supply> = turn.supplies.rows_of(&gone.product).collect();
        let same = rows.iter().find(|row| gone.fact != 0 && row.fact == gone.fact);
        let same_day = || rows.iter().find(|row| row.handed == gone.handed);
        let of_fill = same.or_else(same_day).and_then(|row| dispensed.fills_of(&row.dispense).first());
        let Some(fill) = of_fill.and_then(|(_, at)| fills.get(*at)) else { continue };
        let Some(heir) = rows.iter().find(|row| fill.dispenses.contains(&row.dispense)) else { continue };
        let heir = Supply::clone(heir);
        copies::carry_on(turn, gone, &heir, fill);
        let heir = (format!("MedicationDispense/{}", heir.dispense), copies::version(&heir));
        inherit(turn, gone, &heir, fill, dispensed);
    }
}

/// What is due and was set off by what is gone is set off by its heir; what was said or asked for rests on the heir, too.
fn inherit(turn: &mut Turn, gone: &Supply, (heir, version): &(String, String), fill: &Fill, dispensed: &Dispensed) {
    let trigger = format!("MedicationDispense/{}", gone.dispense);
    let with = |facts: &[String]| -> Arc<[String]> { facts.iter().cloned().chain([version.clone()]).collect() };
    for due in turn.dues_where(|due| due.detail().trigger == trigger && due.detail().product == gone.product) {
        let known = due.detail();
        // Copies may tell different things of a fill: the one that stands may be no matter of the rule.
        let is_other = |dispense: &Resource| {
            let action = turn.rules.plan(&due.rule).and_then(|plan| plan.step(&due.step)).map(|(action, _)| action);
            action.is_some_and(|action| !is_matter(turn, action, dispense, Some(fill)))
        };
        let is_watch = overdue::is_watch(&due);
        if !is_watch && turn.fact(heir).is_some_and(is_other) {
            withdraw(turn, &due, Outcome::Withdrawn, because::REVERSED, "The dispense it rests on was reversed or corrected.");
            continue;
        }
        // Its order is the heir's own, which all orders of the person tell at its time; the product is the same.
        let loaded = turn.fact(heir).filter(|_| !is_watch);
        let needed = loaded.map_or_else(
            || known.needed.iter().filter(|one| !one.starts_with("MedicationRequest/")).cloned().collect(),
            |heir| products::needed(&heir.value),
        );
        let detail = Detail { trigger: heir.clone(), needed, facts: with(&known.facts), ..known.clone() };
        turn.plan(Planned::of(Due { detail: detail.write(), ..Due::clone(&due) }, detail));
    }
    let rests = |decision: &Decision| {
        let mut ids = dispenses(&decision.facts);
        stands(decision)
            && ids.any(|id| id == gone.dispense)
            && !dispenses(&decision.facts).any(|id| !dispensed.fills_of(id).is_empty())
    };
    for decision in fired(turn.decisions.of_product(&gone.product), rests) {
        let (gate, reason) = (because::COPY.to_owned(), String::from("What it rested on was cleared away; a copy of it stands."));
        turn.decide(Decision { facts: with(&decision.facts), gate, reason, ..decision });
    }
}
