//! Adherence as a MeasureReport: a group for each product group, every figure named by its definition.
//! Follows <https://hl7.org/fhir/R4/measurereport.html>.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::adherence::{self, Figures, Ratio, Window};
use super::cover::Fill;
use super::facts::ingredients;
use super::json::{each, text};
use super::refills;
use super::supply::{self, Nothing, written};
use super::{Resource, Rules, Story, products, zones};
use crate::fhir::outcome::Issue;
use crate::fhir::time::{Moment, instant};
use crate::ledger::Supply;

/// The Measure that the report is of.
const MEASURE: &str = "https://signa.example/fhir/Measure/adherence";
const ROOT: &str = "https://signa.example/fhir/StructureDefinition/";
const PRODUCTS: &str = "https://signa.example/fhir/CodeSystem/product-group";
const INGREDIENTS: &str = "https://signa.example/fhir/CodeSystem/ingredient";
/// Who is covered on so many of a hundred days counts as adherent.
const ADHERENT_PERCENT: i64 = 80;
/// The days of fills that CMS and PQA want before they count anybody.
const FILLS_MIN: usize = 2;

/// What was asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// First day of the window.
    pub from: Date,
    /// Last day of the window.
    pub to: Date,
    /// Products, by system (where one was named) and code; none means all.
    pub codes: Vec<(Option<String>, String)>,
    /// A ValueSet: all products in it are counted as one.
    pub class: Option<String>,
    /// Whether the days are counted from the first fill of the window, and end with the person's death.
    pub treatment: bool,
    /// Whether days in hospital come out.
    pub away: bool,
}

/// All that is needed to answer.
struct Known<'a> {
    rules: &'a Rules,
    story: &'a Story,
    question: &'a Question,
    window: Window,
    /// By dispense id.
    dispenses: BTreeMap<&'a str, &'a Resource>,
}

/// The report on a person; the story must hold supplies, Patient, MedicationDispense, MedicationRequest and Encounter resources.
pub fn adherence(rules: &Rules, story: &Story, patient: &str, question: &Question) -> Result<Value, Issue> {
    if let Some(class) = question.class.as_ref().filter(|class| !rules.concepts.knows(class)) {
        let words = format!("No ValueSet {class} is known here; ask by code, or name one that is.");
        return Err(Issue::error("not-found", "unknown-value-set", "http.class", words));
    }
    let mut window = Window { from: zones::number(question.from), to: zones::number(question.to), away: BTreeSet::new() };
    if question.away {
        window.away = story.current("Encounter").flat_map(|stay| stayed(&stay.value, &window)).collect();
    }
    let dispenses = story.resources.iter().filter(|resource| resource.kind == "MedicationDispense");
    let dispenses = dispenses.map(|dispense| (dispense.id.as_str(), dispense)).collect();
    let known = Known { rules, story, question, window, dispenses };
    let groups: Vec<(&str, &[Fill])> = story.supplies.by_product().collect();
    let (shown, used) = match &question.class {
        Some(class) => known.class(class, &groups),
        None => known.each(&groups),
    };
    Ok(known.report(patient, shown, &used))
}

impl Known<'_> {
    fn report(&self, patient: &str, groups: Vec<Value>, used: &BTreeSet<&str>) -> Value {
        let mut rows: Vec<&Supply> = self.story.supplies.rows().filter(|row| used.contains(row.dispense.as_str())).collect();
        rows.sort_by(|a, b| (a.handed, &a.dispense).cmp(&(b.handed, &b.dispense)));
        let evaluated: Vec<Value> = rows.iter().map(|row| json!({"reference": versioned(row)})).collect();
        let mut report = json!({
            "resourceType": "MeasureReport",
            "status": "complete",
            "type": "individual",
            "measure": MEASURE,
            "subject": {"reference": patient},
            "date": instant(self.story.now),
            "period": {"start": self.question.from.to_string(), "end": self.question.to.to_string()},
            "improvementNotation": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/measure-improvement-notation", "code": "increase"}]},
        });
        let passed = self.passed_over();
        for (name, list) in [("extension", passed), ("group", groups), ("evaluatedResource", evaluated)] {
            if !list.is_empty() {
                report[name] = list.into();
            }
        }
        report
    }

    /// A group for each product that was asked for, or that the window has to do with.
    fn each<'g>(&self, groups: &[(&str, &'g [Fill])]) -> (Vec<Value>, BTreeSet<&'g str>) {
        let (mut shown, mut used) = (Vec::new(), BTreeSet::new());
        for (product, fills) in groups {
            let covered = adherence::covered(fills, &self.window.away);
            let meant = if self.question.codes.is_empty() {
                adherence::reaches(&covered, fills, &self.window)
            } else {
                self.is_asked(product, fills) && fills.iter().any(|fill| fill.handed <= self.window.to)
            };
            if meant {
                let window = self.treated(fills);
                shown.push(self.group(product, fills, &window));
                used.extend(fills.iter().flat_map(|fill| &fill.dispenses).map(String::as_str));
            }
        }
        (shown, used)
    }

    /// One group over all products of a class: a day is covered when any of them is in hand.
    fn class<'g>(&self, class: &str, groups: &[(&str, &'g [Fill])]) -> (Vec<Value>, BTreeSet<&'g str>) {
        let concepts = &self.rules.concepts;
        // A class of ingredients holds all products that are made of one of them.
        let is_in = |product: &str, fills: &[Fill]| {
            self.named(fills).iter().any(|concept| concepts.matches(class, concept))
                || ingredients(product).iter().any(|ingredient| concepts.holds(class, INGREDIENTS, ingredient))
        };
        let members: Vec<&'g [Fill]> =
            groups.iter().filter(|(product, fills)| is_in(product, fills)).map(|(_, fills)| *fills).collect();
        let mut all: Vec<Fill> = members.iter().flat_map(|fills| fills.iter().cloned()).collect();
        all.sort_by_key(|fill| fill.handed);
        let window = self.treated(&all);
        let covered = adherence::any_of(&members, &window.away);
        let figures = Figures {
            pdc: adherence::covered_by_any(&members, &window),
            mpr: None,
            mpr_to_end: None,
            ..adherence::figures(&all, &window)
        };
        let figures = Figures { runs_out: covered.last(), ..figures };
        let code = json!({"coding": [{"system": PRODUCTS, "code": format!("class|{class}")}], "text": class});
        let group = group(&code, &figures, &window, Vec::new());
        (vec![group], members.into_iter().flatten().flat_map(|fill| &fill.dispenses).map(String::as_str).collect())
    }

    fn group(&self, product: &str, fills: &[Fill], window: &Window) -> Value {
        let figures = adherence::figures(fills, window);
        let mut more = self.refills(product, fills);
        let guessed = fills.iter().filter(|fill| !adherence::is_counted(fill)).flat_map(|fill| &fill.dispenses);
        let rows = guessed.filter_map(|id| self.story.supplies.rows().find(|row| row.dispense == *id));
        more.extend(rows.map(|row| not_counted(&versioned(row), "The days of supply are not known.")));
        group(&self.code(product, fills), &figures, window, more)
    }

    /// The window as it is counted for these fills.
    fn treated(&self, fills: &[Fill]) -> Window {
        let mut window = self.window.clone();
        if self.question.treatment {
            let first = fills.iter().map(|fill| fill.handed).filter(|day| (window.from..=window.to).contains(day)).min();
            window.from = first.unwrap_or(window.from);
            let died = self.story.current("Patient").filter_map(|patient| text(&patient.value, "deceasedDateTime"));
            let died = died.filter_map(Moment::parse).map(|moment| zones::number(moment.day())).min();
            window.to = died.map_or(window.to, |died| died.min(window.to)).max(window.from);
        }
        window
    }

    /// The medications of these fills, as they were named.
    fn named(&self, fills: &[Fill]) -> Vec<&Value> {
        let ids = fills.iter().flat_map(|fill| &fill.dispenses);
        let known = ids.filter_map(|id| self.dispenses.get(id.as_str()));
        known.filter_map(|dispense| products::concept(&dispense.value, self.story)).collect()
    }

    fn is_asked(&self, product: &str, fills: &[Fill]) -> bool {
        let named = self.named(fills);
        self.question.codes.iter().any(|(system, code)| {
            let asked = json!({"medicationCodeableConcept": {"coding": [{"system": system.as_deref().unwrap_or_default(), "code": code}]}});
            let same = |coding: &Value| {
                let own = self.rules.concepts.canonical(text(coding, "system").unwrap_or_default());
                let agrees = system.as_deref().is_none_or(|system| self.rules.concepts.canonical(system) == own);
                agrees && text(coding, "code") == Some(code)
            };
            self.rules.products.group(&self.rules.concepts, &asked, self.story).as_deref() == Some(product)
                || product == code.as_str()
                || (system.as_deref().is_none_or(|system| system == INGREDIENTS) && product == format!("ingredient|{code}"))
                || named.iter().any(|concept| each(concept, "coding").iter().any(same))
        })
    }

    /// What the group is called: by our own name for it, its ingredient, and as its last fill was coded.
    fn code(&self, product: &str, fills: &[Fill]) -> Value {
        let mut coding = vec![json!({"system": PRODUCTS, "code": product})];
        if let Some(ingredient) = product.strip_prefix("ingredient|") {
            coding.push(json!({"system": INGREDIENTS, "code": ingredient}));
        }
        let last = self.named(fills).last().copied();
        coding.extend(last.map(|last| each(last, "coding").to_vec()).unwrap_or_default());
        let spoken = last.and_then(|last| {
            text(last, "text").or_else(|| each(last, "coding").iter().find_map(|coding| text(coding, "display")))
        });
        let spoken = spoken.unwrap_or_else(|| product.rsplit('|').next().unwrap_or(product));
        json!({"coding": coding, "text": spoken})
    }

    /// What the newest order of the product still allows.
    fn refills(&self, product: &str, fills: &[Fill]) -> Vec<Value> {
        let is_of = |resource: &&Resource| {
            self.rules.products.group(&self.rules.concepts, &resource.value, self.story).as_deref() == Some(product)
        };
        let orders = self.story.current("MedicationRequest").filter(is_of);
        let Some(order) = orders.max_by_key(|order| (text(&order.value, "authoredOn"), order.learned)) else { return Vec::new() };
        let dispenses = refills::dispenses(self.rules, self.story, product, fills);
        let left = refills::left(self.rules, self.story, order, &dispenses);
        let mut parts = vec![json!({"url": "order", "valueReference": {"reference": order.versioned()}})];
        parts.extend(left.count.map(|count| json!({"url": "left", "valueInteger": count})));
        parts.extend(left.why.map(|why| json!({"url": "reason", "valueString": why})));
        vec![json!({"url": format!("{ROOT}refills-left"), "extension": parts})]
    }

    /// Completed dispenses that cannot be counted at all, with the reason.
    fn passed_over(&self) -> Vec<Value> {
        let current = self.dispenses.values().filter(|dispense| !dispense.deleted);
        let passed = current.filter_map(|dispense| match supply::row(self.rules, self.story, dispense) {
            Err(why @ (Nothing::NoDay | Nothing::NoProduct | Nothing::Contradicts)) => {
                Some(not_counted(&dispense.versioned(), why.reason()))
            }
            _ => None,
        });
        passed.collect()
    }
}

fn versioned(row: &Supply) -> String {
    format!("MedicationDispense/{}/_history/{}", row.dispense, row.version)
}

fn not_counted(reference: &str, why: &str) -> Value {
    json!({"url": format!("{ROOT}adherence-not-counted"), "extension": [
        {"url": "dispense", "valueReference": {"reference": reference}},
        {"url": "reason", "valueString": why},
    ]})
}

fn group(code: &Value, figures: &Figures, window: &Window, more: Vec<Value>) -> Value {
    let mut extension = Vec::new();
    let capped = figures.mpr.map(|mpr| Ratio { over: mpr.over.min(mpr.under), ..mpr });
    for (definition, ratio) in
        [("pdc", figures.pdc), ("mpr", figures.mpr), ("mpr-to-end", figures.mpr_to_end), ("mpr-capped", capped)]
    {
        extension.extend(ratio.map(|ratio| figure(definition, ratio)));
    }
    if let Some(pdc) = figures.pdc {
        let adherent = pdc.over * 100 >= pdc.under * ADHERENT_PERCENT;
        extension.push(json!({"url": format!("{ROOT}adherence-adherent"), "valueBoolean": adherent}));
    }
    let fills = i64::try_from(figures.fills).unwrap_or(i64::MAX);
    extension.push(json!({"url": format!("{ROOT}adherence-fills"), "valueInteger": fills}));
    extension.push(json!({"url": format!("{ROOT}adherence-eligible"), "valueBoolean": figures.fills >= FILLS_MIN}));
    if let Some(last) = figures.runs_out {
        extension.push(json!({"url": format!("{ROOT}supply-runs-out"), "valueDate": written(last)}));
    }
    extension.extend(more);
    let population = |code: &str, count: i64| json!({"code": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/measure-population", "code": code}]}, "count": count});
    let under = figures.pdc.map_or_else(|| adherence::days(window), |pdc| pdc.under);
    let mut population_list = vec![population("denominator", under)];
    population_list.extend(figures.pdc.map(|pdc| population("numerator", pdc.over)));
    let score = match figures.pdc {
        Some(pdc) => json!({"value": decimal(pdc), "unit": "1", "system": "http://unitsofmeasure.org", "code": "1"}),
        None => {
            json!({"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]})
        }
    };
    json!({"extension": extension, "code": code, "population": population_list, "measureScore": score})
}

/// One figure with the name of its definition and both its parts.
fn figure(definition: &str, ratio: Ratio) -> Value {
    json!({"url": format!("{ROOT}adherence-figure"), "extension": [
        {"url": "definition", "valueCode": definition},
        {"url": "numerator", "valueInteger": ratio.over},
        {"url": "denominator", "valueInteger": ratio.under},
        {"url": "value", "valueDecimal": decimal(ratio)},
    ]})
}

fn decimal(ratio: Ratio) -> Value {
    serde_json::from_str(&ratio.decimal()).unwrap_or_else(|_| Value::Object(Map::new()))
}

/// The days of the window that were spent in hospital: from the day of admission to the day of discharge.
fn stayed(encounter: &Value, window: &Window) -> Vec<i64> {
    let class = encounter.get("class").and_then(|class| text(class, "code"));
    let inpatient = matches!(class, Some("IMP" | "ACUTE" | "NONAC"));
    let happened = matches!(text(encounter, "status"), Some("finished" | "in-progress" | "onleave"));
    let day = |name| {
        let period = encounter.get("period")?;
        text(period, name).and_then(Moment::parse).map(|moment| zones::number(moment.day()))
    };
    let Some(first) = day("start").filter(|_| inpatient && happened) else { return Vec::new() };
    // A stay that goes on is not over when the window is; one beyond all measure is a slip of the pen.
    let last = day("end").unwrap_or(window.to).min(window.to);
    (first.max(window.from - STAY_DAYS_MAX)..=last).collect()
}

/// Days before the window of which a stay is still of interest: supply may reach so far.
const STAY_DAYS_MAX: i64 = 3_650;
