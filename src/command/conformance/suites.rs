//! The suites that come with the program: the one list of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::script::Script;

/// To add a suite, put its TestScript under `conformance/` and its line here; the order is that of the report.
const SUITES: &[(&str, &str)] = &[
    ("capabilities", include_str!("../../../conformance/capabilities.json")),
    ("instance", include_str!("../../../conformance/instance.json")),
    ("history", include_str!("../../../conformance/history.json")),
    ("conditional", include_str!("../../../conformance/conditional.json")),
    ("patch", include_str!("../../../conformance/patch.json")),
    ("transaction", include_str!("../../../conformance/transaction.json")),
    ("batch", include_str!("../../../conformance/batch.json")),
    ("search", include_str!("../../../conformance/search.json")),
    ("search-values", include_str!("../../../conformance/search-values.json")),
    ("search-joins", include_str!("../../../conformance/search-joins.json")),
    ("search-parameters", include_str!("../../../conformance/search-parameters.json")),
    ("validation", include_str!("../../../conformance/validation.json")),
    ("operations", include_str!("../../../conformance/operations.json")),
    ("subscription", include_str!("../../../conformance/subscription.json")),
    ("task", include_str!("../../../conformance/task.json")),
];

/// Resources that several tests need, by the reference under which a script names them.
const FIXTURES: &[(&str, &str)] = &[
    ("fixtures/batch-mixed.json", include_str!("../../../conformance/fixtures/batch-mixed.json")),
    ("fixtures/batch-reads.json", include_str!("../../../conformance/fixtures/batch-reads.json")),
    ("fixtures/observation-changed.json", include_str!("../../../conformance/fixtures/observation-changed.json")),
    ("fixtures/patient-chosen-id.json", include_str!("../../../conformance/fixtures/patient-chosen-id.json")),
    ("fixtures/patient-conditional-id.json", include_str!("../../../conformance/fixtures/patient-conditional-id.json")),
    ("fixtures/patient-other-id.json", include_str!("../../../conformance/fixtures/patient-other-id.json")),
    ("fixtures/patient-same-id.json", include_str!("../../../conformance/fixtures/patient-same-id.json")),
    ("fixtures/patient-second.json", include_str!("../../../conformance/fixtures/patient-second.json")),
    ("fixtures/patient-third.json", include_str!("../../../conformance/fixtures/patient-third.json")),
    ("fixtures/patient-v2.json", include_str!("../../../conformance/fixtures/patient-v2.json")),
    ("fixtures/patient-v3.json", include_str!("../../../conformance/fixtures/patient-v3.json")),
    ("fixtures/patient-with-meta.json", include_str!("../../../conformance/fixtures/patient-with-meta.json")),
    ("fixtures/rich-audit.json", include_str!("../../../conformance/fixtures/rich-audit.json")),
    ("fixtures/rich-commreq.json", include_str!("../../../conformance/fixtures/rich-commreq.json")),
    ("fixtures/rich-communication.json", include_str!("../../../conformance/fixtures/rich-communication.json")),
    ("fixtures/rich-condition.json", include_str!("../../../conformance/fixtures/rich-condition.json")),
    ("fixtures/rich-dispense.json", include_str!("../../../conformance/fixtures/rich-dispense.json")),
    ("fixtures/rich-doctor.json", include_str!("../../../conformance/fixtures/rich-doctor.json")),
    ("fixtures/rich-encounter.json", include_str!("../../../conformance/fixtures/rich-encounter.json")),
    ("fixtures/rich-observation.json", include_str!("../../../conformance/fixtures/rich-observation.json")),
    ("fixtures/rich-org.json", include_str!("../../../conformance/fixtures/rich-org.json")),
    ("fixtures/rich-patient.json", include_str!("../../../conformance/fixtures/rich-patient.json")),
    ("fixtures/rich-report.json", include_str!("../../../conformance/fixtures/rich-report.json")),
    ("fixtures/rich-request.json", include_str!("../../../conformance/fixtures/rich-request.json")),
    ("fixtures/rich-subscription.json", include_str!("../../../conformance/fixtures/rich-subscription.json")),
    ("fixtures/rich-task.json", include_str!("../../../conformance/fixtures/rich-task.json")),
    ("fixtures/task-claim-late.json", include_str!("../../../conformance/fixtures/task-claim-late.json")),
    ("fixtures/task-claim.json", include_str!("../../../conformance/fixtures/task-claim.json")),
    ("fixtures/transaction-criteria-inside.json", include_str!("../../../conformance/fixtures/transaction-criteria-inside.json")),
    ("fixtures/transaction-criteria.json", include_str!("../../../conformance/fixtures/transaction-criteria.json")),
    ("fixtures/transaction-half-delete.json", include_str!("../../../conformance/fixtures/transaction-half-delete.json")),
    ("fixtures/transaction-half.json", include_str!("../../../conformance/fixtures/transaction-half.json")),
    ("fixtures/transaction-if-match.json", include_str!("../../../conformance/fixtures/transaction-if-match.json")),
    ("fixtures/transaction-if-none-exist.json", include_str!("../../../conformance/fixtures/transaction-if-none-exist.json")),
    ("fixtures/transaction-if-none-match.json", include_str!("../../../conformance/fixtures/transaction-if-none-match.json")),
    ("fixtures/transaction-links.json", include_str!("../../../conformance/fixtures/transaction-links.json")),
    ("fixtures/transaction-mixed.json", include_str!("../../../conformance/fixtures/transaction-mixed.json")),
    ("fixtures/transaction-order-1.json", include_str!("../../../conformance/fixtures/transaction-order-1.json")),
    ("fixtures/transaction-order-2.json", include_str!("../../../conformance/fixtures/transaction-order-2.json")),
    ("fixtures/transaction-put-delete.json", include_str!("../../../conformance/fixtures/transaction-put-delete.json")),
    (
        "fixtures/transaction-twice-conditional.json",
        include_str!("../../../conformance/fixtures/transaction-twice-conditional.json"),
    ),
    ("fixtures/transaction-twice.json", include_str!("../../../conformance/fixtures/transaction-twice.json")),
    ("fixtures/transaction-unknown.json", include_str!("../../../conformance/fixtures/transaction-unknown.json")),
];

/// The suites that come with the program, or those of a folder, by name.
pub(super) fn all(folder: Option<&Path>) -> Result<Vec<Script>> {
    let Some(folder) = folder else {
        return SUITES.iter().map(|(name, text)| Script::read(text).with_context(|| format!("the suite {name}"))).collect();
    };
    let told = || format!("the folder {}", folder.display());
    let paths = fs::read_dir(folder).with_context(told)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<Result<Vec<PathBuf>, _>>().with_context(told)?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    let read = |path: &PathBuf| {
        let script = fs::read_to_string(path).map_err(anyhow::Error::from).and_then(|text| Ok(Script::read(&text)?));
        Ok(script.with_context(|| format!("the suite {}", path.display()))?.lying_in(folder))
    };
    paths.iter().map(read).collect()
}

/// A resource beside the suites that come with the program, or in a folder.
pub(super) fn fixture(reference: &str, folder: Option<&Path>) -> Option<Value> {
    match folder {
        Some(folder) => serde_json::from_str(&fs::read_to_string(folder.join(reference)).ok()?).ok(),
        None => serde_json::from_str(FIXTURES.iter().find(|(name, _)| *name == reference)?.1).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_suite_is_listed_and_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
        let names = |folder: &Path| -> BTreeSet<String> {
            let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let suites = paths.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
            suites.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        let listed: BTreeSet<String> = SUITES.iter().map(|(name, _)| format!("{name}.json")).collect();
        assert_eq!(names(&folder), listed);
        let listed: BTreeSet<String> = FIXTURES.iter().map(|(name, _)| name.replace("fixtures/", "")).collect();
        assert_eq!(names(&folder.join("fixtures")), listed);
        for (script, (name, _)) in all(None).unwrap().iter().zip(SUITES) {
            assert_eq!(&script.id, name);
            assert!(script.fixture.iter().all(|fixture| script.resource(fixture).is_some()), "{name}");
            assert!(script.test.iter().all(|test| !test.rows().is_empty()), "{name}: a test without a row");
        }
    }
}
