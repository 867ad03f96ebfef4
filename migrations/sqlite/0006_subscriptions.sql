-- Who listens, the numbered notices for them, and what still has to be delivered.
CREATE TABLE subscriptions (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,         -- of the Subscription resource these columns were read from
    status TEXT NOT NULL,            -- requested, active, error, off
    criteria TEXT NOT NULL,
    endpoint TEXT NOT NULL,          -- the lane
    payload TEXT NOT NULL,           -- MIME type; empty: a notice without body
    headers TEXT NOT NULL,           -- JSON array of header lines
    ends BIGINT NOT NULL,            -- UTC milliseconds; 0 when open
    secret TEXT NOT NULL,            -- base64, for the signature
    notices BIGINT NOT NULL,         -- number of the last notice
    CONSTRAINT subscriptions_key PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

CREATE TABLE notices (
    tenant TEXT NOT NULL,
    subscription TEXT NOT NULL,
    number BIGINT NOT NULL,          -- gapless per subscription, from 1
    person BIGINT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT notices_key PRIMARY KEY (tenant, subscription, number)
) WITHOUT ROWID;

CREATE TABLE deliveries (
    tenant TEXT NOT NULL,
    subscription TEXT NOT NULL,
    number BIGINT NOT NULL,
    state TEXT NOT NULL,             -- waiting, dead
    attempts BIGINT NOT NULL,        -- refusals by the endpoint of this very notice
    last TEXT NOT NULL,              -- how the last attempt ended
    CONSTRAINT deliveries_key PRIMARY KEY (tenant, subscription, number)
) WITHOUT ROWID;

CREATE TABLE lanes (
    tenant TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    failures BIGINT NOT NULL,        -- probes in a row that failed
    down_since BIGINT NOT NULL,      -- 0 while it answers
    next_attempt BIGINT NOT NULL,
    CONSTRAINT lanes_key PRIMARY KEY (tenant, endpoint)
) WITHOUT ROWID;
