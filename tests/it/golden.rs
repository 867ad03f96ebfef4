//! Compares a whole answer with the file that says what it should be.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Compares with `tests/golden/[name]`. With `SIGNA_GOLDEN=write` it writes the file instead, to be read in review.
#[track_caller]
pub(crate) fn golden(name: &str, found: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let found = format!("{found:#}\n");
    if std::env::var("SIGNA_GOLDEN").is_ok_and(|mode| mode == "write") {
        fs::write(&path, &found).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if expected != found {
        let differing = expected.lines().zip(found.lines()).position(|(left, right)| left != right);
        let line = differing.unwrap_or_else(|| expected.lines().count().min(found.lines().count()));
        let show = |text: &str| text.lines().skip(line.saturating_sub(2)).take(6).collect::<Vec<_>>().join("\n");
        panic!(
            "tests/golden/{name} differs at line {}:\n--- expected\n{}\n--- found\n{}",
            line + 1,
            show(&expected),
            show(&found)
        );
    }
}
