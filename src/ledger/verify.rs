//! Reads every chain again and says the first thing that is not as it was written. Read-only, also beside a running gateway.

use super::chain::{self, Statement};
use super::checkpoints::{self, Seal};
use super::dialect::{Cell, Row, Transaction};
use super::{Error, How, Line, Person};

const TENANTS: &str = "SELECT tenant FROM people UNION SELECT tenant FROM entries UNION SELECT tenant FROM checkpoints
    UNION SELECT tenant FROM resources ORDER BY tenant";
const ORPHAN: &str = "SELECT e.person FROM entries e WHERE e.tenant = $1 AND NOT EXISTS
    (SELECT 1 FROM people p WHERE p.tenant = e.tenant AND p.person = e.person)
    UNION ALL SELECT r.person FROM resources r WHERE r.tenant = $1 AND NOT EXISTS
    (SELECT 1 FROM people p WHERE p.tenant = r.tenant AND p.person = r.person) LIMIT 1";
const PEOPLE: &str = "SELECT person, ordinal, head, sealed_ordinal, sealed_head FROM people
    WHERE tenant = $1 AND person > $2 ORDER BY person LIMIT $3";
const CHAIN: &str =
    "SELECT e.ordinal, e.line, e.happened, e.learned, e.how, e.source, e.store, e.kind, e.id, e.version, e.digest, e.hash
    FROM entries e WHERE e.tenant = $1 AND e.person = $2 AND e.ordinal > $3 ORDER BY e.ordinal LIMIT $4";
const BODY: &str =
    "SELECT r.person, r.deleted, r.updated, r.how, r.salt, r.meta, r.body FROM resources r WHERE r.tenant = $1 AND r.kind = $2 AND r.id = $3 AND r.version = $4
    UNION ALL SELECT -1, v.deleted, v.updated, v.how, v.salt, v.meta, v.body FROM versions v WHERE v.tenant = $1 AND v.kind = $2 AND v.id = $3 AND v.version = $4";
const CHECKPOINTS: &str =
    "SELECT number, at, people, entries, root, previous, signature FROM checkpoints WHERE tenant = $1 ORDER BY number";
const CURRENT: &str = "SELECT COUNT(*) FROM resources WHERE tenant = $1 AND person = $2";
// Looks through the chain for each resource: asked only where it is known that one is not told.
const UNTOLD: &str = "SELECT r.kind, r.id FROM resources r WHERE r.tenant = $1 AND r.person = $2 AND NOT EXISTS
    (SELECT 1 FROM entries e WHERE e.tenant = r.tenant AND e.person = r.person AND e.kind = r.kind AND e.id = r.id AND e.version = r.version)
    LIMIT 1";
const PAGE: i64 = 500;

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Chains that were read.
    pub people: i64,
    /// Entries that were read.
    pub entries: i64,
    /// Checkpoints whose signature was tried.
    pub checkpoints: i64,
    /// Entries that no checkpoint covers yet.
    pub unsealed: i64,
    /// The first thing that is wrong; `None` when all is as it was written.
    pub fault: Option<String>,
}

/// Verifies all tenants as one transaction sees them.
pub(super) async fn verify(transaction: &mut Transaction<'_>, seal: &Seal) -> Result<Verdict, Error> {
    let mut verdict = Verdict::default();
    for mut row in transaction.rows(TENANTS, &[]).await? {
        let tenant = row.text()?;
        let sealed = tenant_chains(transaction, &tenant, &mut verdict).await?;
        if verdict.fault.is_none() {
            let orphan = transaction.row(ORPHAN, &[Cell::Text(&tenant)]).await?;
            verdict.fault = orphan.map(|mut row| Ok::<_, Error>(format!("person {} is missing", row.int()?))).transpose()?;
        }
        if verdict.fault.is_none() {
            verdict.fault = signatures(transaction, &tenant, seal, &sealed, &mut verdict).await?;
        }
        if verdict.fault.is_some() {
            break;
        }
    }
    Ok(verdict)
}

/// Reads the chains of a tenant; gives back its sealed heads.
async fn tenant_chains(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    verdict: &mut Verdict,
) -> Result<Vec<(Person, i64, String)>, Error> {
    let mut sealed = Vec::new();
    let mut after = -1;
    loop {
        let mut people = transaction.rows(PEOPLE, &[Cell::Text(tenant), Cell::Int(after), Cell::Int(PAGE)]).await?;
        for row in &mut people {
            let person = Person(row.int()?);
            after = person.0;
            let head = (row.int()?, row.text()?);
            let kept = (row.int()?, row.text()?);
            verdict.people += 1;
            verdict.unsealed += head.0 - kept.0;
            verdict.fault = one_chain(transaction, tenant, person, &head, &kept, verdict).await?;
            if verdict.fault.is_some() {
                return Ok(sealed);
            }
            if kept.0 > 0 {
                sealed.push((person, kept.0, kept.1));
            }
        }
        if people.is_empty() {
            return Ok(sealed);
        }
    }
}

async fn one_chain(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    person: Person,
    head: &(i64, String),
    sealed: &(i64, String),
    verdict: &mut Verdict,
) -> Result<Option<String>, Error> {
    let (mut previous, mut told) = ((0, String::new()), 0);
    loop {
        let cells = [Cell::Text(tenant), Cell::Int(person.0), Cell::Int(previous.0), Cell::Int(PAGE)];
        let mut rows = transaction.rows(CHAIN, &cells).await?;
        for row in &mut rows {
            let ordinal = row.int()?;
            if ordinal != previous.0 + 1 {
                return Ok(Some(format!("person {}: entry {} is missing", person.0, previous.0 + 1)));
            }
            let (hash, found) = one_entry(transaction, tenant, person, ordinal, &previous.1, row).await?;
            match found {
                Ok(of) => told += i64::from(of == Some(person)),
                Err(fault) => return Ok(Some(format!("person {}: entry {ordinal}: {fault}", person.0))),
            }
            if ordinal == sealed.0 && hash != sealed.1 {
                return Ok(Some(format!("person {}: entry {ordinal} is not the one that was sealed", person.0)));
            }
            verdict.entries += 1;
            previous = (ordinal, hash);
        }
        if rows.is_empty() {
            break;
        }
    }
    if previous.0 < head.0.max(sealed.0) {
        return Ok(Some(format!("person {}: entry {} is missing: the tail was cut", person.0, previous.0 + 1)));
    }
    if previous != *head {
        return Ok(Some(format!("person {}: the chain does not end where its head says", person.0)));
    }
    let current = transaction.row(CURRENT, &[Cell::Text(tenant), Cell::Int(person.0)]).await?;
    if current.map_or(Ok(0), |mut row| row.int())? == told {
        return Ok(None);
    }
    let untold = transaction.row(UNTOLD, &[Cell::Text(tenant), Cell::Int(person.0)]).await?;
    untold.map(|mut row| Ok(format!("person {}: no entry tells of {}/{}", person.0, row.text()?, row.text()?))).transpose()
}

/// Its hash, and whose the resource is of which it tells the current version; or what is wrong with it.
async fn one_entry(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    person: Person,
    ordinal: i64,
    previous: &str,
    row: &mut Row,
) -> Result<(String, Result<Option<Person>, String>), Error> {
    let (line, happened, learned, how) = (row.text()?, row.int()?, row.int()?, How::of(&row.text()?));
    let (source, store, kind, id, version) = (row.text()?, row.text()?, row.text()?, row.text()?, row.int()?);
    let (digest, hash) = (row.text()?, row.text()?);
    let statement = Statement {
        tenant,
        person,
        ordinal,
        line: &line,
        happened,
        learned,
        how,
        source: &source,
        store: &store,
        kind: &kind,
        id: &id,
        version,
    };
    if chain::entry_hash(previous, &statement, &digest) != hash {
        return Ok((hash, Err(String::from("its words were changed"))));
    }
    if !Line::of(&line).is_of_version() {
        return Ok((hash, Ok(None)));
    }
    let cells = [Cell::Text(tenant), Cell::Text(&kind), Cell::Text(&id), Cell::Int(version)];
    let Some(mut body) = transaction.row(BODY, &cells).await? else {
        return Ok((hash, Err(format!("{kind}/{id} version {version} is gone"))));
    };
    let of = Some(Person(body.int()?)).filter(|of| of.0 >= 0);
    let (deleted, updated, as_kept) = (body.int()? != 0, body.int()?, How::of(&body.text()?));
    let (salt, meta, body) = (body.text()?, body.text()?, body.text()?);
    // Stamps of one resource never fall, so its own may lie after the batch's. Of older versions it is not known for sure how they came.
    let is_told = deleted == (line == Line::Deleted.word()) && updated >= learned && (of.is_none() || as_kept == how);
    if !is_told || chain::body_digest(&salt, &meta, &body) != digest {
        return Ok((hash, Err(format!("{kind}/{id} version {version} was changed"))));
    }
    Ok((hash, Ok(of)))
}

async fn signatures(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    seal: &Seal,
    sealed: &[(Person, i64, String)],
    verdict: &mut Verdict,
) -> Result<Option<String>, Error> {
    let mut previous = String::new();
    let mut last = None;
    for mut row in transaction.rows(CHECKPOINTS, &[Cell::Text(tenant)]).await? {
        let checkpoint = checkpoints::checkpoint(&mut row)?;
        verdict.checkpoints += 1;
        if checkpoint.previous != previous || !seal.signed(tenant, &checkpoint) {
            return Ok(Some(format!("checkpoint {} does not bear our signature", checkpoint.number)));
        }
        previous.clone_from(&checkpoint.signature);
        last = Some(checkpoint);
    }
    match last {
        None if sealed.is_empty() => Ok(None),
        None => Ok(Some(String::from("the checkpoints are missing"))),
        Some(last) if i64::try_from(sealed.len()) != Ok(last.people) => {
            Ok(Some(format!("checkpoint {} covers {} persons, {} are there", last.number, last.people, sealed.len())))
        }
        Some(last) if checkpoints::root(sealed) != last.root => {
            Ok(Some(format!("the heads are not those of checkpoint {}", last.number)))
        }
        Some(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;
    use serde_json::json;

    use super::*;
    use crate::ledger::{Ledger, sample};

    async fn record(ledger: &Ledger, id: &str, name: &str) {
        sample::record(ledger, &json!({"resourceType": "Organization", "id": id, "name": name})).await;
    }

    /// The tenant's own chain grows with all that is nobody's: it is read once, and not once for each resource.
    #[tokio::test]
    async fn a_long_chain_is_not_looked_through_for_each_resource() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let ledger = sample::open(folder.path(), 0).await;
        for number in 0..20 {
            record(&ledger, &format!("o{number}"), "old").await;
        }
        record(&ledger, "o7", "new").await;
        let seal = Seal::read(&folder.path().join("s.db.key")).unwrap();
        let connection = rusqlite::Connection::open(&path).unwrap();
        let asked = |sql| connection.prepare_cached(sql).unwrap().get_status(StatementStatus::Run);
        let verdict = verify(&mut Transaction::Sqlite(&connection), &seal).await.unwrap();
        assert_eq!((verdict.fault, verdict.entries), (None, 21));
        assert_eq!((asked(BODY), asked(UNTOLD)), (21, 0));
        for flipped in ["deleted = 1", "how = 'import'", "updated = -1"] {
            connection.execute_batch(&format!("BEGIN; UPDATE resources SET {flipped} WHERE id = 'o7'")).unwrap();
            let verdict = verify(&mut Transaction::Sqlite(&connection), &seal).await.unwrap();
            assert_eq!(verdict.fault.unwrap(), "person 0: entry 21: Organization/o7 version 2 was changed");
            connection.execute_batch("ROLLBACK").unwrap();
        }
        connection
            .execute_batch(
                "UPDATE resources SET id = 'o99', version = 3 WHERE tenant = 't' AND kind = 'Organization' AND id = 'o7'",
            )
            .unwrap();
        let verdict = verify(&mut Transaction::Sqlite(&connection), &seal).await.unwrap();
        assert_eq!(verdict.fault.unwrap(), "person 0: entry 21: Organization/o7 version 2 is gone");
        connection.execute_batch("INSERT INTO versions SELECT tenant, kind, 'o7', 2, updated, deleted, source, salt, meta, body, how FROM resources WHERE id = 'o99'").unwrap();
        let verdict = verify(&mut Transaction::Sqlite(&connection), &seal).await.unwrap();
        assert_eq!(verdict.fault.unwrap(), "person 0: no entry tells of Organization/o99");
    }
}
