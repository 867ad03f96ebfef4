//! What is on board is found and listed; what is not is said to be unknown.

use std::cell::Cell;

use serde_json::{Value, json};

use super::set::Walk;
use super::*;

fn codes(terms: &Terms, set: &Value) -> Result<Vec<String>, Unexpandable> {
    terms.expand(&Set::read(set)).map(|expansion| expansion.codes.into_iter().map(|code| code.code).collect())
}

fn animals() -> Value {
    json!({"resourceType": "CodeSystem", "url": "urn:animals", "version": "2", "name": "Animals", "content": "complete",
        "valueSet": "urn:animals:all", "property": [{"code": "legs", "type": "integer"}],
        "concept": [{"code": "animal", "display": "Animal", "property": [{"code": "notSelectable", "valueBoolean": true}],
            "concept": [{"code": "bird", "display": "Bird", "property": [{"code": "legs", "valueInteger": 2}],
                "concept": [{"code": "hen", "display": "Hen"}]}, {"code": "cat", "display": "Cat",
                "property": [{"code": "legs", "valueInteger": 4}], "designation": [{"language": "de", "value": "Katze"}]}]}]})
}

fn composed(include: &Value, exclude: &Value) -> Value {
    json!({"resourceType": "ValueSet", "url": "urn:set", "compose": {"include": include, "exclude": exclude}})
}

#[test]
fn what_the_standard_defines_is_on_board() {
    let terms = Terms::default();
    let gender = terms.set("http://hl7.org/fhir/ValueSet/administrative-gender").unwrap();
    let expansion = terms.expand(&gender).unwrap();
    let names: Vec<_> = expansion.codes.iter().map(|code| (code.code.as_str(), code.display.as_str())).collect();
    assert_eq!(names, [("male", "Male"), ("female", "Female"), ("other", "Other"), ("unknown", "Unknown")]);
    assert!(terms.set("http://hl7.org/fhir/ValueSet/administrative-gender|3.0.1").is_none());
    assert_eq!(terms.member("http://hl7.org/fhir/ValueSet/administrative-gender", None, "male"), Member::Yes);
    assert_eq!(terms.member("http://hl7.org/fhir/ValueSet/administrative-gender", Some("urn:x"), "male"), Member::No);
    assert_eq!(terms.member("urn:nobody", None, "male"), Member::Unknown);
    assert_eq!(shelf::address("ValueSet", "administrative-gender"), Some("http://hl7.org/fhir/ValueSet/administrative-gender"));
    assert!(shelf::maps().count() > 50 && shelf::structures().count() > 400);
    for url in shelf::structures() {
        assert!(shelf::structure(url).is_some_and(|structure| structure["url"] == url), "{url}");
    }
}

#[test]
fn snomed_as_a_whole_is_unknown_and_says_so() {
    let terms = Terms::default();
    let all = composed(&json!([{"system": "http://snomed.info/sct"}]), &json!([]));
    assert_eq!(codes(&terms, &all), Err(Unexpandable::NoSystem(String::from("http://snomed.info/sct"))));
    assert_eq!(terms.holds(&Set::read(&all), Some("http://snomed.info/sct"), "1"), Member::Unknown);
    assert_eq!(terms.holds(&Set::read(&all), Some("http://loinc.org"), "1"), Member::No);
}

#[test]
fn a_classification_of_diseases_needs_no_list() {
    let with = |op: &str| {
        let filter = json!([{"property": "concept", "op": op, "value": "M81"}]);
        Set::read(&composed(&json!([{"system": "http://hl7.org/fhir/sid/icd-10-cm", "filter": filter}]), &json!([])))
    };
    let terms = Terms::default();
    let has = |op: &str, code: &str| terms.holds(&with(op), Some("http://hl7.org/fhir/sid/icd-10-cm"), code);
    assert_eq!((has("is-a", "M81"), has("is-a", "M81.0"), has("is-a", "m810")), (Member::Yes, Member::Yes, Member::Yes));
    assert_eq!(
        (has("is-a", "M80.0"), has("descendent-of", "M81"), has("regex", "M81")),
        (Member::No, Member::No, Member::Unknown)
    );
}

#[test]
fn every_filter_takes_what_it_says() {
    let mut terms = Terms::default();
    terms.learn("a", &animals());
    let with = |property: &str, op: &str, value: &str| {
        let filter = json!([{"property": property, "op": op, "value": value}]);
        composed(&json!([{"system": "urn:animals", "filter": filter}]), &json!([]))
    };
    for (property, op, value, expected) in [
        ("concept", "is-a", "bird", &["bird", "hen"][..]),
        ("concept", "descendent-of", "bird", &["hen"]),
        ("concept", "is-not-a", "bird", &["animal", "cat"]),
        ("concept", "generalizes", "hen", &["animal", "bird", "hen"]),
        ("legs", "=", "4", &["cat"]),
        ("legs", "exists", "true", &["bird", "cat"]),
        ("legs", "exists", "false", &["animal", "hen"]),
        ("code", "regex", "[a-c].*", &["animal", "bird", "cat"]),
        ("code", "in", "cat, hen", &["hen", "cat"]),
        ("code", "not-in", "cat,hen", &["animal", "bird"]),
        ("parent", "=", "animal", &["bird", "cat"]),
    ] {
        assert_eq!(codes(&terms, &with(property, op, value)).unwrap(), expected, "{property} {op} {value}");
    }
    assert!(matches!(codes(&terms, &with("code", "sounds-like", "x")), Err(Unexpandable::Filter(_))));
}

#[test]
fn sets_include_exclude_and_name_each_other() {
    let mut terms = Terms::default();
    terms.learn("a", &animals());
    assert_eq!(terms.member("urn:animals:all", None, "cat"), Member::Yes);
    let birds = json!({"resourceType": "ValueSet", "url": "urn:birds", "version": "1", "compose": {"include": [
        {"system": "urn:animals", "filter": [{"property": "concept", "op": "is-a", "value": "bird"}]}]}});
    terms.learn("b", &birds);
    let listed = json!([{"system": "urn:animals", "concept": [{"code": "hen", "display": "Chicken"}, {"code": "cat"}]}]);
    assert_eq!(codes(&terms, &composed(&listed, &json!([{"valueSet": ["urn:birds"]}]))).unwrap(), ["cat"]);
    let both = json!([{"system": "urn:animals", "concept": [{"code": "hen"}, {"code": "cat"}], "valueSet": ["urn:birds|1"]}]);
    assert_eq!(codes(&terms, &composed(&both, &json!([]))).unwrap(), ["hen"]);
    let lost = composed(&json!([{"valueSet": ["urn:nobody"]}]), &json!([]));
    assert_eq!(codes(&terms, &lost), Err(Unexpandable::NoSet(String::from("urn:nobody"))));
    let set = Set::read(&composed(&listed, &json!([])));
    assert_eq!(terms.display(&set, Some("urn:animals"), "hen").0, "Chicken");
    assert_eq!(terms.display(&set, Some("urn:animals"), "cat").1, [(String::from("de"), String::from("Katze"))]);
    let circle = json!({"resourceType": "ValueSet", "url": "urn:round", "compose": {"include": [{"valueSet": ["urn:round"]}]}});
    terms.learn("c", &circle);
    assert_eq!(codes(&terms, &circle), Err(Unexpandable::TooDeep));
    assert_eq!(terms.member("urn:round", None, "x"), Member::Unknown);
    terms.forget("CodeSystem", "a");
    assert_eq!(terms.member("urn:birds", None, "hen"), Member::Unknown);
}

#[test]
fn an_expansion_stands_for_a_set_that_has_no_composition() {
    let set = Set::read(&json!({"resourceType": "ValueSet", "url": "urn:e", "expansion": {"contains": [
        {"system": "urn:s", "code": "a", "display": "A", "contains": [{"system": "urn:s", "code": "b"}]}, {"abstract": true, "code": "c"}]}}));
    let terms = Terms::default();
    assert_eq!(terms.holds(&set, Some("urn:s"), "b"), Member::Yes);
    assert_eq!(terms.holds(&set, None, "c"), Member::No);
}

#[test]
fn a_code_is_translated_both_ways() {
    let map = Map::read(&json!({"resourceType": "ConceptMap", "url": "urn:m", "group": [{"source": "urn:s", "target": "urn:t",
        "element": [{"code": "a", "target": [{"code": "x", "display": "X", "equivalence": "wider"}]},
            {"code": "b", "target": [{"equivalence": "unmatched"}]}],
        "unmapped": {"mode": "fixed", "code": "none"}}]}));
    let there = map.translate("urn:s", "a", None, false);
    assert_eq!((there[0].code.as_str(), there[0].equivalence.as_str()), ("x", "wider"));
    let back = map.translate("urn:t", "x", Some("urn:s"), true);
    assert_eq!((back[0].code.as_str(), back[0].equivalence.as_str()), ("a", "narrower"));
    assert!(!is_match(&map.translate("urn:s", "b", None, false)[0].equivalence));
    assert_eq!(map.translate("urn:s", "c", None, false)[0].code, "none");
    assert!(map.translate("urn:other", "a", None, false).is_empty());
}

#[test]
fn sets_that_multiply_are_given_up_in_time() {
    let mut terms = Terms::default();
    for level in 0..14 {
        let below = format!("urn:level:{}", level + 1);
        let many: Vec<Value> = (0..20).map(|_| json!({"valueSet": [below]})).collect();
        let set = json!({"resourceType": "ValueSet", "url": format!("urn:level:{level}"), "compose": {"include": many}});
        terms.learn(&format!("l{level}"), &set);
    }
    terms.learn("last", &json!({"resourceType": "ValueSet", "url": "urn:level:14", "compose": {"include": [{"system": "urn:s", "concept": [{"code": "a"}]}]}}));
    assert_eq!(terms.member("urn:level:13", Some("urn:s"), "a"), Member::Yes);
    assert_eq!(terms.member("urn:level:0", Some("urn:s"), "b"), Member::Unknown);
    assert_eq!(terms.expand_within(&terms.set("urn:level:0").unwrap(), 50_000), Err(Unexpandable::TooCostly));
}

#[test]
fn a_hierarchy_without_end_is_given_up_in_time() {
    let concept = |number: usize| json!({"code": format!("c{number}"), "property": [{"code": "parent", "valueCode": format!("c{}", number + 1)}]});
    let chain: Vec<Value> = (0..=ANCESTORS_MAX + 10).map(concept).collect();
    let system =
        System::read(&json!({"resourceType": "CodeSystem", "url": "urn:chain", "content": "complete", "concept": chain}));
    let first = system.concept("c0").unwrap();
    let below = |above: &str, steps: usize| system.below(first, above, Walk::new(&Cell::new(steps)));
    let beyond = format!("c{}", ANCESTORS_MAX + 5);
    assert_eq!((below("c1000", 5_000), below(&beyond, 5_000)), (Member::Yes, Member::No));
    assert_eq!((below("c1000", 100), below("c50", 100)), (Member::Unknown, Member::Yes));
}

#[test]
fn an_expansion_does_so_much_and_no_more() {
    let mut terms = Terms::default();
    let concept = |number: usize| json!({"code": format!("c{number}"), "property": [{"code": "parent", "valueCode": format!("c{}", number + 1)}]});
    for (url, length) in [("urn:chain", 4_000), ("urn:short", 300)] {
        let chain: Vec<Value> = (0..length).map(concept).collect();
        terms.learn(url, &json!({"resourceType": "CodeSystem", "url": url, "content": "complete", "concept": chain}));
    }
    let below = |url: &str, code: &str| json!({"system": url, "filter": [{"property": "concept", "op": "is-a", "value": code}]});
    let listed: Vec<Value> = (0..4_000).map(|number| json!({"code": format!("c{number}")})).collect();
    let list = json!({"system": "urn:chain", "concept": listed});
    let words = "x,".repeat(100_000);
    let long = json!({"system": "urn:chain", "filter": [{"property": "code", "op": "in", "value": words}]});
    for (include, exclude, expected) in [
        (json!([list]), json!([]), Ok(4_000)),
        (json!([below("urn:short", "c100")]), json!([]), Ok(101)),
        // Each of many codes is followed far up, is held against many excludes, or is looked for in a long list.
        (json!([below("urn:chain", "c3999")]), json!([]), Err(Unexpandable::TooCostly)),
        (json!([list]), Value::Array(vec![below("urn:chain", "c3999"); 10]), Err(Unexpandable::TooCostly)),
        (
            json!([list]),
            Value::Array(vec![json!({"system": "urn:other", "concept": [{"code": "x"}]}); 1_000]),
            Err(Unexpandable::TooCostly),
        ),
        (json!([long]), json!([]), Err(Unexpandable::TooCostly)),
    ] {
        let set = Set::read(&composed(&include, &exclude));
        let told = terms.expand_within(&set, 50_000).map(|expansion| expansion.codes.len());
        assert_eq!(told, expected, "{}", include.to_string().chars().take(80).collect::<String>());
    }
}

#[test]
fn a_pattern_that_grows_too_large_is_unknown_as_is_one_too_many() {
    let mut terms = Terms::default();
    terms.learn("a", &animals());
    let with = |patterns: &[&str]| {
        let filter: Vec<Value> = patterns.iter().map(|one| json!({"property": "code", "op": "regex", "value": one})).collect();
        Set::read(&composed(&json!([{"system": "urn:animals", "filter": filter}]), &json!([])))
    };
    let has = |patterns: &[&str]| terms.holds(&with(patterns), Some("urn:animals"), "cat");
    for (pattern, expected) in [
        ("[a-z]{3}", Member::Yes),
        (r"\w+", Member::Yes),
        (r"\d{1,8}-\d", Member::No),
        ("(?:(?:a{50}){50}){50}|cat", Member::Unknown),
    ] {
        assert_eq!(has(&[pattern]), expected, "{pattern}");
    }
    assert_eq!(has(&["cat"; set::PATTERNS_MAX]), Member::Yes);
    assert_eq!(has(&["cat"; set::PATTERNS_MAX + 1]), Member::Unknown);
}
