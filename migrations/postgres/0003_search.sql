-- What a search finds: one row per value. The parameter is a stable number made of its type and code.
CREATE TABLE words (
    tenant TEXT COLLATE "C" NOT NULL,
    parameter BIGINT NOT NULL,
    word TEXT COLLATE "C" NOT NULL,              -- token, reference, uri or folded string
    number BIGINT NOT NULL,
    CONSTRAINT words_key PRIMARY KEY (tenant, parameter, word, number)
);

CREATE TABLE spans (
    tenant TEXT COLLATE "C" NOT NULL,
    parameter BIGINT NOT NULL,
    wide BIGINT NOT NULL,            -- 0: up to a day; 1: up to 366 days; 2: longer or open
    low BIGINT NOT NULL,             -- first millisecond
    high BIGINT NOT NULL,            -- first millisecond after it
    number BIGINT NOT NULL,
    CONSTRAINT spans_key PRIMARY KEY (tenant, parameter, wide, low, high, number)
);
CREATE INDEX spans_number ON spans (tenant, number);
