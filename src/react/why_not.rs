//! Why something was not said: for every rule what came of it, the first thing that stood against it, what would change that, and
//! when it is looked at next. Rules that never had a candidate are asked about the person as they are now.
//! Follows <https://hl7.org/fhir/R4/parameters.html>.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::activity::Act;
use super::decide::{because, is_settled};
use super::detail::{Detail, Planned};
use super::follow;
use super::gates::{self, GATES, Verdict};
use super::plan::{Action, Anchor, Edge, Plan, Step, Subject};
use super::turn::{Candidate, Turn};
use super::why::{facts, parts, planned_parts};
use super::{Resource, Rules, Story, Wants, products, supply, why_called};
use crate::fhir::time::instant;
use crate::ledger::{Decision, Due, How, Outcome};

/// The most that is told of one step.
const OPEN_MAX: usize = 20;

/// The gates that name what stood against a rule before anything was decided.
pub(super) mod before {
    /// Nothing is recorded that sets the rule off.
    pub(in crate::react) const TRIGGER: &str = "trigger";
    /// What would set it off was imported.
    pub(in crate::react) const IMPORT: &str = "import";
    /// The rule begins nothing today: it has a time of its own.
    pub(in crate::react) const PERIOD: &str = "period";
    /// Nothing stands against it, only nothing happened.
    pub(in crate::react) const EVENT: &str = "event";
    /// Nothing stands against it, only its day has not come.
    pub(in crate::react) const CALENDAR: &str = "calendar";
    /// Nothing stands against it, only the step that it comes after has not come.
    pub(in crate::react) const STEP: &str = "step";
}

/// What must be loaded to be asked why not.
#[must_use]
pub fn wants(rules: &Rules, plan: Option<&str>) -> Wants {
    let mut wants = Wants { supplies: true, ..Wants::default() };
    let gated = ["Patient", "RelatedPerson", "Consent", "AllergyIntolerance", "MedicationRequest", "MedicationDispense"];
    wants.kinds.extend(gated.map(str::to_owned));
    for plan in rules.plans.iter().filter(|known| is_asked(known, plan)) {
        for action in &plan.actions {
            wants.kinds.extend(action.triggers.iter().map(|trigger| trigger.kind.clone()));
            wants.kinds.extend(action.kinds().map(str::to_owned));
        }
    }
    wants.kinds.sort();
    wants.kinds.dedup();
    wants
}

/// Why the rules, or this one, did not speak. `None` when no rule of this name runs, and nothing was decided of one that did.
#[must_use]
pub fn why_not(rules: &Rules, story: &Story, plan: Option<&str>) -> Option<Value> {
    let turn = Turn::new(rules, story);
    let running = rules.plans.iter().filter(|known| rules.urls.contains_key(&known.url));
    let asked: Vec<&Plan> = running.filter(|known| is_asked(known, plan)).collect();
    if let Some(name) = plan.filter(|_| asked.is_empty()) {
        return of_gone(&turn, name);
    }
    let found: Vec<Value> = asked.iter().flat_map(|plan| of_plan(&turn, plan)).collect();
    let sentence = match found.len() {
        0 => String::from("No rule runs that could have spoken."),
        1 => String::from("One step was looked at."),
        count => format!("{count} steps were looked at."),
    };
    let mut parameter = vec![json!({"name": "sentence", "valueString": sentence})];
    parameter.extend(found);
    Some(json!({"resourceType": "Parameters", "parameter": parameter}))
}

/// What is still planned of a rule that runs no longer, and what was decided last of its other steps.
fn of_gone(turn: &Turn, asked: &str) -> Option<Value> {
    let is_its = |rule: &str| rule.split_once('|').is_some_and(|(url, version)| is_called(url, version, asked));
    let open = turn.dues_where(|due| is_its(&due.rule));
    let mut last: BTreeMap<&str, &Decision> = BTreeMap::new();
    let order = |decision: &Decision| (decision.at, decision.outcome == Outcome::Fired);
    let is_open = |decision: &Decision| open.iter().any(|due| due.step == decision.step);
    for decision in turn.decisions.values().filter(|decision| is_its(&decision.rule) && !is_open(decision)) {
        let known = last.entry(&decision.step).or_insert(decision);
        if order(decision) > order(known) {
            *known = decision;
        }
    }
    let mut told = Vec::new();
    if !open.is_empty() {
        told.push(format!("{} still planned, and taken back when the time comes", steps(open.len(), "is", "are")));
    }
    if !last.is_empty() {
        told.push(format!("this was decided of {}", steps(last.len(), "", "")));
    }
    if told.is_empty() {
        return None;
    }
    let sentence = format!("The rule runs no longer; {}.", told.join("; "));
    let open = open.iter().take(OPEN_MAX).map(of_left);
    let told = open.chain(last.into_values().map(|decision| of_decision(decision, None, None)));
    let told = told.map(|part| json!({"name": "rule", "part": part}));
    let parameter: Vec<Value> = [json!({"name": "sentence", "valueString": sentence})].into_iter().chain(told).collect();
    Some(json!({"resourceType": "Parameters", "parameter": parameter}))
}

/// So many steps, and what they do.
fn steps(count: usize, one: &str, several: &str) -> String {
    if count == 1 { format!("one step {one}") } else { format!("{count} steps {several}") }.trim_end().to_owned()
}

/// What is open of a rule that runs no longer: it is taken back at its time, whatever held it.
fn of_left(due: &Planned) -> Vec<Value> {
    let reason = "The rule runs no longer: the step is taken back when its time comes.";
    let sentence = format!("Planned for {}: step {} of rule {}, which runs no longer.", instant(due.due), due.step, due.rule);
    let mut all = vec![json!({"name": "outcome", "valueCode": "planned"})];
    all.extend(planned_parts(due));
    all.push(json!({"name": "gate", "valueCode": because::RULE}));
    all.push(json!({"name": "reason", "valueString": reason}));
    all.push(json!({"name": "change", "valueString": mends(because::RULE)}));
    all.push(json!({"name": "sentence", "valueString": sentence}));
    all
}

/// Whether a rule is asked about: without a name all that run, of one that is named its newest version unless it names another.
fn is_asked(plan: &Plan, asked: Option<&str>) -> bool {
    let is_newest = plan.until == i64::MAX;
    asked.map_or(is_newest, |asked| is_named(plan, asked) && (is_newest || asked.contains('|')))
}

/// A rule is named by its canonical, with or without version, or by the last part of it.
pub(super) fn is_named(plan: &Plan, asked: &str) -> bool {
    is_called(&plan.url, &plan.version, asked)
}

fn is_called(own: &str, own_version: &str, asked: &str) -> bool {
    let (url, version) = asked.split_once('|').unwrap_or((asked, ""));
    let is_url = own == url || own.rsplit('/').next() == Some(url.strip_prefix("PlanDefinition/").unwrap_or(url));
    is_url && (version.is_empty() || own_version == version)
}

/// One parameter for each step of a rule, or for each that is open of it.
fn of_plan(turn: &Turn, plan: &Plan) -> Vec<Value> {
    let steps = plan.actions.iter().flat_map(|action| action.steps.iter().map(move |step| (action, step)));
    let told = steps.flat_map(|(action, step)| of_step(turn, plan, action, step));
    told.map(|part| json!({"name": "rule", "part": part})).collect()
}

/// What is open of a step; where nothing is, what came of it last, or what stands against it.
fn of_step(turn: &Turn, plan: &Plan, action: &Action, step: &Step) -> Vec<Vec<Value>> {
    // What waits says more than what came of the ones before.
    let open = turn.dues_where(|due| due.step == step.id && turn.is_of(&due.rule, plan));
    if !open.is_empty() {
        return open.iter().take(OPEN_MAX).map(|due| of_open(turn, due)).collect();
    }
    let Some(last) = last_of(turn, plan, step) else { return vec![of_nothing(turn, plan, action, step)] };
    let mut told = of_decision(last, Some(action), None);
    let next = action.call.as_ref().and_then(|caller| why_called::next(turn, plan, caller));
    told.extend(next.map(|next| json!({"name": "next", "valueInstant": instant(next)})));
    vec![told]
}

/// What was decided last of a step; of several fills that were heard of together, that of the last.
fn last_of<'t>(turn: &'t Turn, plan: &Plan, step: &Step) -> Option<&'t Decision> {
    fn order(decision: &Decision) -> (i64, bool, Option<&str>) {
        (decision.at, decision.outcome == Outcome::Fired, decision.episode.rsplit('|').next())
    }
    let decided = turn.decisions.values().filter(|decision| decision.step == step.id && turn.is_of(&decision.rule, plan));
    decided.max_by(|one, other| order(one).cmp(&order(other)))
}

/// What holds what is open, else when its day is: what was decided before it was planned anew is over.
fn of_open(turn: &Turn, due: &Planned) -> Vec<Value> {
    let last = turn.decisions.get(&due.output).filter(|last| last.outcome == Outcome::Held && due.detail().held);
    last.map_or_else(|| of_due(due, turn.story.now), |last| of_decision(last, None, Some(due)))
}

/// What was decided; with the action of which it is a step, where that runs.
fn of_decision(decision: &Decision, action: Option<&Action>, due: Option<&Due>) -> Vec<Value> {
    let mut all = parts(decision);
    if decision.outcome != Outcome::Fired {
        all.push(json!({"name": "change", "valueString": changes(decision, action)}));
    }
    all.extend(due.map(|due| json!({"name": "next", "valueInstant": instant(due.due)})));
    all
}

fn of_due(due: &Due, now: i64) -> Vec<Value> {
    let (when, reason) = if due.due > now {
        ("has its day later", "Its day has not come.")
    } else {
        ("is looked at now", "Its time has just come.")
    };
    let sentence = format!("Planned for {}: step {} of rule {} {when}.", instant(due.due), due.step, due.rule);
    let mut all = vec![json!({"name": "outcome", "valueCode": "planned"})];
    all.extend(planned_parts(due));
    all.push(json!({"name": "reason", "valueString": reason}));
    all.push(json!({"name": "change", "valueString": "Time: it is looked at then."}));
    all.push(json!({"name": "sentence", "valueString": sentence}));
    all
}

/// What stands against a step of which nothing was ever decided.
pub(super) struct Against {
    pub(super) gate: String,
    pub(super) reason: String,
    pub(super) change: String,
    pub(super) facts: Vec<String>,
    pub(super) next: Option<i64>,
}

fn of_nothing(turn: &Turn, plan: &Plan, action: &Action, step: &Step) -> Vec<Value> {
    let against = match &action.call {
        Some(caller) => why_called::against(turn, plan, action, step, caller),
        None => against(turn, plan, action, step),
    };
    let mut all = vec![
        json!({"name": "outcome", "valueCode": "none"}),
        json!({"name": "rule", "valueCanonical": plan.canonical()}),
        json!({"name": "step", "valueString": step.id}),
        json!({"name": "gate", "valueCode": against.gate}),
        json!({"name": "reason", "valueString": against.reason}),
        json!({"name": "change", "valueString": against.change}),
    ];
    all.extend(facts(&against.facts));
    all.extend(against.next.map(|next| json!({"name": "next", "valueInstant": instant(next)})));
    let sentence = format!("Never a candidate: step {} of rule {}. {}", step.id, plan.canonical(), against.reason);
    all.push(json!({"name": "sentence", "valueString": sentence}));
    all
}

fn against(turn: &Turn, plan: &Plan, action: &Action, step: &Step) -> Against {
    let rules = turn.rules;
    let suits = |resource: &&Resource| {
        let subject = Subject::of(&resource.kind, &resource.value, turn.story);
        !resource.deleted && action.is_about(&rules.concepts, &rules.products, subject)
    };
    // What was learned in person says more than what was imported, and what is newer more than what is older.
    let newest = turn.story.resources.iter().filter(suits).max_by_key(|one| (one.how != How::Import, one.learned, &one.id));
    let Some(newest) = newest else { return unheard(action) };
    let found = |gate: &str, reason: String, change: String| Against {
        gate: gate.to_owned(),
        reason,
        change,
        facts: vec![newest.versioned()],
        next: None,
    };
    if let Some((gate, reason, change)) = unheeded(turn, plan, action, newest) {
        return found(gate, reason, change);
    }
    let mut fill = None;
    let mut product = String::new();
    if newest.kind == "MedicationDispense" && action.is_of_fills() {
        match supply::row(rules, turn.story, newest) {
            Ok(row) => {
                fill = turn.fills(&row.product).iter().find(|fill| fill.tellers().any(|id| id == newest.id)).cloned();
                product = row.product;
            }
            Err(why) => {
                let gate = if why == supply::Nothing::Reversed { because::REVERSED } else { because::SUPPLY };
                return found(gate, why.reason().to_owned(), mends(gate));
            }
        }
    }
    let ask = turn.ask_about(&newest.value, fill.as_ref());
    let mut conditions = action.conditions.iter().chain(&step.conditions).chain(&step.starts);
    if let Some(broken) = conditions.find(|condition| !condition.holds(&ask)) {
        let reason = format!("A condition of the rule does not hold: {}", broken.text());
        return found(because::CONDITION, reason, mends(because::CONDITION));
    }
    if let Some((gate, reason, change)) = untimed(turn, plan, action, step, newest) {
        return found(gate, reason, change);
    }
    let detail = Detail {
        trigger: newest.reference(),
        needed: if newest.kind == "MedicationDispense" { products::needed(&newest.value) } else { Vec::new() },
        product,
        first: fill.as_ref().map_or(0, |fill| fill.first),
        planned: turn.story.now,
        until: turn.story.now + step.window(),
        facts: [newest.versioned()].into(),
        held: false,
        heard: 0,
        prepared: false,
        uncertain: false,
    };
    let output = turn.output(plan, &step.id, &newest.reference());
    let candidate = Candidate { plan, step, episode: newest.reference(), output, trigger: Some(newest), fill, detail };
    match gates::ask(turn, &candidate) {
        (gate, Verdict::Stop(why)) => found(gate, why.into_owned(), mends(gate)),
        (gate, Verdict::Hold(until, why)) => Against { next: Some(until), ..found(gate, why.into_owned(), mends(gate)) },
        (_, Verdict::Pass) => {
            let reason =
                "Nothing stands against it; what is known was recorded before the rule, or in a way that it does not listen to.";
            let change = "The next fact of this kind sets it off.";
            found(before::EVENT, reason.to_owned(), change.to_owned())
        }
    }
}

/// Why a rule does not heed a fact, whatever that says.
fn unheeded(turn: &Turn, plan: &Plan, action: &Action, fact: &Resource) -> Option<(&'static str, String, String)> {
    if fact.how == How::Import {
        let reason = "What would set it off was imported, and nothing is said of what was imported.";
        let change = "The same fact sent by its source as it happens, or an import that is asked to react.";
        return Some((before::IMPORT, reason.to_owned(), change.to_owned()));
    }
    if let Some((reason, change)) = out_of_time(plan, turn) {
        return Some((before::PERIOD, reason, change));
    }
    let reason = "It listens to what is removed, and nothing of the kind was.";
    let change = "A removal of such a fact.";
    action.is_of_removals(&fact.kind).then(|| (before::EVENT, reason.to_owned(), change.to_owned()))
}

/// Why a step has no time though nothing stands against it: what it comes after has not come, or nobody said when that was.
fn untimed(turn: &Turn, plan: &Plan, action: &Action, step: &Step, fact: &Resource) -> Option<(&'static str, String, String)> {
    let (at, edge) = match step.anchor {
        Anchor::Step(at, edge, _) => (at, edge),
        Anchor::End(_) if !action.is_of_fills() && !follow::has_end(&fact.value) => {
            return Some((because::UNDATED, follow::undated(fact), mends(because::UNDATED)));
        }
        Anchor::AtOnce | Anchor::Start(_) | Anchor::End(_) => return None,
    };
    let before = action.steps.get(at)?;
    let how = match last_of(turn, plan, before) {
        None => String::from("which has not come"),
        Some(last) if last.outcome != Outcome::Fired => format!("which was {}: {}", last.outcome.word(), last.reason),
        Some(_) if edge == Edge::End && before.activity.act == Act::Work => String::from("which was asked for and is not done"),
        Some(_) => return None,
    };
    let reason = format!("It comes after step {}, {how}", before.id);
    let reason = if reason.ends_with('.') { reason } else { format!("{reason}.") };
    Some((before::STEP, reason, format!("What lets step {} come.", before.id)))
}

/// Why a rule begins nothing now, and what would change that, where it has a time of its own.
pub(super) fn out_of_time(plan: &Plan, turn: &Turn) -> Option<(String, String)> {
    let zone = supply::store(turn.story, &Value::Null).zone;
    let time = plan.time.filter(|_| !plan.begins_at(turn.story.now, &zone))?;
    let edge = |word: &str, day: Option<jiff::civil::Date>| day.map(|day| format!(" {word} {day}")).unwrap_or_default();
    let days = format!("{}{}", edge("from", time.from), edge("until", time.until));
    let change = String::from("A day within its time, or another effectivePeriod in a new version of the rule.");
    Some((format!("The rule begins nothing today: its effectivePeriod is{days}."), change))
}

/// Nothing of what the rule listens to is recorded.
fn unheard(action: &Action) -> Against {
    let wanted = all_wanted(action);
    Against {
        gate: before::TRIGGER.to_owned(),
        reason: format!("Nothing is recorded that sets it off; it listens to {wanted}."),
        change: format!("Such a fact: {wanted}."),
        facts: Vec::new(),
        next: None,
    }
}

/// What an action listens to, in words; what may happen to the same is said once.
pub(super) fn all_wanted(action: &Action) -> String {
    let mut all: Vec<String> = Vec::new();
    for wanted in action.triggers.iter().map(wanted) {
        if !all.contains(&wanted) {
            all.push(wanted);
        }
    }
    all.join(", or ")
}

/// What a trigger listens to, in words.
fn wanted(trigger: &super::plan::Trigger) -> String {
    let filters = trigger.filters.iter().map(|filter| match (&filter.group, filter.codes.first()) {
        (Some(group), _) => format!("{} in {group}", filter.path),
        (None, Some((system, code))) => format!("{} {system}|{code}", filter.path),
        (None, None) => filter.path.clone(),
    });
    let filters: Vec<String> = filters.collect();
    if filters.is_empty() { trigger.kind.clone() } else { format!("{} with {}", trigger.kind, filters.join(" and ")) }
}

/// What would change a decision. What is held is asked again as soon as its gate gets what it wants; what was stopped for something
/// about the person is over for this time, unless what set it off is corrected; and what was recorded and ended is over in any case.
fn changes(decision: &Decision, action: Option<&Action>) -> String {
    let mends = mends(&decision.gate);
    if decision.outcome == Outcome::Held || mends.starts_with("Nothing") {
        return mends;
    }
    if is_settled(decision) {
        return format!("Nothing for this time, which is ended. For the next time: {mends}");
    }
    if !OF_PERSON.contains(&decision.gate.as_str()) {
        return mends;
    }
    if action.is_some_and(Action::hears_corrections) {
        return format!(
            "What set it off, corrected while there is time for it, is asked about again. Then, and for the next time: {mends}"
        );
    }
    format!("Nothing for this time. For the next time: {mends}")
}

/// Gates that ask something of the person, and nothing of what set a rule off.
const OF_PERSON: [&str; 6] = ["alive", "identity", "stop", "consent", "allergy", "reachable"];

/// What would change what a gate says.
pub(super) fn mends(gate: &str) -> String {
    if let Some(gate) = GATES.iter().find(|known| known.name == gate) {
        return gate.mends.to_owned();
    }
    let words = match gate {
        because::MOVED => "Nothing: the step is counted from the later fill, or the other day, now.",
        because::REVERSED => "A fact that stands in the place of the one that was taken back.",
        because::LEFT => "A fact that is about this person.",
        because::CONDITION => "Facts for which the condition holds.",
        because::SUPPLY => {
            "A day handed over and days of supply that can be known: daysSupply, the order's duration, or quantity and dose."
        }
        because::UNDATED => "The same fact with the day on which it ended.",
        because::POINTLESS => "Facts for which what makes it pointless does not hold.",
        because::HELD_OUT => "A plan-holdout of 0, or another plan-holdout-salt, in a new version of the rule.",
        because::TWICE => "Nothing: the same was asked for already.",
        because::RULE => "A rule that runs again.",
        because::TAKEN => "Nothing: somebody else has seen to it.",
        because::ON_HOLD => "Its CommunicationRequest active again.",
        "fault" => "The operator finds the fault in the log; it is tried again, or the fact must be sent again.",
        _ => "New facts about the person.",
    };
    words.to_owned()
}
