-- Counts those who wrote to this database, one after the other. A sequence cannot: what it tells after a crash, or on a standby that takes
-- over, is up to 32 too high.
CREATE TABLE writers (
    -- Of the last writer.
    number BIGINT NOT NULL PRIMARY KEY
);
INSERT INTO writers (number) VALUES (0);
-- A program that still counts by it must not write beside one that does not.
DROP SEQUENCE writer_numbers;
