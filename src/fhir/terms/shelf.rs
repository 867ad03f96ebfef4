//! What R4 itself defines of terminology and profiles, built in: read from the tables when somebody first asks, each part once.
//! Follows <https://hl7.org/fhir/R4/terminologies-systems.html>; `profiles/README.md` tells how the tables are made.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, LazyLock, OnceLock};

use serde_json::Value;

use super::{Map, Set, System, split};

const TERMS: &[u8] = include_bytes!("../../../profiles/r4/terms.tsv.gz");
const STRUCTURES: &[u8] = include_bytes!("../../../profiles/r4/structures.tsv.gz");

/// A table of lines by address; a line is read when it is first asked for.
struct Shelf {
    lines: HashMap<&'static str, Line>,
    by_id: HashMap<(&'static str, &'static str), &'static str>,
}

struct Line {
    kind: &'static str,
    text: &'static str,
    read: OnceLock<Known>,
}

/// What became of a line.
#[derive(Clone)]
enum Known {
    System(Arc<System>),
    Set(Arc<Set>),
    Map(Arc<Map>),
}

static SHELF: LazyLock<Shelf> = LazyLock::new(|| shelf(TERMS));
static PROFILES: LazyLock<Shelf> = LazyLock::new(|| shelf(STRUCTURES));

fn shelf(packed: &[u8]) -> Shelf {
    let mut text = String::new();
    // The table is our own: built in, and read by a test.
    let _ = flate2::read::GzDecoder::new(packed).read_to_string(&mut text);
    let text: &'static str = text.leak();
    let mut shelf = Shelf { lines: HashMap::new(), by_id: HashMap::new() };
    for line in text.lines() {
        let mut fields = line.splitn(4, '\t');
        let mut field = || fields.next().unwrap_or_default();
        let (kind, url, id, text) = (field(), field(), field(), field());
        shelf.lines.insert(url, Line { kind, text, read: OnceLock::new() });
        shelf.by_id.insert((kind, id), url);
    }
    shelf
}

fn read(address: &str, kind: &str) -> Option<Known> {
    let line = SHELF.lines.get(split(address).0).filter(|line| line.kind == kind)?;
    let read = line.read.get_or_init(|| {
        let value: Value = serde_json::from_str(line.text).unwrap_or_default();
        match line.kind {
            "CodeSystem" => Known::System(Arc::new(System::read(&value))),
            "ValueSet" => Known::Set(Arc::new(Set::read(&value))),
            _ => Known::Map(Arc::new(Map::read(&value))),
        }
    });
    Some(read.clone())
}

fn fits(version: &str, address: &str) -> bool {
    split(address).1.is_none_or(|asked| asked == version)
}

/// The code system of R4 with this address.
#[must_use]
pub fn system(address: &str) -> Option<Arc<System>> {
    match read(address, "CodeSystem")? {
        Known::System(system) if fits(&system.version, address) => Some(system),
        _ => None,
    }
}

/// The value set of R4 with this address.
#[must_use]
pub fn set(address: &str) -> Option<Arc<Set>> {
    match read(address, "ValueSet")? {
        Known::Set(set) if fits(&set.version, address) => Some(set),
        _ => None,
    }
}

/// The concept map of R4 with this address.
#[must_use]
pub fn map(address: &str) -> Option<Arc<Map>> {
    match read(address, "ConceptMap")? {
        Known::Map(map) => Some(map),
        _ => None,
    }
}

/// All concept maps of R4, in the order of their addresses.
pub fn maps() -> impl Iterator<Item = Arc<Map>> {
    let mut urls: Vec<&str> = SHELF.lines.iter().filter(|(_, line)| line.kind == "ConceptMap").map(|(url, _)| *url).collect();
    urls.sort_unstable();
    urls.into_iter().filter_map(map)
}

/// The address of what R4 calls by this type and id.
#[must_use]
pub fn address(kind: &str, id: &str) -> Option<&'static str> {
    SHELF.by_id.iter().find(|((own, name), _)| *own == kind && *name == id).map(|(_, url)| *url)
}

/// A profile or extension of R4: its StructureDefinition with what a check needs of it.
#[must_use]
pub fn structure(address: &str) -> Option<Value> {
    let (url, version) = split(address);
    let line = PROFILES.lines.get(url).filter(|_| version.is_none_or(|version| version == "4.0.1"))?;
    serde_json::from_str(line.text).ok()
}

/// The addresses of all profiles and extensions of R4.
pub fn structures() -> impl Iterator<Item = &'static str> {
    PROFILES.lines.keys().copied()
}
