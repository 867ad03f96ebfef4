//! Faults in rules: all are found, each with its key, and a rule with one does not run.

use serde_json::{Value, json};

use super::super::{Rules, shipped};

const PLAN: &str = "https://signa.example/fhir/PlanDefinition/refill";

/// The keys of the faults of the shipped refill rule after this change, and whether it still runs.
fn faults(change: impl Fn(&mut Value)) -> (Vec<&'static str>, bool) {
    let mut artefacts = shipped();
    let plan = artefacts.iter_mut().find(|artefact| artefact["url"] == PLAN).unwrap();
    change(plan);
    let (rules, issues) = Rules::read(&artefacts);
    (issues.iter().map(|issue| issue.key).collect(), rules.plan(PLAN).is_some())
}

#[test]
fn each_fault_has_its_key_and_keeps_the_rule_from_running() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 23] = [
        ("trigger-without-name", |plan| plan["action"][0]["trigger"][0] = json!({"type": "named-event"})),
        ("plan-without-priority", |plan| plan["extension"] = json!([])),
        ("plan-without-version", |plan| drop(plan.as_object_mut().unwrap().shift_remove("version"))),
        ("plan-not-approved", |plan| drop(plan.as_object_mut().unwrap().shift_remove("approvalDate"))),
        ("plan-not-reviewed", |plan| drop(plan.as_object_mut().unwrap().shift_remove("reviewer"))),
        ("plan-without-action", |plan| plan["action"] = json!([])),
        ("unknown-trigger", |plan| plan["action"][0]["trigger"][0]["type"] = json!("data-accessed")),
        ("trigger-without-data", |plan| plan["action"][0]["trigger"][0]["data"] = json!([])),
        ("unknown-value-set", |plan| {
            plan["action"][0]["trigger"][0]["data"][0]["codeFilter"] = json!([{"path": "medication", "valueSet": "urn:x"}]);
        }),
        ("bad-expression", |plan| plan["action"][0]["condition"][0]["expression"]["expression"] = json!("status = = 'x'")),
        ("bad-expression", |plan| plan["action"][0]["condition"][0]["expression"]["expression"] = json!("%weather.empty()")),
        ("unknown-condition", |plan| plan["action"][0]["condition"][0]["expression"]["language"] = json!("text/cql")),
        ("unknown-anchor", |plan| plan["action"][0]["action"][0]["relatedAction"][0]["actionId"] = json!("birth")),
        ("bad-offset", |plan| plan["action"][0]["action"][0]["relatedAction"][0]["offsetDuration"]["code"] = json!("mg")),
        ("unknown-activity", |plan| plan["action"][0]["action"][0]["definitionCanonical"] = json!("urn:x")),
        ("activity-version", |plan| {
            plan["action"][0]["action"][0]["definitionCanonical"] =
                json!("https://signa.example/fhir/ActivityDefinition/refill-advice|9");
        }),
        ("step-twice", |plan| plan["action"][0]["action"][1]["id"] = json!("advice")),
        ("unknown-anchor", |plan| {
            let related = &mut plan["action"][0]["action"][0]["relatedAction"][0];
            (related["actionId"], related["relationship"]) = (json!("call"), json!("before-start"));
        }),
        ("anchor-cycle", |plan| {
            for (at, to) in [(0, "call"), (2, "advice")] {
                let related = &mut plan["action"][0]["action"][at]["relatedAction"][0];
                (related["actionId"], related["relationship"]) = (json!(to), json!("after-end"));
            }
        }),
        ("unknown-condition", |plan| plan["action"][0]["condition"][0]["kind"] = json!("start")),
        ("unknown-condition", |plan| plan["action"][0]["condition"][0]["kind"] = json!("perhaps")),
        ("step-too-deep", |plan| plan["action"][0]["action"][0]["action"] = json!([{"id": "inner"}])),
        ("step-without-id", |plan| drop(plan["action"][0]["action"][0].as_object_mut().unwrap().shift_remove("id"))),
    ];
    for (key, change) in changes {
        let (keys, runs) = faults(change);
        assert_eq!((keys.as_slice(), runs), (&[key][..], false));
    }
}

// What is misspelled, of another type or not known where it is asked can never hold: the author hears of it, and where it stands.
#[test]
fn what_can_never_hold_is_a_fault() {
    const OWN: &str = "PlanDefinition.action[0].condition[0].expression";
    const STEP_OWN: &str = "PlanDefinition.action[0].action[1].condition[0].expression";
    for (text, step, why) in [
        ("stauts = 'completed'", false, "MedicationDispense has no element stauts"),
        ("medication.ofType(CodeableConcept) = '860975'", false, "CodeableConcept is compared with a text, which never holds"),
        ("category.coding.code", false, "it gives code, which is neither true nor false; say exists() if it shall be there"),
        ("%supply.dayz > 7", true, "%supply has no part dayz, but handed, first, last, days, step, product, number"),
        (
            "%supplies.where(groop = 'x').exists()",
            true,
            "%supplies has no part groop, but product, ingredient, group, first, last, fills, until",
        ),
        ("%patient.nmae.exists()", true, "Patient has no element nmae"),
        (
            "subject.resolve( ).birthDate.exists()",
            false,
            "resolve() leads nowhere: a condition sees the resource itself and the facts that it names with %",
        ),
        ("false", true, "it never holds"),
    ] {
        let condition = json!([{"kind": "applicability", "expression": {"language": "text/fhirpath", "expression": text}}]);
        let mut artefacts = shipped();
        let plan = artefacts.iter_mut().find(|artefact| artefact["url"] == PLAN).unwrap();
        let at = if step { &mut plan["action"][0]["action"][1] } else { &mut plan["action"][0] };
        at["condition"] = condition;
        let (rules, issues) = Rules::read(&artefacts);
        let told: Vec<_> = issues.iter().map(|issue| (issue.key, issue.expression.as_str(), &*issue.diagnostics)).collect();
        let why = format!("{PLAN}: {why}");
        assert_eq!(told, [("bad-expression", if step { STEP_OWN } else { OWN }, why.as_str())], "{text}");
        assert!(rules.plan(PLAN).is_none());
    }
}

// What is about no person sets nothing off that could be said to one, and only a fill has a supply.
#[test]
fn what_is_about_nobody_and_has_no_supply_is_a_fault() {
    let (keys, runs) = faults(|plan| {
        let data = &mut plan["action"][0]["trigger"][0]["data"][0];
        (data["type"], data["codeFilter"]) = (json!("Organization"), json!([]));
    });
    assert!(keys.contains(&"unknown-type") && !runs, "{keys:?}");
    let mut artefacts = shipped();
    let report = "https://signa.example/fhir/PlanDefinition/osteoporosis-report";
    let plan = artefacts.iter_mut().find(|artefact| artefact["url"] == report).unwrap();
    plan["action"][0]["condition"][0]["expression"]["expression"] = json!("%supply.days > 7");
    let (_, issues) = Rules::read(&artefacts);
    let why = "%supply is known of a completed MedicationDispense alone, and this action hears of none";
    assert_eq!(issues.iter().map(|issue| &*issue.diagnostics).collect::<Vec<_>>(), [format!("{report}: {why}")]);
}

/// Each fault of the shipped refill rule after this change, as its key and its place.
fn placed(change: impl Fn(&mut Value)) -> Vec<(&'static str, String)> {
    let mut artefacts = shipped();
    change(artefacts.iter_mut().find(|artefact| artefact["url"] == PLAN).unwrap());
    let (rules, issues) = Rules::read(&artefacts);
    assert_eq!(rules.plan(PLAN).is_some(), issues.is_empty());
    issues.into_iter().map(|issue| (issue.key, issue.expression)).collect()
}

/// A place under the plan, by the names and numbers that lead to it.
fn at<'a>(plan: &'a mut Value, place: &str) -> &'a mut Value {
    place.split('.').filter(|part| !part.is_empty()).fold(plan, |value, part| match part.parse::<usize>() {
        Ok(number) => &mut value[number],
        Err(_) => &mut value[part],
    })
}

const TRIGGER: &str = "action.0.trigger.0";
const DATA: &str = "action.0.trigger.0.data.0";
const STEP: &str = "action.0.action.0";
const RELATED: &str = "action.0.action.0.relatedAction.0";

/// The place as an issue names it.
fn named(place: &str, element: &str) -> String {
    let steps = place.split('.').filter(|part| !part.is_empty()).map(|part| match part.parse::<usize>() {
        Ok(number) => format!("[{number}]"),
        Err(_) => format!(".{part}"),
    });
    format!("PlanDefinition{}.{element}", steps.collect::<String>())
}

/// What a rule is meant for, of a kind that the standard names.
fn context(code: &str) -> Value {
    let system = "http://terminology.hl7.org/CodeSystem/usage-context-type";
    json!([{"code": {"system": system, "code": code}, "valueCodeableConcept": {"text": "words"}}])
}

// What would narrow a rule, delay it or change what it does is a fault where it is not understood, with its place.
#[test]
fn what_is_not_understood_is_never_passed_over() {
    let one = || json!({"value": 1, "code": "d"});
    for (place, element, value) in [
        ("", "modifierExtension", json!([{"url": "https://x.example/not", "valueBoolean": true}])),
        ("", "implicitRules", json!("https://x.example/rules")),
        ("", "subjectReference", json!({"reference": "Group/diabetics"})),
        ("", "subjectCodeableConcept", json!({"coding": [{"code": "Location"}]})),
        ("", "useContext", context("age")),
        ("", "useContext", context("gender")),
        ("", "useContext", context("focus")),
        ("", "useContext", json!([{"code": {"code": "venue"}, "valueCodeableConcept": {"text": "words"}}])),
        ("action.0", "selectionBehavior", json!("exactly-one")),
        ("action.0", "cardinalityBehavior", json!("multiple")),
        ("action.0", "requiredBehavior", json!("must-unless-documented")),
        ("action.0", "timingDuration", one()),
        ("action.0", "participant", json!([{"type": "practitioner"}])),
        ("action.0", "definitionCanonical", json!("urn:x")),
        ("action.0", "relatedAction", json!([{"actionId": "call", "relationship": "after-end"}])),
        ("action.0", "input", json!([{"type": "Patient"}])),
        (TRIGGER, "condition", json!({"language": "text/fhirpath", "expression": "false"})),
        (TRIGGER, "timingDate", json!("2026-10-01")),
        (DATA, "dateFilter", json!([{"path": "whenHandedOver", "valueDuration": one()}])),
        (DATA, "profile", json!(["https://x.example/profile"])),
        (DATA, "subjectReference", json!({"reference": "Group/diabetics"})),
        (DATA, "limit", json!(1)),
        (DATA, "sort", json!([{"path": "whenHandedOver", "direction": "ascending"}])),
        ("action.0.condition.0.expression", "reference", json!("https://x.example/logic")),
        (STEP, "timingDuration", one()),
        (STEP, "dynamicValue", json!([{"path": "priority", "expression": {"expression": "'stat'"}}])),
        (STEP, "transform", json!("https://x.example/map")),
        (STEP, "trigger", json!([{"type": "named-event", "name": "x"}])),
        (STEP, "input", json!([{"type": "Patient"}])),
        (STEP, "priority", json!("stat")),
        (RELATED, "offsetRange", json!({"low": one()})),
        ("action.0.action.0.relatedAction.0.offsetDuration", "comparator", json!("<")),
    ] {
        let found = placed(|plan| at(plan, place)[element] = value.clone());
        assert_eq!(found, [("not-understood", named(place, element))]);
    }
    let told = placed(|plan| *at(plan, TRIGGER) = json!({"type": "named-event", "name": "x", "data": [{"type": "Patient"}]}));
    assert_eq!(told[0], ("not-understood", named(TRIGGER, "data")));
}

// What tells people of a rule, or says what is done anyway, passes; so does what others hang on it.
#[test]
fn what_only_tells_of_a_rule_passes() {
    let words = json!("words");
    for (place, elements) in [
        ("", vec!["subtitle", "purpose", "usage", "copyright", "_title", "name"]),
        ("action.0", vec!["prefix", "description", "textEquivalent"]),
        (TRIGGER, vec!["id", "name"]),
        (STEP, vec!["prefix", "title", "textEquivalent"]),
        ("action.0.condition.0.expression", vec!["description", "name"]),
    ] {
        for element in elements {
            assert_eq!(placed(|plan| at(plan, place)[element] = words.clone()), [], "{place} {element}");
        }
    }
    let concept = || json!([{"text": "words"}]);
    for (place, element, value) in [
        ("", "useContext", context("program")),
        (
            "",
            "useContext",
            json!([{"code": {"system": "https://clinic.example/contexts", "code": "age"}, "valueCodeableConcept": {"text": "x"}}]),
        ),
        ("", "jurisdiction", concept()),
        ("", "goal", json!([{"description": {"text": "words"}}])),
        ("", "relatedArtifact", json!([{"type": "documentation"}])),
        ("", "subjectCodeableConcept", json!({"coding": [{"code": "Patient"}]})),
        ("action.0", "code", concept()),
        ("action.0", "reason", concept()),
        ("action.0", "documentation", json!([{"type": "citation"}])),
        ("action.0", "goalId", json!(["g"])),
        ("action.0", "groupingBehavior", json!("visual-group")),
        ("action.0", "selectionBehavior", json!("any")),
        (STEP, "requiredBehavior", json!("must")),
        (STEP, "precheckBehavior", json!("yes")),
        (STEP, "cardinalityBehavior", json!("single")),
        (STEP, "extension", json!([{"url": "https://x.example/color", "valueCode": "red"}])),
    ] {
        assert_eq!(placed(|plan| at(plan, place)[element] = value.clone()), [], "{place} {element}");
    }
}

// An extension of ours that is misspelled, stands elsewhere, twice, or holds what cannot be read, is a fault: nothing counts for it.
#[test]
fn an_extension_of_ours_is_read_or_refused() {
    let days = |value: Value, code: &str| json!({"value": value, "code": code});
    for (place, name, kind, value, is_good) in [
        ("", "plan-once", "valueString", json!("true"), false),
        ("", "plan-once", "valueBoolean", json!(true), true),
        ("", "plan-onec", "valueBoolean", json!(true), false),
        ("", "plan-priority", "valueCode", json!("clinical"), false),
        ("", "step-window", "valueDuration", days(json!(1), "d"), false),
        ("", "plan-episode-window", "valueDuration", days(json!(1), "mo"), false),
        ("", "plan-episode-window", "valueDuration", days(json!(36), "h"), false),
        ("", "plan-episode-window", "valueDuration", days(json!(30), "d"), true),
        ("", "plan-episode-window", "valueDuration", json!({"value": 30, "code": "d", "comparator": "<"}), false),
        ("action.0", "dose-times", "valueString", json!("true"), false),
        ("action.0", "plan-once", "valueBoolean", json!(true), false),
        ("action.0.action.1", "step-window", "valueDuration", days(json!(1.5), "d"), false),
        ("action.0.action.1", "step-window", "valueDuration", days(json!(1), "mo"), false),
        ("action.0.action.1", "step-window", "valueString", json!("2 d"), false),
        ("action.0.action.1", "step-window", "valueDuration", days(json!(36), "h"), true),
        (TRIGGER, "plan-once", "valueBoolean", json!(true), false),
    ] {
        let found = placed(|plan| {
            let own = &mut at(plan, place)["extension"];
            let mut all = own.as_array().cloned().unwrap_or_default();
            all.push(json!({"url": format!("https://signa.example/fhir/StructureDefinition/{name}"), kind: value}));
            *own = Value::Array(all);
        });
        let keys: Vec<&str> = found.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, if is_good { vec![] } else { vec!["bad-extension"] }, "{place} {name} {value}");
    }
}

// A filter that could never match would be a rule that never speaks: its path is a coded element of the type.
#[test]
fn a_filter_names_a_coded_element_of_its_type() {
    const SET: &str = "https://signa.example/fhir/ValueSet/osteoporosis";
    let code = json!([{"system": "urn:x", "code": "x"}]);
    for (kind, filter, expected) in [
        ("Condition", json!({"path": "kode", "code": code}), vec!["unknown-path"]),
        ("Condition", json!({"path": "code.coding", "code": code}), vec!["unknown-path"]),
        ("Condition", json!({"path": "meta.tag", "code": code}), vec!["unknown-path"]),
        ("Condition", json!({"path": "subject", "code": code}), vec!["unknown-path"]),
        ("Observation", json!({"path": "component.code", "code": code}), vec!["unknown-path"]),
        ("Encounter", json!({"path": "status", "valueSet": SET}), vec!["unknown-path"]),
        ("Condition", json!({"path": "code", "searchParam": "code", "code": code}), vec!["not-understood"]),
        ("Condition", json!({"path": "code", "code": [{"code": "x"}, {"display": "x"}]}), vec!["filter-without-codes"]),
        ("Conditon", json!({"path": "code", "code": code}), vec!["unknown-type"]),
        ("Condition", json!({"path": "code", "valueSet": SET}), vec![]),
        ("Condition", json!({"path": "category", "code": code}), vec![]),
        ("Encounter", json!({"path": "status", "code": [{"code": "finished"}]}), vec![]),
        ("Encounter", json!({"path": "class", "code": code}), vec![]),
        ("Observation", json!({"path": "value", "code": code}), vec![]),
        ("MedicationDispense", json!({"path": "medication", "code": code}), vec![]),
        ("MedicationDispense", json!({"path": "medicationCodeableConcept", "code": code}), vec![]),
    ] {
        let found = placed(|plan| {
            *at(plan, DATA) = json!({"type": kind, "codeFilter": [filter]});
            plan["action"][0]["trigger"].as_array_mut().unwrap().truncate(1);
            // Not all of these have an end, nor what is asked of a fill.
            plan["action"][0]["condition"] = json!([]);
            for step in plan["action"][0]["action"].as_array_mut().unwrap() {
                step["relatedAction"][0]["relationship"] = json!("after-start");
                step.as_object_mut().unwrap().shift_remove("condition");
            }
        });
        let keys: Vec<&str> = found.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, expected, "{kind} {filter}");
    }
}

#[test]
fn a_rule_names_whole_days_of_its_time() {
    for (period, expected) in [
        (json!({"start": "2026-01-01", "end": "2026-12-31"}), vec![]),
        (json!({"start": "2026-01-01T10:00:00Z"}), vec!["bad-period"]),
        (json!({"end": "2026"}), vec!["bad-period"]),
        (json!({"start": "2026-02-01", "end": "2026-01-31"}), vec!["bad-period"]),
    ] {
        let found = placed(|plan| plan["effectivePeriod"] = period.clone());
        assert_eq!(found.iter().map(|(key, _)| *key).collect::<Vec<_>>(), expected, "{period}");
    }
}

#[test]
fn a_rule_that_listens_to_what_it_says_is_refused() {
    let category = "http://terminology.hl7.org/CodeSystem/communication-category";
    let own = json!([{"type": "data-added", "data": [{"type": "Communication",
        "codeFilter": [{"path": "category", "code": [{"system": category, "code": "instruction"}]}]}]}]);
    let echo = json!([{"type": "data-added", "data": [{"type": "Task"}]}]);
    for (trigger, key) in [(own, "plan-cycle"), (echo, "plan-echo")] {
        let (keys, runs) = faults(|plan| {
            plan["action"][0]["trigger"] = trigger.clone();
            plan["action"][0]["condition"] = json!([]);
            plan["action"][0]["action"].as_array_mut().unwrap().truncate(1);
        });
        assert_eq!((keys.as_slice(), runs), (&[key][..], false));
    }
}

#[test]
fn all_faults_are_found_at_once() {
    let (keys, _) = faults(|plan| {
        plan["action"][0]["trigger"][0]["type"] = json!("data-accessed");
        plan["action"][0]["action"][0]["definitionCanonical"] = json!("urn:x");
        plan["reviewer"] = json!([]);
    });
    assert_eq!(keys, ["unknown-trigger", "unknown-activity", "plan-not-reviewed"]);
}

#[test]
fn foreign_retired_and_draft_plans_do_not_run_and_are_no_fault() {
    let foreign = faults(|plan| plan["meta"]["profile"] = json!(["http://hl7.org/fhir/StructureDefinition/cdshooks"]));
    let draft = faults(|plan| plan["status"] = json!("draft"));
    assert_eq!((foreign, draft), ((vec![], false), (vec![], false)));
}

#[test]
fn a_later_artefact_replaces_an_earlier_one_of_its_url() {
    let mut artefacts = shipped();
    let mut newer = artefacts.iter().find(|artefact| artefact["url"] == PLAN).unwrap().clone();
    newer["version"] = json!("2.0.0");
    artefacts.push(newer);
    let (rules, _) = Rules::read(&artefacts);
    assert_eq!(rules.plan(PLAN).map(|plan| plan.version.as_str()), Some("2.0.0"));
}

const BIRTHDAY: &str = "https://signa.example/fhir/PlanDefinition/birthday";

/// The faults of the shipped birthday rule after this change, each with its key and its sentence.
fn of_calendar(change: impl Fn(&mut Value)) -> Vec<(&'static str, String)> {
    let mut artefacts = shipped();
    change(artefacts.iter_mut().find(|artefact| artefact["url"] == BIRTHDAY).unwrap());
    let (rules, issues) = Rules::read(&artefacts);
    assert_eq!(rules.plan(BIRTHDAY).is_some(), issues.is_empty());
    issues.into_iter().map(|issue| (issue.key, issue.diagnostics)).collect()
}

#[test]
fn a_time_that_is_not_understood_is_told_with_what_would_be() {
    let repeats = [
        (json!({"period": 1, "periodUnit": "h"}), "periodUnit must be d, wk, mo or a"),
        (json!({"period": 1.5, "periodUnit": "d"}), "period must be a whole number"),
        (json!({"frequency": 3, "period": 1, "periodUnit": "d"}), "frequency must be 1"),
        (json!({"period": 1, "periodUnit": "a"}), "without boundsPeriod.start"),
        (json!({"period": 1, "periodUnit": "wk"}), "without boundsPeriod.start"),
        (json!({"period": 1, "periodUnit": "d", "dayOfWeek": ["mon"]}), "dayOfWeek goes with"),
        (json!({"period": 1, "periodUnit": "wk", "dayOfWeek": ["monday"]}), "dayOfWeek must be"),
        (json!({"period": 1, "periodUnit": "d", "when": ["MORN"]}), "Timing.repeat.when is not understood"),
        (json!({"period": 1, "periodUnit": "d", "timeOfDay": ["8"]}), "timeOfDay must be"),
        (json!({"period": 1, "periodUnit": "d", "duration": 2, "durationUnit": "d"}), "a duration goes with months and years"),
        (json!({"period": 1, "periodUnit": "mo", "duration": 2, "durationUnit": "mo"}), "must be over before it comes again"),
        (json!({"period": 1, "periodUnit": "a", "boundsPeriod": {"start": "2026"}}), "boundsPeriod.start must be a whole day"),
    ];
    for (repeat, expected) in repeats {
        let faults = of_calendar(|plan| plan["action"][0]["trigger"][0]["timingTiming"]["repeat"] = repeat.clone());
        assert!(faults.len() == 1 && faults[0].0 == "bad-timing" && faults[0].1.contains(expected), "{repeat}: {faults:?}");
    }
    for repeat in [
        json!({"period": 2, "periodUnit": "wk", "boundsPeriod": {"start": "2026-01-05", "end": "2026-12-31"}, "timeOfDay": ["09:00:00"]}),
        json!({"frequency": 1, "period": 1, "periodUnit": "wk", "dayOfWeek": ["mon", "thu"]}),
        json!({"period": 1, "periodUnit": "mo", "duration": 1, "durationUnit": "wk"}),
    ] {
        assert_eq!(
            of_calendar(|plan| plan["action"][0]["trigger"][0]["timingTiming"]["repeat"] = repeat.clone()),
            [],
            "{repeat}"
        );
    }
}

#[test]
fn what_does_not_go_with_a_call_is_a_fault() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 8] = [
        ("bad-timing", |action| action["trigger"][0] = json!({"type": "periodic"})),
        ("bad-timing", |action| action["trigger"][0] = json!({"type": "periodic", "timingDate": "2026-10"})),
        ("bad-timing", |action| action["trigger"][0]["timingTiming"]["event"] = json!(["2026-10-01"])),
        ("trigger-beside-call", |action| {
            let other = json!({"type": "data-added", "data": [{"type": "Consent"}]});
            action["trigger"].as_array_mut().unwrap().push(other);
        }),
        ("bad-input", |action| action["input"] = json!([{"type": "Patient"}, {"type": "Patient"}])),
        ("filter-without-path", |action| action["input"] = json!([{"type": "Task", "codeFilter": [{"code": [{"code": "x"}]}]}])),
        ("input-of-arrival", |action| {
            action["trigger"] = json!([{"type": "named-event", "name": "stock-arrived"}]);
            action["input"] = json!([{"type": "Patient"}]);
        }),
        ("unknown-anchor", |action| {
            action["action"][0]["relatedAction"] = json!([{"actionId": "day", "relationship": "before-start",
                "offsetDuration": {"value": 3, "code": "d"}}]);
        }),
    ];
    for (key, change) in changes {
        let faults = of_calendar(|plan| change(&mut plan["action"][0]));
        let keys: Vec<&str> = faults.iter().map(|(key, _)| *key).filter(|found| *found == key).collect();
        assert!(!keys.is_empty(), "{key}: {faults:?}");
    }
}

// Whether a rule speaks is known before each of its steps can be read.
#[test]
fn that_nobody_approved_a_rule_is_told_beside_its_other_faults() {
    let (keys, _) = faults(|plan| {
        plan["action"][0]["action"].as_array_mut().unwrap().truncate(1);
        plan["action"][0]["action"][0]["relatedAction"][0]["actionId"] = json!("nowhere");
        drop(plan.as_object_mut().unwrap().shift_remove("approvalDate"));
    });
    assert_eq!(keys, ["unknown-anchor", "plan-not-approved"]);
}
