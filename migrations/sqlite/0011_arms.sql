-- Whom a rule contacted and whom it held out by lot, so that what it does can be told. Only rules with a held-out share have rows.
CREATE TABLE arms (
    tenant TEXT NOT NULL,
    rule TEXT NOT NULL,              -- url, without version
    person BIGINT NOT NULL,
    episode TEXT NOT NULL,
    arm TEXT NOT NULL,               -- contacted or held-out
    day BIGINT NOT NULL,             -- when it was decided, days since 1970-01-01 in the store's zone
    since BIGINT NOT NULL,           -- the last day on which a fill is none that followed
    product TEXT NOT NULL,           -- product group it is about; empty when it is about no supply
    CONSTRAINT arms_key PRIMARY KEY (tenant, rule, person, episode)
) WITHOUT ROWID;
