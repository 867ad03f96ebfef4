//! Counts what was answered, for `/metrics`.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interaction {
    Read,
    Search,
    History,
    Create,
    Update,
    Delete,
    Patch,
    Bundle,
    Operation,
    Capabilities,
    Other,
}

impl Interaction {
    /// Whether its answer tells of what was recorded, and not of what was read.
    pub(super) fn records(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Delete | Self::Patch | Self::Bundle)
    }
}

const NAMES: [&str; 11] =
    ["read", "search", "history", "create", "update", "delete", "patch", "bundle", "operation", "capabilities", "other"];

/// Upper bounds of the classes of duration, in microseconds, and as Prometheus writes them.
const BOUNDS: [(u64, &str); 8] = [
    (100, "0.0001"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (5_000, "0.005"),
    (25_000, "0.025"),
    (100_000, "0.1"),
    (500_000, "0.5"),
    (5_000_000, "5"),
];

/// One interaction's figures.
#[derive(Debug, Default)]
struct Figures {
    /// Answers by the first digit of their status.
    answers: [AtomicU64; 6],
    /// Answers by duration; the last class is above all bounds.
    durations: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// All figures.
#[derive(Debug, Default)]
pub(super) struct Counters {
    all: [Figures; NAMES.len()],
}

impl Counters {
    /// Counts one answer.
    pub(super) fn count(&self, interaction: Interaction, status: StatusCode, taken: Duration) {
        let Some(figures) = self.all.get(interaction as usize) else { return };
        let micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS.iter().position(|(bound, _)| micros <= *bound).unwrap_or(BOUNDS.len());
        figures.answers[usize::from(status.as_u16() / 100).min(5)].fetch_add(1, Ordering::Relaxed);
        figures.durations[class].fetch_add(1, Ordering::Relaxed);
        figures.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The figures as Prometheus reads them.
    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(8_192);
        text.push_str("# HELP signa_requests_total Answered requests by interaction and class of status.\n");
        text.push_str("# TYPE signa_requests_total counter\n");
        for (name, figures) in NAMES.iter().zip(&self.all) {
            for (class, count) in figures.answers.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let _ = writeln!(text, r#"signa_requests_total{{interaction="{name}",status="{class}xx"}} {count}"#);
                }
            }
        }
        text.push_str("# HELP signa_request_duration_seconds Time from the head of a request to its answer.\n");
        text.push_str("# TYPE signa_request_duration_seconds histogram\n");
        for (name, figures) in NAMES.iter().zip(&self.all) {
            figures.push_durations(name, &mut text);
        }
        text
    }
}

impl Figures {
    fn push_durations(&self, name: &str, text: &mut String) {
        let counts: Vec<u64> = self.durations.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        if all == 0 {
            return;
        }
        let mut below = 0;
        for ((_, bound), count) in BOUNDS.iter().zip(&counts) {
            below += count;
            let _ = writeln!(text, r#"signa_request_duration_seconds_bucket{{interaction="{name}",le="{bound}"}} {below}"#);
        }
        let micros = self.micros.load(Ordering::Relaxed);
        let _ = writeln!(text, r#"signa_request_duration_seconds_bucket{{interaction="{name}",le="+Inf"}} {all}"#);
        let (whole, part) = (micros / 1_000_000, micros % 1_000_000);
        let _ = writeln!(text, r#"signa_request_duration_seconds_sum{{interaction="{name}"}} {whole}.{part:06}"#);
        let _ = writeln!(text, r#"signa_request_duration_seconds_count{{interaction="{name}"}} {all}"#);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_is_counted() {
        let counters = Counters::default();
        counters.count(Interaction::Other, StatusCode::OK, Duration::from_micros(50));
        counters.count(Interaction::Other, StatusCode::NOT_FOUND, Duration::from_secs(9));
        let text = counters.text();
        for line in [
            r#"signa_requests_total{interaction="other",status="4xx"} 1"#,
            r#"signa_request_duration_seconds_bucket{interaction="other",le="5"} 1"#,
            r#"signa_request_duration_seconds_bucket{interaction="other",le="+Inf"} 2"#,
            r#"signa_request_duration_seconds_sum{interaction="other"} 9.000050"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
