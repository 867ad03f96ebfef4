-- Who listens, the numbered notices for them, and what still has to be delivered.
CREATE TABLE subscriptions (
    tenant TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,         -- of the Subscription resource these columns were read from
    status TEXT COLLATE "C" NOT NULL,            -- requested, active, error, off
    criteria TEXT COLLATE "C" NOT NULL,
    endpoint TEXT COLLATE "C" NOT NULL,          -- the lane
    payload TEXT COLLATE "C" NOT NULL,           -- MIME type; empty: a notice without body
    headers TEXT COLLATE "C" NOT NULL,           -- JSON array of header lines
    ends BIGINT NOT NULL,            -- UTC milliseconds; 0 when open
    secret TEXT COLLATE "C" NOT NULL,            -- base64, for the signature
    notices BIGINT NOT NULL,         -- number of the last notice
    CONSTRAINT subscriptions_key PRIMARY KEY (tenant, id)
);

CREATE TABLE notices (
    tenant TEXT COLLATE "C" NOT NULL,
    subscription TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,          -- gapless per subscription, from 1
    person BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT notices_key PRIMARY KEY (tenant, subscription, number)
);

CREATE TABLE deliveries (
    tenant TEXT COLLATE "C" NOT NULL,
    subscription TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,             -- waiting, dead
    attempts BIGINT NOT NULL,        -- refusals by the endpoint of this very notice
    last TEXT COLLATE "C" NOT NULL,              -- how the last attempt ended
    CONSTRAINT deliveries_key PRIMARY KEY (tenant, subscription, number)
);

CREATE TABLE lanes (
    tenant TEXT COLLATE "C" NOT NULL,
    endpoint TEXT COLLATE "C" NOT NULL,
    failures BIGINT NOT NULL,        -- probes in a row that failed
    down_since BIGINT NOT NULL,      -- 0 while it answers
    next_attempt BIGINT NOT NULL,
    CONSTRAINT lanes_key PRIMARY KEY (tenant, endpoint)
);
