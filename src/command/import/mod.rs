//! `signa import`: takes in what others have kept, by the same way as what arrives, and tells what was refused and why.
//!
//! NDJSON, single resources and Bundles of any type; gzip, byte order marks and CRLF are understood. Everything keeps its
//! id, so importing again after a crash or a correction changes only what is different. A transaction is taken whole or
//! not at all; of every other Bundle and of NDJSON each resource is taken for itself. What a history says was deleted is deleted.
//!
//! The files are read twice: first for the ids and types alone, so that `urn:uuid:<id>` becomes `Type/<id>` wherever the
//! import itself holds that resource; what it does not hold stays as it is.
//!
//! It ends with 0 when every file was read to its end, also when lines of them were refused: the report names each with
//! its place and reason. A path, file or ledger that cannot be read at all ends it with 1.

mod files;
mod items;
mod remote;
mod report;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::clock::Clock;
use crate::config::Config;
use crate::flow::{Flow, Sender};
use crate::ledger::{How, Ledger, Scope};
use crate::speak::post::Post;
use files::{Document, Source};
use items::{Item, Known};
use report::{Report, of_flow};

/// So many items are under way at once, so that one commit can take them together. Items with one id keep their order.
const LANES: usize = 64;
/// Items that may wait in a lane.
const LANE_MAX: usize = 16;
/// Bytes that may be under way at once, in KiB.
const UNDER_WAY_KIB: usize = 128 * 1024;

/// Why nothing of a Bundle is taken in which two servers mean two resources by one type and id.
const CLASHES: &str = "Entries of the Bundle have the same type and id, and other fullUrls: they are of two servers, and one would be \
    written over the other. Nothing of the Bundle is taken; give those of one server other ids, and change what refers to them.";

/// What to import, and where to.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Files and folders: NDJSON, resources or Bundles, with or without gzip.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// `sqlite:PATH` or `postgres://…`.
    #[arg(long)]
    pub database: Option<String>,
    /// A settings file.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// The FHIR base of a running gateway, for example `https://host/fhir`, instead of a database. It takes what it is sent
    /// as happening now, so say `--react`, too.
    #[arg(long, conflicts_with = "database", requires = "react")]
    pub to: Option<String>,
    /// Let rules act on what is imported, as if it happened now. Without it nothing is said to anybody.
    #[arg(long)]
    pub react: bool,
}

/// An item on its way, with the file it is of and its share of [`UNDER_WAY_KIB`].
struct Parcel {
    file: Arc<str>,
    item: Item,
    _room: OwnedSemaphorePermit,
}

/// What all lanes share.
struct Shared {
    goal: Goal,
    known: Known,
    report: Mutex<Report>,
    progress: ProgressBar,
}

/// Where an import goes.
enum Goal {
    /// Into a ledger of this machine's.
    Ledger(Flow, Sender),
    /// To a gateway that runs.
    Gateway(Post, Clock),
}

/// Imports.
pub async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut config = Config::read(arguments.config.as_deref(), |name| std::env::var(name).ok())?;
    if let Some(database) = &arguments.database {
        config.ledger.database.clone_from(database);
    }
    let sources = files::gather(&arguments.paths)?;
    let clock = Clock::running();
    let goal = match &arguments.to {
        Some(base) => Goal::Gateway(Post::to(base)?, clock.clone()),
        None => ledger(&config, clock.clone(), arguments.react).await?,
    };
    let report = import(goal, sources).await?;
    let mut out = std::io::stdout().lock();
    report.tell(&mut out)?;
    writeln!(out, "{} resources in {:.1} s, {} refused", report.taken(), clock.elapsed().as_secs_f64(), report.refused())?;
    Ok(ExitCode::SUCCESS)
}

async fn ledger(config: &Config, clock: Clock, react: bool) -> Result<Goal> {
    let ledger = Ledger::open(&config.ledger, clock.clone()).await.context("the ledger cannot be opened")?;
    let flow = Flow::new(ledger, clock).at(&config.arrive.base).speaking(config.speak.clone());
    let how = if react { How::Live } else { How::Import };
    let scope = Scope { tenant: config.arrive.tenant.as_str().into() };
    Ok(Goal::Ledger(flow, Sender { scope, source: String::from("import"), how }))
}

/// Reads the files twice and takes in what is in them.
async fn import(goal: Goal, sources: Vec<Source>) -> Result<Report> {
    let progress = progress(sources.iter().map(|source| source.bytes * 2).sum());
    let (known, sources, progress) = tokio::task::spawn_blocking(move || {
        let mut known = Known::default();
        for source in &sources {
            // A file that cannot be read is told of the second time.
            let _ = files::read(source, &mut |bytes| progress.inc(bytes), &mut |document| {
                for item in items::split(document) {
                    known.note(&item);
                }
                true
            });
        }
        (known, sources, progress)
    })
    .await?;
    let shared = Arc::new(Shared { goal, known, report: Mutex::default(), progress });
    let (lanes, workers): (Vec<_>, Vec<_>) = (0..LANES).map(|_| lane(&shared)).unzip();
    let reader = Arc::clone(&shared);
    tokio::task::spawn_blocking(move || hand_out(&reader, &sources, &lanes)).await?;
    for worker in workers {
        worker.await?;
    }
    shared.progress.finish_and_clear();
    let report = std::mem::take(&mut *shared.report.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(report)
}

/// Reads the files and hands each item to the lane of its id.
fn hand_out(shared: &Shared, sources: &[Source], lanes: &[mpsc::Sender<Parcel>]) {
    let room = Arc::new(Semaphore::new(UNDER_WAY_KIB));
    let runtime = tokio::runtime::Handle::current();
    for source in sources {
        let file: Arc<str> = source.path.to_string_lossy().into();
        let mut take = |document: Document| {
            items::split(document).into_iter().all(|item| {
                let share = u32::try_from((item.text.len() / 1024 + 1).min(UNDER_WAY_KIB)).unwrap_or(1);
                let Ok(room) = runtime.block_on(Arc::clone(&room).acquire_many_owned(share)) else { return false };
                let lane = &lanes[lane_of(&item)];
                lane.blocking_send(Parcel { file: Arc::clone(&file), item, _room: room }).is_ok()
            })
        };
        if let Err(error) = files::read(source, &mut |bytes| shared.progress.inc(bytes), &mut take) {
            shared.report().broken_file(&file, &error.to_string());
        }
    }
}

fn lane_of(item: &Item) -> usize {
    let mut hasher = DefaultHasher::new();
    if item.id.is_empty() {
        item.text.hash(&mut hasher);
    } else {
        (&item.kind, &item.id).hash(&mut hasher);
    }
    usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default()
}

/// A lane and the worker at its end.
fn lane(shared: &Arc<Shared>) -> (mpsc::Sender<Parcel>, tokio::task::JoinHandle<()>) {
    let (sender, mut parcels) = mpsc::channel::<Parcel>(LANE_MAX);
    let shared = Arc::clone(shared);
    let worker = tokio::spawn(async move {
        while let Some(parcel) = parcels.recv().await {
            shared.take(&parcel).await;
        }
    });
    (sender, worker)
}

impl Shared {
    async fn take(&self, parcel: &Parcel) {
        let item = &parcel.item;
        let links = self.known.links(item);
        let outcome = match &self.goal {
            _ if item.clashes => Err(vec![CLASHES.to_owned()]),
            Goal::Ledger(flow, sender) if item.deleted => {
                of_flow(flow.delete(sender, &item.kind, &item.id, None).await.map(|done| vec![done]))
            }
            Goal::Ledger(flow, sender) if item.whole => of_flow(flow.import_transaction(sender, &item.text).await),
            Goal::Ledger(flow, sender) => {
                of_flow(flow.import(sender, &item.text, &item.full_url, &links).await.map(|done| vec![done]))
            }
            Goal::Gateway(post, clock) => remote::take(post, clock, item, &links).await,
        };
        self.report().note(&parcel.file, item, outcome);
    }

    fn report(&self) -> std::sync::MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bar on standard error, where somebody looks; nothing otherwise.
fn progress(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {elapsed}, {eta} to go");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}
