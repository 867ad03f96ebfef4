//! What is kept under the url of a rule, of a text or of a group of codes and does not run: a draft, an old copy, a second one.

use serde_json::{Value, json};

use crate::builders::{With, bone_density, bundle};
use crate::diary::{diary, texts};
use crate::house::House;
use crate::rules::{clinic, gout, keys, message, rule};

const ROOT: &str = "https://signa.example/fhir";

/// A text under the url of `drink`.
fn drink(id: &str, version: &str, words: &str) -> Value {
    message(id, words).with("url", "https://clinic.example/drink").with("version", version)
}

/// Time passes, so that what is sent next is the newest.
async fn later(house: &House) {
    house.beat().await;
    house.clock.advance(std::time::Duration::from_mins(1));
}

/// The rules that spoke to a patient, or would have.
async fn rules(house: &House, patient: &str) -> Vec<String> {
    let said = house.all(&format!("Communication?subject=Patient/{patient}")).await;
    let mut rules: Vec<String> = said.iter().map(|one| one["instantiatesCanonical"][0].as_str().unwrap().to_owned()).collect();
    rules.sort();
    rules
}

// Each version of a rule may be a resource of its own: the next one as a draft, the old one retired, and neither ends the one that runs,
// whether it is sent, sent again or deleted.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_run_ends_no_rule() {
    let mut house = clinic().await;
    house.put(&message("drink", "Drink.")).await.is(201);
    house.put(&rule("old", "1", "drink")).await.is(201);
    later(&house).await;
    house.put(&rule("old", "1", "drink").with("status", "retired")).await.is(200);
    later(&house).await;
    house.put(&rule("gout", "2", "drink")).await.is(201);
    house.put(&gout("a", "ada")).await.is(201);
    later(&house).await;
    house.put(&rule("next", "3", "nowhere").with("status", "draft")).await.is(201);
    later(&house).await;
    house.put(&rule("old", "1", "drink").with("status", "retired").with("title", "Old")).await.is(200);
    house.put(&gout("b", "bob")).await.is(201);
    later(&house).await;
    house.get("Patient/bob/$why-not?plan=gout").await.is(200);
    for path in ["PlanDefinition/old", "PlanDefinition/next"] {
        house.delete(path).await.is(204);
        later(&house).await;
    }
    house.restart().await;
    house.days(2).await;
    for name in ["ada", "bob"] {
        assert_eq!(texts(&house, name).await, ["Drink."]);
        assert_eq!(rules(&house, name).await, ["https://clinic.example/gout|2"]);
    }
}

// A draft of headquarters over a shipped rule leaves it running; a retired copy switches it off, and without it it runs again.
#[tokio::test(flavor = "multi_thread")]
async fn a_draft_leaves_the_shipped_rule_and_a_retired_copy_switches_it_off() {
    let house = clinic().await;
    let own = |status: &str| {
        let url = format!("{ROOT}/PlanDefinition/osteoporosis-report");
        rule("own", "9", "nowhere").with("url", url).with("status", status)
    };
    let heard = async |id: &str, patient: &str| {
        house.put(&bone_density(id, patient)).await.is(201);
        later(&house).await;
        texts(&house, patient).await.len()
    };
    for status in ["draft", "unknown", "draft"] {
        house.put(&own(status)).await;
        later(&house).await;
    }
    assert_eq!(heard("r", "ada").await, 1);
    house.put(&own("retired")).await.is(200);
    later(&house).await;
    assert_eq!(heard("s", "bob").await, 0);
    house.delete("PlanDefinition/own").await.is(204);
    later(&house).await;
    assert_eq!(heard("t", "bob").await, 1);
}

// A rule that is given another url has ended under the former one, as if it had been retired there: what it had planned is taken back,
// and what is learned from then on is answered once.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_gets_another_url_has_ended_under_the_former() {
    let mut house = clinic().await;
    house.put(&message("drink", "Drink.")).await.is(201);
    house.put(&rule("gout", "1", "drink")).await.is(201);
    house.put(&gout("a", "ada")).await.is(201);
    later(&house).await;
    let other = rule("gout", "2", "drink").with("url", "https://clinic.example/podagra");
    house.put(&other).await.is(200);
    later(&house).await;
    house.put(&gout("b", "bob")).await.is(201);
    house.days(3).await;
    assert!(diary(&house, "ada").await.is_empty());
    assert_eq!(rules(&house, "bob").await, ["https://clinic.example/podagra|2"]);
    house.delete("PlanDefinition/gout").await.is(204);
    house.restart().await;
    house.put(&gout("c", "ada")).await.is(201);
    house.days(3).await;
    assert!(diary(&house, "ada").await.is_empty());
}

// A draft of a text stays beside the text that rules say; what is said cannot be made a draft, and a second text is refused, unless the
// first goes with it. Which one is said does not change with a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_draft_of_a_text_is_said_to_nobody() {
    let mut house = clinic().await;
    house.put(&drink("drink", "1", "Drink.")).await.is(201);
    house.put(&rule("gout", "1", "drink")).await.is(201);
    later(&house).await;
    house.put(&drink("next", "2", "DRAFT").with("status", "draft")).await.is(201);
    assert_eq!(keys(&house.put(&drink("second", "3", "Second.")).await.is(422)), ["artefact-url-taken"]);
    assert_eq!(keys(&house.put(&drink("drink", "1", "Drink.").with("status", "draft")).await.is(422)), ["artefact-in-use"]);
    house.put(&gout("a", "ada")).await.is(201);
    house.days(2).await;
    assert_eq!(texts(&house, "ada").await, ["Drink."]);
    let swap = [
        ("PUT", "ActivityDefinition/drink", drink("drink", "1", "Drink.").with("status", "retired")),
        ("PUT", "ActivityDefinition/next", drink("next", "2", "Rest.")),
    ];
    house.bundle(&bundle("transaction", &swap)).await.is(200);
    later(&house).await;
    house.put(&drink("drink", "1", "Drink.").with("status", "retired").with("title", "Old")).await.is(200);
    later(&house).await;
    house.restart().await;
    house.put(&gout("b", "bob")).await.is(201);
    house.days(2).await;
    assert_eq!(texts(&house, "bob").await, ["Rest."]);
    house.delete("ActivityDefinition/drink").await.is(204);
    assert_eq!(keys(&house.delete("ActivityDefinition/next").await.is(422)), ["artefact-in-use"]);
}

// Two texts of one url that were kept before a rule named it: the one that was changed last is said, before and after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn which_of_two_texts_is_said_does_not_change_with_a_restart() {
    let mut house = clinic().await;
    for (id, words) in [("one", "First."), ("two", "Second.")] {
        house.put(&drink(id, id, words)).await.is(201);
        later(&house).await;
    }
    house.put(&drink("one", "one", "First.").with("title", "To be read by staff")).await.is(200);
    later(&house).await;
    house.put(&rule("gout", "1", "drink")).await.is(201);
    later(&house).await;
    house.put(&gout("a", "ada")).await.is(201);
    house.days(2).await;
    house.restart().await;
    house.put(&gout("b", "bob")).await.is(201);
    house.days(2).await;
    assert_eq!((texts(&house, "ada").await, texts(&house, "bob").await), (vec!["First.".into()], vec!["First.".into()]));
}

// A rule that names what is kept only as a draft is refused, and told why.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_does_not_rest_on_a_draft() {
    let house = clinic().await;
    let set = |status: &str| {
        json!({"resourceType": "ValueSet", "id": "gouts", "url": "https://clinic.example/gouts", "status": status,
            "compose": {"include": [{"system": crate::rules::ICD, "concept": [{"code": "M10.9"}]}]}})
    };
    let mut named = rule("gout", "1", "drink");
    named["action"][0]["trigger"][0]["data"][0]["codeFilter"][0] =
        json!({"path": "code", "valueSet": "https://clinic.example/gouts"});
    house.put(&message("drink", "Drink.").with("status", "draft")).await.is(201);
    house.put(&set("draft")).await.is(201);
    let refused = house.put(&named).await.is(422);
    assert_eq!(keys(&refused), ["unknown-value-set", "unknown-activity"]);
    assert!(refused.text.contains("ActivityDefinition/drink is draft"), "{}", refused.text);
    assert!(refused.text.contains("ValueSet/gouts is draft"), "{}", refused.text);
    house.put(&message("drink", "Drink.")).await.is(200);
    house.put(&set("active")).await.is(200);
    house.put(&named).await.is(201);
    later(&house).await;
    for changed in [set("draft"), set("retired")] {
        assert_eq!(keys(&house.put(&changed).await.is(422)), ["artefact-in-use"]);
    }
    assert_eq!(keys(&house.put(&set("active").with("id", "more")).await.is(422)), ["artefact-url-taken"]);
    house.put(&gout("a", "ada")).await.is(201);
    house.days(2).await;
    assert_eq!(texts(&house, "ada").await, ["Drink."]);
}

// A draft of a shipped group of codes stays beside it; the same in force stands in its place, and without it the shipped one counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_draft_of_a_shipped_group_changes_no_rule() {
    let mut house = clinic().await;
    let own = |status: &str| {
        json!({"resourceType": "ValueSet", "id": "own", "url": format!("{ROOT}/ValueSet/osteoporosis"), "status": status,
            "compose": {"include": [{"system": "http://snomed.info/sct", "concept": [{"code": "1"}]}]}})
    };
    for (patient, status, said) in [("ada", "draft", 1), ("bob", "active", 0), ("bob", "retired", 1)] {
        house.put(&own(status)).await;
        later(&house).await;
        house.restart().await;
        house.put(&bone_density(&format!("r-{patient}-{status}"), patient)).await.is(201);
        later(&house).await;
        assert_eq!(texts(&house, patient).await.len(), said, "{status}");
    }
}

// What becomes true together is looked at together: of two rules of one url one is too much, and one may go as another comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_takes_the_place_of_another_in_one_transaction() {
    let house = clinic().await;
    house.put(&message("drink", "Drink.")).await.is(201);
    let two = [("PUT", "PlanDefinition/a", rule("a", "1", "drink")), ("PUT", "PlanDefinition/b", rule("b", "2", "drink"))];
    assert_eq!(keys(&house.bundle(&bundle("transaction", &two)).await.is(422)), ["plan-url-taken"]);
    house.put(&rule("a", "1", "drink")).await.is(201);
    house.put(&gout("a", "ada")).await.is(201);
    later(&house).await;
    let swap = [
        ("PUT", "PlanDefinition/b", rule("b", "2", "drink")),
        ("PUT", "PlanDefinition/a", rule("a", "1", "drink").with("status", "retired")),
    ];
    house.bundle(&bundle("transaction", &swap)).await.is(200);
    later(&house).await;
    house.put(&gout("b", "bob")).await.is(201);
    house.days(2).await;
    for (name, version) in [("ada", 1), ("bob", 2)] {
        assert_eq!(rules(&house, name).await, [format!("https://clinic.example/gout|{version}")]);
    }
}
