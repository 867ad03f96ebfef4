//! How many days a dispense lasts, from what it and its order say.
//! Follows <https://hl7.org/fhir/R4/medicationdispense-definitions.html#MedicationDispense.daysSupply>.

use serde_json::Value;

use super::json::{coded, each, number, text};
use super::timing;

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

/// The first source that tells: the dispense, its order if all of it was handed over, quantity and dose. The dose is the order's where
/// the dispense says none and what was handed over `is_as_ordered`: a tablet of another strength is taken otherwise.
pub(crate) fn of(dispense: &Value, order: Option<&Value>, is_partial: bool, is_as_ordered: bool) -> Days {
    let said = || dispense.get("daysSupply").and_then(duration).map(|count| Days { count, step: "daysSupply" });
    let ordered = || {
        let request = order?.get("dispenseRequest")?;
        let whole = !is_partial && same_quantity(dispense.get("quantity")?, request.get("quantity")?);
        let count = duration(request.get("expectedSupplyDuration")?).filter(|_| whole)?;
        Some(Days { count, step: "expectedSupplyDuration" })
    };
    let divided = || {
        let quantity = dispense.get("quantity")?;
        let (dosages, step) = match each(dispense, "dosageInstruction") {
            [] => (each(order.filter(|_| is_as_ordered)?, "dosageInstruction"), "quantity and ordered dose"),
            own => (own, "quantity and dose"),
        };
        let count = whole(amount(quantity)? / daily(quantity, dosages)?)?;
        Some(Days { count, step })
    };
    said().or_else(ordered).or_else(divided).unwrap_or(Days { count: 0, step: UNKNOWN })
}

/// Whether a dispense says itself, so that it can be read, how many days it lasts.
pub(crate) fn says(dispense: &Value) -> bool {
    dispense.get("daysSupply").and_then(duration).is_some()
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
fn daily(quantity: &Value, dosages: &[Value]) -> Option<f64> {
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

/// How often it is taken a day, one day with another; nothing where what is said can be read in two ways.
fn times_a_day(timing: &Value) -> Option<f64> {
    let repeat = timing.get("repeat").unwrap_or(&Value::Null);
    let count = |name| repeat.get(name).and_then(number);
    let any = |count: usize| u32::try_from(count).ok().map(f64::from).filter(|count| *count > 0.0);
    let (listed, days) = (any(timing::listed(repeat)), any(timing::named_days(repeat).len()));
    let stated = count("frequencyMax").or_else(|| count("frequency"));
    let (stated, period) = match (period(repeat), named(timing.get("code"))) {
        (Some(period), _) => (stated, period),
        // The code tells the days, and how often where no times of the day are listed.
        (None, Some((often, period))) => (stated.or(Some(often).filter(|_| listed.is_none())), period),
        (None, None) if days.is_some() || (stated.is_none() && listed.is_some()) => (stated, 1.0),
        (None, None) => return None,
    };
    let often = match (stated, days, period) {
        (_, None, _) => stated.or(listed).unwrap_or(1.0),
        // On each of the days that are named.
        (_, Some(days), 1.0) => stated.or(listed).unwrap_or(1.0) * days / 7.0,
        (None, Some(days), _) if period % 7.0 == 0.0 => listed.unwrap_or(1.0) * days,
        // So often in all, which the named days share evenly.
        (Some(stated), Some(days), _) if period >= 7.0 && stated % days == 0.0 => stated,
        _ => return None,
    };
    (period > 0.0).then(|| often / period)
}

/// The days of a period, where one is stated.
fn period(repeat: &Value) -> Option<f64> {
    let days = match text(repeat, "periodUnit")? {
        "min" => 1.0 / 1_440.0,
        "h" => 1.0 / 24.0,
        "d" => 1.0,
        "wk" => 7.0,
        "mo" => 30.0,
        "a" => 365.0,
        _ => return None,
    };
    Some(number(repeat.get("period")?)? * days)
}

/// How often, in how many days, of the abbreviations of GTSAbbreviation.
fn named(code: Option<&Value>) -> Option<(f64, f64)> {
    let table = [
        ("QD", 1.0, 1.0),
        ("AM", 1.0, 1.0),
        ("PM", 1.0, 1.0),
        ("BED", 1.0, 1.0),
        ("BID", 2.0, 1.0),
        ("TID", 3.0, 1.0),
        ("QID", 4.0, 1.0),
        ("QOD", 1.0, 2.0),
        ("Q4H", 6.0, 1.0),
        ("Q6H", 4.0, 1.0),
        ("WK", 1.0, 7.0),
        ("MO", 1.0, 30.0),
    ];
    table.into_iter().find(|(name, ..)| coded(code, name)).map(|(_, often, days)| (often, days))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn days(dispense: &Value) -> (i64, &'static str) {
        let days = of(dispense, dispense.get("order"), false, true);
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
        assert_eq!(of(&whole, whole.get("order"), true, true).count, 0);
    }

    #[test]
    fn the_dose_is_the_ordered_one_where_the_dispense_says_none() {
        let dosage = |often: i64| {
            json!([{"timing": {"repeat": {"frequency": often, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}]}])
        };
        let mut dispense = json!({"quantity": {"value": 60, "unit": "tablet"}, "order": {"dosageInstruction": dosage(2)}});
        assert_eq!(days(&dispense), (30, "quantity and ordered dose"));
        assert_eq!(
            of(&dispense, dispense.get("order"), true, true).count,
            30,
            "what is handed over in parts is taken as ordered, too"
        );
        assert_eq!(of(&dispense, dispense.get("order"), false, false).step, UNKNOWN);
        dispense["dosageInstruction"] = dosage(1);
        assert_eq!(days(&dispense), (60, "quantity and dose"));
        dispense["dosageInstruction"] = json!([{"text": "as the doctor said"}]);
        assert_eq!(days(&dispense), (0, UNKNOWN), "what it says itself may be something else than was ordered");
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

    // Twelve tablets, one at a time: how long they last tells how the timing was read.
    #[test]
    fn what_is_taken_on_named_days_lasts_longer_than_what_is_taken_daily() {
        let of = |timing: Value| {
            let tablets = |count: i64| json!({"value": count, "unit": "tablet"});
            days(&json!({"quantity": tablets(12), "dosageInstruction":
                [{"timing": timing, "doseAndRate": [{"doseQuantity": tablets(1)}]}]}))
            .0
        };
        let every = |mut repeat: Value, period: Value, unit: &str| {
            (repeat["period"], repeat["periodUnit"]) = (period, json!(unit));
            of(json!({"repeat": repeat}))
        };
        let (monday, both) = (json!(["mon"]), json!(["mon", "thu"]));
        for (repeat, expected) in [
            (json!({"frequency": 1, "dayOfWeek": monday}), 84),
            (json!({"frequency": 1, "dayOfWeek": both}), 42),
            (json!({"frequency": 2, "dayOfWeek": monday}), 42),
            (json!({"timeOfDay": ["08:00:00"], "dayOfWeek": monday}), 84),
            (json!({"timeOfDay": ["08:00:00"], "dayOfWeek": both}), 42),
            (json!({"timeOfDay": ["08:00:00", "20:00:00"], "dayOfWeek": both}), 21),
            (json!({"dayOfWeek": monday}), 84),
            (json!({"dayOfWeek": ["mon", "mon"]}), 84),
            (json!({"timeOfDay": ["08:00:00"]}), 12),
            (json!({"when": ["C"]}), 4),
            (json!({"when": ["AC", "HS"]}), 3),
            (json!({"when": ["PC"], "dayOfWeek": monday}), 28),
            (json!({"when": ["PHS"]}), 12),
        ] {
            assert_eq!(every(repeat.clone(), json!(1), "d"), expected, "each day: {repeat}");
            assert_eq!(of(json!({"repeat": repeat})), expected, "without a period: {repeat}");
        }
        for (repeat, period, unit, expected) in [
            (json!({"timeOfDay": ["08:00:00"], "dayOfWeek": both}), 1, "wk", 42),
            (json!({"dayOfWeek": monday}), 1, "wk", 84),
            (json!({"when": ["C"], "dayOfWeek": monday}), 1, "wk", 28),
            (json!({"frequency": 1, "dayOfWeek": monday}), 1, "wk", 84),
            (json!({"frequency": 2, "dayOfWeek": both}), 1, "wk", 42),
            (json!({"frequency": 1, "frequencyMax": 2, "dayOfWeek": monday}), 1, "wk", 42),
            (json!({"frequency": 1, "dayOfWeek": monday}), 2, "wk", 168),
            (json!({"timeOfDay": ["08:00:00"], "dayOfWeek": monday}), 2, "wk", 168),
            (json!({"frequency": 1, "dayOfWeek": monday}), 7, "d", 84),
            (json!({"frequency": 1, "dayOfWeek": monday}), 1, "mo", 360),
            // On which of two days, or on which day of how many, nobody says.
            (json!({"frequency": 1, "dayOfWeek": both}), 1, "wk", 0),
            (json!({"frequency": 3, "dayOfWeek": both}), 1, "wk", 0),
            (json!({"frequency": 1, "dayOfWeek": monday}), 2, "d", 0),
            (json!({"frequency": 1, "dayOfWeek": monday}), 8, "h", 0),
            (json!({"dayOfWeek": monday}), 1, "mo", 0),
        ] {
            assert_eq!(every(repeat.clone(), json!(period), unit), expected, "{period} {unit}: {repeat}");
        }
        let coded = |code: &str, repeat: Value| of(json!({"code": {"coding": [{"code": code}]}, "repeat": repeat}));
        for (code, repeat, expected) in [
            ("BID", json!({"dayOfWeek": monday}), 42),
            ("QD", json!({"timeOfDay": ["08:00:00"], "dayOfWeek": monday}), 84),
            ("WK", json!({"timeOfDay": ["08:00:00"]}), 84),
            ("WK", json!({"dayOfWeek": monday}), 84),
            ("QOD", json!({"when": ["MORN"]}), 24),
            ("QOD", json!({"dayOfWeek": monday}), 0),
            ("BID", json!({"boundsPeriod": {"end": "2026-06-30"}}), 6),
        ] {
            assert_eq!(coded(code, repeat.clone()), expected, "{code} {repeat}");
        }
    }
}
