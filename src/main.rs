//! The start of the program.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use signa::command::{self, Arguments, Command, Ledger};
use tracing_subscriber::EnvFilter;

/// Searches and stories are made of many small texts: this takes a fifth of the processor time off them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Two threads answer requests; the writer, the folder and the loop have their own.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    start().unwrap_or_else(|error| {
        // A sentence for whoever typed the command; where in the program it came from helps nobody there.
        eprintln!("signa: {error:#}");
        ExitCode::FAILURE
    })
}

fn start() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    // They tell their own story; only what goes wrong stands beside it.
    let level = if matches!(arguments.command, Command::Demo(_) | Command::Conformance(_) | Command::Simulate(_)) {
        "warn"
    } else {
        "info"
    };
    let filter = EnvFilter::try_from_env("SIGNA_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(async move {
        match arguments.command {
            Command::Demo(arguments) => command::demo::run(&arguments).await,
            Command::Serve(arguments) => command::serve::run(&arguments).await,
            Command::Import(arguments) => command::import::run(&arguments).await,
            Command::Conformance(arguments) => command::conformance::run(&arguments).await,
            Command::Plan(arguments) => command::plan::run(&arguments),
            Command::Simulate(arguments) => command::simulate::run(&arguments).await,
            Command::Ledger(Ledger::Verify { database, config }) => command::verify::run(database, config.as_deref()).await,
        }
    })
}
