-- When the rules were asked about a person, and what they could see: what is needed to ask them again and come to the same.
CREATE TABLE turns (
    tenant TEXT COLLATE "C" NOT NULL,
    person BIGINT NOT NULL,          -- about whom, as they were known then
    number BIGINT NOT NULL,          -- 1, 2 … for the same person
    at BIGINT NOT NULL,              -- what time it was for the rules, UTC milliseconds
    stamp BIGINT NOT NULL,           -- of what they came to
    since BIGINT NOT NULL,           -- when the first and the last event that they heard were learned; 0 without
    until BIGINT NOT NULL,
    heard BIGINT NOT NULL,           -- how many events they heard
    seen TEXT COLLATE "C" NOT NULL,              -- the last entry that they could see of their chain; of another's as person:entry
    asked TEXT COLLATE "C" NOT NULL,             -- output of the due they were asked about, or the call as JSON; empty for events
    CONSTRAINT turns_key PRIMARY KEY (tenant, person, number)
);
