-- What was recorded and not yet reacted to, what must be looked at again, and what was decided.
CREATE TABLE events (
    number INTEGER PRIMARY KEY,      -- a queue, not a cursor: its order is not the commit order
    tenant TEXT NOT NULL,
    person BIGINT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    line TEXT NOT NULL,
    how TEXT NOT NULL,
    depth BIGINT NOT NULL,           -- 0 for what came from outside; one more for each reaction to a reaction
    told BIGINT NOT NULL,            -- 1 when its notices are recorded and only the rules have not looked at it
    learned BIGINT NOT NULL
);

CREATE TABLE dues (
    tenant TEXT NOT NULL,
    person BIGINT NOT NULL,
    output TEXT NOT NULL,            -- the id that the output has or will have
    due BIGINT NOT NULL,             -- when to look again, UTC milliseconds
    priority BIGINT NOT NULL,        -- 1 clinical, 2 refill, 3 adherence, 4 marketing
    rule TEXT NOT NULL,              -- url|version
    step TEXT NOT NULL,              -- action id in the rule
    episode TEXT NOT NULL,
    detail TEXT NOT NULL,            -- JSON of the engine: what the step was derived from
    CONSTRAINT dues_key PRIMARY KEY (tenant, person, output)
) WITHOUT ROWID;
CREATE INDEX dues_due ON dues (due, priority, rule);

CREATE TABLE decisions (
    tenant TEXT NOT NULL,
    person BIGINT NOT NULL,
    output TEXT NOT NULL,
    ordinal BIGINT NOT NULL,         -- 1, 2 … for the same output: held, then fired
    at BIGINT NOT NULL,
    outcome TEXT NOT NULL,           -- fired, held, stopped, withdrawn
    gate TEXT NOT NULL,              -- the gate that held or stopped it; empty when fired
    until BIGINT NOT NULL,           -- when a held one is looked at again; 0 otherwise
    rule TEXT NOT NULL,
    step TEXT NOT NULL,
    episode TEXT NOT NULL,
    priority BIGINT NOT NULL,
    spoken BIGINT NOT NULL,          -- 1 when it counts as a message to the person (caps)
    reason TEXT NOT NULL,            -- one sentence
    facts TEXT NOT NULL,             -- JSON array of Type/id/_history/version
    recorded TEXT NOT NULL,          -- Type/id of what was recorded; empty when nothing was
    CONSTRAINT decisions_key PRIMARY KEY (tenant, person, episode, output, ordinal)
) WITHOUT ROWID;

CREATE TABLE supplies (
    tenant TEXT NOT NULL,
    person BIGINT NOT NULL,
    product TEXT NOT NULL,           -- product group: ingredient where mappings know it, else system|code
    dispense TEXT NOT NULL,          -- MedicationDispense id
    version BIGINT NOT NULL,
    fact BIGINT NOT NULL,            -- dispenses of one fact count once
    source TEXT NOT NULL,
    handed BIGINT NOT NULL,          -- day handed over, days since 1970-01-01 in the store's zone
    days BIGINT NOT NULL,            -- days of supply; 0 when unknown
    step TEXT NOT NULL,              -- which source of days was used
    quantity TEXT NOT NULL,
    CONSTRAINT supplies_key PRIMARY KEY (tenant, person, product, dispense)
) WITHOUT ROWID;

CREATE TABLE stops (
    tenant TEXT NOT NULL,
    address TEXT NOT NULL,           -- telephone number or e-mail address, normalized
    person BIGINT NOT NULL,          -- who said STOP
    at BIGINT NOT NULL,
    CONSTRAINT stops_key PRIMARY KEY (tenant, address, person)
) WITHOUT ROWID;
