//! Patches of both sorts on small resources: what they make, and why they make nothing.

use serde_json::{Value, json};

use super::{DEPTH_MAX, OPERATIONS_MAX, Patch, RESULT_BYTES_MAX};
use crate::fhir::path::PATTERNS_MAX;

fn json_patch(resource: &Value, operations: Value) -> Result<Value, String> {
    let told = |issue: crate::fhir::outcome::Issue| format!("{} {}", issue.key, issue.expression);
    let patch = Patch::of_json(operations).map_err(|issues| told(issues.into_iter().next().unwrap()))?;
    patch.apply(resource).map_err(told)
}

/// Operations as (type, path, parts as JSON); a part `value` may be a type and a value.
fn path_patch(resource: &Value, operations: &[(&str, &str, Value)]) -> Result<Value, String> {
    let operation = |(kind, path, parts): &(&str, &str, Value)| {
        let mut all = vec![json!({"name": "type", "valueCode": kind}), json!({"name": "path", "valueString": path})];
        for (name, value) in parts.as_object().unwrap() {
            let mut part = match name.as_str() {
                "name" => json!({"valueString": value}),
                "index" | "source" | "destination" => json!({"valueInteger": value}),
                _ => value.clone(),
            };
            part["name"] = name.as_str().into();
            all.push(part);
        }
        json!({"name": "operation", "part": all})
    };
    let parameters: Vec<Value> = operations.iter().map(operation).collect();
    let told = |issue: crate::fhir::outcome::Issue| format!("{} {}", issue.key, issue.expression);
    let patch = Patch::of_parameters(&json!({"resourceType": "Parameters", "parameter": parameters}));
    patch.map_err(|issues| told(issues.into_iter().next().unwrap()))?.apply(resource).map_err(told)
}

fn patient() -> Value {
    json!({"resourceType": "Patient", "birthDate": "1974-12-25", "_birthDate": {"extension": [{"url": "u", "valueDateTime": "1974"}]},
           "name": [{"given": ["A", "B", "C"], "_given": [null, {"id": "b"}, null]}]})
}

#[test]
fn a_json_patch_tests_and_changes_in_order() {
    let patched = json_patch(
        &patient(),
        json!([
            {"op": "test", "path": "/birthDate", "value": "1974-12-25"},
            {"op": "replace", "path": "/name/0/given/0", "value": "Z"},
            {"op": "copy", "from": "/name/0", "path": "/name/-"},
            {"op": "move", "from": "/birthDate", "path": "/name/1/text"},
            {"op": "remove", "path": "/_birthDate"},
        ]),
    );
    let name = json!({"given": ["Z", "B", "C"], "_given": [null, {"id": "b"}, null]});
    let mut second = name.clone();
    second["text"] = "1974-12-25".into();
    assert_eq!(patched.unwrap(), json!({"resourceType": "Patient", "name": [name, second]}));
}

#[test]
fn a_json_patch_leaves_nothing_empty_behind_and_adds_what_it_says() {
    let holder = json!({"a": {"b": [{"c": 1}]}, "d": 2});
    assert_eq!(json_patch(&holder, json!([{"op": "remove", "path": "/a/b/0/c"}])).unwrap(), json!({"d": 2}));
    let again = json!([{"op": "remove", "path": "/a/b/0"}, {"op": "add", "path": "/a/b/-", "value": 3}]);
    assert_eq!(json_patch(&holder, again).unwrap(), json!({"a": {"b": [3]}, "d": 2}));
    assert_eq!(json_patch(&holder, json!([{"op": "add", "path": "/e", "value": []}])).unwrap()["e"], json!([]));
}

#[test]
fn what_a_json_patch_emptied_is_found_where_later_operations_carried_it() {
    let names = json!({"name": [{"given": ["A"], "use": "usual"}, {"given": ["B"]}, {"given": ["C"]}]});
    let remove = |path: &str| json!({"op": "remove", "path": path});
    let add = |path: &str, value: Value| json!({"op": "add", "path": path, "value": value});
    let (usual, second, third) = (json!({"use": "usual"}), json!({"given": ["B"]}), json!({"given": ["C"]}));
    for (operations, expected) in [
        // What comes before it in its list shifts it down, what leaves the list shifts it up.
        (json!([remove("/name/0/given/0"), add("/name/0", third.clone())]), json!([third, usual, second, third])),
        (json!([remove("/name/1/given/0"), remove("/name/0")]), json!([third])),
        (json!([remove("/name/1/given/0"), remove("/name/2/given/0"), remove("/name/0/use")]), json!([{"given": ["A"]}])),
        // It is carried along, and found in its new place; what takes its place is left alone.
        (
            json!([remove("/name/0/given/0"), json!({"op": "move", "from": "/name/0", "path": "/name/2"})]),
            json!([second, third, usual]),
        ),
        (
            json!([remove("/name/0/given/0"), add("/name/0/given", json!([]))]),
            json!([{"given": [], "use": "usual"}, second, third]),
        ),
        (
            json!([remove("/name/1/given/0"), json!({"op": "replace", "path": "/name/1", "value": {"given": []}})]),
            json!([{"given": ["A"], "use": "usual"}, {"given": []}, third]),
        ),
        (json!([remove("/name/1/given/0"), add("/name/1/given/-", json!("B"))]), names["name"].clone()),
    ] {
        assert_eq!(json_patch(&names, operations.clone()).unwrap(), json!({"name": expected}), "{operations}");
    }
    let all = json!([remove("/name/1"), remove("/name/0/given/0"), remove("/name/1"), remove("/name/0/use")]);
    assert_eq!(json_patch(&names, all).unwrap(), json!({}));
}

#[test]
fn a_json_patch_that_cannot_be_applied_names_its_operation() {
    let fine = json!({"op": "test", "path": "", "value": patient()});
    for (operation, expected) in [
        (json!({"op": "test", "path": "/birthDate", "value": "1974-12-26"}), "patch-test-failed patch[1]"),
        (json!({"op": "test", "path": "/nowhere", "value": null}), "patch-test-failed patch[1]"),
        (json!({"op": "replace", "path": "/gender", "value": "male"}), "patch-not-applicable patch[1]"),
        (json!({"op": "add", "path": "/contact/0/gender", "value": "male"}), "patch-not-applicable patch[1]"),
        (json!({"op": "add", "path": "/name/2", "value": {}}), "patch-not-applicable patch[1]"),
        (json!({"op": "add", "path": "/name/x", "value": {}}), "patch-not-applicable patch[1]"),
        (json!({"op": "add", "path": "/birthDate/x", "value": 1}), "patch-not-applicable patch[1]"),
        (json!({"op": "remove", "path": ""}), "patch-not-applicable patch[1]"),
        (json!({"op": "remove", "path": "/name/-"}), "patch-not-applicable patch[1]"),
        (json!({"op": "move", "from": "/x", "path": "/x"}), "patch-not-applicable patch[1]"),
        (json!({"op": "move", "from": "/name", "path": "/name/0/x"}), "invalid-patch patch[1]"),
        (json!({"op": "add", "path": "/x"}), "invalid-patch patch[1]"),
        (json!({"op": "copy", "path": "/x"}), "invalid-patch patch[1]"),
        (json!({"op": "merge", "path": "/x"}), "invalid-patch patch[1]"),
        (json!({"op": "remove", "path": "x"}), "invalid-patch patch[1]"),
        (json!("remove"), "invalid-patch patch[1]"),
    ] {
        assert_eq!(json_patch(&patient(), json!([fine, operation])).unwrap_err(), expected, "{operation}");
    }
    assert_eq!(json_patch(&patient(), json!({"op": "remove"})).unwrap_err(), "invalid-patch patch");
}

#[test]
fn a_patch_is_bounded() {
    let many = vec![json!({"op": "test", "path": "", "value": 1}); OPERATIONS_MAX + 1];
    assert_eq!(json_patch(&json!(1), Value::Array(many)).unwrap_err(), "too-many-operations patch");
    let fits = vec![json!({"op": "test", "path": "", "value": 1}); OPERATIONS_MAX];
    assert!(json_patch(&json!(1), Value::Array(fits)).is_ok());
    // Each copy doubles what is there: forty would be a million million.
    let doubling = vec![json!({"op": "copy", "from": "/a", "path": "/a/-"}); 40];
    let text = "x".repeat(1_000);
    assert!(json_patch(&json!({"a": [text]}), Value::Array(doubling)).unwrap_err().starts_with("patch-too-large"));
    let deeper = vec![json!({"op": "copy", "from": "/a", "path": "/a/b"}); 70];
    assert!(json_patch(&json!({"a": {"b": 1}}), Value::Array(deeper)).unwrap_err().starts_with("patch-too-large"));
    let matching = |operations: usize| {
        let delete = ("delete", "Patient.name.where(text.matches('x'))", json!({}));
        path_patch(&json!({"resourceType": "Patient"}), &vec![delete; operations])
    };
    assert!(matching(PATTERNS_MAX).is_ok());
    assert_eq!(matching(OPERATIONS_MAX).unwrap_err(), format!("invalid-patch Parameters.parameter[{PATTERNS_MAX}]"));
    let wide = json!([{"op": "add", "path": "/b", "value": "x".repeat(RESULT_BYTES_MAX)}]);
    assert!(json_patch(&json!({"a": 1}), wide).unwrap_err().starts_with("patch-too-large"));
}

#[test]
fn no_patch_nests_deeper_than_the_bound_operation_by_operation() {
    // Each wraps what is there in a new object: all of them would be 250 levels, and then thousands.
    let wrapped = |times: usize| {
        let wrap = [json!({"op": "add", "path": "/b", "value": {}}), json!({"op": "move", "from": "/a", "path": "/b/a"})];
        let back = json!({"op": "move", "from": "/b", "path": "/a"});
        let operations: Vec<Value> = (0..times).flat_map(|_| wrap.iter().chain([&back]).cloned()).collect();
        json_patch(&json!({"a": {"c": 1}}), Value::Array(operations))
    };
    assert!(wrapped(DEPTH_MAX - 2).is_ok());
    assert_eq!(wrapped(OPERATIONS_MAX / 3).unwrap_err(), format!("patch-too-large patch[{}]", 3 * (DEPTH_MAX - 2) + 1));
    let deep = (0..DEPTH_MAX).fold(json!(1), |inner, _| json!([inner]));
    for operation in ["add", "replace"] {
        let write = |path: &str| json_patch(&json!({"a": 1}), json!([{"op": operation, "path": path, "value": deep}]));
        assert_eq!(write("/a").unwrap_err(), "patch-too-large patch[0]", "{operation}");
        assert_eq!(write("").unwrap(), deep, "{operation}");
    }
    let nested = |times: usize| {
        let paths: Vec<String> = (0..times).map(|depth| format!("Patient{}", ".extension".repeat(depth))).collect();
        let extension = json!({"name": "extension", "value": {"part": [{"name": "url", "valueUri": "v"}]}});
        let operations: Vec<_> = paths.iter().map(|path| ("add", path.as_str(), extension.clone())).collect();
        path_patch(&json!({"resourceType": "Patient"}), &operations)
    };
    assert!(nested(DEPTH_MAX / 2 - 1).is_ok());
    assert_eq!(nested(DEPTH_MAX).unwrap_err(), format!("patch-too-large Parameters.parameter[{}]", DEPTH_MAX / 2 - 1));
}

#[test]
fn what_stands_beside_a_primitive_moves_and_goes_with_it() {
    let given = |patched: Result<Value, String>| {
        let name = patched.unwrap()["name"][0].clone();
        (name["given"].clone(), name["_given"].clone())
    };
    let delete = [("delete", "Patient.name.given[0]", json!({}))];
    assert_eq!(given(path_patch(&patient(), &delete)), (json!(["B", "C"]), json!([{"id": "b"}, null])));
    let delete = [("delete", "Patient.name.given[1]", json!({}))];
    assert_eq!(given(path_patch(&patient(), &delete)), (json!(["A", "C"]), Value::Null));
    let insert = [("insert", "Patient.name.given", json!({"index": 1, "value": {"valueString": "X"}}))];
    assert_eq!(given(path_patch(&patient(), &insert)), (json!(["A", "X", "B", "C"]), json!([null, null, {"id": "b"}, null])));
    let shift = [("move", "Patient.name.given", json!({"source": 1, "destination": 0}))];
    assert_eq!(given(path_patch(&patient(), &shift)), (json!(["B", "A", "C"]), json!([{"id": "b"}, null, null])));
    let born = path_patch(&patient(), &[("replace", "Patient.birthDate", json!({"value": {"valueDate": "1975"}}))]).unwrap();
    assert_eq!((&born["birthDate"], born.get("_birthDate")), (&json!("1975"), None));
    let unborn = path_patch(&patient(), &[("delete", "Patient.birthDate", json!({}))]).unwrap();
    assert_eq!((unborn.get("birthDate"), unborn.get("_birthDate")), (None, None));
    let plain = path_patch(&patient(), &[("delete", "Patient.birthDate.extension[0]", json!({}))]).unwrap();
    assert_eq!((&plain["birthDate"], plain.get("_birthDate")), (&json!("1974-12-25"), None));
    let parts = json!([{"name": "url", "valueUri": "v"}, {"name": "value", "valueCode": "c"}]);
    let add = [("add", "Patient.name.given[2]", json!({"name": "extension", "value": {"part": parts}}))];
    let expected = json!([null, {"id": "b"}, {"extension": [{"url": "v", "valueCode": "c"}]}]);
    assert_eq!(given(path_patch(&patient(), &add)).1, expected);
}

#[test]
fn a_choice_takes_the_key_of_its_type() {
    let observation = json!({"resourceType": "Observation", "valueQuantity": {"value": 1}});
    let text = || json!({"value": {"valueString": "high"}});
    let replaced = path_patch(&observation, &[("replace", "Observation.value", text())]).unwrap();
    assert_eq!(replaced, json!({"resourceType": "Observation", "valueString": "high"}));
    let mut named = text();
    named["name"] = "value".into();
    assert_eq!(
        path_patch(&observation, &[("add", "Observation", named.clone())]).unwrap_err(),
        "patch-not-applicable Parameters.parameter[0]"
    );
    let bare = json!({"resourceType": "Observation"});
    assert_eq!(path_patch(&bare, &[("add", "Observation", named.clone())]).unwrap()["valueString"], "high");
    named["name"] = "value[x]".into();
    assert_eq!(path_patch(&bare, &[("add", "Observation", named.clone())]).unwrap()["valueString"], "high");
    named["name"] = "valueQuantity".into();
    assert!(path_patch(&bare, &[("add", "Observation", named)]).is_err());
}

#[test]
fn a_list_that_is_not_there_is_begun_and_an_empty_holder_goes() {
    let bare = json!({"resourceType": "Patient"});
    let value = json!({"valueIdentifier": {"value": "1"}});
    let insert = |index: u32| path_patch(&bare, &[("insert", "Patient.identifier", json!({"index": index, "value": value}))]);
    assert_eq!(insert(0).unwrap()["identifier"], json!([{"value": "1"}]));
    assert!(insert(1).is_err());
    let contact = json!({"resourceType": "Patient", "contact": [{"id": "c", "name": {"text": "x"}}], "active": true});
    let delete = [("delete", "Patient.contact.name.text", json!({}))];
    assert_eq!(path_patch(&contact, &delete).unwrap(), json!({"resourceType": "Patient", "active": true}));
    let missing = [("delete", "Patient.contact.gender", json!({}))];
    assert_eq!(path_patch(&contact, &missing).unwrap(), contact);
}

#[test]
fn a_path_patch_that_cannot_be_applied_names_its_operation() {
    let text = || json!({"value": {"valueString": "x"}});
    let named = |name: &str| json!({"name": name, "value": {"valueString": "x"}});
    for (kind, path, parts) in [
        ("replace", "Patient.gender", text()),
        ("replace", "Patient.name.given", text()),
        ("replace", "Patient", text()),
        ("replace", "Patient.name.given.first().upper()", text()),
        ("delete", "Patient.name.given", json!({})),
        ("delete", "Patient", json!({})),
        ("add", "Patient", named("shoeSize")),
        ("add", "Patient", named("birthDate")),
        ("insert", "Patient.name.given.where($this = 'A')", json!({"index": 0, "value": {"valueString": "x"}})),
        ("insert", "Patient.name.given", json!({"index": 4, "value": {"valueString": "x"}})),
        ("move", "Patient.name.given", json!({"source": 3, "destination": 0})),
        ("move", "Patient.address", json!({"source": 0, "destination": 0})),
    ] {
        let refused = path_patch(&patient(), &[(kind, path, parts)]).unwrap_err();
        assert_eq!(refused, "patch-not-applicable Parameters.parameter[0]", "{kind} {path}");
    }
    for (kind, path, parts) in [
        ("merge", "Patient", text()),
        ("add", "Patient", text()),
        ("replace", "Patient.(", text()),
        ("replace", "Patient.gender", json!({})),
        ("insert", "Patient.name", text()),
        ("move", "Patient.name", json!({"source": -1, "destination": 0})),
    ] {
        let refused = path_patch(&patient(), &[(kind, path, parts)]).unwrap_err();
        assert_eq!(refused, "invalid-patch Parameters.parameter[0]", "{kind} {path}");
    }
}

/// A Group of so many members.
fn group(members: usize) -> Value {
    let member = |at: usize| json!({"entity": {"reference": format!("Patient/{at}")}});
    json!({"resourceType": "Group", "member": (0..members).map(member).collect::<Vec<_>>()})
}

#[test]
fn all_operations_of_a_patch_have_one_budget() {
    let all = |operations: usize| {
        let set =
            ("replace", "Group.member.where(entity.reference = 'Patient/7').inactive", json!({"value": {"valueBoolean": true}}));
        let mut group = group(2_000);
        group["member"][7]["inactive"] = false.into();
        path_patch(&group, &vec![set; operations])
    };
    assert_eq!(all(20).unwrap()["member"][7]["inactive"], true);
    assert!(all(OPERATIONS_MAX).unwrap_err().starts_with("patch-not-applicable Parameters.parameter["));
}

#[test]
fn a_long_list_is_looked_through_once() {
    const MEMBERS: usize = 20_000;
    let value = json!({"part": [{"name": "entity", "valueReference": {"reference": "Patient/new"}}]});
    let insert = ("insert", "Group.member", json!({"index": 1, "value": value}));
    let shift = ("move", "Group.member", json!({"source": 1, "destination": MEMBERS}));
    let patched = path_patch(&group(MEMBERS), &[insert, shift]).unwrap();
    assert_eq!(patched["member"][MEMBERS]["entity"]["reference"], "Patient/new");
    let part = ("insert", "Group.member.where(entity.reference != 'Patient/3')", json!({"index": 0, "value": value}));
    assert_eq!(path_patch(&group(9), &[part]).unwrap_err(), "patch-not-applicable Parameters.parameter[0]");
}
