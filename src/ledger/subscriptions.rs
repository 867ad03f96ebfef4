//! Who listens, the numbered notices for them, what still has to be delivered, and how each endpoint stands.

use std::sync::Arc;

use super::dialect::{Cell, Reader, Row, Transaction};
use super::{DeadLetter, Error, Lane, Ledger, Notice, Noticed, Person, Scope, Secret, Secrets, Subscription, Undelivered};

// One that was deleted and is made again goes on counting: its receiver knows the numbers that were used.
const SET: &str = "INSERT INTO subscriptions
    (tenant, id, version, status, criteria, endpoint, payload, headers, ends, secret, begun, notices)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
    (SELECT COALESCE(MAX(n.number), 0) FROM notices n WHERE n.tenant = $1 AND n.subscription = $2))
    ON CONFLICT (tenant, id) DO UPDATE SET version = excluded.version, status = excluded.status, criteria = excluded.criteria,
    endpoint = excluded.endpoint, payload = excluded.payload, headers = excluded.headers, ends = excluded.ends,
    begun = CASE WHEN excluded.status IN ('active', 'off') THEN excluded.begun ELSE subscriptions.begun END";
// All that is read in it is as it was before.
const SHOW: &str = "UPDATE subscriptions SET secret_before = CASE shown WHEN 0 THEN secret_before ELSE secret END,
    both_until = CASE shown WHEN 0 THEN both_until ELSE $1 END, secret = CASE shown WHEN 0 THEN secret ELSE $2 END,
    shown = shown + 1 WHERE tenant = $3 AND id = $4";
// Its client asks anew, and may have mended what refused them.
const REVIVE: &str = "UPDATE deliveries SET state = 'waiting', attempts = 0 WHERE tenant = $1 AND subscription = $2";
const DROP: &str = "DELETE FROM subscriptions WHERE tenant = $1 AND id = $2";
const DROP_DELIVERIES: &str = "DELETE FROM deliveries WHERE tenant = $1 AND subscription = $2";
const ALL: &str =
    "SELECT tenant, id, version, status, criteria, endpoint, payload, headers, ends, secret, secret_before, both_until, notices, begun
    FROM subscriptions ORDER BY tenant, id";
const ONE: &str =
    "SELECT tenant, id, version, status, criteria, endpoint, payload, headers, ends, secret, secret_before, both_until, notices, begun
    FROM subscriptions WHERE tenant = $1 AND id = $2";
const PRUNE_NOTICES: &str =
    "DELETE FROM notices WHERE tenant = $1 AND subscription = $2 AND number IN (SELECT n.number FROM notices n
    WHERE n.tenant = $1 AND n.subscription = $2 AND n.number <= $3 ORDER BY n.number LIMIT $4)";
const PRUNE_DELIVERIES: &str =
    "DELETE FROM deliveries WHERE tenant = $1 AND subscription = $2 AND number IN (SELECT d.number FROM deliveries d
    WHERE d.tenant = $1 AND d.subscription = $2 AND d.number <= $3 ORDER BY d.number LIMIT $4) RETURNING number";
const OF_TENANT: &str =
    "SELECT tenant, id, version, status, criteria, endpoint, payload, headers, ends, secret, secret_before, both_until, notices, begun
    FROM subscriptions WHERE tenant = $1 ORDER BY id LIMIT $2";
// Whoever asks for it twice, since the answer to a commit was lost, finds the event told or gone, and nothing is noted again. With `off`
// is dropped what waits, and so is what was recorded before and is heard after it: it would wait until the next activation.
const NUMBER: &str = "UPDATE subscriptions SET notices = notices + 1 WHERE tenant = $1 AND id = $2 AND status <> 'off'
    AND EXISTS (SELECT 1 FROM events e WHERE e.number = $3 AND e.told = 0)
    RETURNING notices, COALESCE((SELECT p.survivor FROM people p WHERE p.tenant = $1 AND p.person = $4), $4)";
const NOTE: &str =
    "INSERT INTO notices (tenant, subscription, number, person, kind, id, version, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const QUEUE: &str =
    "INSERT INTO deliveries (tenant, subscription, number, state, attempts, last) VALUES ($1, $2, $3, 'waiting', 0, '')";
const DELIVERED: &str = "DELETE FROM deliveries WHERE tenant = $1 AND subscription = $2 AND number = $3";
const REFUSED: &str =
    "UPDATE deliveries SET state = $1, attempts = $2, last = $3 WHERE tenant = $4 AND subscription = $5 AND number = $6";
const WAITING: &str =
    "SELECT n.number, COALESCE(p.survivor, n.person), n.kind, n.id, n.version, n.at, d.attempts FROM deliveries d
    JOIN notices n ON n.tenant = d.tenant AND n.subscription = d.subscription AND n.number = d.number
    LEFT JOIN people p ON p.tenant = n.tenant AND p.person = n.person
    WHERE d.tenant = $1 AND d.subscription = $2 AND d.number > $3 AND d.state = 'waiting' ORDER BY d.number LIMIT $4";
const UNDELIVERED: &str =
    "SELECT d.state, COUNT(*) FROM deliveries d WHERE d.tenant = $1 AND d.subscription = $2 GROUP BY d.state";
const DEAD: &str = "SELECT n.number, n.person, n.kind, n.id, n.version, n.at, d.attempts, d.last FROM deliveries d
    JOIN notices n ON n.tenant = d.tenant AND n.subscription = d.subscription AND n.number = d.number
    WHERE d.tenant = $1 AND d.subscription = $2 AND d.state = 'dead' ORDER BY d.number LIMIT $3";
const SET_LANE: &str = "INSERT INTO lanes (tenant, endpoint, failures, down_since, next_attempt) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (tenant, endpoint) DO UPDATE SET failures = excluded.failures, down_since = excluded.down_since,
    next_attempt = excluded.next_attempt";
const LANES: &str = "SELECT tenant, endpoint, failures, down_since, next_attempt FROM lanes ORDER BY tenant, endpoint";

/// Of each subscription so many of the latest notices are kept, whether they arrived or not; who lets more than that wait for years
/// sees by their numbers that some are missing.
const KEPT_MAX: i64 = 100_000;
/// After so many notices it is looked whether there are more.
const PRUNED_EVERY: i64 = 64;
/// So many go at once.
const PRUNED_MAX: i64 = 1_024;

/// Dead letters that are told of at once.
const LETTERS_MAX: i64 = 100;

impl Ledger {
    /// The first so many subscriptions of a tenant, by id.
    pub async fn subscriptions_of(&self, scope: &Scope, count: i64) -> Result<Vec<Subscription>, Error> {
        let mut rows = self.reader.rows(OF_TENANT, &[Cell::Text(&scope.tenant), Cell::Int(count)]).await?;
        rows.iter_mut().map(|row| subscription(row).map(|(_, subscription)| subscription)).collect()
    }

    /// What a subscription was not told yet, with the first of its dead letters.
    pub async fn undelivered(&self, scope: &Scope, id: &str) -> Result<Undelivered, Error> {
        let key = [Cell::Text(&scope.tenant), Cell::Text(id)];
        let mut undelivered = Undelivered::default();
        for mut row in self.reader.rows(UNDELIVERED, &key).await? {
            match row.text()?.as_str() {
                "dead" => undelivered.dead = row.int()?,
                _ => undelivered.waiting += row.int()?,
            }
        }
        let [tenant, id] = key;
        for mut row in self.reader.rows(DEAD, &[tenant, id, Cell::Int(LETTERS_MAX)]).await? {
            undelivered.letters.push(DeadLetter { notice: notice(&mut row)?, last: row.text()? });
        }
        Ok(undelivered)
    }
}

/// Sets a subscription. Of one that is known the secrets and the number of its last notice stay, and whether it has begun, unless
/// it is active or off now: all of that may have changed since the row was read that this one was made of. What its client turns off
/// waits no longer; what its client asks for anew has its dead letters sent again.
pub(super) async fn set(transaction: &mut Transaction<'_>, tenant: &str, subscription: &Subscription) -> Result<(), Error> {
    let headers = serde_json::to_string(&subscription.headers).unwrap_or_default();
    let cells = [
        Cell::Text(tenant),
        Cell::Text(&subscription.id),
        Cell::Int(subscription.version),
        Cell::Text(&subscription.status),
        Cell::Text(&subscription.criteria),
        Cell::Text(&subscription.endpoint),
        Cell::Text(&subscription.payload),
        Cell::Text(&headers),
        Cell::Int(subscription.ends),
        Cell::Text(&subscription.secrets.now.0),
        Cell::Int(i64::from(subscription.status == "active")),
    ];
    transaction.run(SET, &cells).await?;
    let key = [Cell::Text(tenant), Cell::Text(&subscription.id)];
    match subscription.status.as_str() {
        "off" => transaction.run(DROP_DELIVERIES, &key).await,
        "requested" => transaction.run(REVIVE, &key).await,
        _ => Ok(()),
    }
}

/// Notes that its secret is shown; one that was shown before is made anew.
pub(super) async fn show(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    id: &str,
    fresh: &Secret,
    until: i64,
) -> Result<(), Error> {
    transaction.run(SHOW, &[Cell::Int(until), Cell::Text(&fresh.0), Cell::Text(tenant), Cell::Text(id)]).await
}

/// Removes a subscription and what waited for it. Its notices stay: no number of theirs is given twice.
pub(super) async fn drop(transaction: &mut Transaction<'_>, tenant: &str, id: &str) -> Result<(), Error> {
    transaction.run(DROP_DELIVERIES, &[Cell::Text(tenant), Cell::Text(id)]).await?;
    transaction.run(DROP, &[Cell::Text(tenant), Cell::Text(id)]).await
}

/// All subscriptions of all tenants.
pub(super) async fn all(reader: &Reader) -> Result<Vec<(Scope, Subscription)>, Error> {
    reader.rows(ALL, &[]).await?.iter_mut().map(subscription).collect()
}

/// One of them.
pub(super) async fn one(reader: &Reader, scope: &Scope, id: &str) -> Result<Option<Subscription>, Error> {
    let row = reader.row(ONE, &[Cell::Text(&scope.tenant), Cell::Text(id)]).await?;
    row.map(|mut row| subscription(&mut row).map(|(_, subscription)| subscription)).transpose()
}

fn subscription(row: &mut Row) -> Result<(Scope, Subscription), Error> {
    let scope = Scope { tenant: Arc::from(row.text()?) };
    let subscription = Subscription {
        id: row.text()?,
        version: row.int()?,
        status: row.text()?,
        criteria: row.text()?,
        endpoint: row.text()?,
        payload: row.text()?,
        headers: serde_json::from_str(&row.text()?).unwrap_or_default(),
        ends: row.int()?,
        secrets: Secrets { now: Secret(row.text()?), before: Secret(row.text()?), both_until: row.int()? },
        notices: row.int()?,
        begun: row.int()? != 0,
    };
    Ok((scope, subscription))
}

/// Gives a notice of an event the next number of its subscription and queues it; `None` when the subscription is gone or off, or the
/// event told.
pub(super) async fn note(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    (subscription, event): (&str, i64),
    notice: &Notice,
) -> Result<Option<Noticed>, Error> {
    let (tenant, id) = (Cell::Text(tenant), Cell::Text(subscription));
    let key = [tenant, id, Cell::Int(event), Cell::Int(notice.person.0)];
    let Some(mut row) = transaction.row(NUMBER, &key).await? else { return Ok(None) };
    let (number, person) = (row.int()?, Person(row.int()?));
    let cells = [
        tenant,
        id,
        Cell::Int(number),
        Cell::Int(notice.person.0),
        Cell::Text(&notice.kind),
        Cell::Text(&notice.id),
        Cell::Int(notice.version),
        Cell::Int(notice.at),
    ];
    transaction.run(NOTE, &cells).await?;
    transaction.run(QUEUE, &[tenant, id, Cell::Int(number)]).await?;
    if number > KEPT_MAX && number % PRUNED_EVERY == 0 {
        let old = [tenant, id, Cell::Int(number - KEPT_MAX), Cell::Int(PRUNED_MAX)];
        transaction.run(PRUNE_NOTICES, &old).await?;
        let dropped = transaction.rows(PRUNE_DELIVERIES, &old).await?.len();
        if dropped > 0 {
            tracing::error!(subscription, dropped, "too much waits for a subscription; the oldest of it is dropped");
        }
    }
    Ok(Some(Noticed { subscription: subscription.to_owned(), notice: Notice { number, person, ..notice.clone() } }))
}

/// A notice arrived.
pub(super) async fn delivered(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    subscription: &str,
    number: i64,
) -> Result<(), Error> {
    transaction.run(DELIVERED, &[Cell::Text(tenant), Cell::Text(subscription), Cell::Int(number)]).await
}

/// How a refused notice stands now.
pub(super) struct Refused<'a> {
    pub(super) subscription: &'a str,
    pub(super) number: i64,
    pub(super) attempts: i64,
    pub(super) dead: bool,
    pub(super) last: &'a str,
}

/// A notice was refused by its receiver.
pub(super) async fn refused(transaction: &mut Transaction<'_>, tenant: &str, refused: &Refused<'_>) -> Result<(), Error> {
    let cells = [
        Cell::Text(if refused.dead { "dead" } else { "waiting" }),
        Cell::Int(refused.attempts),
        Cell::Text(refused.last),
        Cell::Text(tenant),
        Cell::Text(refused.subscription),
        Cell::Int(refused.number),
    ];
    transaction.run(REFUSED, &cells).await
}

/// What waits for a subscription, in order, after a number.
pub(super) async fn waiting(
    reader: &Reader,
    scope: &Scope,
    subscription: &str,
    after: i64,
    count: i64,
) -> Result<Vec<Notice>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Text(subscription), Cell::Int(after), Cell::Int(count)];
    let mut found = Vec::new();
    for mut row in reader.rows(WAITING, &cells).await? {
        found.push(notice(&mut row)?);
    }
    Ok(found)
}

fn notice(row: &mut Row) -> Result<Notice, Error> {
    Ok(Notice {
        number: row.int()?,
        person: Person(row.int()?),
        kind: row.text()?,
        id: row.text()?,
        version: row.int()?,
        at: row.int()?,
        attempts: row.int()?,
    })
}

/// Sets how a lane stands.
pub(super) async fn set_lane(transaction: &mut Transaction<'_>, tenant: &str, lane: &Lane) -> Result<(), Error> {
    let cells = [
        Cell::Text(tenant),
        Cell::Text(&lane.endpoint),
        Cell::Int(lane.failures),
        Cell::Int(lane.down_since),
        Cell::Int(lane.next_attempt),
    ];
    transaction.run(SET_LANE, &cells).await
}

/// All lanes of all tenants.
pub(super) async fn lanes(reader: &Reader) -> Result<Vec<(Scope, Lane)>, Error> {
    let mut found = Vec::new();
    for mut row in reader.rows(LANES, &[]).await? {
        let scope = Scope { tenant: Arc::from(row.text()?) };
        let lane = Lane { endpoint: row.text()?, failures: row.int()?, down_since: row.int()?, next_attempt: row.int()? };
        found.push((scope, lane));
    }
    Ok(found)
}
