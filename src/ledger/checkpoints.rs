//! Checkpoints: from time to time all heads of a tenant are put under one signed Merkle root, so that a cut tail shows.

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::chain;
use super::dialect::{Cell, Transaction};
use super::{Error, Person};

const TENANTS: &str = "SELECT DISTINCT tenant FROM people WHERE ordinal <> sealed_ordinal";
const HEADS: &str = "SELECT person, ordinal, head FROM people WHERE tenant = $1 AND ordinal > 0 ORDER BY person";
const SEAL: &str =
    "UPDATE people SET sealed_ordinal = ordinal, sealed_head = head WHERE tenant = $1 AND ordinal <> sealed_ordinal";
const LAST: &str = "SELECT number, at, people, entries, root, previous, signature FROM checkpoints WHERE tenant = $1 ORDER BY number DESC LIMIT 1";
const ADD: &str = "INSERT INTO checkpoints (tenant, number, at, people, entries, root, previous, signature)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

/// A signed checkpoint.
#[derive(Debug, Clone)]
pub(super) struct Checkpoint {
    pub(super) number: i64,
    pub(super) at: i64,
    pub(super) people: i64,
    pub(super) entries: i64,
    pub(super) root: String,
    pub(super) previous: String,
    pub(super) signature: String,
}

/// Signs checkpoints with the key of this database.
pub(super) struct Seal {
    key: Ed25519KeyPair,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Seal(hidden)")
    }
}

impl Seal {
    /// Reads the key file, or makes one that only its owner can read.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let broken = |what: &str| Error::Broken(format!("the key file {}: {what}", path.display()));
        let document = match std::fs::read(path) {
            Ok(document) => document,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| broken("no randomness"))?;
                write_private(path, made.as_ref()).map_err(|error| broken(&error.to_string()))?;
                made.as_ref().to_vec()
            }
            Err(error) => return Err(broken(&error.to_string())),
        };
        let key = Ed25519KeyPair::from_pkcs8(&document).map_err(|_| broken("holds no Ed25519 key"))?;
        Ok(Self { key })
    }

    /// A key of its own that is kept nowhere: for who only reads.
    pub(super) fn new() -> Result<Self, Error> {
        let broken = |what: &str| Error::Broken(format!("a key for nothing: {what}"));
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| broken("no randomness"))?;
        Ok(Self { key: Ed25519KeyPair::from_pkcs8(made.as_ref()).map_err(|_| broken("no key"))? })
    }

    /// Reads the key file only.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        if path.exists() { Self::open(path) } else { Err(Error::Broken(format!("the key file {} is missing", path.display()))) }
    }

    fn sign(&self, tenant: &str, checkpoint: &Checkpoint) -> String {
        URL_SAFE_NO_PAD.encode(self.key.sign(&statement(tenant, checkpoint)))
    }

    /// Whether a checkpoint bears this key's signature.
    pub(super) fn signed(&self, tenant: &str, checkpoint: &Checkpoint) -> bool {
        let public = UnparsedPublicKey::new(&ED25519, self.key.public_key());
        URL_SAFE_NO_PAD
            .decode(&checkpoint.signature)
            .is_ok_and(|signature| public.verify(&statement(tenant, checkpoint), &signature).is_ok())
    }
}

fn statement(tenant: &str, checkpoint: &Checkpoint) -> Vec<u8> {
    let Checkpoint { number, at, people, entries, root, previous, .. } = checkpoint;
    format!("signa checkpoint\x1f{tenant}\x1f{number}\x1f{at}\x1f{people}\x1f{entries}\x1f{root}\x1f{previous}").into_bytes()
}

#[cfg(unix)]
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(not(unix))]
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::write(path, bytes)
}

/// Seals every tenant whose chains grew since the last checkpoint; tells how many.
pub(super) async fn seal(transaction: &mut Transaction<'_>, seal: &Seal, at: i64) -> Result<usize, Error> {
    let mut tenants = Vec::new();
    for mut row in transaction.rows(TENANTS, &[]).await? {
        tenants.push(row.text()?);
    }
    for tenant in &tenants {
        let last = last(transaction, tenant).await?;
        let heads = heads(transaction, tenant).await?;
        let mut checkpoint = Checkpoint {
            number: last.as_ref().map_or(1, |last| last.number + 1),
            at,
            people: i64::try_from(heads.len()).unwrap_or(i64::MAX),
            entries: heads.iter().map(|(_, ordinal, _)| *ordinal).sum(),
            root: root(&heads),
            previous: last.map_or_else(String::new, |last| last.signature),
            signature: String::new(),
        };
        checkpoint.signature = seal.sign(tenant, &checkpoint);
        transaction.run(SEAL, &[Cell::Text(tenant)]).await?;
        let cells = [
            Cell::Text(tenant),
            Cell::Int(checkpoint.number),
            Cell::Int(checkpoint.at),
            Cell::Int(checkpoint.people),
            Cell::Int(checkpoint.entries),
            Cell::Text(&checkpoint.root),
            Cell::Text(&checkpoint.previous),
            Cell::Text(&checkpoint.signature),
        ];
        transaction.run(ADD, &cells).await?;
    }
    Ok(tenants.len())
}

/// The Merkle root over heads in the order of persons.
pub(super) fn root(heads: &[(Person, i64, String)]) -> String {
    chain::merkle_root(heads.iter().map(|(person, ordinal, head)| chain::leaf(person.0, *ordinal, head)).collect())
}

async fn heads(transaction: &mut Transaction<'_>, tenant: &str) -> Result<Vec<(Person, i64, String)>, Error> {
    let mut heads = Vec::new();
    for mut row in transaction.rows(HEADS, &[Cell::Text(tenant)]).await? {
        heads.push((Person(row.int()?), row.int()?, row.text()?));
    }
    Ok(heads)
}

async fn last(transaction: &mut Transaction<'_>, tenant: &str) -> Result<Option<Checkpoint>, Error> {
    transaction.row(LAST, &[Cell::Text(tenant)]).await?.map(|mut row| checkpoint(&mut row)).transpose()
}

/// A row of number, at, people, entries, root, previous, signature.
pub(super) fn checkpoint(row: &mut super::dialect::Row) -> Result<Checkpoint, Error> {
    Ok(Checkpoint {
        number: row.int()?,
        at: row.int()?,
        people: row.int()?,
        entries: row.int()?,
        root: row.text()?,
        previous: row.text()?,
        signature: row.text()?,
    })
}
