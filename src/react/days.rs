//! How many days a dispense lasts, from what it and its order say.
//! Follows <https://hl7.org/fhir/R4/medicationdispense-definitions.html#MedicationDispense.daysSupply>.

use serde_json::Value;

use super::json::{coded, each, number, text};

/// Days of supply, and which of the sources told them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Days {
    /// Whole days; 0 when unknown.
    pub(crate) count: i64,
    /// The source, as the supply row keeps it.
    pub(crate) step: &'static str,
}

/// The source of what nobody told.
pub(crate) const UNKNOWN: &str = "unknown";

/// No supply lasts longer; what says more is a slip of the pen.
const DAYS_MAX: i64 = 3_650;

/// The first source that tells: the dispense, its order if all of it was handed over, quantity and dose.
pub(crate) fn of(dispense: &Value, order: Option<&Value>, is_partial: bool) -> Days {
    let said = || dispense.get("daysSupply").and_then(duration).map(|count| Days { count, step: "daysSupply" });
    let ordered = || {
        let request = order?.get("dispenseRequest")?;
        let whole = !is_partial && same_quantity(dispense.get("quantity")?, request.get("quantity")?);
        let count = duration(request.get("expectedSupplyDuration")?).filter(|_| whole)?;
        Some(Days { count, step: "expectedSupplyDuration" })
    };
    let divided = || {
        let count = whole(amount(dispense.get("quantity")?)? / daily(dispense)?)?;
        Some(Days { count, step: "quantity and dose" })
    };
    said().or_else(ordered).or_else(divided).unwrap_or(Days { count: 0, step: UNKNOWN })
}

/// Whole days of a Duration, by its UCUM code; by its unit only where there is no code. Not a time: nothing.
fn duration(quantity: &Value) -> Option<i64> {
    let unit = text(quantity, "code").or_else(|| text(quantity, "unit"))?;
    let days = match unit {
        "d" => 1.0,
        "wk" => 7.0,
        "mo" => 30.0,
        "a" => 365.0,
        "h" => 1.0 / 24.0,
        word if text(quantity, "code").is_none() => match word.to_lowercase().as_str() {
            "day" | "days" => 1.0,
            "week" | "weeks" => 7.0,
            "month" | "months" => 30.0,
            _ => return None,
        },
        _ => return None,
    };
    whole(number(quantity.get("value")?)? * days)
}

/// Rounded down: never more cover than there is.
fn whole(days: f64) -> Option<i64> {
    let days = (days + 1e-9).floor();
    #[expect(clippy::cast_possible_truncation, reason = "floored, and kept only within the bounds")]
    let count = days as i64;
    (1..=DAYS_MAX).contains(&count).then_some(count)
}

fn amount(quantity: &Value) -> Option<f64> {
    quantity.get("value").and_then(number).filter(|value| *value > 0.0)
}

fn same_quantity(one: &Value, other: &Value) -> bool {
    let same = amount(one).zip(amount(other)).is_some_and(|(one, other)| (one - other).abs() < 1e-9);
    same && units_agree(one, other)
}

/// Units agree by code and system where both have a code, else by their words.
fn units_agree(one: &Value, other: &Value) -> bool {
    match (text(one, "code"), text(other, "code")) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b) && (text(one, "system") == text(other, "system")),
        _ => match (text(one, "unit"), text(other, "unit")) {
            (Some(a), Some(b)) => singular(a) == singular(b),
            (None, None) => text(one, "code") == text(other, "code"),
            _ => false,
        },
    }
}

fn singular(unit: &str) -> String {
    let unit = unit.trim().to_lowercase();
    unit.strip_suffix('s').map_or(unit.clone(), str::to_owned)
}

/// The amount taken a day, where every dosage says it in the unit of the quantity and none is as-needed.
fn daily(dispense: &Value) -> Option<f64> {
    let quantity = dispense.get("quantity")?;
    let dosages = each(dispense, "dosageInstruction");
    let first = dosages.first()?.get("sequence");
    let mut sum = 0.0;
    for dosage in dosages {
        let needed = dosage.get("asNeededBoolean").and_then(Value::as_bool).unwrap_or(false);
        // Dosages of different sequence follow one another; how long each lasts is not asked here.
        if needed || dosage.get("asNeededCodeableConcept").is_some() || dosage.get("sequence") != first {
            return None;
        }
        let rate = each(dosage, "doseAndRate").first()?;
        let dose = rate.get("doseQuantity").or_else(|| rate.get("doseRange").and_then(|range| range.get("high")))?;
        if !units_agree(quantity, dose) {
            return None;
        }
        sum += amount(dose)? * times_a_day(dosage.get("timing")?)?;
    }
    (sum > 0.0).then_some(sum)
}

fn times_a_day(timing: &Value) -> Option<f64> {
    let Some(repeat) = timing.get("repeat") else { return named(timing.get("code")) };
    let count = |name| repeat.get(name).and_then(number);
    let listed = each(repeat, "timeOfDay").len().max(each(repeat, "when").len());
    #[expect(clippy::cast_precision_loss, reason = "a handful of times of day")]
    let listed = (listed > 0).then_some(listed as f64);
    let (Some(period), Some(unit)) = (count("period"), text(repeat, "periodUnit")) else {
        return listed.filter(|_| count("frequency").is_none()).or_else(|| named(timing.get("code")));
    };
    let days = match unit {
        "min" => 1.0 / 1_440.0,
        "h" => 1.0 / 24.0,
        "d" => 1.0,
        "wk" => 7.0,
        "mo" => 30.0,
        "a" => 365.0,
        _ => return None,
    };
    let frequency = count("frequencyMax").or_else(|| count("frequency")).or(listed).unwrap_or(1.0);
    (period > 0.0).then(|| frequency / (period * days))
}

/// Times a day of the abbreviations of GTSAbbreviation.
fn named(code: Option<&Value>) -> Option<f64> {
    let table = [
        ("QD", 1.0),
        ("AM", 1.0),
        ("PM", 1.0),
        ("BED", 1.0),
        ("BID", 2.0),
        ("TID", 3.0),
        ("QID", 4.0),
        ("QOD", 0.5),
        ("Q4H", 6.0),
        ("Q6H", 4.0),
        ("WK", 1.0 / 7.0),
        ("MO", 1.0 / 30.0),
    ];
    table.into_iter().find(|(name, _)| coded(code, name)).map(|(_, times)| times)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn days(dispense: &Value) -> (i64, &'static str) {
        let days = of(dispense, dispense.get("order"), false);
        (days.count, days.step)
    }

    #[test]
    fn days_of_supply_are_read_by_their_unit() {
        for (value, code, expected) in [
            (json!(30), "d", 30),
            (json!(4), "wk", 28),
            (json!(1), "mo", 30),
            (json!(1), "a", 365),
            (json!(720), "h", 720 / 24),
            (json!(36), "h", 1),
            (json!(30), "mg", 0),
            (json!(0), "d", 0),
            (json!(-3), "d", 0),
            (json!(99_999), "d", 0),
        ] {
            assert_eq!(days(&json!({"daysSupply": {"value": value, "code": code}})).0, expected, "{value} {code}");
        }
        assert_eq!(days(&json!({"daysSupply": {"value": 30, "unit": "Days"}})).0, 30);
        assert_eq!(days(&json!({"daysSupply": {"value": 30, "unit": "days", "code": "mg"}})).0, 0);
    }

    #[test]
    fn the_order_tells_only_for_a_whole_fill() {
        let tablets = |count: i64| json!({"value": count, "unit": "tablet"});
        let dispense = |count: i64| {
            json!({"quantity": tablets(count), "order": {"dispenseRequest":
                {"quantity": tablets(28), "expectedSupplyDuration": {"value": 28, "code": "d"}}}})
        };
        assert_eq!(days(&dispense(28)), (28, "expectedSupplyDuration"));
        assert_eq!(days(&dispense(14)), (0, UNKNOWN));
        let whole = dispense(28);
        assert_eq!(of(&whole, whole.get("order"), true).count, 0);
    }

    #[test]
    fn quantity_and_dose_tell_where_their_units_agree_and_the_dose_is_regular() {
        let dispense = |unit: &str, extra: Value| {
            let mut dosage = json!({"timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": {"value": 1, "unit": unit}}]});
            for (name, value) in extra.as_object().unwrap() {
                dosage[name] = value.clone();
            }
            json!({"quantity": {"value": 60, "unit": "tablets"}, "dosageInstruction": [dosage]})
        };
        assert_eq!(days(&dispense("tablet", json!({}))), (30, "quantity and dose"));
        assert_eq!(days(&dispense("mL", json!({}))), (0, UNKNOWN));
        assert_eq!(days(&dispense("tablet", json!({"asNeededBoolean": true}))), (0, UNKNOWN));
        assert_eq!(days(&dispense("tablet", json!({"timing": {"code": {"coding": [{"code": "TID"}]}}}))).0, 20);
        let range = json!({"timing": {"repeat": {"frequency": 1, "frequencyMax": 3, "period": 1, "periodUnit": "d"}},
            "doseAndRate": [{"doseRange": {"low": {"value": 1, "unit": "tablet"}, "high": {"value": 2, "unit": "tablet"}}}]});
        assert_eq!(days(&dispense("tablet", range)).0, 10);
    }
}
