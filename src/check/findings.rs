//! The faults found so far: each once, and not more than a reader of the answer can use.

use crate::fhir::outcome::Issue;

/// No answer names more faults than this.
pub const ISSUES_MAX: usize = 100;

/// What a check gathers.
#[derive(Debug, Default)]
pub(super) struct Findings {
    issues: Vec<Issue>,
    left_out: usize,
    /// Whether one that is not listed refuses.
    refused_beyond: bool,
}

impl Findings {
    /// Whether no further issue will be listed, so that nobody need word one.
    pub(super) fn is_full(&self) -> bool {
        self.issues.len() >= ISSUES_MAX
    }

    /// Counts a fault that is not listed any more.
    pub(super) fn leave_out(&mut self) {
        self.left_out += 1;
        self.refused_beyond = true;
    }

    fn pass_over(&mut self, issue: &Issue) {
        self.left_out += 1;
        self.refused_beyond |= issue.refuses();
    }

    /// Adds an issue, unless the same was said of the same place.
    pub(super) fn push(&mut self, issue: Issue) {
        if self.is_full() {
            return self.pass_over(&issue);
        }
        if self.issues.iter().any(|known| known.key == issue.key && known.expression == issue.expression) {
            return;
        }
        self.issues.push(issue);
    }

    /// Adds an issue, unless it was said word for word: a profile may ask several things of one place.
    pub(super) fn push_each(&mut self, issue: Issue) {
        if self.is_full() {
            return self.pass_over(&issue);
        }
        if !self.issues.contains(&issue) {
            self.issues.push(issue);
        }
    }

    /// Adds an issue, unless the same was said in the same words, be it of another place: what cannot be done is said once.
    pub(super) fn push_words(&mut self, issue: Issue) {
        let is_known = self.issues.iter().any(|known| known.key == issue.key && known.diagnostics == issue.diagnostics);
        if !is_known {
            self.push_each(issue);
        }
    }

    /// Whether one of them refuses.
    pub(super) fn refuse(&self) -> bool {
        self.refused_beyond || self.issues.iter().any(Issue::refuses)
    }

    /// How many were gathered, for those who want to know whether a step found any.
    pub(super) fn count(&self) -> usize {
        self.issues.len() + self.left_out
    }

    /// Everything, with a last word on what was left out.
    pub(super) fn into_issues(self) -> Vec<Issue> {
        let mut issues = self.issues;
        if self.left_out > 0 {
            let words = format!("{} more faults were found and are not listed; mend these first.", self.left_out);
            let issue = if self.refused_beyond { Issue::error } else { Issue::warning };
            issues.push(issue("too-long", "more-faults", "", words));
        }
        issues
    }
}
