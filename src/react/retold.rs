//! A Medication became known after what names it, or is another product than it was: that is told again, person by person, and comes to
//! what it would have come to had the Medication been known first.
//! Follows <https://hl7.org/fhir/R4/medication.html>.

use serde_json::Value;

use super::cover::Fill;
use super::decide::{because, stands};
use super::decided::dispenses;
use super::plan::{Plan, Subject};
use super::role::is_matter;
use super::turn::{Turn, fired};
use super::{
    Call, Heard, Resource, Rules, Story, back, episode, heard, nudge, overdue, parted, products, refill, renewal, supply,
};
use crate::fhir::search::parse::parse;
use crate::fhir::search::query::Query;
use crate::ledger::{Decision, How, Line, Supply};

/// The type whose resources are told by those that name them; it stands for the rule in a call for these.
pub const MEDICATION: &str = "Medication";

/// The types whose resources are told again: they may name their product by reference.
pub const NAMING: [&str; 2] = ["MedicationDispense", "MedicationRequest"];

/// Whether what happened to a Medication may change what names it; `before` is the version before it, where there is one.
#[must_use]
pub fn is_renamed(line: Line, medication: &Resource, before: Option<&Value>) -> bool {
    let code = |value: &Value| value.get("code").cloned();
    medication.kind == MEDICATION && !line.is_gone() && code(&medication.value) != before.and_then(code)
}

/// The resources of a type that name a Medication, `Type/id`; so many on a page.
#[must_use]
pub fn naming(kind: &str, medication: &str, count: u32) -> Query {
    Query { count, ..parse(kind, &[(String::from("medication"), medication.to_owned())], 0).query }
}

/// Whether a resource names this Medication, `Type/id`.
pub(super) fn names(resource: &Resource, medication: &str) -> bool {
    products::medication(&resource.value).is_some_and(|named| named == medication)
}

impl Call {
    /// Whether it is for what names a Medication, and calls no rule.
    pub(super) fn is_of_medication(&self) -> bool {
        self.rule == MEDICATION
    }

    /// With what it is for.
    #[must_use]
    pub(super) fn telling(mut self, found: Vec<Resource>) -> Self {
        self.subjects = found.iter().map(Resource::reference).collect();
        if self.is_of_medication() {
            self.told = found.into_iter().map(told).collect();
        }
        self
    }
}

fn told(fact: Resource) -> Heard {
    Heard { line: Line::Created, react: fact.how == How::Live, resource: fact, depth: 0 }
}

/// What is told again in a call: as it stands in the story. What was never heard, or has changed since, is heard at its own turn.
pub(super) fn again(rules: &Rules, story: &Story, call: &Call) -> Vec<Heard> {
    if !call.is_of_medication() {
        return Vec::new();
    }
    let theirs = |fact: &&Resource| !fact.deleted && fact.is_about() && story.united.contains(&fact.person);
    let facts = call.subjects.iter().filter_map(|name| story.find(name)).filter(theirs);
    let mut again: Vec<Heard> = facts.cloned().map(told).collect();
    let last_otherwise = renewal::told_again(rules, story, &again);
    let is_known = |fact: &Heard, all: &[Heard]| all.iter().any(|one| one.resource.reference() == fact.resource.reference());
    let others: Vec<Heard> = last_otherwise.into_iter().filter(|fact| !is_known(fact, &again)).collect();
    again.extend(others);
    again
}

/// Takes in what is told again. Nothing is decided at once: what is due now waits for its turn, and who refuses is known by then.
pub(super) fn hear<'a>(turn: &mut Turn<'a>, again: &'a [Heard]) {
    turn.retells = true;
    let fills: Vec<&'a Heard> = again.iter().filter(|event| is_other_fill(turn, &event.resource)).collect();
    let mut candidates = refill::hear(turn, &fills);
    for event in again {
        if event.resource.kind == "MedicationRequest" {
            renewal::hear(turn, event);
        }
        if is_new(turn, &event.resource) {
            candidates.extend(nudge::hear(turn, event, event));
        }
    }
    // To what it may have stood in the way of it is as if it had been corrected.
    let corrected: Vec<Heard> = fills.iter().map(|event| Heard { line: Line::Updated, ..Heard::clone(event) }).collect();
    back::hear(turn, &corrected.iter().collect::<Vec<_>>());
    nudge::drop_pointless(turn, &heard::told_of(fills.into_iter()));
    for candidate in candidates {
        parted::look_again(turn, candidate);
    }
}

/// What dispenses supplied until now.
pub(super) fn supplied(turn: &Turn, events: &[&Heard]) -> Vec<Supply> {
    let rows = turn.supplies.rows().filter(|row| events.iter().any(|event| event.resource.id == row.dispense));
    rows.cloned().collect()
}

/// What was said or asked for of a fill is so of the same fill under the product that it is, where its rule is about that: nobody took
/// anything back, and what is due next goes on from there.
pub(super) fn carry_over(turn: &mut Turn, before: &[Supply]) {
    for row in before {
        let dispense = format!("MedicationDispense/{}", row.dispense);
        let now = turn.supplies.rows().find(|known| known.dispense == row.dispense).map(|known| known.product.clone());
        let Some((product, fact)) = now.filter(|now| *now != row.product).zip(turn.fact(&dispense)) else { continue };
        let is_of = |fill: &&Fill| fill.tellers().any(|id| id == row.dispense);
        let Some(fill) = turn.fills(&product).iter().find(is_of).cloned() else { continue };
        let rests = |said: &Decision| stands(said) && dispenses(&said.facts).any(|id| id == row.dispense);
        for said in fired(turn.decisions.of_product(&row.product), rests) {
            let action =
                turn.rules.plan(&said.rule).and_then(|plan| plan.step(overdue::watched(&said.step))).map(|(action, _)| action);
            if action.is_some_and(|action| is_matter(turn, action, fact, Some(&fill))) {
                let reason = String::from("The Medication that it names is known better now.");
                // Its own time, but behind what was decided of it before.
                let (episode, at) = (episode::of_fill(&product, fill.first), said.at + 1);
                turn.decide(Decision { episode, at, gate: because::COPY.to_owned(), reason, ..said });
            }
        }
    }
}

/// Whether a dispense that supplies something supplies another product by now, or for other days.
fn is_other_fill(turn: &Turn, dispense: &Resource) -> bool {
    let known = turn.supplies.rows().find(|row| row.dispense == dispense.id && row.version == dispense.version);
    let told = known.and_then(|_| supply::row(turn.rules, turn.story, dispense).ok());
    told.is_some_and(|told| known.is_some_and(|known| *known != told))
}

/// Whether a rule that is not about fills is about a fact, and nothing was decided or planned of it by such a rule.
fn is_new(turn: &Turn, fact: &Resource) -> bool {
    let subject = Subject::of(&fact.kind, &fact.value, turn.story);
    let about = turn.rules.about(subject).filter(|(_, action)| !action.is_of_fills());
    let about: Vec<&Plan> = about.map(|(plan, _)| plan).collect();
    let is_of_them = |rule: &str| about.iter().any(|plan| turn.is_of(rule, plan));
    let reference = fact.reference();
    let versions = format!("{reference}/_history/");
    let rests = |facts: &[String]| facts.iter().any(|fact| fact.starts_with(&versions));
    let waits = || turn.dues.values().any(|due| is_of_them(&due.rule) && due.detail().trigger == reference);
    let known = || turn.decisions.all().any(|known| is_of_them(&known.rule) && rests(&known.facts));
    !about.is_empty() && !waits() && !known()
}
