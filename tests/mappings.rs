//! The artefacts under `mappings/`: every one is shipped, every rule is without fault and passes its own cases.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
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
