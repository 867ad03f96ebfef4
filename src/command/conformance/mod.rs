//! `signa conformance`: tries the suites of `conformance/` on any FHIR R4 server and tells which rows it keeps.
//!
//! A suite is a TestScript; a server is asked for its CapabilityStatement first, and what it does not offer is told as
//! not offered, not as failed. It ends with 1 when a row failed or the server cannot be reached.

mod judge;
mod places;
pub mod play;
pub mod report;
mod request;
mod scene;
mod script;
mod suites;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::clock::Clock;
use crate::speak::post::{Asked, Post};
use play::Player;
use report::{Fate, Report};
use script::Script;

/// Which server to try, and what on it.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The FHIR base, for example `https://host/fhir`. The suites write to it, and delete what they wrote.
    pub url: String,
    /// Rows of the checklist to try, as `R10,S01`; all without it.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// A folder of TestScripts to try instead of those that come with the program.
    #[arg(long)]
    pub suites: Option<PathBuf>,
    /// Where to write the report: a Bundle of TestReports if the name ends in `.json`, else a table in Markdown.
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// A header that goes with every request, as `Authorization: Bearer …`; may be given several times.
    #[arg(long)]
    pub header: Vec<String>,
}

/// Tries a server and tells.
pub async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let headers = arguments.header.iter().map(|line| header(line)).collect::<Result<Vec<_>>>()?;
    let report = examine(&arguments.url, arguments.suites.as_deref(), &arguments.only, &headers).await?;
    report.tell(&mut std::io::stdout().lock())?;
    if let Some(path) = &arguments.report {
        let is_json = path.extension().is_some_and(|ending| ending == "json");
        let text = if is_json { format!("{:#}\n", report.bundle()) } else { report.markdown() };
        std::fs::write(path, text).with_context(|| format!("the report {}", path.display()))?;
    }
    std::io::stdout().flush()?;
    Ok(if report.count(Fate::Failed) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn header(line: &str) -> Result<(String, String)> {
    let (name, value) =
        line.split_once(':').with_context(|| format!("\"{line}\" is no header such as Authorization: Bearer …"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Tries the suites, or those of a folder, on the server at this base; all rows when none is named.
pub async fn examine(base: &str, folder: Option<&Path>, only: &[String], headers: &[(String, String)]) -> Result<Report> {
    let post = Post::to(base)?;
    let clock = Clock::running();
    let scripts = suites::all(folder)?;
    let known: Vec<String> = scripts.iter().flat_map(Script::rows).collect();
    if let Some(unknown) = only.iter().find(|row| !known.contains(row)) {
        bail!("no suite proves a row {unknown}; there are {}", report::in_order(&known).join(" "));
    }
    let capability = capability(&post, headers).await?;
    let player = Player { post: &post, headers, capability: &capability, clock: &clock };
    let mut tried = Vec::new();
    for script in &scripts {
        tried.extend(player.play(script, only).await);
    }
    let server = ["/software/name", "/software/version"].map(|at| capability.pointer(at).and_then(Value::as_str));
    let server = server.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let server = if server.is_empty() { String::from("A server without a name") } else { server };
    Ok(Report { base: post.base().to_owned(), server, tried, taken_ms: clock.elapsed().as_millis() })
}

/// What the server says of itself. One that says nothing of use is still tried, but offers nothing.
async fn capability(post: &Post, headers: &[(String, String)]) -> Result<Value> {
    let mut headers = headers.to_vec();
    headers.push((String::from("Accept"), String::from("application/fhir+json")));
    let url = format!("{}/metadata", post.base());
    let asked = Asked { method: String::from("GET"), url, headers, body: None };
    let answer = post.exchange(asked).await.with_context(|| format!("{} cannot be asked", post.base()))?;
    let statement = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    Ok(if statement["resourceType"] == "CapabilityStatement" { statement } else { Value::Null })
}
