-- Who is who. A person is a chain of the ledger; Patient resources and identifiers lead to it.
CREATE TABLE people (
    tenant TEXT NOT NULL,
    person BIGINT NOT NULL,          -- 0 is the tenant's own chain, for what has no person
    survivor BIGINT NOT NULL,        -- the person this one was united with; itself when not united
    created BIGINT NOT NULL,         -- UTC milliseconds
    ordinal BIGINT NOT NULL,         -- ordinal of the chain's last entry
    head TEXT NOT NULL,              -- hash of the chain's last entry
    sealed_ordinal BIGINT NOT NULL,  -- the same two as of the last checkpoint
    sealed_head TEXT NOT NULL,
    CONSTRAINT people_key PRIMARY KEY (tenant, person)
) WITHOUT ROWID;
CREATE INDEX people_survivor ON people (tenant, survivor);

CREATE TABLE identifiers (
    tenant TEXT NOT NULL,
    system TEXT NOT NULL,            -- empty for a literal reference such as Patient/123
    value TEXT NOT NULL,
    person BIGINT NOT NULL,
    CONSTRAINT identifiers_key PRIMARY KEY (tenant, system, value)
) WITHOUT ROWID;
