//! `signa plan`: rules with their own test cases, looked at before they are sent anywhere.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Plan;
use crate::check::{self, guard::BODY_BYTES_MAX};
use crate::react::{self, Rules, cases};

/// A file with what it holds, and every fault of its form.
pub(super) struct Sheet {
    path: PathBuf,
    pub(super) value: Value,
    pub(super) faults: Vec<String>,
}

impl Sheet {
    /// Reads a file. What is no JSON at all is an error; whatever else is wrong with it is told with its place.
    pub(super) fn read(path: PathBuf) -> Result<Self> {
        let text = std::fs::read(&path).with_context(|| format!("the file {}", path.display()))?;
        let value: Value = serde_json::from_slice(&text).with_context(|| format!("the file {}", path.display()))?;
        let (_, issues) = if is_cases(&path) { (None, Vec::new()) } else { check::examined(&text, BODY_BYTES_MAX) };
        let faults = issues.iter().filter(|issue| issue.refuses());
        let name = path.display();
        let faults = faults.map(|issue| format!("{name}: {}: {} ({})", issue.expression, issue.diagnostics, issue.key)).collect();
        Ok(Self { path, value, faults })
    }
}

/// Does what was asked.
pub fn run(asked: &Plan) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let good = match asked {
        Plan::Lint { path } => lint(&mut out, path)?,
        Plan::Test { path } => test(&mut out, path)?,
        Plan::Diff { path, against } => diff(&mut out, path, against.as_deref())?,
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every `.json` file under a path, in order; a file alone stands for itself.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("the folder {}", path.display()))?;
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            found.extend(files(&entry)?);
        } else if entry.extension().is_some_and(|ending| ending == "json") {
            found.push(entry);
        }
    }
    Ok(found)
}

/// Whether a file holds the cases of a rule and no rule.
pub(super) fn is_cases(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".cases.json")
}

/// The artefacts and the case files under a path.
fn sheets(path: &Path) -> Result<(Vec<Sheet>, Vec<Sheet>)> {
    let (mut artefacts, mut cases) = (Vec::new(), Vec::new());
    // A rule named alone is read with what lies beside it: its messages, its value sets, its cases.
    let folder = if path.is_file() { path.parent().unwrap_or(path) } else { path };
    for file in files(folder)? {
        let sheet = Sheet::read(file)?;
        if is_cases(&sheet.path) { cases.push(sheet) } else { artefacts.push(sheet) }
    }
    if artefacts.is_empty() && cases.is_empty() {
        bail!("there is no .json file under {}", path.display());
    }
    Ok((artefacts, cases))
}

/// The rules under a path, with what lies beside a rule that is named alone.
pub(super) fn drafts(path: &Path) -> Result<Vec<Value>> {
    let (artefacts, _) = sheets(path)?;
    let is_draft = |sheet: &Sheet| is_meant(path, sheet) || sheet.value["resourceType"] != "PlanDefinition";
    Ok(artefacts.into_iter().filter(is_draft).map(|sheet| sheet.value).collect())
}

/// The shipped rules with these laid over them, and every fault in a sentence.
fn laid_over(artefacts: &[Sheet]) -> (Rules, Vec<String>) {
    let mut all = react::shipped();
    all.extend(artefacts.iter().map(|sheet| sheet.value.clone()));
    let (rules, issues) = Rules::read(&all);
    let faults = issues.iter().filter(|issue| issue.refuses());
    (rules, faults.map(|issue| format!("{}: {} ({})", issue.expression, issue.diagnostics, issue.key)).collect())
}

fn is_meant(path: &Path, sheet: &Sheet) -> bool {
    path.is_dir() || sheet.path == path
}

fn lint(out: &mut impl Write, path: &Path) -> Result<bool> {
    let (artefacts, _) = sheets(path)?;
    let (_, mut faults) = laid_over(&artefacts);
    for sheet in artefacts.iter().filter(|sheet| is_meant(path, sheet)) {
        faults.extend(sheet.faults.iter().cloned());
        if sheet.value.get("url").is_none() {
            faults.push(format!("{}: it has no url, and nothing can name it", sheet.path.display()));
        }
    }
    for fault in &faults {
        writeln!(out, "{fault}")?;
    }
    let count = artefacts.iter().filter(|sheet| is_meant(path, sheet)).count();
    writeln!(out, "{count} artefacts, {} faults", faults.len())?;
    Ok(faults.is_empty())
}

fn test(out: &mut impl Write, path: &Path) -> Result<bool> {
    let (artefacts, cases) = sheets(path)?;
    let (rules, faults) = laid_over(&artefacts);
    let mut failed: Vec<String> = faults;
    let mut count = 0;
    for sheet in &cases {
        let plan = &sheet.value["plan"];
        let named = artefacts.iter().filter(|artefact| is_meant(path, artefact)).any(|artefact| artefact.value["url"] == *plan);
        if path.is_file() && sheet.path != path && !named {
            continue;
        }
        count += sheet.value["cases"].as_array().map_or(0, Vec::len);
        failed.extend(cases::run(&rules, &sheet.value).iter().map(|why| format!("{}: {why}", sheet.path.display())));
    }
    for artefact in artefacts.iter().filter(|sheet| is_meant(path, sheet) && sheet.value["resourceType"] == "PlanDefinition") {
        if !cases.iter().any(|sheet| sheet.value["plan"] == artefact.value["url"]) {
            failed.push(format!("{}: the rule has no cases of its own", artefact.path.display()));
        }
    }
    for fault in &failed {
        writeln!(out, "FAILED {fault}")?;
    }
    writeln!(out, "{count} cases, {} failures", failed.len())?;
    Ok(failed.is_empty())
}

/// Tells what would change if these ran in the place of those they are compared with: in their text, and in their cases.
fn diff(out: &mut impl Write, path: &Path, against: Option<&Path>) -> Result<bool> {
    let (artefacts, cases) = sheets(path)?;
    let other: Vec<Value> = match against {
        Some(path) => sheets(path)?.0.into_iter().map(|sheet| sheet.value).collect(),
        None => react::shipped(),
    };
    let mut changes = 0;
    for sheet in artefacts.iter().filter(|sheet| is_meant(path, sheet)) {
        let url = sheet.value["url"].as_str().unwrap_or_default();
        let Some(known) = other.iter().find(|value| value["url"] == sheet.value["url"]) else {
            changes += 1;
            writeln!(out, "new      {url}")?;
            continue;
        };
        let mut lines = Vec::new();
        compare("", known, &sheet.value, &mut lines);
        changes += lines.len();
        if !lines.is_empty() {
            writeln!(out, "changed  {url}")?;
        }
        for line in lines {
            writeln!(out, "         {line}")?;
        }
    }
    let before = Rules::read(&[react::shipped(), other].concat()).0;
    let after = laid_over(&artefacts).0;
    for sheet in &cases {
        for case in sheet.value["cases"].as_array().into_iter().flatten() {
            let plan = sheet.value["plan"].as_str().unwrap_or_default();
            let (was, is) = (cases::decisions(&before, plan, case), cases::decisions(&after, plan, case));
            if was != is {
                changes += 1;
                let told = |told: Result<Vec<String>, String>| told.map_or_else(|why| why, |lines| lines.join(", "));
                writeln!(out, "decides  {plan}: {}", case["name"].as_str().unwrap_or_default())?;
                writeln!(out, "         was: {}\n         is:  {}", told(was), told(is))?;
            }
        }
    }
    writeln!(out, "{changes} differences")?;
    Ok(true)
}

/// One line for each place at which two values differ.
fn compare(place: &str, was: &Value, is: &Value, lines: &mut Vec<String>) {
    match (was, is) {
        (Value::Object(one), Value::Object(other)) => {
            let names: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for name in names {
                let inner = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                compare(&inner, one.get(name).unwrap_or(&Value::Null), other.get(name).unwrap_or(&Value::Null), lines);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            for at in 0..one.len().max(other.len()) {
                let of = |list: &Vec<Value>| list.get(at).cloned().unwrap_or(Value::Null);
                compare(&format!("{place}[{at}]"), &of(one), &of(other), lines);
            }
        }
        _ if was == is => {}
        (Value::Null, is) => lines.push(format!("+ {place}: {is}")),
        (was, Value::Null) => lines.push(format!("- {place}: {was}")),
        (was, is) => lines.push(format!("  {place}: {was} -> {is}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn folder(change: impl Fn(&mut Value)) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let url = "https://signa.example/fhir/PlanDefinition/refill";
        let mut plan = react::shipped().into_iter().find(|value| value["url"] == url).unwrap();
        change(&mut plan);
        std::fs::write(folder.path().join("refill.json"), plan.to_string()).unwrap();
        let cases = include_str!("../../mappings/plans/refill.cases.json");
        std::fs::write(folder.path().join("refill.cases.json"), cases).unwrap();
        folder
    }

    fn told(act: impl Fn(&mut Vec<u8>) -> Result<bool>) -> (bool, String) {
        let mut out = Vec::new();
        let good = act(&mut out).unwrap();
        (good, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_rule_without_fault_passes_and_one_with_a_fault_names_its_place() {
        let good = folder(|_| {});
        assert_eq!(told(|out| lint(out, good.path())), (true, String::from("1 artefacts, 0 faults\n")));
        let bad = folder(|plan| plan["action"][0]["trigger"][0]["type"] = json!("data-accessed"));
        let (ok, words) = told(|out| lint(out, bad.path()));
        assert!(!ok && words.contains("PlanDefinition.action[0].trigger[0]") && words.contains("unknown-trigger"), "{words}");
        assert!(lint(&mut Vec::new(), &good.path().join("nowhere")).is_err());
    }

    // The form of every file is looked at, as it is of what is sent: what is misspelled, of another type, or named twice; and so is
    // what its conditions ask for.
    #[test]
    fn every_fault_of_a_file_is_told_with_its_place() {
        let bad = folder(|plan| {
            plan["triggger"] = json!([]);
            plan["experimental"] = json!("no");
            plan["action"][0]["condition"][0]["expression"]["expression"] = json!("stauts = 'completed'");
        });
        let text = r#"{"resourceType":"ValueSet","url":"urn:x","status":"active","status":"active","kompose":{}}"#;
        std::fs::write(bad.path().join("set.json"), text).unwrap();
        let (ok, words) = told(|out| lint(out, bad.path()));
        assert!(!ok, "{words}");
        for (place, key) in [
            ("PlanDefinition.triggger", "unknown-element"),
            ("PlanDefinition.experimental", "wrong-json-type"),
            ("PlanDefinition.action[0].condition[0].expression", "bad-expression"),
            ("ValueSet.status", "duplicate-key"),
            ("ValueSet.kompose", "unknown-element"),
        ] {
            let is_told = |line: &str| line.contains(&format!("{place}: ")) && line.ends_with(&format!("({key})"));
            assert!(words.lines().any(is_told), "{place} {key}: {words}");
        }
        // Nor does a gateway start with it.
        let refused = super::super::gateway::artefacts(Some(bad.path())).unwrap_err().to_string();
        assert!(refused.contains("ValueSet.kompose: ") && refused.contains("PlanDefinition.triggger: "), "{refused}");
    }

    #[test]
    fn what_is_shipped_has_no_fault() {
        let (ok, words) = told(|out| lint(out, &Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings")));
        assert!(ok, "{words}");
    }

    #[test]
    fn a_changed_rule_fails_its_cases_and_the_difference_is_told() {
        let changed = folder(|plan| plan["action"][0]["action"][0]["relatedAction"][0]["offsetDuration"]["value"] = json!(5));
        let (ok, words) = told(|out| test(out, &changed.path().join("refill.json")));
        assert!(!ok && words.contains("advice fired 2026-01-06"), "{words}");
        let (_, words) = told(|out| diff(out, changed.path(), None));
        assert!(words.contains("action[0].action[0].relatedAction[0].offsetDuration.value: 3 -> 5"), "{words}");
        assert!(words.contains("decides"), "{words}");
        let same = folder(|_| {});
        assert_eq!(told(|out| diff(out, same.path(), None)), (true, String::from("0 differences\n")));
        assert!(told(|out| test(out, same.path())).0);
    }
}
