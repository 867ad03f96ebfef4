-- Who is who. A person is a chain of the ledger; Patient resources and identifiers lead to it.
CREATE SEQUENCE person_numbers;
CREATE TABLE people (
    tenant TEXT COLLATE "C" NOT NULL,
    person BIGINT NOT NULL,          -- 0 is the tenant's own chain, for what has no person
    survivor BIGINT NOT NULL,        -- the person this one was united with; itself when not united
    created BIGINT NOT NULL,         -- UTC milliseconds
    ordinal BIGINT NOT NULL,         -- ordinal of the chain's last entry
    head TEXT COLLATE "C" NOT NULL,              -- hash of the chain's last entry
    sealed_ordinal BIGINT NOT NULL,  -- the same two as of the last checkpoint
    sealed_head TEXT COLLATE "C" NOT NULL,
    CONSTRAINT people_key PRIMARY KEY (tenant, person)
);
CREATE INDEX people_survivor ON people (tenant, survivor);

CREATE TABLE identifiers (
    tenant TEXT COLLATE "C" NOT NULL,
    system TEXT COLLATE "C" NOT NULL,            -- empty for a literal reference such as Patient/123
    value TEXT COLLATE "C" NOT NULL,
    person BIGINT NOT NULL,
    CONSTRAINT identifiers_key PRIMARY KEY (tenant, system, value)
);
