//! Small profiles held against small resources: each rule alone, what meets it and what breaks it.

use serde_json::{Value, json};

use super::*;

const URL: &str = "http://example.org/StructureDefinition/p";

fn structure(url: &str, kind: &str, elements: &Value) -> Value {
    let mut all = vec![json!({"id": kind, "path": kind, "min": 0, "max": "*"})];
    all.extend(elements.as_array().cloned().unwrap_or_default().into_iter().map(|mut element| {
        let id = format!("{kind}.{}", element["id"].as_str().unwrap());
        element["id"] = id.into();
        element
    }));
    json!({"resourceType": "StructureDefinition", "url": url, "version": "1.0", "type": kind, "derivation": "constraint",
        "snapshot": {"element": all}})
}

/// The keys and places of what the profile with these elements finds wrong.
fn found(kind: &str, elements: &Value, resource: &Value) -> Vec<String> {
    let mut canon = Canon::default();
    canon.learn("p", &structure(URL, kind, elements));
    told(&canon, resource)
}

fn told(canon: &Canon, resource: &Value) -> Vec<String> {
    let mut resource = resource.clone();
    resource["meta"] = json!({"profile": [URL]});
    let kind = resource["resourceType"].as_str().unwrap().to_owned();
    claimed(canon, &resource, &kind, &[]).iter().map(|issue| format!("{} {}", issue.key, issue.expression)).collect()
}

fn patient(more: &Value) -> Value {
    let mut patient = json!({"resourceType": "Patient"});
    patient.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    patient
}

#[test]
fn cardinality_is_counted_at_every_depth() {
    let rules = json!([{"id": "identifier", "min": 1, "max": "2"}, {"id": "identifier.system", "min": 1, "max": "1"},
        {"id": "photo", "min": 0, "max": "0"}]);
    let good = patient(&json!({"identifier": [{"system": "urn:a", "value": "1"}]}));
    assert!(found("Patient", &rules, &good).is_empty());
    assert_eq!(found("Patient", &rules, &patient(&json!({}))), ["profile-min Patient.identifier"]);
    let bad = patient(&json!({"identifier": [{"value": "1"}, {"system": "a"}, {"system": "b"}], "photo": [{"title": "x"}]}));
    let expected = ["profile-max Patient.identifier", "profile-min Patient.identifier[0].system", "profile-max Patient.photo"];
    assert_eq!(found("Patient", &rules, &bad), expected);
}

#[test]
fn values_are_held_to_what_is_fixed_sketched_and_bounded() {
    let rules = json!([{"id": "active", "min": 0, "max": "1", "fixedBoolean": true},
        {"id": "maritalStatus", "min": 0, "max": "1", "patternCodeableConcept": {"coding": [{"system": "urn:m", "code": "M"}]}},
        {"id": "language", "min": 0, "max": "1", "maxLength": 3},
        {"id": "birthDate", "min": 0, "max": "1", "minValueDate": "1900-01-01"},
        {"id": "multipleBirth[x]", "min": 0, "max": "1", "type": [{"code": "integer"}], "maxValueInteger": 9}]);
    let good = json!({"active": true, "maritalStatus": {"coding": [{"system": "urn:m", "code": "M", "display": "x"}], "text": "y"},
        "language": "de", "birthDate": "1980-05", "multipleBirthInteger": 2});
    assert!(found("Patient", &rules, &patient(&good)).is_empty());
    let bad = json!({"active": false, "maritalStatus": {"text": "M"}, "language": "de-CH", "birthDate": "1899-12-31",
        "multipleBirthInteger": 10});
    let expected = [
        "profile-fixed Patient.active",
        "profile-pattern Patient.maritalStatus",
        "profile-length Patient.language",
        "profile-range Patient.birthDate",
        "profile-range Patient.multipleBirth",
    ];
    assert_eq!(found("Patient", &rules, &patient(&bad)), expected);
    assert_eq!(
        found("Patient", &rules, &patient(&json!({"multipleBirthBoolean": true}))),
        ["profile-type Patient.multipleBirth"]
    );
}

#[test]
fn slices_are_told_apart_by_pattern_value_exists_and_type() {
    let sliced = |by: &str, path: &str| json!({"discriminator": [{"type": by, "path": path}], "rules": "open"});
    let system = |slice: &str, url: &str| {
        json!([{"id": format!("identifier:{slice}"), "sliceName": slice, "min": 1, "max": "1"},
            {"id": format!("identifier:{slice}.system"), "min": 1, "max": "1", "fixedUri": url}])
    };
    let mut rules = vec![json!({"id": "identifier", "min": 0, "max": "*", "slicing": sliced("value", "system")})];
    rules.extend(system("one", "urn:1").as_array().cloned().unwrap());
    rules.push(json!({"id": "identifier:one.value", "min": 1, "max": "1"}));
    let rules = Value::from(rules);
    let with = |identifiers: Value| patient(&json!({"identifier": identifiers}));
    assert!(found("Patient", &rules, &with(json!([{"system": "urn:2"}, {"system": "urn:1", "value": "x"}]))).is_empty());
    assert_eq!(found("Patient", &rules, &with(json!([{"system": "urn:2"}]))), ["profile-min Patient.identifier"]);
    assert_eq!(found("Patient", &rules, &with(json!([{"system": "urn:1"}]))), ["profile-min Patient.identifier[0].value"]);

    let rules = json!([{"id": "telecom", "min": 0, "max": "*", "slicing": sliced("exists", "period")},
        {"id": "telecom:old", "sliceName": "old", "min": 0, "max": "1"}, {"id": "telecom:old.period", "min": 1, "max": "1"}]);
    let bad = patient(&json!({"telecom": [{"period": {"end": "2020"}}, {"value": "1"}, {"period": {"end": "2021"}}]}));
    assert_eq!(found("Patient", &rules, &bad), ["profile-max Patient.telecom"]);

    let rules = json!([{"id": "deceased[x]", "min": 0, "max": "1", "slicing": sliced("type", "$this")},
        {"id": "deceased[x]:deceasedDateTime", "sliceName": "deceasedDateTime", "min": 1, "max": "1", "type": [{"code": "dateTime"}]}]);
    assert!(found("Patient", &rules, &patient(&json!({"deceasedDateTime": "2020"}))).is_empty());
    assert_eq!(found("Patient", &rules, &patient(&json!({"deceasedBoolean": true}))), ["profile-min Patient.deceased"]);
}

#[test]
fn a_closed_list_takes_nothing_else_and_an_ordered_one_keeps_its_order() {
    let rules = |rules: &str, ordered: bool| {
        json!([{"id": "contact", "min": 0, "max": "*", "slicing": {"discriminator": [{"type": "pattern", "path": "$this"}], "rules": rules, "ordered": ordered}},
            {"id": "contact:a", "sliceName": "a", "min": 0, "max": "*", "patternBackboneElement": {"gender": "male"}},
            {"id": "contact:b", "sliceName": "b", "min": 0, "max": "*", "patternBackboneElement": {"gender": "female"}}])
    };
    let with = |genders: &[&str]| {
        let contacts: Vec<Value> = genders.iter().map(|gender| json!({"gender": gender})).collect();
        patient(&json!({"contact": contacts}))
    };
    assert!(found("Patient", &rules("closed", true), &with(&["male", "female"])).is_empty());
    assert_eq!(found("Patient", &rules("closed", false), &with(&["other"])), ["profile-slice Patient.contact[0]"]);
    assert_eq!(found("Patient", &rules("open", true), &with(&["female", "male"])), ["profile-slice Patient.contact[1]"]);
    assert_eq!(found("Patient", &rules("openAtEnd", false), &with(&["other", "male"])), ["profile-slice Patient.contact[1]"]);
}

#[test]
fn extensions_are_held_to_their_definition_and_their_place() {
    let url = "http://example.org/StructureDefinition/colour";
    let mut extension = structure(
        url,
        "Extension",
        &json!([{"id": "url", "min": 1, "max": "1", "fixedUri": url},
        {"id": "extension", "min": 0, "max": "0"}, {"id": "value[x]", "min": 1, "max": "1", "type": [{"code": "code"}]}]),
    );
    extension["context"] = json!([{"type": "element", "expression": "Patient"}]);
    let rules = json!([{"id": "extension", "min": 1, "max": "*",
        "slicing": {"discriminator": [{"type": "value", "path": "url"}], "rules": "open"}},
        {"id": "extension:colour", "sliceName": "colour", "min": 1, "max": "1", "type": [{"code": "Extension", "profile": [url]}]}]);
    let mut canon = Canon::default();
    canon.learn("p", &structure(URL, "Patient", &rules));
    let good = patient(&json!({"extension": [{"url": url, "valueCode": "red"}]}));
    assert!(told(&canon, &good).is_empty());
    canon.learn("e", &extension);
    assert!(told(&canon, &good).is_empty());
    assert_eq!(
        told(&canon, &patient(&json!({"extension": [{"url": "urn:x", "valueCode": "red"}]}))),
        ["profile-min Patient.extension"]
    );
    let bad = patient(
        &json!({"extension": [{"url": url, "valueString": "red"}], "name": [{"extension": [{"url": url, "valueCode": "red"}]}]}),
    );
    let expected = ["profile-type Patient.extension[0].value", "extension-context Patient.name[0].extension[0]"];
    assert_eq!(told(&canon, &bad), expected);
    canon.forget("StructureDefinition", "e");
    assert!(told(&canon, &bad).is_empty());
}

#[test]
fn references_lead_to_what_may_stand_there() {
    let inner = "http://example.org/StructureDefinition/named";
    let target = json!([{"code": "Reference", "targetProfile": [inner]}]);
    let rules = json!([{"id": "managingOrganization", "min": 0, "max": "1", "type": target}]);
    let mut canon = Canon::default();
    canon.learn("p", &structure(URL, "Patient", &rules));
    canon.learn("o", &structure(inner, "Organization", &json!([{"id": "alias", "min": 1, "max": "*"}])));
    let with = |reference: &str, contained: Value| {
        patient(&json!({"managingOrganization": {"reference": reference}, "contained": [contained]}))
    };
    let contained = |alias: Value| json!({"resourceType": "Organization", "id": "o", "alias": alias});
    assert!(told(&canon, &with("#o", contained(json!(["x"])))).is_empty());
    assert!(told(&canon, &with("Organization/away", contained(json!(["x"])))).is_empty());
    assert_eq!(
        told(&canon, &with("#o", json!({"resourceType": "Organization", "id": "o"}))),
        ["profile-target Patient.managingOrganization"]
    );
    assert_eq!(told(&canon, &with("Practitioner/1", contained(json!(["x"])))), ["profile-target Patient.managingOrganization"]);
}

#[test]
fn slices_look_behind_references_and_at_profiles() {
    let named = "http://example.org/StructureDefinition/named";
    let slicing = json!({"discriminator": [{"type": "profile", "path": "resolve()"}], "rules": "open"});
    let target = json!([{"code": "Reference", "targetProfile": [named]}]);
    let rules = json!([{"id": "generalPractitioner", "min": 0, "max": "*", "slicing": slicing},
        {"id": "generalPractitioner:named", "sliceName": "named", "min": 1, "max": "1", "type": target}]);
    let mut canon = Canon::default();
    canon.learn("p", &structure(URL, "Patient", &rules));
    canon.learn("n", &structure(named, "Organization", &json!([{"id": "name", "min": 1, "max": "1"}])));
    let with = |organization: Value| patient(&json!({"generalPractitioner": [{"reference": "#o"}], "contained": [organization]}));
    assert!(told(&canon, &with(json!({"resourceType": "Organization", "id": "o", "name": "x"}))).is_empty());
    let bad = with(json!({"resourceType": "Organization", "id": "o", "active": true}));
    assert_eq!(told(&canon, &bad), ["profile-min Patient.generalPractitioner"]);
}

#[test]
fn codes_are_held_to_sets_that_are_known() {
    let bound = |strength: &str, set: &str| json!([{"id": "maritalStatus", "min": 0, "max": "1", "binding": {"strength": strength, "valueSet": set}}]);
    let with = |code: &str| {
        patient(&json!({"maritalStatus": {"coding": [{"system": "http://hl7.org/fhir/administrative-gender", "code": code}]}}))
    };
    let set = "http://hl7.org/fhir/ValueSet/administrative-gender";
    assert!(found("Patient", &bound("required", set), &with("male")).is_empty());
    assert_eq!(found("Patient", &bound("required", set), &with("lady")), ["profile-code Patient.maritalStatus"]);
    assert_eq!(found("Patient", &bound("required", set), &patient(&json!({"maritalStatus": {"text": "x"}}))).len(), 1);
    assert!(found("Patient", &bound("extensible", set), &patient(&json!({"maritalStatus": {"text": "x"}}))).is_empty());
    assert_eq!(found("Patient", &bound("required", "urn:unknown"), &with("lady")), ["profile-code-unheld Patient.maritalStatus"]);
    assert!(found("Patient", &bound("extensible", "urn:unknown"), &with("lady")).is_empty());
    let bare = json!({"coding": [{"display": "x"}]});
    assert!(found("Patient", &bound("required", "urn:unknown"), &patient(&json!({"maritalStatus": bare}))).is_empty());
    let mut canon = Canon::default();
    canon.learn("p", &structure(URL, "Patient", &bound("extensible", set)));
    let mut remarked = with("lady");
    remarked["meta"] = json!({"profile": [URL]});
    let issues = claimed(&canon, &remarked, "Patient", &[]);
    assert!(issues.len() == 1 && !issues[0].refuses());
}

#[test]
fn invariants_of_a_profile_hold_and_ours_only_advise() {
    let rules = json!([{"id": "name", "min": 0, "max": "*", "constraint": [
        {"key": "x-1", "severity": "error", "human": "A family name is given", "expression": "family.exists()"},
        {"key": "x-2", "severity": "error", "human": "Not decidable here", "expression": "memberOf('urn:x')"}]}]);
    let bad = patient(&json!({"name": [{"family": "A"}, {"text": "B"}]}));
    assert_eq!(found("Patient", &rules, &bad), ["profile-invariant-unheld Patient.name[0]", "profile-invariant Patient.name[1]"]);
    let ours = "https://signa.example/fhir/StructureDefinition/p";
    let mut canon = Canon::default();
    canon.learn("p", &structure(ours, "Patient", &rules));
    let mut claiming = bad;
    claiming["meta"] = json!({"profile": [ours]});
    let issues = claimed(&canon, &claiming, "Patient", &[]);
    assert!(issues.len() == 2 && !issues.iter().any(Issue::refuses), "{issues:?}");
}

#[test]
fn what_is_not_known_is_remarked_and_refused_when_asked_for() {
    let mut canon = Canon::default();
    let mut claiming = patient(&json!({"meta": {"profile": [URL, "http://hl7.org/fhir/StructureDefinition/Patient"]}}));
    let remarks = claimed(&canon, &claiming, "Patient", &[]);
    assert_eq!(remarks.iter().map(|issue| (issue.refuses(), issue.key)).collect::<Vec<_>>(), [(false, "unknown-profile")]);
    assert!(asked(&canon, &claiming, URL, "Patient")[0].refuses());
    canon.learn("p", &structure(URL, "Patient", &json!([])));
    assert!(claimed(&canon, &claiming, "Patient", &[]).is_empty() && asked(&canon, &claiming, URL, "Patient").is_empty());
    claiming["meta"] = json!({"profile": [format!("{URL}|2.0")]});
    assert_eq!(claimed(&canon, &claiming, "Patient", &[])[0].key, "unknown-profile");
    let task = json!({"resourceType": "Task", "meta": {"profile": [URL]}});
    assert_eq!(claimed(&canon, &task, "Task", &[])[0].key, "profile-type");
    let mut bare = structure(URL, "Patient", &json!([]));
    bare.as_object_mut().unwrap().shift_remove("snapshot");
    canon.learn("p", &bare);
    claiming["meta"] = json!({"profile": [URL]});
    assert_eq!(claimed(&canon, &claiming, "Patient", &[])[0].key, "profile-without-snapshot");
}

#[test]
fn who_claims_nothing_is_asked_nothing_also_inside() {
    assert!(!claims(&patient(&json!({"contained": [{"resourceType": "Organization"}]}))));
    assert!(claims(&patient(&json!({"contained": [{"resourceType": "Organization", "meta": {"profile": [URL]}}]}))));
    let bundle = |resource: &Value| json!({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}]});
    assert!(!claims(&bundle(&patient(&json!({})))));
    let inside = bundle(&patient(&json!({"meta": {"profile": [URL]}})));
    assert!(claims(&inside));
    let mut canon = Canon::default();
    canon.learn("p", &structure(URL, "Patient", &json!([{"id": "name", "min": 1, "max": "*"}])));
    let issues = claimed(&canon, &inside, "Bundle", &[]);
    assert_eq!(issues[0].expression, "Bundle.entry[0].resource.name");
}

#[test]
fn a_profile_of_a_bundle_looks_into_its_entries() {
    let named = "http://example.org/StructureDefinition/named";
    let slicing = json!({"discriminator": [{"type": "profile", "path": "resource"}], "rules": "open"});
    let target = json!([{"code": "Reference", "targetProfile": [named]}]);
    let rules = json!([{"id": "entry", "min": 0, "max": "*", "slicing": slicing},
        {"id": "entry:patient", "sliceName": "patient", "min": 1, "max": "1"},
        {"id": "entry:patient.resource", "min": 1, "max": "1", "type": [{"code": "Patient", "profile": ["http://example.org/StructureDefinition/managed"]}]}]);
    let mut canon = Canon::default();
    canon.learn("p", &structure(URL, "Bundle", &rules));
    let managed = json!([{"id": "managingOrganization", "min": 1, "max": "1", "type": target}]);
    canon.learn("m", &structure("http://example.org/StructureDefinition/managed", "Patient", &managed));
    canon.learn("n", &structure(named, "Organization", &json!([{"id": "name", "min": 1, "max": "1"}])));
    let with = |organization: &Value, reference: &str, contained: &Value| {
        let mut managed = patient(&json!({"managingOrganization": {"reference": reference}}));
        if contained.is_object() {
            managed["contained"] = json!([contained]);
        }
        json!({"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": "urn:uuid:1", "resource": managed},
            {"fullUrl": "urn:uuid:2", "resource": organization}]})
    };
    let good = json!({"resourceType": "Organization", "id": "o", "name": "x"});
    let bad = json!({"resourceType": "Organization", "id": "o", "active": true});
    assert!(told(&canon, &with(&good, "urn:uuid:2", &Value::Null)).is_empty());
    assert_eq!(told(&canon, &with(&bad, "urn:uuid:2", &Value::Null)), ["profile-min Bundle.entry"]);
    assert!(told(&canon, &with(&bad, "#o", &good)).is_empty());
    assert_eq!(told(&canon, &with(&good, "#o", &bad)), ["profile-min Bundle.entry"]);
}

#[test]
fn a_profile_that_multiplies_is_given_up_in_time() {
    let url = "http://example.org/StructureDefinition/e";
    let mut rules = vec![json!({"id": "extension", "min": 0, "max": "*",
        "slicing": {"discriminator": [{"type": "profile", "path": "$this"}], "rules": "open"}})];
    for slice in 0..40 {
        rules.push(json!({"id": format!("extension:s{slice}"), "sliceName": format!("s{slice}"), "min": 0, "max": "*",
            "type": [{"code": "Extension", "profile": [url]}]}));
    }
    rules.push(json!({"id": "value[x]", "min": 1, "max": "1"}));
    let mut canon = Canon::default();
    canon.learn("e", &structure(url, "Extension", &Value::from(rules.clone())));
    rules.pop();
    canon.learn("p", &structure(URL, "Patient", &Value::from(rules)));
    let deep = (0..8).fold(json!({"url": "urn:x"}), |inner, _| json!({"url": "urn:x", "extension": [inner.clone(), inner]}));
    assert!(told(&canon, &patient(&json!({"extension": [deep]}))).contains(&String::from("profile-too-costly Patient")));
}

/// Each of many values is held against each of many slices: that is counted, and what was not looked at is not called wrong.
#[test]
fn slices_take_so_many_looks_and_no_more() {
    let sliced = |slices: usize, openness: &str| {
        let mut rules = vec![json!({"id": "identifier", "min": 0, "max": "*",
            "slicing": {"discriminator": [{"type": "value", "path": "system"}], "rules": openness}})];
        for slice in 0..slices {
            rules.push(json!({"id": format!("identifier:s{slice}"), "sliceName": format!("s{slice}"), "min": 0, "max": "*"}));
            rules.push(
                json!({"id": format!("identifier:s{slice}.system"), "min": 1, "max": "1", "fixedUri": format!("urn:s{slice}")}),
            );
        }
        Value::from(rules)
    };
    let identifiers = |count: usize| {
        let all: Vec<Value> = (0..count).map(|at| json!({"system": "urn:none", "value": at.to_string()})).collect();
        patient(&json!({"identifier": all}))
    };
    let few = found("Patient", &sliced(50, "closed"), &identifiers(50));
    assert_eq!((few.len(), few[0].as_str()), (50, "profile-slice Patient.identifier[0]"));
    assert_eq!(found("Patient", &sliced(50, "open"), &identifiers(50)), Vec::<String>::new());
    assert_eq!(found("Patient", &sliced(500, "open"), &identifiers(2_000)), ["profile-too-costly Patient"]);
}

/// The same of an extension, which is held for itself.
#[test]
fn an_extension_that_was_not_held_to_its_end_is_named() {
    let url = "http://example.org/StructureDefinition/e";
    let mut rules = vec![json!({"id": "extension", "min": 0, "max": "*",
        "slicing": {"discriminator": [{"type": "value", "path": "url"}], "rules": "open"}})];
    for slice in 0..500 {
        rules.push(json!({"id": format!("extension:s{slice}"), "sliceName": format!("s{slice}"), "min": 0, "max": "*"}));
        rules.push(json!({"id": format!("extension:s{slice}.url"), "min": 1, "max": "1", "fixedUri": format!("urn:s{slice}")}));
    }
    let mut canon = Canon::default();
    canon.learn("e", &structure(url, "Extension", &Value::from(rules)));
    canon.learn("p", &structure(URL, "Patient", &json!([])));
    let inner = |count: usize| vec![json!({"url": "urn:none", "valueString": "x"}); count];
    let extended = |count: usize| patient(&json!({"extension": [{"url": url, "extension": inner(count)}]}));
    assert_eq!(told(&canon, &extended(50)), Vec::<String>::new());
    assert_eq!(told(&canon, &extended(2_000)), ["profile-too-costly Patient.extension[0]"]);
}

/// A chain without end would take the whole stack, when it is made into rules as when it is let go: such a profile is known,
/// and holds nothing.
#[test]
fn a_profile_that_is_too_deep_is_known_and_not_held() {
    let deep = |times: usize| json!([{"id": format!("name{}", ".a".repeat(times)), "min": 0, "max": "*"}, {"id": "photo", "min": 1, "max": "*"}]);
    assert_eq!(found("Patient", &deep(50), &patient(&json!({}))), ["profile-min Patient.photo"]);
    for times in [100, 100_000] {
        let deep = structure(URL, "Patient", &deep(times));
        assert!(!Profile::compile(&deep).unwrap().is_whole);
        let mut canon = Canon::default();
        canon.learn("p", &deep);
        assert!(!told(&canon, &patient(&json!({}))).contains(&String::from("profile-min Patient.photo")));
    }
}

#[test]
fn slices_of_a_slice_are_counted_among_all_its_values() {
    let sliced = |path: &str| json!({"discriminator": [{"type": "value", "path": path}], "rules": "open"});
    let rules = json!([{"id": "identifier", "min": 0, "max": "*", "slicing": sliced("system")},
        {"id": "identifier:card", "sliceName": "card", "min": 0, "max": "2", "slicing": sliced("use")},
        {"id": "identifier:card.system", "min": 1, "max": "1", "fixedUri": "urn:card"},
        {"id": "identifier:card/old", "sliceName": "card/old", "min": 1, "max": "1"},
        {"id": "identifier:card/old.system", "min": 1, "max": "1", "fixedUri": "urn:card"},
        {"id": "identifier:card/old.use", "min": 1, "max": "1", "fixedCode": "old"},
        {"id": "identifier:card/new", "sliceName": "card/new", "min": 1, "max": "1"},
        {"id": "identifier:card/new.use", "min": 1, "max": "1", "fixedCode": "usual"},
        {"id": "identifier:card/new.value", "min": 1, "max": "1"}]);
    let found = |identifiers: Value| found("Patient", &rules, &patient(&json!({"identifier": identifiers})));
    let (old, new) = (json!({"system": "urn:card", "use": "old"}), json!({"system": "urn:card", "use": "usual", "value": "1"}));
    assert!(found(json!([old, {"system": "urn:x"}, new])).is_empty());
    assert!(found(json!([{"system": "urn:x"}])).is_empty());
    assert_eq!(found(json!([old])), ["profile-min Patient.identifier"]);
    assert_eq!(found(json!([old, new, old])), ["profile-max Patient.identifier"; 2]);
    let bare = json!({"system": "urn:card", "use": "usual"});
    assert_eq!(found(json!([{"system": "urn:x"}, old, bare])), ["profile-min Patient.identifier[2].value"]);
}

// What is asked of each name looks at all pairs of addresses. The constraints of all profiles of a resource have the work of one
// evaluation together: what is beyond is not held, and that is said once for each profile.
#[test]
fn constraints_have_one_budget_for_the_whole_resource() {
    let other = "http://example.org/StructureDefinition/other";
    let pairs = "%resource.telecom.all(%resource.telecom.where(value = 'none').empty())";
    let asked = |expression: &str| {
        json!([{"id": "name", "min": 0, "max": "*", "constraint": [
            {"key": "x-1", "severity": "error", "human": "No.", "expression": expression}]}])
    };
    let with = |names: usize, addresses: usize| {
        let telecom: Vec<Value> = (0..addresses).map(|at| json!({"system": "phone", "value": at.to_string()})).collect();
        let names: Vec<Value> = (0..names).map(|at| json!({"text": at.to_string()})).collect();
        let mut patient = patient(&json!({"name": names, "telecom": telecom}));
        patient["meta"] = json!({"profile": [URL, other]});
        patient
    };
    let mut canon = Canon::default();
    canon.learn("p", &structure(URL, "Patient", &asked(pairs)));
    canon.learn("o", &structure(other, "Patient", &asked(&format!("{pairs} and text != '0'"))));
    let told = |resource: &Value| -> Vec<String> {
        let issues = claimed(&canon, resource, "Patient", &[]);
        issues.iter().map(|issue| format!("{} {} {}", issue.key, issue.expression, issue.refuses())).collect()
    };
    assert_eq!(told(&with(2, 100)), ["profile-invariant Patient.name[0] true"]);
    assert_eq!(told(&with(40, 200)), ["profile-too-costly Patient false"; 2]);
}
