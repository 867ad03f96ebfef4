//! What a rule does for those it contacts, against those it held out by lot: how many came for a refill, and how well they are covered.
//! Follows <https://hl7.org/fhir/R4/measurereport.html>.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Value, json};

use super::adherence::{self, Window};
use super::cover::fills;
use super::intervals::{Estimate, Spread, mean, means_apart, share, shares_apart};
use super::zones;
use crate::fhir::time::instant;
use crate::ledger::{Arm, Supply};

/// The Measure that the report is of.
const MEASURE: &str = "https://signa.example/fhir/Measure/rule-effect";
const ROOT: &str = "https://signa.example/fhir/StructureDefinition/";
const FIGURES: &str = "https://signa.example/fhir/CodeSystem/rule-effect";
const POPULATION: &str = "http://terminology.hl7.org/CodeSystem/measure-population";

/// What was asked.
#[derive(Debug, Clone)]
pub struct Trial {
    /// `PlanDefinition` by its url.
    pub rule: String,
    /// First day on which somebody was contacted or held out.
    pub from: Date,
    /// The last such day.
    pub to: Date,
    /// Days for which each is followed afterwards.
    pub days: i64,
    /// Today, in days since 1970.
    pub today: i64,
}

/// What is known so far; persons are taken in one by one, so that it stays small.
#[derive(Debug)]
pub struct Effect {
    trial: Trial,
    contacted: Part,
    held_out: Part,
}

/// One of the two parts.
#[derive(Debug, Default)]
struct Part {
    /// All who belong to it.
    all: u32,
    /// Those whose days are over.
    followed: u32,
    /// Those of them who came for a refill.
    refilled: u32,
    /// Proportion of days covered of those for whom it can be told.
    covered: Spread,
}

impl Effect {
    /// Of nobody yet.
    #[must_use]
    pub fn new(trial: Trial) -> Self {
        Self { trial, contacted: Part::default(), held_out: Part::default() }
    }

    /// The days of those who are asked for, in days since 1970.
    #[must_use]
    pub fn range(&self) -> (i64, i64) {
        (zones::number(self.trial.from), zones::number(self.trial.to))
    }

    /// Takes a person in, with all that was handed over to them.
    pub fn take(&mut self, arm: &Arm, supplies: &[Supply]) {
        let part = if arm.is_contacted { &mut self.contacted } else { &mut self.held_out };
        part.all += 1;
        let end = arm.day + self.trial.days;
        if end >= self.trial.today {
            return;
        }
        part.followed += 1;
        let mut products: BTreeMap<&str, Vec<&Supply>> = BTreeMap::new();
        for row in supplies.iter().filter(|row| arm.product.is_empty() || row.product == arm.product) {
            products.entry(&row.product).or_default().push(row);
        }
        let fills: Vec<_> = products.values().map(|rows| fills(rows)).collect();
        part.refilled += u32::from(fills.iter().flatten().any(|fill| fill.handed > arm.since && fill.handed <= end));
        let window = Window { from: arm.day + 1, to: end, ..Window::default() };
        if let Some(pdc) = adherence::covered_by_any(&fills, &window) {
            part.covered.add(pdc.value());
        }
    }

    /// The report.
    #[must_use]
    pub fn report(&self, now: i64) -> Value {
        let trial = &self.trial;
        let refill = |part: &Part| share(part.refilled, part.followed);
        let refills = apart(refill(&self.contacted), refill(&self.held_out));
        let covered = means_apart(&self.contacted.covered, &self.held_out.covered);
        json!({
            "resourceType": "MeasureReport",
            "extension": [
                {"url": format!("{ROOT}effect-rule"), "valueCanonical": trial.rule},
                {"url": format!("{ROOT}effect-days"), "valueInteger": trial.days},
            ],
            "status": "complete",
            "type": "summary",
            "measure": MEASURE,
            "date": instant(now),
            "period": {"start": trial.from.to_string(), "end": trial.to.to_string()},
            "improvementNotation": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/measure-improvement-notation", "code": "increase"}]},
            "group": [
                self.group("refill-rate", "Refill rate", refills, |part| (part.followed, Some(part.refilled), refill(part))),
                self.group("mean-pdc", "Mean proportion of days covered", covered, |part| (part.covered.count, None, mean(&part.covered))),
            ],
        })
    }

    /// One figure of both parts; the difference is that of the contacted less that of the held-out.
    fn group(
        &self,
        code: &str,
        display: &str,
        difference: Option<Estimate>,
        of: impl Fn(&Part) -> (u32, Option<u32>, Option<Estimate>),
    ) -> Value {
        let stratum = |code: &str, display: &str, part: &Part| {
            let (counted, met, estimate) = of(part);
            let mut populations = vec![population("initial-population", part.all), population("denominator", counted)];
            populations.extend(met.map(|met| population("numerator", met)));
            let mut stratum = json!({"value": concept(code, display), "population": populations});
            if let Some(estimate) = estimate {
                stratum["extension"] = json!([interval("effect-interval", estimate)]);
                stratum["measureScore"] = json!({"value": decimal(estimate.value)});
            }
            stratum
        };
        let mut group = json!({
            "code": concept(code, display),
            "stratifier": [{"code": [concept("arm", "Contacted or held out")], "stratum": [
                stratum("contacted", "Contacted", &self.contacted),
                stratum("held-out", "Held out", &self.held_out),
            ]}],
        });
        if let Some(difference) = difference {
            group["extension"] = json!([interval("effect-difference", difference)]);
        }
        group
    }
}

fn apart(one: Option<Estimate>, other: Option<Estimate>) -> Option<Estimate> {
    Some(shares_apart(one?, other?))
}

fn concept(code: &str, display: &str) -> Value {
    json!({"coding": [{"system": FIGURES, "code": code, "display": display}]})
}

fn population(code: &str, count: u32) -> Value {
    json!({"code": {"coding": [{"system": POPULATION, "code": code}]}, "count": count})
}

/// A figure with the bounds between which it lies with 95 % confidence.
fn interval(name: &str, estimate: Estimate) -> Value {
    let part = |name: &str, value: f64| json!({"url": name, "valueDecimal": decimal(value)});
    json!({"url": format!("{ROOT}{name}"), "extension": [
        part("value", estimate.value), part("low", estimate.low), part("high", estimate.high), part("confidence", 0.95),
    ]})
}

/// With six decimals at most.
fn decimal(value: f64) -> Value {
    json!((value * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::ledger::Person;

    fn arm(person: i64, is_contacted: bool, product: &str) -> Arm {
        let day = zones::number(date(2026, 1, 27));
        let (rule, episode, product) = (String::from("r"), String::new(), product.to_owned());
        Arm { person: Person(person), rule, episode, is_contacted, day, since: day - 1, product }
    }

    fn supply(at: usize, product: &str, handed: Date, days: i64) -> Supply {
        Supply {
            person: Person(1),
            product: product.to_owned(),
            dispense: format!("d{at}"),
            version: 1,
            fact: 0,
            source: String::from("pharmacy"),
            handed: zones::number(handed),
            days,
            step: String::from("daysSupply"),
            quantity: String::new(),
        }
    }

    fn effect(today: Date) -> Effect {
        let (from, to) = (date(2026, 1, 1), date(2026, 1, 31));
        Effect::new(Trial { rule: String::from("r"), from, to, days: 30, today: zones::number(today) })
    }

    // Reminded on 27 January with 30 days from 1 January in hand, so covered for 3 of the 30 days after it unless they come again.
    #[test]
    fn who_came_again_counts_and_so_do_the_days_covered() {
        let mut effect = effect(date(2026, 3, 1));
        let first = supply(1, "p", date(2026, 1, 1), 30);
        let again = |day: Date| vec![first.clone(), supply(2, "p", day, 30)];
        effect.take(&arm(1, true, "p"), &again(date(2026, 1, 31)));
        effect.take(&arm(2, true, "p"), &again(date(2026, 2, 27)));
        effect.take(&arm(3, false, "p"), std::slice::from_ref(&first));
        effect.take(&arm(4, false, "p"), &[first.clone(), supply(2, "q", date(2026, 2, 1), 30)]);
        effect.take(&arm(5, false, "p"), &[supply(1, "p", date(2026, 1, 1), 0)]);
        assert_eq!((effect.contacted.followed, effect.contacted.refilled), (2, 1));
        assert_eq!((effect.held_out.followed, effect.held_out.refilled, effect.held_out.covered.count), (3, 0, 2));
        let report = effect.report(0);
        let score = |group: usize, stratum: usize| {
            report["group"][group]["stratifier"][0]["stratum"][stratum]["measureScore"]["value"].clone()
        };
        // 28 January to 26 February: 30 days of 30 for the first, 3 for each other.
        assert_eq!((score(0, 0), score(0, 1), score(1, 0), score(1, 1)), (json!(0.5), json!(0.0), json!(0.55), json!(0.1)));
        assert_eq!(report["group"][1]["extension"][0]["extension"][0]["valueDecimal"], json!(0.45));
    }

    #[test]
    fn who_was_not_followed_to_the_end_waits_and_any_product_counts_where_none_is_named() {
        let mut early = effect(date(2026, 2, 26));
        early.take(&arm(1, true, "p"), &[]);
        assert_eq!((early.contacted.all, early.contacted.followed), (1, 0));
        assert!(early.report(0)["group"][0]["stratifier"][0]["stratum"][0].get("measureScore").is_none());
        let mut any = effect(date(2026, 2, 27));
        any.take(&arm(1, true, ""), &[supply(1, "p", date(2026, 1, 27), 10), supply(2, "q", date(2026, 1, 30), 10)]);
        assert_eq!((any.contacted.refilled, any.contacted.covered.count), (1, 1));
        // 28 January to 8 February, each day once.
        assert_eq!(mean(&any.contacted.covered), None);
        assert!((any.contacted.covered.mean - 12.0 / 30.0).abs() < 1e-9);
    }
}
