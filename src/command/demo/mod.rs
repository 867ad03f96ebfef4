//! `signa demo`: a sample month, sent as real systems would send it, on a clock that runs ahead; then the server stays up.

mod month;
mod play;
mod tell;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::Demo;
use super::gateway::Gateway;
use super::serve::{on_loopback, until_told};
use crate::clock::Clock;
use crate::config::Config;
use crate::ledger::Scope;
use crate::react::{self, Unasked};
use month::Month;
use play::Play;
use tell::Teller;

/// Plays the month and serves what came of it.
pub async fn run(arguments: &Demo) -> Result<ExitCode> {
    on_loopback(&arguments.listen)?;
    let month = Month::shipped()?;
    let folder = Folder::new()?;
    let clock = Clock::running();
    let now = clock.now();
    clock.set(month.calendar(now)?.begin()?);
    let config = config(&arguments.listen, &folder.0, month.calendar(now)?.zone)?;
    let mut gateway = Gateway::open_with(&config, clock.clone(), uncalled(react::shipped()))
        .await
        .map_err(|error| explained(error, &arguments.listen))?;
    let scope = Scope { tenant: config.arrive.tenant.as_str().into() };
    let mut teller = Teller::new(std::io::stdout(), month.calendar(now)?);
    teller.open(&gateway.base())?;
    let mut play = Play::new(&gateway.beat, scope, &month, now, &mut teller)?;
    tokio::select! {
        played = play.run() => played?,
        told = until_told() => {
            gateway.stop().await;
            return told.map(|()| ExitCode::SUCCESS);
        }
    }
    clock.run();
    gateway.start_beat();
    teller.close(&gateway.base(), !arguments.once)?;
    if !arguments.once {
        until_told().await?;
    }
    gateway.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Without what the calendar calls: a season or a birthday that falls into the month would tell another story each time.
fn uncalled(mut artefacts: Vec<Value>) -> Vec<Value> {
    let is_called = |action: &Value| action.pointer("/trigger/0/type").and_then(Value::as_str) == Some("periodic");
    for actions in artefacts.iter_mut().filter_map(|artefact| artefact.get_mut("action")?.as_array_mut()) {
        actions.retain(|action| !is_called(action));
    }
    artefacts.retain(|artefact| artefact.get("action").and_then(Value::as_array).is_none_or(|actions| !actions.is_empty()));
    artefacts
}

/// The settings of a demo: a database of its own, and what the story of the month rests on.
fn config(listen: &str, folder: &Path, zone: TimeZone) -> Result<Config> {
    let mut config = Config::read(None, |name| std::env::var(name).ok())?;
    listen.clone_into(&mut config.listen);
    config.ledger.database = format!("sqlite:{}", folder.join("demo.db").display());
    config.ledger.key = folder.join("demo.key");
    config.beat.zone = zone;
    config.beat.react.treatment = Unasked::Held;
    config.speak.loopback = true;
    Ok(config)
}

/// A port that is taken is the one thing that often goes wrong: it is said with what to do.
fn explained(error: anyhow::Error, listen: &str) -> anyhow::Error {
    let is_taken = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::AddrInUse;
    if error.chain().filter_map(|cause| cause.downcast_ref()).any(is_taken) {
        let free = listen.rsplit_once(':').map_or("127.0.0.1", |(host, _)| host);
        return anyhow::anyhow!("{listen} is taken by another program: choose another port, for example --listen {free}:8181");
    }
    error
}

/// A folder that is gone when the demo ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("signa-demo-{}", uuid::Uuid::new_v4().simple()));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).with_context(|| format!("the folder {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            // Nobody is left to hand the failure to.
            let _ = writeln!(std::io::stderr(), "the folder {} could not be removed: {error}", self.0.display());
        }
    }
}
