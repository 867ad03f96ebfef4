-- Counts those who wrote to this database, one after the other: a writer whose connection was lost goes on only if it is the last one.
CREATE SEQUENCE writer_numbers;
