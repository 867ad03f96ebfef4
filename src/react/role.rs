//! What a fill is to a rule: what set it off, and who carries that on when it is taken back.

use std::sync::Arc;

use super::Heard;
use super::condition::all_hold;
use super::cover::Fill;
use super::decide::{because, stands};
use super::decided::dispenses;
use super::detail::{Detail, Planned};
use super::dispensed::Dispensed;
use super::facts::Ask;
use super::plan::{Plan, Subject};
use super::refill::{Arranging, News, acts};
use super::turn::{Turn, fired};
use super::{copies, products};
use crate::ledger::{Decision, Due, Supply};

/// What a fill is to the rule.
pub(super) enum Role<'a> {
    /// A dispense of it was heard just now.
    Fresh(&'a Heard),
    /// It set the rule off earlier; what is known of the dispense that did.
    Known(String, Vec<String>),
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
        let is_ours = |due: &&Planned| turn.carries(&due.rule, self.plan) && self.is_about(due, at);
        let mut planned = turn.dues.values().filter(is_ours).map(Planned::detail);
        let known = planned.find(|detail| !silenced.contains(&detail.trigger));
        if let Some(known) = known {
            return Role::Known(known.trigger.clone(), known.needed.clone());
        }
        let counts = |decision: &Decision| turn.carries(&decision.rule, self.plan) && decision.gate != because::CONDITION;
        let named = |decision: &'_ Decision| -> Option<String> {
            let mut facts = decision.facts.iter().filter_map(|fact| fact.split("/_history/").next());
            let found = facts.find(|fact| {
                let id = fact.strip_prefix("MedicationDispense/");
                id.is_some_and(|id| self.dispensed.is_of(id, at)) && !silenced.iter().any(|one| one == fact)
            });
            found.map(str::to_owned)
        };
        let decided = turn.decisions.resting_on(self.resting, at, counts);
        let first = decided.filter_map(|decision| Some((&decision.output, named(decision)?))).min();
        first.map_or(Role::Silent, |(_, trigger)| Role::Known(trigger, Vec::new()))
    }

    /// Whether a dispense of a fill has set off what is due.
    pub(super) fn is_about(&self, due: &Planned, fill: usize) -> bool {
        due.detail().trigger.strip_prefix("MedicationDispense/").is_some_and(|id| self.dispensed.is_of(id, fill))
    }

    /// The version of this rule that has begun with a fill.
    fn began(&self, turn: &Turn<'a>, fill: usize) -> Option<&'a Plan> {
        let due = turn.dues.values().find(|due| turn.is_of(&due.rule, self.plan) && self.is_about(due, fill));
        let decided = || {
            let begins = |decision: &Decision| turn.is_of(&decision.rule, self.plan) && decision.gate != because::CONDITION;
            turn.decisions.resting_on(self.resting, fill, begins).min_by_key(|decision| &decision.output)
        };
        let rule = due.map(|due| due.rule.as_str()).or_else(|| decided().map(|decision| decision.rule.as_str()))?;
        turn.rules.plan(rule)
    }

    fn is_set_off(&self, turn: &Turn, event: &Heard, fill: &Fill) -> bool {
        let value = event.resource.value.as_ref();
        let ask = Ask { story: turn.story, resource: value, fill: Some(fill), supplies: &turn.supplies, rules: turn.rules };
        let subject = Subject::of("MedicationDispense", value, turn.story);
        self.action.listens(&turn.rules.concepts, &turn.rules.products, event.line, subject)
            && all_hold(&self.action.conditions, &ask)
    }
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
        inherit(turn, gone, &heir, dispensed);
    }
}

/// What is due and was set off by what is gone is set off by its heir; what was said or asked for rests on the heir, too.
fn inherit(turn: &mut Turn, gone: &Supply, (heir, version): &(String, String), dispensed: &Dispensed) {
    let trigger = format!("MedicationDispense/{}", gone.dispense);
    let with = |facts: &[String]| -> Arc<[String]> { facts.iter().cloned().chain([version.clone()]).collect() };
    for due in turn.dues_where(|due| due.detail().trigger == trigger && due.detail().product == gone.product) {
        let known = due.detail();
        // Its order is the heir's own, which all orders of the person tell at its time; the product is the same.
        let needed = turn.story.find(heir).map_or_else(
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
