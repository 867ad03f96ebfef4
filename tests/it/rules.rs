//! Rules over REST: sent, checked, followed at once and after a restart, changed without touching what was begun, retired.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::builders::{Purpose, With, bone_density, bundle, condition, consent, patient, store};
use crate::diary::{diary, texts};
use crate::house::House;

const ROOT: &str = "https://signa.example/fhir";
pub(crate) const ICD: &str = "http://hl7.org/fhir/sid/icd-10-cm";

/// What is said: one text in English.
pub(crate) fn message(id: &str, words: &str) -> Value {
    json!({"resourceType": "ActivityDefinition", "id": id, "url": format!("https://clinic.example/{id}"), "status": "active",
        "kind": "CommunicationRequest", "code": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/communication-category", "code": "notification"}]},
        "extension": [{"url": format!("{ROOT}/StructureDefinition/message"), "extension": [
            {"url": "language", "valueCode": "en"}, {"url": "text", "valueString": words}]}]})
}

/// A rule of the clinic: a word on the day after a diagnosis of gout.
pub(crate) fn rule(id: &str, version: &str, says: &str) -> Value {
    json!({"resourceType": "PlanDefinition", "id": id, "url": "https://clinic.example/gout", "version": version, "status": "active",
        "meta": {"profile": [format!("{ROOT}/StructureDefinition/signa-plan")]},
        "extension": [{"url": format!("{ROOT}/StructureDefinition/plan-priority"), "valueCode": "clinical"}],
        "approvalDate": "2026-05-01", "reviewer": [{"name": "Dr. Reader"}],
        "action": [{"id": "found",
            "trigger": [{"type": "data-added", "data": [{"type": "Condition", "codeFilter": [{"path": "code", "code": [{"system": ICD, "code": "M10.9"}]}]}]}],
            "action": [{"id": "word", "definitionCanonical": format!("https://clinic.example/{says}"),
                "relatedAction": [{"actionId": "found", "relationship": "after-start", "offsetDuration": {"value": 1, "code": "d", "system": "http://unitsofmeasure.org"}}]}]}]})
}

pub(crate) fn gout(id: &str, patient: &str) -> Value {
    condition(id, patient, &json!({"coding": [{"system": ICD, "code": "M10.9"}]}))
}

/// The keys of a refusal.
pub(crate) fn keys(refused: &Answer) -> Vec<String> {
    let issues = refused.at("/issue");
    issues.as_array().unwrap().iter().map(|issue| issue["details"]["coding"][0]["code"].as_str().unwrap().to_owned()).collect()
}

pub(crate) async fn clinic() -> House {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    for name in ["ada", "bob"] {
        house.put(&patient(name)).await.is(201);
        house.put(&consent(&format!("yes-{name}"), name, &[Purpose::Treatment])).await.is(201);
    }
    house.beat().await;
    house
}

// A rule and its message arrive in one transaction, and the next diagnosis is answered; so it is by a gateway started later.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_was_sent_is_followed_at_once_and_after_a_restart() {
    let mut house = clinic().await;
    let entries = [
        ("PUT", "PlanDefinition/gout", rule("gout", "1", "drink")),
        ("PUT", "ActivityDefinition/drink", message("drink", "Drink.")),
    ];
    house.bundle(&bundle("transaction", &entries)).await.is(200);
    house.put(&gout("c", "ada")).await.is(201);
    house.days(2).await;
    assert_eq!(texts(&house, "ada").await, ["Drink."]);
    let said = house.all("Communication?subject=Patient/ada").await.remove(0);
    assert_eq!(said["instantiatesCanonical"], json!(["https://clinic.example/gout|1"]));
    house.restart().await;
    house.put(&gout("d", "bob")).await.is(201);
    house.days(2).await;
    assert_eq!(texts(&house, "bob").await, ["Drink."]);
}

// A text that came with the program may be replaced, and stays replaced after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_shipped_text_can_be_replaced() {
    let mut house = clinic().await;
    let url = format!("{ROOT}/ActivityDefinition/osteoporosis-report-nudge");
    house.put(&message("own", "Come by.").with("url", url)).await.is(201);
    house.put(&bone_density("r", "ada")).await.is(201);
    house.beat().await;
    assert_eq!(texts(&house, "ada").await, ["Come by."]);
    house.restart().await;
    house.put(&bone_density("s", "bob")).await.is(201);
    house.beat().await;
    assert_eq!(texts(&house, "bob").await, ["Come by."]);
}

// A changed rule says the new words to whom it hears of now; what its old version had planned is said as it was planned.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_rule_leaves_alone_what_was_begun() {
    let house = clinic().await;
    for (id, words) in [("drink", "Drink."), ("rest", "Rest.")] {
        house.put(&message(id, words)).await.is(201);
    }
    house.put(&rule("gout", "1", "drink")).await.is(201);
    house.put(&gout("c", "ada")).await.is(201);
    house.beat().await;
    house.clock.advance(std::time::Duration::from_mins(1));
    house.put(&rule("gout", "2", "rest")).await.is(200);
    house.put(&gout("d", "bob")).await.is(201);
    house.days(2).await;
    assert_eq!(
        (texts(&house, "ada").await, texts(&house, "bob").await),
        (vec![String::from("Drink.")], vec![String::from("Rest.")])
    );
    let of = |said: &Value| said["instantiatesCanonical"][0].clone();
    assert_eq!(of(&house.all("Communication?subject=Patient/ada").await[0]), "https://clinic.example/gout|1");
    assert_eq!(of(&house.all("Communication?subject=Patient/bob").await[0]), "https://clinic.example/gout|2");
}

// A rule that is retired, or deleted, says nothing more: also not what it had planned.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_was_taken_away_says_nothing_more() {
    for delete in [false, true] {
        let house = clinic().await;
        house.put(&message("drink", "Drink.")).await.is(201);
        house.put(&rule("gout", "1", "drink")).await.is(201);
        house.put(&gout("c", "ada")).await.is(201);
        house.beat().await;
        if delete {
            house.delete("PlanDefinition/gout").await.is(204);
        } else {
            house.put(&rule("gout", "1", "drink").with("status", "retired")).await.is(200);
        }
        house.put(&gout("d", "bob")).await.is(201);
        house.days(3).await;
        assert!(diary(&house, "ada").await.is_empty() && diary(&house, "bob").await.is_empty(), "deleted: {delete}");
    }
}

// A shipped rule speaks again when the house's own copy over it is deleted; what the copy had planned is taken back.
#[tokio::test(flavor = "multi_thread")]
async fn a_shipped_rule_comes_back_when_the_copy_over_it_is_deleted() {
    let mut house = clinic().await;
    house.put(&message("come", "Come by.")).await.is(201);
    let mut own = rule("own", "2.0.0", "come").with("url", format!("{ROOT}/PlanDefinition/osteoporosis-report"));
    own["action"][0]["trigger"][0]["data"][0] = json!({"type": "DiagnosticReport"});
    house.put(&own).await.is(201);
    house.put(&bone_density("r", "ada")).await.is(201);
    house.beat().await;
    assert!(diary(&house, "ada").await.is_empty());
    house.delete("PlanDefinition/own").await.is(204);
    house.put(&bone_density("s", "bob")).await.is(201);
    house.beat().await;
    assert_eq!(texts(&house, "bob").await.len(), 1);
    let answer = house.get("Patient/bob/$why-not?plan=osteoporosis-report").await.is(200);
    let answer = answer.json().to_string();
    assert!(answer.contains("osteoporosis-report|1"), "{answer}");
    house.days(3).await;
    assert!(diary(&house, "ada").await.is_empty());
    house.restart().await;
    house.put(&bone_density("t", "ada")).await.is(201);
    house.beat().await;
    assert_eq!(texts(&house, "ada").await.len(), 1);
    assert!(!texts(&house, "ada").await[0].contains("Come by."));
}

// Every fault of a rule is told at once, each with its place, and the rule is not kept; also inside a transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_with_faults_is_refused_with_their_places() {
    let house = clinic().await;
    let mut bad = rule("gout", "1", "nowhere").with("reviewer", Value::Null);
    bad["action"][0]["trigger"][0]["data"][0]["codeFilter"][0] =
        json!({"path": "code", "valueSet": "https://clinic.example/set"});
    let refused = house.put(&bad).await.is(422);
    assert_eq!(keys(&refused), ["unknown-value-set", "unknown-activity"]);
    assert_eq!(
        refused.expressions(),
        ["PlanDefinition.action[0].trigger[0].data[0]", "PlanDefinition.action[0].action[0].definition"]
    );
    let whole = bundle("transaction", &[("PUT", "Patient/new", patient("new")), ("PUT", "PlanDefinition/gout", bad)]);
    let refused = house.bundle(&whole).await.is(422);
    assert_eq!(refused.expressions()[0], "Bundle.entry[1].resource.action[0].trigger[0].data[0]");
    house.get("Patient/new").await.is(404);
    house.get("PlanDefinition/gout").await.is(404);
}

// What makes a version doubtful is refused: other rules under the same version, one url for two rules, a message that is in use.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_can_always_be_traced_to_its_rule() {
    let house = clinic().await;
    house.put(&message("drink", "Drink.")).await.is(201);
    house.put(&message("rest", "Rest.")).await.is(201);
    house.put(&rule("gout", "1", "drink")).await.is(201);
    house.beat().await;
    assert_eq!(keys(&house.put(&rule("gout", "1", "rest")).await.is(422)), ["plan-same-version"]);
    assert_eq!(keys(&house.put(&rule("other", "9", "drink")).await.is(422)), ["plan-url-taken"]);
    assert_eq!(keys(&house.delete("ActivityDefinition/drink").await.is(422)), ["artefact-in-use"]);
    assert_eq!(keys(&house.put(&message("drink", "x").with("kind", "Appointment")).await.is(422)), ["bad-activity"]);
    house.put(&rule("gout", "2", "rest")).await.is(200);
    house.beat().await;
    house.delete("ActivityDefinition/drink").await.is(204);
}

// What a rule says is approved with it: a message under a running rule is neither changed into what nobody approved, nor retired, nor
// given another url.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_not_changed_so_that_its_rule_ends() {
    let house = clinic().await;
    let work = message("work", "Call.").with("kind", "Task");
    let quiet = rule("gout", "1", "work").with("approvalDate", Value::Null).with("reviewer", Value::Null);
    house.put(&work).await.is(201);
    house.put(&quiet).await.is(201);
    house.beat().await;
    for (changed, expected) in [
        (work.clone().with("kind", "CommunicationRequest"), vec!["plan-not-approved", "plan-not-reviewed"]),
        (work.clone().with("status", "retired"), vec!["bad-activity"]),
        (work.clone().with("url", "https://clinic.example/elsewhere"), vec!["artefact-in-use"]),
        (
            work.clone().with(
                "dynamicValue",
                json!([{"path": "status", "expression": {"language": "text/fhirpath", "expression": "'x'"}}]),
            ),
            vec!["bad-activity"],
        ),
    ] {
        let refused = house.put(&changed).await.is(422);
        assert_eq!(keys(&refused), expected, "{}", refused.text);
        assert!(refused.expressions().iter().all(|place| place == "ActivityDefinition"), "{}", refused.text);
    }
    // The rule still runs; with it, or after it, the message may go.
    house.get("Patient/ada/$why-not?plan=gout").await.is(200);
    let together = bundle(
        "transaction",
        &[
            ("PUT", "PlanDefinition/gout", quiet.clone().with("status", "retired")),
            ("PUT", "ActivityDefinition/work", work.with("status", "retired")),
        ],
    );
    house.bundle(&together).await.is(200);
}

// What was said under a version of a text was said by that text: another text needs another version, other words about it do not.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_names_the_version_of_its_text() {
    let house = clinic().await;
    let drink = |version: &str, words: &str| message("drink", words).with("version", version);
    house.put(&drink("1", "Drink.")).await.is(201);
    house.put(&rule("gout", "1", "drink")).await.is(201);
    house.put(&gout("c", "ada")).await.is(201);
    house.days(2).await;
    assert_eq!(keys(&house.put(&drink("1", "Rest.")).await.is(422)), ["activity-same-version"]);
    house.put(&drink("1", "Drink.").with("title", "To be read by staff")).await.is(200);
    house.put(&drink("2", "Rest.")).await.is(200);
    house.beat().await;
    assert_eq!(keys(&house.put(&drink("1", "Sleep.")).await.is(422)), ["activity-same-version"]);
    house.put(&gout("d", "bob")).await.is(201);
    house.days(2).await;
    for (name, words, version) in [("ada", "Drink.", "1"), ("bob", "Rest.", "2")] {
        assert_eq!(texts(&house, name).await, [words]);
        let said = house.all(&format!("Communication?subject=Patient/{name}")).await.remove(0);
        let found = house.get(&format!("Provenance?target=Communication/{}", said["id"].as_str().unwrap())).await.is(200);
        let entities = found.resources()[0]["entity"].as_array().unwrap().clone();
        let named: Vec<&Value> = entities.iter().map(|entity| &entity["what"]["identifier"]["value"]).collect();
        assert_eq!(
            named[1..],
            [&json!("https://clinic.example/gout|1"), &json!(format!("https://clinic.example/drink|{version}"))]
        );
    }
}

// Who approves a rule has done so: a day that has not come approves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_tomorrow_is_none() {
    let house = clinic().await;
    house.put(&message("drink", "Drink.")).await.is(201);
    let refused = house.put(&rule("gout", "1", "drink").with("approvalDate", "2099-01-01")).await.is(422);
    assert_eq!(
        (keys(&refused), refused.expressions()),
        (vec![String::from("plan-not-approved")], vec![String::from("PlanDefinition.approvalDate")])
    );
}

// A plan of somebody else is kept as it is and never run; a draft is kept with its faults.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_plans_and_drafts_are_kept_and_not_run() {
    let house = clinic().await;
    house.put(&message("drink", "Drink.")).await.is(201);
    house.put(&rule("gout", "1", "drink").with("meta", Value::Null).with("version", Value::Null)).await.is(201);
    house.put(&rule("draft", "1", "nowhere").with("status", "draft")).await.is(201);
    house.put(&gout("c", "ada")).await.is(201);
    house.days(3).await;
    assert!(diary(&house, "ada").await.is_empty());
}

// A rule that was kept before a fault was known rests after the next start, and the metrics count it; when it is mended it runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_kept_rule_with_a_fault_rests_and_is_counted() {
    let mut house = clinic().await;
    house.put(&message("drink", "Drink.")).await.is(201);
    house.put(&rule("gout", "1", "drink")).await.is(201);
    let faulty = async |house: &House| {
        let metrics = house.get(&format!("http://{}/metrics", house.engine().address())).await.is(200).text;
        metrics.lines().find_map(|line| line.strip_prefix("signa_rules_faulty ").map(str::to_owned)).unwrap()
    };
    house.beat().await;
    assert_eq!(faulty(&house).await, "0");
    house.stop().await;
    house
        .database
        .tamper(
            "UPDATE resources SET body = replace(body, '\"action\":[', '\"library\":[\"urn:x\"],\"action\":[') WHERE id = 'gout'",
        )
        .await;
    house.restart().await;
    assert_eq!(faulty(&house).await, "1");
    house.put(&gout("c", "ada")).await.is(201);
    house.days(2).await;
    assert!(texts(&house, "ada").await.is_empty());
    house.put(&rule("gout", "2", "drink")).await.is(200);
    house.put(&gout("d", "bob")).await.is(201);
    house.days(2).await;
    assert_eq!((faulty(&house).await.as_str(), texts(&house, "bob").await), ("0", vec![String::from("Drink.")]));
}
