-- Up to which resource, by number, all search rows stand. Here they stand as soon as their resource does, since several gateways write
-- and each may be asked at once: the table stays empty.
CREATE TABLE indexed (
    number BIGINT NOT NULL
);
