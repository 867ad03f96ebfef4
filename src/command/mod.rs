//! What can be asked of the program on the command line.

pub mod conformance;
pub mod demo;
pub mod gateway;
pub mod import;
pub mod plan;
pub mod serve;
pub mod simulate;
pub mod verify;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// A FHIR gateway that keeps one patient ledger and says, at the right time, what should happen next.
#[derive(Debug, Parser)]
#[command(name = "signa", version, about)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plays a sample month in a temporary database, tells what was said and why, and serves it.
    Demo(Demo),
    /// Serves FHIR, reacts and speaks, until it is told to stop.
    Serve(Serve),
    /// Takes in what others have kept: NDJSON, resources, Bundles.
    Import(import::Arguments),
    /// Tries a FHIR R4 server, this one or any other, and tells which rows of the checklist it keeps.
    Conformance(conformance::Arguments),
    /// Looks at rules before they run.
    #[command(subcommand)]
    Plan(Plan),
    /// Tells the ledger again on a clock of its own: what a rule would have said, or whether all is decided as it was. Read-only.
    Simulate(simulate::Arguments),
    /// Looks after the ledger.
    #[command(subcommand)]
    Ledger(Ledger),
}

/// How to show.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Address and port to listen on.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: String,
    /// Ends after the month instead of serving.
    #[arg(long, hide = true)]
    pub once: bool,
}

/// How to serve.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Address and port to listen on.
    #[arg(long)]
    pub listen: Option<String>,
    /// `sqlite:PATH` or `postgres://…`.
    #[arg(long)]
    pub database: Option<String>,
    /// A settings file; it holds only what differs from the defaults.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// A folder of further plans and value sets, laid over the built-in ones.
    #[arg(long)]
    pub mappings: Option<PathBuf>,
    /// Who may call.
    #[arg(long)]
    pub auth: Option<Auth>,
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    /// Everybody who reaches the port: only on loopback.
    Off,
}

/// What to do with rules.
#[derive(Debug, Subcommand)]
pub enum Plan {
    /// Names every fault with its place; ends with 1 if there is one.
    Lint {
        /// A rule, or a folder of rules with their messages and value sets.
        path: PathBuf,
    },
    /// Runs the cases that lie beside the rules; ends with 1 if one fails or a rule has none.
    Test {
        /// A rule, or a folder of rules with their cases.
        path: PathBuf,
    },
    /// Tells what would change, in the text and in what the cases come to.
    Diff {
        /// A rule, or a folder of rules with their cases.
        path: PathBuf,
        /// What they are compared with; the built-in rules if nothing is named.
        #[arg(long)]
        against: Option<PathBuf>,
    },
}

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Reads every chain again and names the first thing that is not as it was written. Read-only, also beside a gateway.
    Verify {
        /// `sqlite:PATH` or `postgres://…`.
        #[arg(long)]
        database: Option<String>,
        /// A settings file.
        #[arg(long)]
        config: Option<PathBuf>,
    },
}
