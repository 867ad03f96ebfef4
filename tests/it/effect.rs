//! A rule holds out a share by lot, says so, and is told what it does for the others.
//! Follows <https://hl7.org/fhir/R4/measurereport.html>.

use serde_json::{Value, json};

use crate::builders::{Purpose, bundle, consent, dispense, patient, store};
use crate::costs::statements;
use crate::database::Database;
use crate::house::House;

const PROFILE: &str = "https://signa.example/fhir/StructureDefinition";
const PEOPLE: usize = 24;

/// A word three days after a fill, which a share of the people is not told.
fn rule(priority: &str, share: f64) -> Value {
    json!({"resourceType": "PlanDefinition", "id": "own", "url": "https://clinic.example/own", "version": "1", "status": "active",
        "meta": {"profile": [format!("{PROFILE}/signa-plan")]},
        "extension": [{"url": format!("{PROFILE}/plan-priority"), "valueCode": priority},
            {"url": format!("{PROFILE}/plan-holdout"), "valueDecimal": share}],
        "approvalDate": "2026-05-01", "reviewer": [{"name": "Dr. Reader"}],
        "action": [{"id": "fill", "trigger": [{"type": "data-added", "data": [{"type": "MedicationDispense"}]}],
            "action": [{"id": "word", "definitionCanonical": "https://signa.example/fhir/ActivityDefinition/refill-advice",
                "relatedAction": [{"actionId": "fill", "relationship": "after-start", "offsetDuration": {"value": 3, "code": "d", "system": "http://unitsofmeasure.org"}}]}]}]})
}

/// People with a first fill on 1 June; every other one comes again on 1 July.
async fn followed(database: Database) -> House {
    let house = House::over(database).await;
    house.put(&store("store-1")).await.is(201);
    house.put(&rule("adherence", 0.5)).await.is(201);
    house.beat().await;
    let mut resources = Vec::new();
    for number in 0..PEOPLE {
        let name = format!("p{number}");
        resources.push((format!("Patient/{name}"), patient(&name)));
        resources.push((format!("Consent/yes-{name}"), consent(&format!("yes-{name}"), &name, &[Purpose::Treatment])));
        resources.push((format!("MedicationDispense/d{number}"), dispense(&format!("d{number}"), &name, "2026-06-01")));
    }
    let entries: Vec<(&str, &str, Value)> = resources.iter().map(|(url, one)| ("PUT", url.as_str(), one.clone())).collect();
    house.bundle(&bundle("transaction", &entries)).await.is(200);
    house.days(30).await;
    for number in (0..PEOPLE).step_by(2) {
        house.put(&dispense(&format!("again{number}"), &format!("p{number}"), "2026-07-01")).await.is(201);
    }
    house.days(10).await;
    house
}

/// Whether this person was told the word of the rule, or else held out.
async fn is_contacted(house: &House, number: usize) -> bool {
    let said = house.all(&format!("Communication?subject=Patient/p{number}")).await;
    let own = |one: &Value| one["instantiatesCanonical"][0] == "https://clinic.example/own|1" && one["status"] == "completed";
    let told = house.get(&format!("Patient/p{number}/$why-not?plan=own")).await.is(200).text;
    let is_contacted = said.iter().any(own);
    // Of whom was left out nothing was announced, also not while it was too late in the day or somebody else's turn.
    let announced = said.iter().any(|one| one["instantiatesCanonical"][0] == "https://clinic.example/own|1");
    assert_eq!(announced, is_contacted, "{said:?}");
    assert_ne!(is_contacted, told.contains(r#""held-out""#), "{told}");
    is_contacted
}

fn count(stratum: &Value, code: &str) -> usize {
    let found = stratum["population"].as_array().unwrap().iter().find(|one| one["code"]["coding"][0]["code"] == code);
    found.map_or(0, |one| usize::try_from(one["count"].as_u64().unwrap()).unwrap())
}

async fn the_effect_is_told(database: Database) {
    let mut house = followed(database).await;
    let mut expected = [(0, 0), (0, 0)];
    for number in 0..PEOPLE {
        let part = &mut expected[usize::from(!is_contacted(&house, number).await)];
        *part = (part.0 + 1, part.1 + usize::from(number % 2 == 0));
    }
    assert!(expected.iter().all(|(all, refilled)| *all > 4 && *refilled > 0), "{expected:?}");
    house.restart().await;
    let report = house.get("PlanDefinition/own/$effect?start=2026-06&end=2026-06").await.is(200).json();
    let strata = |group: usize| report["group"][group]["stratifier"][0]["stratum"].as_array().unwrap().clone();
    for (stratum, (all, refilled)) in strata(0).iter().zip(expected) {
        assert_eq!((count(stratum, "denominator"), count(stratum, "numerator")), (all, refilled), "{stratum}");
        let interval = &stratum["extension"][0]["extension"];
        let part = |at: usize| interval[at]["valueDecimal"].as_f64().unwrap();
        #[expect(clippy::cast_precision_loss, reason = "a few people")]
        let share = refilled as f64 / all as f64;
        assert!((part(0) - share).abs() < 1e-6 && part(1) < share && share < part(2), "{stratum}");
    }
    // The word came on 4 or 5 June, since a day has one message: some days of the month after it are not covered by the first fill.
    for (stratum, (all, _)) in strata(1).iter().zip(expected) {
        let mean = stratum["measureScore"]["value"].as_f64().unwrap();
        assert!(count(stratum, "denominator") == all && mean > 0.85 && mean < 1.0, "{stratum}");
    }
    assert_eq!(report["group"][0]["extension"][0]["url"], format!("{PROFILE}/effect-difference"));
    house.ask("POST", "MeasureReport/$validate").json(&report).await.is(200);
    let named = house.get("PlanDefinition/$effect?plan=https://clinic.example/own&start=2026-06&end=2026-06").await.is(200);
    assert_eq!(named.json()["group"], report["group"]);
    // Who was not followed to the end belongs to a part, and counts in no figure.
    let early = house.get("PlanDefinition/own/$effect?start=2026-06&end=2026-06&days=60").await.is(200).json();
    let stratum = &early["group"][0]["stratifier"][0]["stratum"][0];
    assert_eq!((count(stratum, "initial-population"), count(stratum, "denominator")), (expected[0].0, 0));
    house.stop().await;
    house.database.drop().await;
}

// The parts are drawn by lot, each person's decision says to which they belong, and the report counts them as they are.
#[tokio::test(flavor = "multi_thread")]
async fn the_effect_is_told_on_sqlite() {
    the_effect_is_told(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_effect_is_told_on_postgresql() {
    the_effect_is_told(Database::postgres().await).await;
}

// Records of one person count once; a person in both parts counts in neither.
#[tokio::test(flavor = "multi_thread")]
async fn who_turns_out_to_be_one_counts_once() {
    let house = followed(Database::sqlite()).await;
    let (mut contacted, mut held_out) = (Vec::new(), Vec::new());
    for number in 0..PEOPLE {
        if is_contacted(&house, number).await { contacted.push(number) } else { held_out.push(number) }
    }
    let all = (contacted.len(), held_out.len());
    for (one, other, counted) in
        [(contacted[0], contacted[1], (all.0 - 1, all.1)), (contacted[2], held_out[0], (all.0 - 2, all.1 - 1))]
    {
        let link = json!([{"other": {"reference": format!("Patient/p{one}")}, "type": "replaced-by"}]);
        let mut replaced = patient(&format!("p{other}"));
        replaced["link"] = link;
        house.put(&replaced).await.is(200);
        house.beat().await;
        let report = house.get("PlanDefinition/own/$effect?start=2026-06&end=2026-06").await.is(200).json();
        let strata = &report["group"][0]["stratifier"][0]["stratum"];
        assert_eq!((count(&strata[0], "initial-population"), count(&strata[1], "initial-population")), counted);
    }
}

// The report reads pages: a page of people costs two statements, however many they are.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_costs_two_statements_for_a_page_of_people() {
    let house = House::over(Database::postgres().await).await;
    house.database.tamper("CREATE EXTENSION pg_stat_statements").await;
    house.put(&rule("adherence", 0.5)).await.is(201);
    house.beat().await;
    let mut costs = Vec::new();
    for people in [0, 3, 30, 501] {
        let rows = format!(
            "INSERT INTO arms SELECT 'default', 'https://clinic.example/own', n, 'e', 'contacted', 20610, 20609, ''
             FROM generate_series(1, {people}) n ON CONFLICT DO NOTHING"
        );
        house.database.tamper(&rows).await;
        let before = statements(&house).await;
        house.get("PlanDefinition/own/$effect?start=2026-06&end=2026-06").await.is(200);
        costs.push(statements(&house).await - before);
    }
    let empty = costs[0];
    assert_eq!(costs, [empty, empty + 2, empty + 2, empty + 4]);
    let House { database, .. } = house;
    database.drop().await;
}

// A share that is too great, or of a clinical rule, is refused; so is a question that cannot be answered.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_held_out_or_asked_is_refused() {
    let house = House::new().await;
    for refused in [rule("adherence", 0.6), rule("adherence", -0.1), rule("clinical", 0.1)] {
        let refused = house.put(&refused).await.is(422);
        assert!(refused.text.contains("bad-holdout"), "{}", refused.text);
    }
    house.put(&rule("clinical", 0.0)).await.is(201);
    house.get("PlanDefinition/refill/$effect?start=2026-06-01&end=2026-06-30").await.is(200);
    house.get("PlanDefinition/nothing/$effect?start=2026-06-01&end=2026-06-30").await.is(404);
    for query in ["", "?start=2026-06-01", "?start=2026-06-30&end=2026-06-01", "?start=2026-06&end=2026-06&days=0"] {
        house.get(&format!("PlanDefinition/own/$effect{query}")).await.is(400);
    }
    house.get("PlanDefinition/$effect?start=2026-06&end=2026-06").await.is(400);
}
