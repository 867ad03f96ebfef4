-- What a search by number or quantity finds: one row per value and unit, in millionths.
CREATE TABLE amounts (
    tenant TEXT COLLATE "C" NOT NULL,
    parameter BIGINT NOT NULL,
    wide BIGINT NOT NULL,            -- 0: one number; 1: a range, or a number with a comparator
    low BIGINT NOT NULL,
    high BIGINT NOT NULL,
    unit TEXT COLLATE "C" NOT NULL,              -- as a token's word; empty for a plain number
    number BIGINT NOT NULL,
    CONSTRAINT amounts_key PRIMARY KEY (tenant, parameter, wide, low, number, high, unit)
);

-- By which extractions the rows of all resources were made: of a newer one they are made again when the ledger is opened.
CREATE TABLE extractions (
    number BIGINT NOT NULL,
    CONSTRAINT extractions_key PRIMARY KEY (number)
);
