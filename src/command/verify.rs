//! `signa ledger verify`: 0 when every chain is as it was written, 1 when not.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::config::Config;
use crate::ledger::Ledger;

/// Verifies and tells.
pub async fn run(database: Option<String>, config: Option<&Path>) -> Result<ExitCode> {
    let mut settings = Config::read(config, |name| std::env::var(name).ok())?.ledger;
    if let Some(database) = database {
        settings.database = database;
    }
    let verdict = Ledger::verify(&settings).await?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} chains, {} entries, {} checkpoints; {} entries since the last checkpoint",
        verdict.people, verdict.entries, verdict.checkpoints, verdict.unsealed
    )?;
    match verdict.fault {
        None => {
            writeln!(out, "the ledger is as it was written")?;
            Ok(ExitCode::SUCCESS)
        }
        Some(fault) => {
            writeln!(out, "FAULT: {fault}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}
