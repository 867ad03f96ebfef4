//! Stamps never go back, also over a restart: a client that polls for what changed since it last asked misses nothing when the clock of
//! the machine was set back in between.

use super::Error;
use super::dialect::Reader;

/// How far a clock may have been set back, milliseconds: an hour. What bears a later stamp was written by a clock that was wrong then, and
/// is no measure.
const BACK_MAX_MS: i64 = 3_600_000;

/// The latest stamp of all. One look for each type of each tenant, whatever there is of it.
const NEWEST: &str = "WITH RECURSIVE tenants (tenant) AS (
        SELECT MIN(tenant) FROM resources
        UNION ALL
        SELECT (SELECT MIN(r.tenant) FROM resources r WHERE r.tenant > t.tenant) FROM tenants t WHERE t.tenant IS NOT NULL
    ),
    lists (tenant, kind) AS (
        SELECT t.tenant, (SELECT MIN(r.kind) FROM resources r WHERE r.tenant = t.tenant)
        FROM tenants t WHERE t.tenant IS NOT NULL
        UNION ALL
        SELECT l.tenant, (SELECT MIN(r.kind) FROM resources r WHERE r.tenant = l.tenant AND r.kind > l.kind)
        FROM lists l WHERE l.kind IS NOT NULL
    )
    SELECT MAX((SELECT MAX(r.updated) FROM resources r WHERE r.tenant = l.tenant AND r.kind = l.kind)) FROM lists l";

/// The stamp behind which nothing may be written now, UTC milliseconds; 0 where there is none.
pub(super) async fn newest(reader: &Reader, now: i64) -> Result<i64, Error> {
    let newest = reader.row(NEWEST, &[]).await?.map_or(Ok(0), |mut row| row.int())?;
    if newest - now > BACK_MAX_MS {
        tracing::warn!(newest, now, "something was written at a time that is still to come; stamps go on with the clock");
        return Ok(0);
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::BACK_MAX_MS;
    use crate::ledger::sample::{self, scope};

    const NOW: i64 = 1_709_164_800_000;

    #[tokio::test]
    async fn a_clock_that_was_set_back_does_not_set_stamps_back() {
        let mut folder = tempfile::tempdir().unwrap();
        let steps = [
            ("Task", 0, 0),
            ("Basic", -30_000, 0),
            ("Account", 5, 5),
            ("Basic", 5 - BACK_MAX_MS, 5),
            ("List", 4 - BACK_MAX_MS, 4 - BACK_MAX_MS),
        ];
        for (kind, clock, stamped) in steps {
            let ledger = sample::open(folder.path(), NOW + clock).await;
            sample::record(&ledger, &json!({"resourceType": kind, "id": "a", "language": format!("x-{clock}")})).await;
            let stored = ledger.read(&scope(), kind, "a").await.unwrap().unwrap();
            assert_eq!(stored.updated, NOW + stamped, "{clock}");
            let next = tempfile::tempdir().unwrap();
            sample::copy(folder.path(), next.path());
            folder = next;
        }
    }
}
