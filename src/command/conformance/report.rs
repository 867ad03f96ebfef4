//! What came of it, row by row of the checklist: for a person, as Markdown, and as FHIR TestReports.
//! Follows <https://hl7.org/fhir/R4/testreport.html>.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;

use serde_json::{Value, json};

use super::play::{Tried, Verdict};

/// The chapters of the checklist, in its order: REST, search, errors, then what Signa adds.
const CHAPTERS: &str = "RSEBTCDAXVK";

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Every test of it that the server offers passed, and at least one did.
    Passed,
    /// At least one failed.
    Failed,
    /// The server offers nothing of it.
    NotOffered,
}

impl Fate {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotOffered => "not offered",
        }
    }
}

/// A row of the checklist with the tests that prove it.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// Its id, as `R10`.
    pub id: &'a str,
    /// Its tests, in the order of the suites.
    pub tried: Vec<&'a Tried>,
}

impl Row<'_> {
    /// What became of it.
    #[must_use]
    pub fn fate(&self) -> Fate {
        let any = |is: fn(&Verdict) -> bool| self.tried.iter().any(|tried| is(&tried.verdict));
        match () {
            () if any(|verdict| matches!(verdict, Verdict::Failed(_))) => Fate::Failed,
            () if any(|verdict| *verdict == Verdict::Passed) => Fate::Passed,
            () => Fate::NotOffered,
        }
    }

    /// What it proves and whether it did.
    fn sentences(&self) -> String {
        let mark = |tried: &&Tried| match tried.verdict {
            Verdict::Passed => tried.sentence.clone(),
            Verdict::Failed(_) => format!("**failed:** {}", tried.sentence),
            Verdict::NotOffered(_) => format!("*not offered:* {}", tried.sentence),
        };
        self.tried.iter().map(mark).collect::<Vec<_>>().join(" · ").replace('|', "\\|")
    }
}

/// Where a row stands in the checklist.
fn rank(id: &str) -> (usize, &str) {
    (CHAPTERS.find(&id[..1]).unwrap_or(CHAPTERS.len()), id)
}

/// These rows, each once, in the order of the checklist.
pub(super) fn in_order(ids: &[String]) -> Vec<&str> {
    let ordered: BTreeSet<(usize, &str)> = ids.iter().map(|id| rank(id)).collect();
    ordered.into_iter().map(|(_, id)| id).collect()
}

/// What came of running suites against a server.
#[derive(Debug, Clone)]
pub struct Report {
    /// The base that was called.
    pub base: String,
    /// What the server calls itself.
    pub server: String,
    /// Every test, in order.
    pub tried: Vec<Tried>,
    /// How long it took.
    pub taken_ms: u128,
}

impl Report {
    /// The rows of the checklist, in its order.
    #[must_use]
    pub fn rows(&self) -> Vec<Row<'_>> {
        let mut rows: BTreeMap<(usize, &str), Vec<&Tried>> = BTreeMap::new();
        for tried in &self.tried {
            for id in &tried.rows {
                rows.entry(rank(id)).or_default().push(tried);
            }
        }
        rows.into_iter().map(|((_, id), tried)| Row { id, tried }).collect()
    }

    /// How many rows have this fate.
    #[must_use]
    pub fn count(&self, fate: Fate) -> usize {
        self.rows().iter().filter(|row| row.fate() == fate).count()
    }

    /// Tells it to a person: a line for each row, and the reason for what failed.
    pub fn tell(&self, out: &mut impl io::Write) -> io::Result<()> {
        writeln!(out, "{} at {}\n", self.server, self.base)?;
        for row in self.rows() {
            let tests = row.tried.len();
            writeln!(out, "{:4} {:12} {tests} test{}", row.id, row.fate().words(), if tests == 1 { "" } else { "s" })?;
            for tried in &row.tried {
                match &tried.verdict {
                    Verdict::Passed => {}
                    Verdict::NotOffered(need) => writeln!(out, "       not offered: {}\n         {need}", tried.sentence)?,
                    Verdict::Failed(faults) => {
                        writeln!(out, "       failed: {} ({})", tried.sentence, tried.script)?;
                        faults.iter().try_for_each(|fault| writeln!(out, "         {fault}"))?;
                    }
                }
                tried.warnings.iter().try_for_each(|warning| writeln!(out, "       could be better: {warning}"))?;
            }
        }
        writeln!(out, "\n{} in {:.1} s", self.sum(), seconds(self.taken_ms))
    }

    /// The numbers in one line.
    #[must_use]
    pub fn sum(&self) -> String {
        let (passed, failed, absent) = (self.count(Fate::Passed), self.count(Fate::Failed), self.count(Fate::NotOffered));
        let rows = format!("{} rows: {passed} passed, {failed} failed, {absent} not offered", passed + failed + absent);
        let of = |is: fn(&Verdict) -> bool| self.tried.iter().filter(|tried| is(&tried.verdict)).count();
        let failed = of(|verdict| matches!(verdict, Verdict::Failed(_)));
        let absent = of(|verdict| matches!(verdict, Verdict::NotOffered(_)));
        let passed = self.tried.len() - failed - absent;
        format!("{rows}; {} tests: {passed} passed, {failed} failed, {absent} not offered", self.tried.len())
    }

    /// A table in Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::from("| row | result | what was tried |\n|---|---|---|\n");
        for row in self.rows() {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "| {} | {} | {} |", row.id, row.fate().words(), row.sentences());
        }
        text
    }

    /// A Bundle of TestReports, one for each script.
    #[must_use]
    pub fn bundle(&self) -> Value {
        let mut scripts: Vec<(&str, Vec<&Tried>)> = Vec::new();
        for tried in &self.tried {
            match scripts.last_mut().filter(|(script, _)| *script == tried.script) {
                Some((_, all)) => all.push(tried),
                None => scripts.push((&tried.script, vec![tried])),
            }
        }
        let entries: Vec<Value> =
            scripts.iter().map(|(script, tried)| json!({"resource": self.test_report(script, tried)})).collect();
        json!({"resourceType": "Bundle", "type": "collection", "entry": entries})
    }

    fn test_report(&self, script: &str, tried: &[&Tried]) -> Value {
        let is_failed = tried.iter().any(|tried| matches!(tried.verdict, Verdict::Failed(_)));
        let test = |tried: &&Tried| {
            let (result, message) = match &tried.verdict {
                Verdict::Passed => ("pass", String::from("Everything it asks for is true.")),
                Verdict::Failed(faults) => ("fail", faults.join("\n")),
                Verdict::NotOffered(need) => ("skip", format!("The server does not say that {need}.")),
            };
            let name = format!("{} {}", tried.rows.join(" "), tried.sentence);
            json!({"name": name, "action": [{"assert": {"result": result, "message": message}}]})
        };
        json!({
            "resourceType": "TestReport",
            "status": "completed",
            "testScript": {"display": script},
            "result": if is_failed { "fail" } else { "pass" },
            "tester": concat!("signa ", env!("CARGO_PKG_VERSION")),
            "participant": [{"type": "server", "uri": self.base, "display": self.server}],
            "test": tried.iter().map(test).collect::<Vec<_>>(),
        })
    }
}

fn seconds(milliseconds: u128) -> f64 {
    f64::from(u32::try_from(milliseconds).unwrap_or(u32::MAX)) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(rows: &[&str], verdict: Verdict) -> Tried {
        let rows = rows.iter().map(|row| (*row).to_owned()).collect();
        Tried { rows, sentence: String::from("a | b"), script: String::from("s"), verdict, warnings: Vec::new() }
    }

    fn report() -> Report {
        let absent = || Verdict::NotOffered(String::from("x"));
        let tried = vec![
            tried(&["S01", "R02"], Verdict::Passed),
            tried(&["R02"], Verdict::Failed(vec![String::from("because")])),
            tried(&["E01"], absent()),
            tried(&["S01"], absent()),
        ];
        Report { base: String::from("http://x"), server: String::from("X"), tried, taken_ms: 1_500 }
    }

    #[test]
    fn a_row_has_failed_if_one_of_its_tests_has() {
        let report = report();
        let fates: Vec<(&str, Fate)> = report.rows().iter().map(|row| (row.id, row.fate())).collect();
        assert_eq!(fates, [("R02", Fate::Failed), ("S01", Fate::Passed), ("E01", Fate::NotOffered)]);
        assert_eq!(report.sum(), "3 rows: 1 passed, 1 failed, 1 not offered; 4 tests: 1 passed, 1 failed, 2 not offered");
    }

    #[test]
    fn it_is_told_in_three_ways() {
        let report = report();
        let mut out = Vec::new();
        report.tell(&mut out).unwrap();
        let told = String::from_utf8(out).unwrap();
        assert!(
            told.contains("R02  failed       2 tests\n") && told.contains("because") && told.ends_with("in 1.5 s\n"),
            "{told}"
        );
        assert!(report.markdown().contains("| E01 | not offered | *not offered:* a \\| b |\n"));
        let bundle = report.bundle();
        assert_eq!(bundle["entry"][0]["resource"]["result"], "fail");
        assert_eq!(bundle["entry"][0]["resource"]["test"].as_array().unwrap().len(), 4);
    }
}
