-- Empty: who writes to a file keeps its lock as long as the process lives, and there is nothing to count.
CREATE TABLE writers (
    -- Of the last writer.
    number BIGINT NOT NULL PRIMARY KEY
);
