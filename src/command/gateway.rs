//! A whole gateway in one value: opened, running, stopped. `serve`, `demo` and the tests all start it here.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::FutureExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::plan;
use crate::arrive::{self, Door};
use crate::beat::Beat;
use crate::clock::Clock;
use crate::config::Config;
use crate::flow::{self, Flow};
use crate::identify;
use crate::ledger::{Ledger, Scope};
use crate::react::{self, Live};
use crate::speak::{Deliverer, Means};

/// A loop that broke off rests so long before it begins again (real time).
const BEGIN_AGAIN: Duration = Duration::from_secs(1);

/// A gateway.
pub struct Gateway {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its way into memory.
    pub flow: Flow,
    /// Its loop; runs by itself only after [`Gateway::start_beat`].
    pub beat: Beat,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Gateway {
    /// Opens the ledger, reads the rules, and listens. Requests are answered from now on; the beat does not run yet.
    pub async fn open(config: &Config, clock: Clock, mappings: Option<&Path>) -> Result<Self> {
        Self::open_with(config, clock, artefacts(mappings)?).await
    }

    /// As [`Gateway::open`], with these artefacts.
    pub(super) async fn open_with(config: &Config, clock: Clock, artefacts: Vec<serde_json::Value>) -> Result<Self> {
        let rules = rules(&artefacts)?;
        let ledger = Ledger::open(&config.ledger, clock.clone()).await.context("the ledger cannot be opened")?;
        let listener = TcpListener::bind(&config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
        let address = listener.local_addr()?;
        let flow = Flow::new(ledger.clone(), clock.clone()).at(&config.arrive.base).knowing(&artefacts).deciding(rules);
        let unread = flow.load_rules().await.context("the rules cannot be read")?;
        let served = Scope { tenant: config.arrive.tenant.as_str().into() };
        if let Err(refused) = flow.keep_forms(&served, react::forms()).await {
            bail!("the forms cannot be kept: {refused:?}");
        }
        let means = Means { draft: identify::draft, parse: flow::listened, chance: Arc::new(chance) };
        let deliverer =
            Deliverer::start(ledger, clock, config.speak.clone(), means).await.context("the deliveries cannot be read")?;
        let flow = flow.speaking(config.speak.clone());
        let beat = Beat::new(flow.clone(), deliverer, config.beat.clone());
        beat.learn_later(unread);
        let (stop, stopped) = watch::channel(false);
        let door = Door::new(flow.clone(), beat.teller(), config.arrive.clone());
        let mut closing = stopped;
        let serving = tokio::spawn(async move {
            let closed = async move {
                // A closed channel means the same as a stop.
                let _ = closing.wait_for(|stop| *stop).await;
            };
            arrive::serve(listener, door, closed).await;
        });
        Ok(Self { address, flow, beat, stop, tasks: vec![serving] })
    }

    /// Lets the loop run by itself.
    pub fn start_beat(&mut self) {
        let (beat, stop) = (self.beat.clone(), self.stop.clone());
        let run = async move {
            // A loop that broke off begins again from the store: without it nothing would be said any more.
            while AssertUnwindSafe(beat.clone().run(stop.subscribe())).catch_unwind().await.is_err() {
                tracing::error!("the beat broke off; it begins again from the store");
                beat.begin_again();
                beat.flow.clock.passes(BEGIN_AGAIN).await;
            }
        };
        // On a thread of its own: it reads and decides for many milliseconds without a pause, and no request shall wait for that.
        let runtime = tokio::runtime::Handle::current();
        self.tasks.push(tokio::task::spawn_blocking(move || runtime.block_on(run)));
    }

    /// The FHIR base, for example `http://127.0.0.1:8080/fhir`.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://{}/fhir", self.address)
    }

    /// Answers what is under way, seals the heads and ends.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the gateway ended badly");
            }
        }
        self.beat.deliverer.stop().await;
    }
}

/// Chance, for what must be spread over time.
fn chance() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

/// What is shipped, with the user's laid over it.
pub(super) fn artefacts(mappings: Option<&Path>) -> Result<Vec<serde_json::Value>> {
    let mut artefacts = react::shipped();
    if let Some(folder) = mappings {
        read_folder(folder, &mut artefacts)?;
    }
    Ok(artefacts)
}

/// The rules among them. A fault in any of them stops the start.
pub(super) fn rules(artefacts: &[serde_json::Value]) -> Result<Live> {
    let (rules, issues) = Live::new(artefacts.to_vec());
    let faults: Vec<String> = issues
        .iter()
        .filter(|issue| issue.refuses())
        .map(|issue| format!("{}: {}", issue.expression, issue.diagnostics))
        .collect();
    if faults.is_empty() { Ok(rules) } else { bail!("the rules have faults:\n{}", faults.join("\n")) }
}

/// A folder's artefacts; the cases of rules are none. A fault of form in any of them stops the start, as one in a rule does.
fn read_folder(folder: &Path, artefacts: &mut Vec<serde_json::Value>) -> Result<()> {
    let mut faults = Vec::new();
    for path in plan::files(folder)?.into_iter().filter(|path| !plan::is_cases(path)) {
        let sheet = plan::Sheet::read(path)?;
        faults.extend(sheet.faults);
        artefacts.push(sheet.value);
    }
    if faults.is_empty() { Ok(()) } else { bail!("the mappings have faults:\n{}", faults.join("\n")) }
}
