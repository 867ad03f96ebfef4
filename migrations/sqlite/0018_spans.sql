-- Dates lie in the order in which they are searched: by their first millisecond, then by number. With the end between the two,
-- all that begins at the same moment had to be sorted for each page.
ALTER TABLE spans RENAME TO spans_before;
CREATE TABLE spans (
    tenant TEXT NOT NULL,
    parameter BIGINT NOT NULL,
    wide BIGINT NOT NULL,            -- 3: up to a second; 0: up to a day; 1: up to 366 days; 2: longer or open
    low BIGINT NOT NULL,             -- first millisecond
    high BIGINT NOT NULL,            -- first millisecond after it
    number BIGINT NOT NULL,
    CONSTRAINT spans_key PRIMARY KEY (tenant, parameter, wide, low, number, high)
) WITHOUT ROWID;
INSERT INTO spans (tenant, parameter, wide, low, high, number)
    SELECT tenant, parameter, wide, low, high, number FROM spans_before ORDER BY tenant, parameter, wide, low, number, high;
DROP TABLE spans_before;
CREATE INDEX spans_number ON spans (tenant, number);
