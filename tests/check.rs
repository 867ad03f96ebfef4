//! Real data against the check: what others publish as valid is accepted, what they publish as invalid is refused.
//!
//! The data is not part of the repository. It is looked for in the folder that the variable SIGNA_DATA names, or beside the
//! repository in `../shared/data`; where it is absent the tests say so and rest on the fixtures in `tests/data`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use signa::check;

fn data(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SIGNA_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let found = root.join(folder);
    if !found.is_dir() {
        println!("not tried: {} is absent", found.display());
        return None;
    }
    Some(found)
}

fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        return text;
    }
    String::from_utf8(bytes).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// All resources of a folder with a name for each.
fn resources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in files(folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.contains(".ndjson") {
            let all = text(&path);
            let lines = all.lines().filter(|line| !line.trim().is_empty());
            found.extend(lines.enumerate().map(|(number, line)| (format!("{name}:{}", number + 1), line.to_owned())));
        } else if name.contains(".json") {
            found.push((name, text(&path)));
        }
    }
    found
}

#[test]
fn explore() {
    for folder in [
        "fhir-r4-examples",
        "fhir-r4-definitions",
        "synthea-patients",
        "synthea-scale",
        "gematik-erezept",
        "nhs-eps",
        "au-test-data",
        "us-core-6.1.0-definitions",
        "subscriptions-backport",
    ] {
        let Some(folder) = data(folder) else { continue };
        let all = resources(&folder);
        let mut refused = 0;
        let mut by: std::collections::BTreeMap<String, (usize, String)> = Default::default();
        for (name, body) in &all {
            if let Err(issues) = check::sized_resource(body.as_bytes(), check::guard::BUNDLE_BYTES_MAX, None) {
                refused += 1;
                let value: Value = serde_json::from_str(body).unwrap_or_default();
                for issue in issues {
                    let e = by
                        .entry(format!(
                            "{} {} {}",
                            issue.key,
                            issue.expression.split('[').collect::<Vec<_>>().join("["),
                            issue.diagnostics
                        ))
                        .or_default();
                    e.0 += 1;
                    e.1 = format!("{name} {}", value["id"]);
                }
            }
        }
        println!("== {}: {} of {} refused", folder.display(), refused, all.len());
        for (k, (n, ex)) in by.iter().take(120) {
            println!("{n:5} {k}  e.g. {ex}");
        }
    }
}
