//! What a transaction promises: an end that does not depend on the order of its entries, all or nothing, and links that lead
//! to what was made. Follows <https://hl7.org/fhir/R4/http.html#transaction>.

use serde_json::{Value, json};

use crate::builders::{MEMBERS, With, bundle, hypertension, patient, store, subscription, task};
use crate::house::House;

const STORES: &str = "https://pharmacy.example/stores";

/// A uuid of this number.
pub(crate) fn urn(number: u32) -> String {
    format!("urn:uuid:0a1b2c3d-0000-4000-8000-{number:012}")
}

/// An entry of a Bundle with what its request says beside method and url.
pub(crate) fn entry(method: &str, url: &str, resource: Value, more: Value) -> Value {
    let mut entry = bundle("batch", &[(method, url, resource)])["entry"][0].clone();
    let Value::Object(more) = more else { panic!("{more} is no object") };
    for (name, value) in more {
        match name.as_str() {
            "fullUrl" => entry["fullUrl"] = value,
            _ => entry["request"][name] = value,
        }
    }
    entry
}

pub(crate) fn of(kind: &str, entries: &[Value]) -> Value {
    json!({"resourceType": "Bundle", "type": kind, "entry": entries})
}

/// How many rows each table has.
fn counts(house: &House) -> Vec<(String, String)> {
    let tables = house.database.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").concat();
    let count = |table: String| (house.database.rows(&format!("SELECT COUNT(*) FROM {table}"))[0][0].clone(), table);
    tables.into_iter().map(count).map(|(count, table)| (table, count)).collect()
}

/// Ten entries of all sorts, tied to each other forwards, backwards and in a circle.
fn mixed() -> Vec<Value> {
    let organization = store("x").with("id", Value::Null).with("identifier", json!([{"system": STORES, "value": "1"}]));
    let about = json!({"reference": format!("Patient?identifier={MEMBERS}|ada")});
    let patch = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "add"}, {"name": "path", "valueString": "Patient"}, {"name": "name", "valueString": "link"},
        {"name": "value", "part": [{"name": "other", "valueReference": {"reference": urn(1)}}, {"name": "type", "valueCode": "seealso"}]},
    ]}]});
    vec![
        entry(
            "PUT",
            "Patient/ada",
            patient("ada").with("managingOrganization", json!({"reference": urn(2)})),
            json!({"fullUrl": urn(1)}),
        ),
        entry(
            "POST",
            "Organization",
            organization.clone(),
            json!({"fullUrl": urn(2), "ifNoneExist": format!("identifier={STORES}|1")}),
        ),
        entry("POST", "Organization", organization, json!({"fullUrl": urn(3), "ifNoneExist": format!("identifier={STORES}|1")})),
        entry("PUT", "Condition/c", hypertension("c", "x").with("subject", about), json!({})),
        entry(
            "PUT",
            "Task/t",
            task("t", "x", "s").with("for", json!({"reference": urn(1)})).with("owner", json!({"reference": urn(3)})),
            json!({"fullUrl": urn(4)}),
        ),
        entry("PUT", "Task/u", task("u", "ada", "s").with("basedOn", json!([{"reference": urn(4)}])), json!({"fullUrl": urn(5)})),
        entry("PATCH", "Patient/bob", patch, json!({"ifMatch": "W/\"1\""})),
        entry("DELETE", "Patient/old", Value::Null, json!({})),
        entry("GET", "Patient/ada", Value::Null, json!({})),
        entry("GET", "Condition?patient=ada", Value::Null, json!({})),
    ]
}

/// Everything that is there, with the ids that we give named alike.
async fn state(house: &House) -> Vec<String> {
    let made = house.get(&format!("Organization?identifier={STORES}|1")).await.ids();
    let mut all = Vec::new();
    for kind in ["Patient", "Organization", "Condition", "Task"] {
        all.extend(house.all(kind).await.iter().map(|resource| resource.to_string().replace(&made[0], "made")));
    }
    all.sort();
    all
}

// Twenty orders of the same ten entries end in the same, and each entry is answered in its place.
#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_entries_changes_nothing() {
    let mut ends: Vec<Vec<String>> = Vec::new();
    for turn in 0..20 {
        let house = House::new().await;
        house.put(&patient("bob")).await.is(201);
        house.put(&patient("old")).await.is(201);
        let mut order: Vec<usize> = (0..10).collect();
        // A different order each time, the same in each run: a walk with steps that share no divisor with eleven.
        order.sort_by_key(|position| ((position + 1) * (turn + 1) * 7 + turn) % 11);
        let entries = mixed();
        let answer =
            house.bundle(&of("transaction", &order.iter().map(|at| entries[*at].clone()).collect::<Vec<_>>())).await.is(200);
        let expected = ["201", "201", "200", "201", "201", "201", "200", "204", "200", "200"];
        // Of two that are one, the first is the one that makes it.
        let (first, second) = (order.iter().position(|at| *at == 1).unwrap(), order.iter().position(|at| *at == 2).unwrap());
        for (place, at) in order.iter().enumerate() {
            let at = match at {
                1 | 2 => 1 + usize::from(place == first.max(second)),
                other => *other,
            };
            assert_eq!(answer.statuses()[place], expected[at], "{order:?}");
            let response = answer.at(&format!("/entry/{place}/response"));
            if at < 8 {
                assert!(response["etag"].is_string() && response["lastModified"].is_string(), "{response}");
                assert_eq!(response["location"].is_string(), at != 7, "{response}");
            }
        }
        let read = order.iter().position(|at| *at == 8).unwrap();
        assert_eq!(answer.at(&format!("/entry/{read}/resource/id")), "ada");
        let searched = order.iter().position(|at| *at == 9).unwrap();
        assert_eq!(answer.at(&format!("/entry/{searched}/resource/entry/0/resource/id")), "c");
        assert!(!house.get("Task/u").await.text.contains("urn:uuid"));
        house.get("Patient/old").await.is(410);
        ends.push(state(&house).await);
    }
    assert!(ends.iter().all(|end| *end == ends[0]));
    assert_eq!(ends[0].len(), 6);
}

// Whatever refuses the last of fifty entries, no table has one row more than before.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_refused_transaction() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    house
        .put(&task("ours", "ada", "s").with("instantiatesCanonical", "https://signa.example/fhir/PlanDefinition/refill|1"))
        .await;
    house.post(&subscription("Patient?gender=female", "http://127.0.0.1:9/hook")).await.is(201);
    house.beat().await;
    let good: Vec<Value> = (0..49)
        .map(|number| {
            let id = format!("p{number}");
            entry("PUT", &format!("Patient/{id}"), patient(&id), json!({}))
        })
        .collect();
    let before = counts(&house);
    let nobody = json!({"reference": "Patient?identifier=urn:x|nobody"});
    let no_hook = subscription("Patient?gender=female", "http://10.0.0.1/hook").with("id", "s");
    let done = task("ours", "ada", "s")
        .with("instantiatesCanonical", "https://signa.example/fhir/PlanDefinition/refill|1")
        .with("status", "completed");
    for (bad, status) in [
        (
            entry("POST", "Condition", hypertension("x", "ada").with("id", Value::Null).with("subject", Value::Null), json!({})),
            400,
        ),
        (entry("PUT", "Patient/ada", patient("ada").with("gender", "lady"), json!({})), 422),
        (entry("PUT", "Patient/ada", patient("ada"), json!({"ifMatch": "W/\"7\""})), 412),
        (entry("DELETE", "Patient/ada", Value::Null, json!({"ifMatch": "W/\"7\""})), 412),
        (entry("PUT", "Condition/c", hypertension("c", "x").with("subject", nobody), json!({})), 412),
        (entry("PUT", "Condition/c", hypertension("c", "x").with("subject", json!({"reference": urn(99)})), json!({})), 400),
        (entry("PUT", "Task/ours", done, json!({})), 422),
        (entry("PUT", "Subscription/s", no_hook, json!({})), 422),
        (entry("PATCH", "Patient/none", json!({"resourceType": "Parameters"}), json!({})), 404),
        (entry("GET", "Patient/none", Value::Null, json!({})), 404),
        (entry("GET", "Patient?birthdate=never", Value::Null, json!({})), 400),
        (entry("PUT", "Patient/p0", patient("p0"), json!({})), 400),
        (entry("DELETE", "Patient?identifier=", Value::Null, json!({})), 400),
    ] {
        let entries = [&good[..], std::slice::from_ref(&bad)].concat();
        let refused = house.bundle(&of("transaction", &entries)).await;
        assert_eq!(refused.status, status, "{bad}: {}", refused.text);
        assert!(refused.expressions()[0].starts_with("Bundle.entry[49]"), "{bad}: {}", refused.text);
        house.beat().await;
        assert_eq!(counts(&house), before, "{bad}");
    }
    house.bundle(&of("transaction", &good)).await.is(200);
    assert_ne!(counts(&house), before);
}

// Links lead to what was made, wherever they stand; texts that look alike stay as they are.
#[tokio::test(flavor = "multi_thread")]
async fn links_are_rewritten_wherever_they_stand() {
    let house = House::new().await;
    let one = urn(1);
    let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"{one}\">her</a> <img src=\"{}\"/></div>", urn(2));
    let questionnaire = json!({"resourceType": "Questionnaire", "status": "active"});
    let response = json!({
        "resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": format!("{}|2", urn(3)),
        "text": {"status": "generated", "div": div},
        "identifier": {"system": "urn:ietf:rfc:3986", "value": one},
        "contained": [{"resourceType": "RelatedPerson", "id": "c", "patient": {"reference": one}}],
        "extension": [{"url": "https://x.example/outer", "extension": [{"url": "inner", "valueReference": {"reference": one}}]},
                      {"url": "https://x.example/uri", "valueUri": one}, {"url": "https://x.example/text", "valueString": one}],
        "subject": {"reference": one, "display": one}, "source": {"reference": "#c"},
        "item": [{"linkId": "1", "answer": [{"valueReference": {"reference": urn(2)}}]}],
    });
    let binary = json!({"resourceType": "Binary", "contentType": "image/png", "data": "AAAA"});
    // The patient is tied to the answers, and the answers to the patient.
    let circle = patient("x").with("id", Value::Null).with("link", json!([{"other": {"reference": one}, "type": "seealso"}]));
    let sent = of(
        "transaction",
        &[
            entry("POST", "QuestionnaireResponse", response, json!({"fullUrl": urn(4)})),
            entry("POST", "Patient", circle, json!({"fullUrl": one})),
            entry("POST", "Binary", binary, json!({"fullUrl": urn(2)})),
            entry("POST", "Questionnaire", questionnaire, json!({"fullUrl": urn(3)})),
        ],
    );
    let answer = house.bundle(&sent).await.is(200);
    let place = |at: usize| {
        let location = answer.at(&format!("/entry/{at}/response/location"));
        location.as_str().unwrap().split("/fhir/").nth(1).unwrap().split("/_history").next().unwrap().to_owned()
    };
    let (patient, binary) = (place(1), place(2));
    let kept = house.get(&place(0)).await.is(200);
    for (pointer, expected) in [
        ("/subject/reference", patient.as_str()),
        ("/subject/display", one.as_str()),
        ("/identifier/value", one.as_str()),
        ("/contained/0/patient/reference", patient.as_str()),
        ("/extension/0/extension/0/valueReference/reference", patient.as_str()),
        ("/extension/1/valueUri", patient.as_str()),
        ("/extension/2/valueString", one.as_str()),
        ("/item/0/answer/0/valueReference/reference", binary.as_str()),
        // A canonical names a definition; the standard has it left alone.
        ("/questionnaire", &format!("{}|2", urn(3))),
    ] {
        assert_eq!(kept.at(pointer), expected, "{pointer}");
    }
    let div = kept.at("/text/div");
    assert!(
        div.as_str().unwrap().contains(&format!("href=\"{patient}\""))
            && div.as_str().unwrap().contains(&format!("src=\"{binary}\""))
    );
    assert_eq!(house.get(&patient).await.at("/link/0/other/reference"), patient);
}

// The same identity twice refuses the whole, also when only the criteria tell that it is the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_identity_twice_is_refused_however_it_is_named() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let by = |value: &str| format!("Patient?identifier={MEMBERS}|{value}");
    let unnamed = |id: &str| patient(id).with("id", Value::Null);
    let put = || entry("PUT", "Patient/ada", patient("ada").with("gender", "other"), json!({}));
    let new = |gender: &str| {
        let criteria = format!("identifier={MEMBERS}|new");
        entry("POST", "Patient", unnamed("new").with("gender", gender), json!({"ifNoneExist": criteria}))
    };
    for pair in [
        [put(), put()],
        [put(), entry("DELETE", "Patient/ada", Value::Null, json!({}))],
        [put(), entry("DELETE", &by("ada"), Value::Null, json!({}))],
        [put(), entry("PUT", &by("ada"), unnamed("ada"), json!({}))],
        [put(), entry("PATCH", "Patient/ada", json!({"resourceType": "Parameters"}), json!({}))],
        [entry("PUT", &by("new"), unnamed("new"), json!({})), entry("PUT", &by("new"), unnamed("new"), json!({}))],
        [new("female"), entry("PUT", &by("new"), unnamed("new"), json!({}))],
        [new("female"), new("male")],
    ] {
        for entries in [pair.clone(), [pair[1].clone(), pair[0].clone()]] {
            let refused = house.bundle(&of("transaction", &entries)).await.is(400);
            assert!(refused.text.contains("same-resource-twice"), "{}", refused.text);
        }
    }
    assert_eq!((house.get("Patient/ada").await.version().as_str(), house.count("Patient").await), ("1", 1));
    let alike = house.bundle(&of("transaction", &[new("female"), new("female")])).await.is(200);
    assert_eq!((alike.statuses(), house.count("Patient").await), (vec!["201".to_owned(), "200".to_owned()], 2));
}

// Deletions come first: what is deleted is not found by a create of the same transaction, nor hides a third.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_transaction_deletes_is_not_found_by_it() {
    let house = House::new().await;
    let shared = json!([{"system": MEMBERS, "value": "shared"}]);
    for id in ["a", "b", "c"] {
        house.put(&patient(id).with("identifier", shared.clone())).await.is(201);
    }
    let criteria = format!("identifier={MEMBERS}|shared");
    let create = || entry("POST", "Patient", patient("x").with("id", Value::Null), json!({"ifNoneExist": criteria}));
    let delete = |id: &str| entry("DELETE", &format!("Patient/{id}"), Value::Null, json!({}));
    let about = || {
        entry(
            "PUT",
            "Condition/c",
            hypertension("c", "x").with("subject", json!({"reference": format!("Patient?{criteria}")})),
            json!({}),
        )
    };
    house.bundle(&of("transaction", &[create(), delete("a")])).await.is(412);
    house.bundle(&of("transaction", &[about(), delete("a")])).await.is(412);
    assert_eq!(
        house.bundle(&of("transaction", &[about(), delete("a"), delete("b")])).await.is(200).statuses(),
        ["201", "204", "204"]
    );
    assert_eq!(house.get("Condition/c").await.at("/subject/reference"), "Patient/c");
    let made = house.bundle(&of("transaction", &[create(), delete("c")])).await.is(200);
    assert_eq!(made.statuses(), ["201", "204"]);
}

// Conditions of entries are held to, and one that does not belong to its method is not passed over.
#[tokio::test(flavor = "multi_thread")]
async fn conditions_of_entries_are_held_to() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let read = |more: Value| entry("GET", "Patient/ada", Value::Null, more);
    let later = json!({"ifModifiedSince": "2026-06-01T15:00:00Z"});
    let sent = of(
        "batch",
        &[
            read(json!({"ifNoneMatch": "W/\"1\""})),
            read(json!({"ifNoneMatch": "W/\"2\""})),
            read(later),
            read(json!({"ifModifiedSince": "2026-06-01T14:59:59Z"})),
            entry("HEAD", "Patient/ada", Value::Null, json!({})),
            entry(
                "POST",
                "Patient",
                patient("x").with("id", Value::Null),
                json!({"ifNoneExist": format!("identifier={MEMBERS}|ada")}),
            ),
            entry("PUT", "Patient/ada", patient("ada").with("gender", "other"), json!({"ifMatch": "W/\"9\""})),
            entry("PUT", "Patient/ada", patient("ada").with("gender", "other"), json!({"ifNoneExist": "identifier=1"})),
            entry("DELETE", "Patient/ada", Value::Null, json!({"ifNoneMatch": "*"})),
        ],
    );
    let answer = house.bundle(&sent).await.is(200);
    assert_eq!(answer.statuses(), ["304", "200", "304", "200", "200", "200", "412", "400", "400"]);
    let has = |at: usize| !answer.at(&format!("/entry/{at}/resource")).is_null();
    assert_eq!([0, 1, 2, 3, 4].map(has), [false, true, false, true, false]);
    assert!(answer.at("/entry/5/response/location").as_str().unwrap().contains("Patient/ada"));
    assert_eq!(house.get("Patient/ada").await.version(), "1");
}

// In a batch, entries about the same resource are done in their order, each on what the one before left.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_does_the_same_resource_in_order() {
    let house = House::new().await;
    let turns: Vec<Value> =
        (1..=40).map(|turn| entry("PUT", "Patient/ada", patient("ada").with("multipleBirthInteger", turn), json!({}))).collect();
    let answer = house.bundle(&of("batch", &turns)).await.is(200);
    let tags: Vec<Value> = (0..40).map(|at| answer.at(&format!("/entry/{at}/response/etag"))).collect();
    assert_eq!(tags, (1..=40).map(|version| json!(format!("W/\"{version}\""))).collect::<Vec<_>>());
    assert_eq!(house.get("Patient/ada").await.at("/multipleBirthInteger"), 40);
}

// Who asks for the resources gets them; who asks for outcomes gets those.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_answered_as_preferred() {
    let house = House::new().await;
    for kind in ["transaction", "batch"] {
        let put = || {
            of(
                kind,
                &[
                    entry("PUT", "Patient/ada", patient("ada"), json!({})),
                    entry("DELETE", "Patient/none", Value::Null, json!({})),
                ],
            )
        };
        let plain = house.bundle(&put()).await.is(200);
        assert_eq!((plain.at("/entry/0/resource"), plain.at("/entry/0/response/outcome")), (Value::Null, Value::Null));
        let whole = house.ask("POST", "").header("Prefer", "return=representation").json(&put()).await.is(200);
        assert_eq!((whole.at("/entry/0/resource/id"), whole.at("/entry/1/resource")), (json!("ada"), Value::Null));
        let told = house.ask("POST", "").header("Prefer", "return=OperationOutcome").json(&put()).await.is(200);
        assert_eq!(told.at("/entry/0/response/outcome/resourceType"), "OperationOutcome");
    }
}

// What is no Bundle to be done, or holds nothing where something must be, is refused and never breaks anything.
#[tokio::test(flavor = "multi_thread")]
async fn strange_bundles_are_refused_in_words() {
    let house = House::new().await;
    for kind in ["collection", "searchset", "document", "message", "history", "transaction-response", "batch-response"] {
        let refused = house.bundle(&json!({"resourceType": "Bundle", "type": kind})).await;
        assert!([400, 422].contains(&refused.status), "{kind}: {}", refused.text);
    }
    for text in [
        r#"{"resourceType":"Bundle"}"#,
        r#"{"resourceType":"Bundle","type":"odd"}"#,
        r#"{"resourceType":"Bundle","type":"transaction","entry":null}"#,
        r#"{"resourceType":"Bundle","type":"transaction","entry":[null]}"#,
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{}]}"#,
        r#"{"resourceType":"Bundle","type":"transaction","entry":{}}"#,
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"resource":null,"request":{"method":"POST","url":"Patient"}}]}"#,
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST","url":"Patient"}}]}"#,
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"PUT","url":"Patient/1"}}]}"#,
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"PATCH","url":"Patient/1"}}]}"#,
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"resource":[],"request":{"method":"POST","url":"Patient"}}]}"#,
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient"},"request":{"method":"POST"}}]}"#,
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient"},"request":{"method":"PUT","url":"Patient"}}]}"#,
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":""}}]}"#,
    ] {
        let answer = house.ask("POST", "").body("application/fhir+json", text).await;
        assert!([400, 422].contains(&answer.status), "{text}: {} {}", answer.status, answer.text);
    }
    let lone = r#"{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"POST","url":"Patient"}},{"request":{"method":"GET","url":"Patient"}},{},null]}"#;
    let statuses = house.ask("POST", "").body("application/fhir+json", lone).await.is(200).statuses();
    assert_eq!(statuses, ["400", "200", "400", "400"]);
    for kind in ["transaction", "batch"] {
        assert_eq!(
            house.bundle(&json!({"resourceType": "Bundle", "type": kind})).await.is(200).at("/type"),
            format!("{kind}-response")
        );
    }
    let many = of("transaction", &vec![entry("DELETE", "Patient/x", Value::Null, json!({})); 20_001]);
    assert_eq!(house.bundle(&many).await.is(413).codes(), ["too-long"]);
}

// The largest real transactions: 3,500 entries, 12 megabytes, tied together by links.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_3500_entries_and_12_megabytes_is_taken() {
    let house = House::new().await;
    let note = "x".repeat(3_300);
    let mut entries = vec![entry("POST", "Patient", patient("big").with("id", Value::Null), json!({"fullUrl": urn(0)}))];
    for number in 1..3_500 {
        let report = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
            "subject": {"reference": urn(0)}, "note": [{"text": note}]});
        entries.push(entry("POST", "Observation", report, json!({"fullUrl": urn(number)})));
    }
    let sent = of("transaction", &entries);
    assert!(sent.to_string().len() > 12_000_000);
    let answer = house.bundle(&sent).await.is(200);
    assert_eq!(answer.statuses().len(), 3_500);
    assert!(answer.statuses().iter().all(|status| status == "201"));
    let id = house.get("Patient").await.ids().remove(0);
    assert_eq!(house.count(&format!("Observation?subject=Patient/{id}")).await, 3_499);
}
