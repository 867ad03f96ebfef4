-- Each version of a rule is counted, stopped and let go on its own.
ALTER TABLE firings RENAME TO firings_before;
CREATE TABLE firings (
    tenant TEXT NOT NULL,
    rule TEXT NOT NULL,              -- url, without version
    version TEXT NOT NULL,           -- url|version; empty for what was counted before
    day BIGINT NOT NULL,             -- days since 1970-01-01 in UTC
    fired BIGINT NOT NULL,
    CONSTRAINT firings_key PRIMARY KEY (tenant, rule, version, day)
) WITHOUT ROWID;
INSERT INTO firings SELECT tenant, rule, '', day, fired FROM firings_before;
DROP TABLE firings_before;

ALTER TABLE halts RENAME TO halts_before;
CREATE TABLE halts (
    tenant TEXT NOT NULL,
    rule TEXT NOT NULL,              -- url, without version
    version TEXT NOT NULL,           -- url|version that was stopped
    state TEXT NOT NULL,             -- stopped: a person is asked; released or retired: what they said
    task TEXT NOT NULL,              -- id of the Task that asks
    at BIGINT NOT NULL,              -- since when it is so, UTC milliseconds
    CONSTRAINT halts_key PRIMARY KEY (tenant, rule, version)
) WITHOUT ROWID;
INSERT INTO halts SELECT tenant, rule, version, state, task, at FROM halts_before;
DROP TABLE halts_before;

-- A due that is gone, or comes at another time, waits for nothing any more.
CREATE INDEX withheld_due ON withheld (tenant, person, output);
