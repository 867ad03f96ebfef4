//! The artefacts under `mappings/`: every one is shipped, every rule is without fault and passes its own cases.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use signa::fhir::outcome::Issue;
use signa::react::{Rules, cases, shipped};
#[cfg(test)]
use walk::{files, is_case, json};

#[cfg(test)]
mod walk {
    //! Reads the mappings.

    use super::*;

    pub(crate) fn files() -> Vec<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
        let mut files = Vec::new();
        let mut folders = vec![root];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "json") {
                    files.push(path);
                }
            }
        }
        files
    }

    pub(crate) fn json(path: &Path) -> Value {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }

    pub(crate) fn is_case(path: &Path) -> bool {
        path.to_string_lossy().ends_with(".cases.json")
    }
}

#[test]
fn every_file_is_shipped() {
    let shipped: Vec<String> = shipped().iter().map(|artefact| artefact["url"].to_string()).collect();
    // Other rooms ship their own tables; what has a url of rules belongs to the rules.
    let of_rules = ["PlanDefinition", "ActivityDefinition", "ValueSet", "ConceptMap"];
    for path in files().iter().filter(|path| !is_case(path)) {
        let artefact = json(path);
        if artefact["resourceType"].as_str().is_some_and(|kind| of_rules.contains(&kind)) {
            assert!(shipped.contains(&artefact["url"].to_string()), "{} is not shipped", path.display());
        }
    }
}

#[test]
fn every_rule_is_without_fault_and_passes_its_own_cases() {
    let (rules, issues) = Rules::read(&shipped());
    assert_eq!(issues, []);
    let files: Vec<Value> = files().iter().filter(|path| is_case(path)).map(|path| json(path)).collect();
    for canonical in rules.running() {
        let url = canonical.split('|').next().unwrap();
        let own = files.iter().find(|file| file["plan"] == *url);
        let own = own.unwrap_or_else(|| panic!("{url} has no cases"));
        assert!(own["cases"].as_array().unwrap().len() >= 2, "{url}");
        assert_eq!(cases::run(&rules, own), Vec::<String>::new());
    }
    assert!(!files.is_empty());
}

#[test]
fn all_that_is_said_is_valid_and_can_be_traced() {
    let (rules, _) = Rules::read(&shipped());
    let mut kinds = std::collections::BTreeMap::new();
    for file in files().iter().filter(|path| is_case(path)).map(|path| json(path)) {
        for case in file["cases"].as_array().unwrap() {
            for output in cases::outputs(&rules, case).unwrap() {
                let faults: Vec<_> = signa::check::value(&output, None, "").into_iter().filter(Issue::refuses).collect();
                assert!(faults.is_empty(), "{output}: {faults:?}");
                let kind = output["resourceType"].as_str().unwrap().to_owned();
                let needed: &[&str] = match kind.as_str() {
                    "Communication" => &[
                        "identifier",
                        "status",
                        "category",
                        "priority",
                        "subject",
                        "topic",
                        "recipient",
                        "sender",
                        "payload",
                        "basedOn",
                        "instantiatesCanonical",
                        "reasonCode",
                    ],
                    "Task" => &[
                        "identifier",
                        "status",
                        "intent",
                        "code",
                        "focus",
                        "for",
                        "requester",
                        "authoredOn",
                        "lastModified",
                        "groupIdentifier",
                        "instantiatesCanonical",
                        "restriction",
                    ],
                    _ => &["identifier", "status", "groupIdentifier", "authoredOn", "requester", "extension"],
                };
                // What was not said may have lacked the one to whom it could be said.
                let waits = |name: &str| name == "recipient" && output["status"] != "completed";
                let lacking: Vec<&&str> = needed.iter().filter(|name| output.get(**name).is_none() && !waits(name)).collect();
                assert!(lacking.is_empty(), "{kind} of {} lacks {lacking:?}", case["name"]);
                for reason in output["reasonReference"].as_array().into_iter().flatten() {
                    let of = reason["reference"].as_str().unwrap().split('/').next().unwrap();
                    assert!(["Condition", "Observation", "DiagnosticReport", "DocumentReference"].contains(&of), "{reason}");
                }
                *kinds.entry(kind).or_insert(0) += 1;
            }
        }
    }
    assert!(kinds.len() == 3 && kinds.values().all(|count| *count >= 10), "{kinds:?}");
}

// Default texts name no drug and no diagnosis, whoever reads them over a shoulder.
#[test]
fn no_text_names_a_drug_or_a_diagnosis() {
    let ingredients: Vec<String> = shipped()
        .iter()
        .filter(|one| one["url"] == "https://signa.example/fhir/ConceptMap/ingredients")
        .flat_map(|map| map["group"].as_array().cloned().unwrap_or_default())
        .flat_map(|group| group["element"].as_array().cloned().unwrap_or_default())
        .map(|element| element["target"][0]["code"].as_str().unwrap().to_owned())
        .collect();
    let diagnoses = [
        "asthma",
        "osteoporosis",
        "hypertension",
        "blood pressure",
        "diabetes",
        "blood sugar",
        "chemotherapy",
        "cancer",
        "哮喘",
        "骨质疏松",
        "高血压",
        "糖尿病",
        "化疗",
    ];
    let spoken = shipped().into_iter().filter(|one| one["kind"] == "CommunicationRequest");
    let mut texts = 0;
    for message in spoken.flat_map(|one| one["extension"].as_array().cloned().unwrap_or_default()) {
        let text = message.to_string().to_lowercase();
        let named = ingredients.iter().map(String::as_str).chain(diagnoses).find(|word| text.contains(word));
        assert_eq!(named, None, "{text}");
        texts += 1;
    }
    assert!(texts > 20, "{texts}");
}
