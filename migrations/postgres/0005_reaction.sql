-- What was recorded and not yet reacted to, what must be looked at again, and what was decided.
CREATE SEQUENCE event_numbers;
CREATE TABLE events (
    number BIGINT PRIMARY KEY,      -- a queue, not a cursor: its order is not the commit order
    tenant TEXT COLLATE "C" NOT NULL,
    person BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    line TEXT COLLATE "C" NOT NULL,
    how TEXT COLLATE "C" NOT NULL,
    depth BIGINT NOT NULL,           -- 0 for what came from outside; one more for each reaction to a reaction
    told BIGINT NOT NULL,            -- 1 when its notices are recorded and only the rules have not looked at it
    learned BIGINT NOT NULL
);

CREATE TABLE dues (
    tenant TEXT COLLATE "C" NOT NULL,
    person BIGINT NOT NULL,
    output TEXT COLLATE "C" NOT NULL,            -- the id that the output has or will have
    due BIGINT NOT NULL,             -- when to look again, UTC milliseconds
    priority BIGINT NOT NULL,        -- 1 clinical, 2 refill, 3 adherence, 4 marketing
    rule TEXT COLLATE "C" NOT NULL,              -- url|version
    step TEXT COLLATE "C" NOT NULL,              -- action id in the rule
    episode TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL,            -- JSON of the engine: what the step was derived from
    CONSTRAINT dues_key PRIMARY KEY (tenant, person, output)
);
CREATE INDEX dues_due ON dues (due, priority, rule);

CREATE TABLE decisions (
    tenant TEXT COLLATE "C" NOT NULL,
    person BIGINT NOT NULL,
    output TEXT COLLATE "C" NOT NULL,
    ordinal BIGINT NOT NULL,         -- 1, 2 … for the same output: held, then fired
    at BIGINT NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,           -- fired, held, stopped, withdrawn
    gate TEXT COLLATE "C" NOT NULL,              -- the gate that held or stopped it; empty when fired
    until BIGINT NOT NULL,           -- when a held one is looked at again; 0 otherwise
    rule TEXT COLLATE "C" NOT NULL,
    step TEXT COLLATE "C" NOT NULL,
    episode TEXT COLLATE "C" NOT NULL,
    priority BIGINT NOT NULL,
    spoken BIGINT NOT NULL,          -- 1 when it counts as a message to the person (caps)
    reason TEXT COLLATE "C" NOT NULL,            -- one sentence
    facts TEXT COLLATE "C" NOT NULL,             -- JSON array of Type/id/_history/version
    recorded TEXT COLLATE "C" NOT NULL,          -- Type/id of what was recorded; empty when nothing was
    CONSTRAINT decisions_key PRIMARY KEY (tenant, person, episode, output, ordinal)
);

CREATE TABLE supplies (
    tenant TEXT COLLATE "C" NOT NULL,
    person BIGINT NOT NULL,
    product TEXT COLLATE "C" NOT NULL,           -- product group: ingredient where mappings know it, else system|code
    dispense TEXT COLLATE "C" NOT NULL,          -- MedicationDispense id
    version BIGINT NOT NULL,
    fact BIGINT NOT NULL,            -- dispenses of one fact count once
    source TEXT COLLATE "C" NOT NULL,
    handed BIGINT NOT NULL,          -- day handed over, days since 1970-01-01 in the store's zone
    days BIGINT NOT NULL,            -- days of supply; 0 when unknown
    step TEXT COLLATE "C" NOT NULL,              -- which source of days was used
    quantity TEXT COLLATE "C" NOT NULL,
    CONSTRAINT supplies_key PRIMARY KEY (tenant, person, product, dispense)
);

CREATE TABLE stops (
    tenant TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,           -- telephone number or e-mail address, normalized
    person BIGINT NOT NULL,          -- who said STOP
    at BIGINT NOT NULL,
    CONSTRAINT stops_key PRIMARY KEY (tenant, address, person)
);
