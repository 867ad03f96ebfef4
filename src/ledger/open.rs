//! The ledger as the other rooms hold it: opened once, cloned freely.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tokio::sync::{mpsc, oneshot, watch};

use super::basis::Stops;
use super::changes::{self, Leaf, Version};
use super::checkpoints::Seal;
use super::dialect::{Reader, Transaction, postgres, sqlite};
use super::fresh::Shelf;
use super::pen::Pen;
use super::search::late::Asking;
use super::versions::{self, Chapter, During};
use super::writer::{self, Chore, Job, NONE_OPEN, Shared};
use super::{
    Chains, Decision, Due, Entry, Error, Event, Fresh, How, Lane, Notice, Parting, Person, Place, Receipt, Recorded, Scope,
    Stored, Subscription, Supply, Told, Turn, Unit, Verdict, compartment, entries, events, people, reaction, replay, resources,
    search, stamps, subscriptions, turns, unions, verify,
};
use crate::clock::Clock;
use crate::fhir::search::Include;
use crate::fhir::search::query::Query;

/// Where the ledger is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `sqlite:PATH` or `postgres://…`.
    pub database: String,
    /// File of the key that signs checkpoints; beside a SQLite file when empty.
    pub key: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self { database: String::from("sqlite:signa.db"), key: PathBuf::new() }
    }
}

impl Settings {
    fn sqlite_path(&self) -> Option<PathBuf> {
        let path = self.database.strip_prefix("sqlite:")?;
        Some(PathBuf::from(path.strip_prefix("//").unwrap_or(path)))
    }

    fn key_path(&self) -> PathBuf {
        match self.sqlite_path() {
            Some(path) if self.key.as_os_str().is_empty() => {
                let mut name = path.into_os_string();
                name.push(".key");
                PathBuf::from(name)
            }
            None if self.key.as_os_str().is_empty() => PathBuf::from("signa.key"),
            _ => self.key.clone(),
        }
    }
}

/// The most versions that are read at once.
const HISTORY_MAX: i64 = 1_000;
/// The most resources of one type that are read of one person.
const HELD_MAX: i64 = 1_000;

/// The memory of the house.
#[derive(Clone)]
pub struct Ledger {
    pub(super) reader: Reader,
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) shared: Arc<Shared>,
}

impl Ledger {
    /// Opens the database, brings it to the shape this program needs, and starts its writer.
    pub async fn open(settings: &Settings, clock: Clock) -> Result<Self, Error> {
        let seal = Seal::open(&settings.key_path())?;
        let ((committed, _), (written, _)) = (watch::channel(0), watch::channel(0));
        let shared = Arc::new(Shared {
            clock,
            open: AtomicI64::new(NONE_OPEN),
            told: AtomicI64::new(0),
            committed,
            written,
            seal,
            fresh: Shelf::default(),
            durable: Arc::default(),
            united: AtomicBool::new(true),
            late: AtomicBool::new(false),
            asking: Asking::default(),
            stops: Stops::default(),
            overtaken: Arc::default(),
        });
        let (reader, pen) = match settings.sqlite_path() {
            Some(path) => Pen::of_file(&path, Arc::clone(&shared.durable))?,
            None => Pen::of_server(&settings.database, Arc::clone(&shared.overtaken)).await?,
        };
        shared.told.store(stamps::newest(&reader, shared.clock.now()).await?, Ordering::SeqCst);
        if matches!(pen, Pen::Sqlite { .. }) {
            // No other gateway unites anybody here.
            shared.united.store(people::are_united(&reader).await?, Ordering::SeqCst);
        }
        shared.stops.learn(events::stops(&reader).await?);
        let jobs = writer::start(pen, Arc::clone(&shared))?;
        Ok(Self { reader, jobs, shared })
    }

    /// Opens a database that is there already only to read it, also beside a gateway: what is handed in to be recorded is refused.
    /// Of a file, what that gateway just created may be read before it can be found by a search.
    pub async fn reading(settings: &Settings, clock: Clock) -> Result<Self, Error> {
        let reader = match settings.sqlite_path() {
            Some(path) => {
                sqlite::open_reader(&path)?;
                Reader::Sqlite(sqlite::Reader::new(&path))
            }
            None => Reader::Postgres(postgres::open(&settings.database).await?),
        };
        let ((committed, _), (written, _), (jobs, _)) = (watch::channel(0), watch::channel(0), mpsc::channel(1));
        let (open, seal, fresh, durable) = (AtomicI64::new(NONE_OPEN), Seal::new()?, Shelf::default(), Arc::default());
        let (told, united, late, asking) = (AtomicI64::new(0), AtomicBool::new(true), AtomicBool::new(false), Asking::default());
        let (stops, overtaken) = (Stops::default(), Arc::default());
        let shared =
            Shared { clock, open, told, committed, written, seal, fresh, durable, united, late, asking, stops, overtaken };
        Ok(Self { reader, jobs, shared: Arc::new(shared) })
    }

    /// Records a unit durably, or refuses it; nothing in between.
    pub async fn record(&self, unit: Unit) -> Result<Vec<Receipt>, Error> {
        Ok(self.record_all(unit).await?.receipts)
    }

    /// As [`Self::record`], and tells the numbers that notices got.
    pub async fn record_all(&self, unit: Unit) -> Result<Recorded, Error> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job::Record(Box::new(unit), reply)).await.map_err(|_| Error::Busy)?;
        answer.await.map_err(|_| writer::gone())?
    }

    /// Puts all heads under a signed checkpoint; tells how many tenants had something new.
    pub async fn seal(&self) -> Result<usize, Error> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job::Chore(Chore::Seal, reply)).await.map_err(|_| Error::Busy)?;
        answer.await.map_err(|_| writer::gone())?
    }

    /// The current version, a deletion too.
    pub async fn read(&self, scope: &Scope, kind: &str, id: &str) -> Result<Option<Stored>, Error> {
        resources::read(&self.reader, scope, kind, id).await
    }

    /// A certain version.
    pub async fn version(&self, scope: &Scope, kind: &str, id: &str, version: i64) -> Result<Option<Stored>, Error> {
        match self.read(scope, kind, id).await? {
            Some(current) if current.version == version => Ok(Some(current)),
            Some(_) => resources::version(&self.reader, scope, kind, id, version).await,
            None => Ok(None),
        }
    }

    /// The newest of the versions that were not imported, newest first, at most `count` and `HISTORY_MAX`.
    pub async fn acting(&self, scope: &Scope, current: &Stored, count: i64) -> Result<Vec<Stored>, Error> {
        let mut versions = Vec::from_iter((current.how != How::Import).then(|| current.clone()));
        let (count, id) = (count.clamp(1, HISTORY_MAX), &current.id);
        versions.extend(resources::acting(&self.reader, scope, &current.kind, id, count - 1).await?);
        Ok(versions)
    }

    /// The newest versions, newest first, at most `count` and `HISTORY_MAX`.
    pub async fn history(&self, scope: &Scope, kind: &str, id: &str, count: i64) -> Result<Vec<Stored>, Error> {
        let Some(current) = self.read(scope, kind, id).await? else { return Ok(Vec::new()) };
        let mut versions = vec![current];
        versions.extend(resources::history(&self.reader, scope, kind, id, count.clamp(1, HISTORY_MAX) - 1).await?);
        Ok(versions)
    }

    /// A page of the versions of one resource, newest first, older than version `before`; `None` when there is no such resource.
    pub async fn chapter(
        &self,
        scope: &Scope,
        (kind, id): (&str, &str),
        during: During,
        before: i64,
        count: i64,
    ) -> Result<Option<Chapter>, Error> {
        let ask = versions::chapter(&self.reader, scope, (kind, id), during, before, count.clamp(0, HISTORY_MAX));
        self.reader.together(ask).await
    }

    /// A page of what was changed over all resources of a type or of all types, newest first, before a version.
    pub async fn changes(
        &self,
        scope: &Scope,
        kind: Option<&str>,
        during: During,
        before: Option<&Version>,
        count: usize,
    ) -> Result<Leaf, Error> {
        self.reader.together(changes::page(&self.reader, scope, kind, during, before, count)).await
    }

    /// How many versions [`Self::changes`] has on all pages; `None` when they are too many to be counted.
    pub async fn changes_total(&self, scope: &Scope, kind: Option<&str>, during: During) -> Result<Option<i64>, Error> {
        changes::total(&self.reader, scope, kind, during).await
    }

    /// At most two ids that match, for conditional interactions.
    pub async fn find(&self, scope: &Scope, query: &Query) -> Result<Vec<String>, Error> {
        self.find_many(scope, query, 2).await
    }

    /// So many ids that match, for whom two are not enough.
    pub async fn find_many(&self, scope: &Scope, query: &Query, count: u32) -> Result<Vec<String>, Error> {
        self.indexed().await?;
        search::find(&mut &self.reader, scope, query, count, self.shared.clock.now()).await
    }

    /// What these resources refer to, and what refers to them, as the wishes say; bounded, each once, none of them given.
    pub async fn beside(&self, scope: &Scope, matches: &[Stored], includes: &[Include]) -> Result<search::Beside, Error> {
        if matches.is_empty() || includes.is_empty() {
            return Ok(search::Beside::default());
        }
        self.indexed().await?;
        search::beside::beside(&mut &self.reader, scope, matches, includes).await
    }

    /// Waits until nothing that can be seen now could still be taken back by a power cut: whoever shows something to others, or
    /// acts on it outside of this house, waits here first. An error says that the disk refused to keep what was written.
    pub async fn settled(&self) -> Result<(), Error> {
        self.shared.durable.settled().await
    }

    /// The moment from which a poller must ask next: everything stamped before it can be seen now.
    #[must_use]
    pub fn horizon(&self) -> i64 {
        // The time is read before the open batch is looked at: see `writer::Writer::batch`.
        let now = self.shared.clock.now();
        self.shared.told.fetch_max(now, Ordering::SeqCst);
        now.min(self.shared.open.load(Ordering::SeqCst))
    }

    /// Whose a resource is; `None` when it does not exist.
    pub async fn person_of(&self, scope: &Scope, kind: &str, id: &str) -> Result<Option<Person>, Error> {
        Ok(self.read(scope, kind, id).await?.map(|stored| stored.person))
    }

    /// The current resources of a person (and of all who were united with them) of these types, latest first.
    pub async fn held(&self, scope: &Scope, person: Person, kinds: &[&str], count: i64) -> Result<Vec<Stored>, Error> {
        let mut found = Vec::new();
        for kind in kinds {
            found.extend(resources::held(&self.reader, scope, person, kind, count.clamp(1, HELD_MAX)).await?);
        }
        Ok(found)
    }

    /// What changed of one type from a stamp on, deletions too, in the order of change: behind the number `after` at that stamp.
    pub async fn changed(&self, scope: &Scope, kind: &str, since: i64, after: i64, count: i64) -> Result<Vec<Stored>, Error> {
        resources::changed(&self.reader, scope, kind, (since, after), count.clamp(1, HELD_MAX)).await
    }

    /// What one person has after a place (those who were united with them stand apart), without deletions.
    pub async fn of_person(&self, scope: &Scope, after: &Place, count: i64) -> Result<Vec<Stored>, Error> {
        compartment::of_person(&self.reader, scope, after, count.clamp(1, HELD_MAX)).await
    }

    /// What all persons have after a place, without deletions.
    pub async fn of_all(&self, scope: &Scope, after: &Place, count: i64) -> Result<Vec<Stored>, Error> {
        compartment::of_all(&self.reader, scope, after, count.clamp(1, HELD_MAX)).await
    }

    /// The resource types of which anything was ever kept.
    pub async fn kinds(&self, scope: &Scope) -> Result<Vec<String>, Error> {
        changes::kinds(&self.reader, scope, None).await
    }

    /// Every tenant that has kept something.
    pub async fn scopes(&self) -> Result<Vec<Scope>, Error> {
        let (mut scopes, mut last) = (Vec::new(), String::new());
        while let Some(tenant) = resources::tenant_after(&self.reader, &last).await? {
            scopes.push(Scope { tenant: tenant.as_str().into() });
            last = tenant;
        }
        Ok(scopes)
    }

    /// All resources of a type, page by page after an id, deletions too: for what is read at start.
    pub async fn kept(&self, scope: &Scope, kind: &str, after: &str, count: i64) -> Result<Vec<Stored>, Error> {
        resources::kept(&self.reader, scope, kind, after, count).await
    }

    /// What was deleted of a type, page by page after an id: for what is read at start.
    pub async fn deleted(&self, scope: &Scope, kind: &str, after: &str, count: i64) -> Result<Vec<Stored>, Error> {
        resources::deleted(&self.reader, scope, kind, after, count).await
    }

    /// A person's story in the order of happening.
    pub async fn story(
        &self,
        scope: &Scope,
        person: Person,
        count: i64,
        skip: i64,
    ) -> Result<Vec<(Entry, Option<Stored>)>, Error> {
        entries::story(&self.reader, scope, person, count, skip).await
    }

    /// Persons as they are known after all unions, in their order, after one.
    pub async fn survivors(&self, scope: &Scope, after: Person, count: i64) -> Result<Vec<Person>, Error> {
        replay::survivors(&self.reader, scope, after, count.clamp(1, HELD_MAX)).await
    }

    /// What a person's own chain tells after one of its entries, in the order in which it was learned.
    pub async fn chain(&self, scope: &Scope, person: Person, after: i64, count: i64) -> Result<Vec<Told>, Error> {
        replay::chain(&self.reader, scope, person, after, count.clamp(1, HELD_MAX)).await
    }

    /// Who ever said STOP for an address, also where they took it back.
    pub async fn refusers(&self, scope: &Scope, address: &str) -> Result<Vec<Person>, Error> {
        reaction::refusers(&self.reader, scope, address).await
    }

    /// What was recorded and not yet reacted to, oldest first, after a number.
    pub async fn events(&self, after: i64, count: i64) -> Result<Vec<Event>, Error> {
        events::next(&self.reader, after, count).await
    }

    /// Asks several questions of one state of the store; `ask` may wait for nothing but this ledger's reads.
    pub async fn together<T>(&self, ask: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.reader.together(ask).await
    }

    /// The latest event of a person that was not reacted to yet.
    pub async fn unsettled(&self, scope: &Scope, person: Person) -> Result<Option<i64>, Error> {
        events::of_person(&self.reader, scope, person).await
    }

    /// Whether this event was not reacted to yet.
    pub async fn is_unsettled(&self, event: i64) -> Result<bool, Error> {
        events::is_there(&self.reader, event).await
    }

    /// Changes at each commit of this gateway, whatever was in it.
    #[must_use]
    pub fn written(&self) -> watch::Receiver<u64> {
        self.shared.written.subscribe()
    }

    /// What an event told of, where it was recorded here just now and nobody took it yet.
    #[must_use]
    pub fn fresh(&self, event: i64) -> Option<Fresh> {
        self.shared.fresh.take(event)
    }

    /// Changes at each commit that added events.
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.shared.committed.subscribe()
    }

    /// What is due of persons by now, in the fixed order of decisions.
    pub async fn due(&self, now: i64, count: i64) -> Result<Vec<(Scope, Person, Due)>, Error> {
        reaction::due(&self.reader, now, count).await
    }

    /// The first sweep that is due by now of each tenant after one, in the order of their names.
    pub async fn sweeps(&self, after: &str, now: i64, count: i64) -> Result<Vec<(Scope, Due)>, Error> {
        reaction::sweeps(&self.reader, after, now, count).await
    }

    /// The sweeps that are kept, due or not, in the order of their outputs after one.
    pub async fn kept_sweeps(&self, scope: &Scope, after: &str, count: i64) -> Result<Vec<Due>, Error> {
        reaction::kept_sweeps(&self.reader, scope, after, count).await
    }

    /// The sweep of this output, due or not.
    pub async fn sweep_of(&self, scope: &Scope, output: &str) -> Result<Option<Due>, Error> {
        reaction::sweep_of(&self.reader, scope, output).await
    }

    /// When the next one is due, of a person or of nobody.
    pub async fn next_due(&self) -> Result<Option<i64>, Error> {
        self.next_due_after(i64::MIN).await
    }

    /// All who are one with a person, the one they are known as first.
    pub async fn united(&self, scope: &Scope, person: Person) -> Result<Vec<Person>, Error> {
        people::united(&self.reader, scope, person).await
    }

    /// Whether what is asked together is asked of one state of the store.
    #[must_use]
    pub fn is_one_state(&self) -> bool {
        matches!(self.reader, Reader::Sqlite(_))
    }

    /// All who are one with a person, each with the last entry of their chain.
    pub async fn chains(&self, scope: &Scope, person: Person) -> Result<Chains, Error> {
        people::chains(&self.reader, scope, person).await
    }

    /// As whom these persons are known.
    pub async fn known_as(&self, scope: &Scope, persons: &[Person]) -> Result<BTreeMap<Person, Person>, Error> {
        people::survivors(&self.reader, scope, persons).await
    }

    /// When the rules were asked about a person, as it was known then, in order after a number, and each with its number.
    pub async fn turns(&self, scope: &Scope, person: Person, after: i64, count: i64) -> Result<Vec<(i64, Turn)>, Error> {
        turns::of(&self.reader, scope, person, after, count.clamp(1, HELD_MAX)).await
    }

    /// Who was taken for one with a person and is not now, in the order in which they were parted.
    pub async fn parted(&self, scope: &Scope, person: Person) -> Result<Vec<Parting>, Error> {
        unions::parted(&self.reader, scope, person).await
    }

    /// What was said or done to each of these while they were taken for one with others, in their order: the last of each output, and
    /// until when they were.
    pub async fn fired(&self, scope: &Scope, partings: &[Parting]) -> Result<Vec<(i64, Decision)>, Error> {
        reaction::fired(&self.reader, scope, partings).await
    }

    /// The person an identifier leads to, after all unions.
    pub async fn identified(&self, scope: &Scope, system: &str, value: &str) -> Result<Option<Person>, Error> {
        people::identified(&self.reader, scope, system, value).await
    }

    /// Whether anybody has an identifier of this system.
    pub async fn knows_system(&self, scope: &Scope, system: &str) -> Result<bool, Error> {
        people::knows_system(&self.reader, scope, system).await
    }

    /// The dues of a person.
    pub async fn dues(&self, scope: &Scope, person: Person) -> Result<Vec<Due>, Error> {
        reaction::dues(&self.reader, scope, person).await
    }

    /// The latest decision about each output of a person; of each record, where several are one.
    pub async fn decisions(&self, scope: &Scope, person: Person) -> Result<Vec<Decision>, Error> {
        Ok(reaction::latest(reaction::decisions(&self.reader, scope, person).await?))
    }

    /// All decisions about a person, per output in the order they were made.
    pub async fn all_decisions(&self, scope: &Scope, person: Person) -> Result<Vec<Decision>, Error> {
        reaction::decisions(&self.reader, scope, person).await
    }

    /// All supplies of a person.
    pub async fn supplies(&self, scope: &Scope, person: Person) -> Result<Vec<Supply>, Error> {
        reaction::supplies(&self.reader, scope, person).await
    }

    /// Those of these addresses for which anybody said STOP.
    pub async fn stopped(&self, scope: &Scope, addresses: &[String]) -> Result<Vec<String>, Error> {
        reaction::stopped(&self.reader, scope, addresses).await
    }

    /// All subscriptions of all tenants.
    pub async fn subscriptions(&self) -> Result<Vec<(Scope, Subscription)>, Error> {
        subscriptions::all(&self.reader).await
    }

    /// What is kept of one subscription.
    pub async fn subscription(&self, scope: &Scope, id: &str) -> Result<Option<Subscription>, Error> {
        subscriptions::one(&self.reader, scope, id).await
    }

    /// All lanes of all tenants.
    pub async fn lanes(&self) -> Result<Vec<(Scope, Lane)>, Error> {
        subscriptions::lanes(&self.reader).await
    }

    /// What waits for a subscription, in order, after a number.
    pub async fn waiting(&self, scope: &Scope, subscription: &str, after: i64, count: i64) -> Result<Vec<Notice>, Error> {
        subscriptions::waiting(&self.reader, scope, subscription, after, count).await
    }

    /// Verifies all chains of a database without writing to it; a gateway may run beside it.
    pub async fn verify(settings: &Settings) -> Result<Verdict, Error> {
        let seal = Seal::read(&settings.key_path())?;
        match settings.sqlite_path() {
            Some(path) => {
                let connection = sqlite::open_reader(&path)?;
                connection.execute_batch("BEGIN")?;
                verify::verify(&mut Transaction::Sqlite(&connection), &seal).await
            }
            None => {
                let pool = postgres::open(&settings.database).await?;
                let mut connection = pool.acquire().await?;
                postgres::begin_reading(&mut connection).await?;
                verify::verify(&mut Transaction::Postgres(&mut connection), &seal).await
            }
        }
    }
}
