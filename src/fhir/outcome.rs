//! Issues: what was found wrong, where, and what would be right; and the OperationOutcome made of them.
//! Follows <https://hl7.org/fhir/R4/operationoutcome.html>.

use serde_json::{Value, json};

/// How grave an issue is (`OperationOutcome.issue.severity`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Said for information; nothing is wrong.
    Information,
    /// Accepted, but something should be mended.
    Warning,
    /// Refused.
    Error,
}

/// One fault of a sender, or one remark, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// How grave it is.
    pub severity: Severity,
    /// The code of <https://hl7.org/fhir/R4/valueset-issue-type.html>, for example `structure` or `required`.
    pub code: &'static str,
    /// The stable code of this refusal in our own system, for example `unknown-element`.
    pub key: &'static str,
    /// FHIRPath of the element, for example `Patient.name[0].given`; empty when the whole body is meant.
    pub expression: String,
    /// A sentence: what was wrong and what would be right. It never holds a patient's data.
    pub diagnostics: String,
}

impl Issue {
    /// An issue that refuses.
    #[must_use]
    pub fn error(code: &'static str, key: &'static str, expression: impl Into<String>, diagnostics: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, key, expression: expression.into(), diagnostics: diagnostics.into() }
    }

    /// An issue that is only remarked.
    #[must_use]
    pub fn warning(code: &'static str, key: &'static str, expression: impl Into<String>, diagnostics: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, key, expression, diagnostics) }
    }

    /// Whether the resource must be refused for it.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The code system of [`Issue::key`].
pub const REFUSALS: &str = "https://signa.example/fhir/CodeSystem/refusal";

/// The OperationOutcome of these issues; with none, one that says that all went well.
#[must_use]
pub fn operation_outcome(issues: &[Issue]) -> Value {
    let issue: Vec<Value> = issues.iter().map(issue_value).collect();
    let issue = if issue.is_empty() {
        vec![json!({"severity": "information", "code": "informational", "diagnostics": "All went well."})]
    } else {
        issue
    };
    json!({"resourceType": "OperationOutcome", "issue": issue})
}

fn issue_value(issue: &Issue) -> Value {
    let severity = match issue.severity {
        Severity::Information => "information",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let mut value = json!({
        "severity": severity,
        "code": issue.code,
        "details": {"coding": [{"system": REFUSALS, "code": issue.key}]},
        "diagnostics": issue.diagnostics,
    });
    if !issue.expression.is_empty() {
        value["expression"] = json!([issue.expression]);
    }
    value
}
