-- Whom a rule contacted and whom it held out by lot, so that what it does can be told. Only rules with a held-out share have rows.
CREATE TABLE arms (
    tenant TEXT COLLATE "C" NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,              -- url, without version
    person BIGINT NOT NULL,
    episode TEXT COLLATE "C" NOT NULL,
    arm TEXT COLLATE "C" NOT NULL,               -- contacted or held-out
    day BIGINT NOT NULL,             -- when it was decided, days since 1970-01-01 in the store's zone
    since BIGINT NOT NULL,           -- the last day on which a fill is none that followed
    product TEXT COLLATE "C" NOT NULL,           -- product group it is about; empty when it is about no supply
    CONSTRAINT arms_key PRIMARY KEY (tenant, rule, person, episode)
);
