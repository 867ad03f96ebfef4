-- How often rules fire in a day, which of them were stopped because it was far more than ever, and what waits for those.
CREATE TABLE firings (
    tenant TEXT NOT NULL,
    rule TEXT NOT NULL,              -- url, without version
    day BIGINT NOT NULL,             -- days since 1970-01-01 in UTC
    fired BIGINT NOT NULL,
    CONSTRAINT firings_key PRIMARY KEY (tenant, rule, day)
) WITHOUT ROWID;

CREATE TABLE halts (
    tenant TEXT NOT NULL,
    rule TEXT NOT NULL,              -- url, without version
    version TEXT NOT NULL,           -- the version that was stopped
    state TEXT NOT NULL,             -- stopped: a person is asked; released or retired: what they said
    task TEXT NOT NULL,              -- id of the Task that asks
    at BIGINT NOT NULL,              -- since when it is so, UTC milliseconds
    CONSTRAINT halts_key PRIMARY KEY (tenant, rule)
) WITHOUT ROWID;

CREATE TABLE withheld (
    tenant TEXT NOT NULL,
    rule TEXT NOT NULL,              -- url, without version
    person BIGINT NOT NULL,
    output TEXT NOT NULL,            -- of a due that waits until somebody has said what becomes of the rule
    CONSTRAINT withheld_key PRIMARY KEY (tenant, rule, person, output)
) WITHOUT ROWID;
