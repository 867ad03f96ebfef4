//! The chain: how an entry's digest and hash are made. Frozen with the first migration; it can never be re-made.
//!
//! `digest = SHA-256(salt ‖ body)`; `hash = SHA-256(previous hash ‖ canonical metadata ‖ digest)`, all written in base64url.
//! The metadata holds no personal data, so an erased body leaves a chain that still verifies.

use aws_lc_rs::digest::{Context, SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Error, How, Person};

const SALT_BYTES: usize = 16;
/// Between the fields of the metadata; no field can hold it (control characters are refused at the door).
const SEPARATOR: &[u8] = b"\x1f";

/// What an entry says, without its place in the chain.
#[derive(Debug, Clone)]
pub(super) struct Statement<'a> {
    pub(super) tenant: &'a str,
    pub(super) person: Person,
    pub(super) ordinal: i64,
    pub(super) line: &'a str,
    pub(super) happened: i64,
    pub(super) learned: i64,
    pub(super) how: How,
    pub(super) source: &'a str,
    pub(super) store: &'a str,
    pub(super) kind: &'a str,
    pub(super) id: &'a str,
    pub(super) version: i64,
}

/// A fresh random salt.
pub(super) fn salt() -> Result<String, Error> {
    let mut bytes = [0_u8; SALT_BYTES];
    rand::fill(&mut bytes).map_err(|_| Error::Broken(String::from("no randomness")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The digest of a body under a salt.
pub(super) fn body_digest(salt: &str, meta: &str, body: &str) -> String {
    let mut context = Context::new(&SHA256);
    context.update(salt.as_bytes());
    context.update(SEPARATOR);
    context.update(meta.as_bytes());
    context.update(SEPARATOR);
    context.update(body.as_bytes());
    URL_SAFE_NO_PAD.encode(context.finish())
}

/// The hash of an entry: it rests on the one before.
pub(super) fn entry_hash(previous: &str, statement: &Statement<'_>, digest: &str) -> String {
    let mut context = Context::new(&SHA256);
    let numbers = [statement.person.0, statement.ordinal, statement.happened, statement.learned, statement.version]
        .map(|number| number.to_string());
    let fields = [
        previous,
        statement.tenant,
        &numbers[0],
        &numbers[1],
        statement.line,
        &numbers[2],
        &numbers[3],
        statement.how.word(),
        statement.source,
        statement.store,
        statement.kind,
        statement.id,
        &numbers[4],
        digest,
    ];
    for field in fields {
        context.update(field.as_bytes());
        context.update(SEPARATOR);
    }
    URL_SAFE_NO_PAD.encode(context.finish())
}

/// A leaf of the Merkle tree over all heads of a tenant.
pub(super) fn leaf(person: i64, ordinal: i64, head: &str) -> [u8; 32] {
    hash(&[b"leaf", &person.to_be_bytes(), &ordinal.to_be_bytes(), head.as_bytes()])
}

/// The Merkle root over leaves in the order of persons; of none, the hash of nothing.
pub(super) fn merkle_root(mut level: Vec<[u8; 32]>) -> String {
    if level.is_empty() {
        level.push(hash(&[b"empty"]));
    }
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => hash(&[b"node", left, right]),
                rest => rest.first().copied().unwrap_or_default(),
            })
            .collect();
    }
    level.first().map(|root| URL_SAFE_NO_PAD.encode(root)).unwrap_or_default()
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let joined: Vec<u8> = parts.concat();
    let mut out = [0_u8; 32];
    out.copy_from_slice(digest(&SHA256, &joined).as_ref());
    out
}
