-- Who ever said STOP for an address, also where they took it back: whoever tells the ledger again asks these what they said, and when.
CREATE TABLE refusers (
    tenant TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,           -- as in stops
    person BIGINT NOT NULL,
    CONSTRAINT refusers_key PRIMARY KEY (tenant, address, person)
);
INSERT INTO refusers SELECT tenant, address, person FROM stops;
