//! A diagnosis or a report leads to a word at once: help against nausea, a visit after a bone density report.

use serde_json::json;

use crate::builders::{Purpose, With, bone_density, condition, consent, patient, snomed, store};
use crate::diary::{diary, texts};
use crate::golden::golden;
use crate::house::House;

async fn with_ada() -> House {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("ada")).await.is(201);
    house.put(&consent("yes", "ada", &[Purpose::Treatment])).await.is(201);
    house
}

fn icd(code: &str) -> serde_json::Value {
    json!({"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]})
}

// A chemotherapy, in either code system, leads to one word about help; the resource says from which diagnosis and rule.
#[tokio::test(flavor = "multi_thread")]
async fn a_chemotherapy_leads_to_a_word_about_help() {
    for code in [snomed("367336001", "Chemotherapy"), icd("Z51.11")] {
        let house = with_ada().await;
        house.put(&condition("c", "ada", &code)).await.is(201);
        house.beat().await;
        assert_eq!(diary(&house, "ada").await.len(), 1, "{code}");
    }
    let house = with_ada().await;
    house.put(&condition("c", "ada", &icd("Z51.11"))).await.is(201);
    house.beat().await;
    let said = house.all("Communication?subject=Patient/ada").await.remove(0);
    golden("nudge.json", &serde_json::from_str(&house.stable(&said.to_string())).unwrap());
}

// The same diagnosis again, or from a second system, is the same episode: one word is enough.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_diagnosis_again_is_one_episode() {
    let house = with_ada().await;
    house.put(&condition("c1", "ada", &icd("Z51.11"))).await.is(201);
    house.beat().await;
    house.put(&condition("c2", "ada", &snomed("367336001", "Chemotherapy"))).await.is(201);
    house.put(&condition("c1", "ada", &icd("Z51.11")).with("recordedDate", "2026-05-31")).await.is(200);
    house.days(5).await;
    assert_eq!(texts(&house, "ada").await.len(), 1);
}

// A diagnosis that is over, refuted or of another kind leads to nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_diagnosis_that_is_not_current_leads_to_nothing() {
    let status = |name: &str, code: &str| json!({"coding": [{"system": format!("http://terminology.hl7.org/CodeSystem/{name}"), "code": code}]});
    let chemotherapy = condition("c", "ada", &icd("Z51.11"));
    for resource in [
        chemotherapy.clone().with("clinicalStatus", status("condition-clinical", "resolved")),
        chemotherapy.clone().with("verificationStatus", status("condition-ver-status", "refuted")),
        condition("c", "ada", &snomed("44054006", "Diabetes mellitus type 2")),
    ] {
        let house = with_ada().await;
        house.put(&resource).await.is(201);
        house.days(3).await;
        assert!(diary(&house, "ada").await.is_empty(), "{resource}");
    }
}

// A report that found osteoporosis leads to a word about a visit; one that did not leads to none.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_osteoporosis_leads_to_a_word_about_a_visit() {
    let found = bone_density("r", "ada");
    let told = bone_density("r", "ada").with("conclusionCode", json!(null)).with("conclusion", "T-score -2.9: osteoporosis.");
    let healthy = bone_density("r", "ada").with("conclusionCode", json!(null)).with("conclusion", "No evidence of osteoporosis.");
    let draft = bone_density("r", "ada").with("status", "preliminary");
    for (report, expected) in [(found, 1), (told, 1), (healthy, 0), (draft, 0)] {
        let house = with_ada().await;
        house.put(&report).await.is(201);
        house.days(2).await;
        assert_eq!(texts(&house, "ada").await.len(), expected, "{report}");
    }
}
