-- The current version of every resource, and what it was before.
CREATE TABLE resources (
    number INTEGER PRIMARY KEY,      -- stays for all versions; search rows point to it
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,              -- the resource type
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    updated BIGINT NOT NULL,         -- meta.lastUpdated, UTC milliseconds: the stamp of its batch
    deleted BIGINT NOT NULL,         -- 1 when the current version is a deletion
    person BIGINT NOT NULL,          -- 0 when it is nobody's
    store TEXT NOT NULL,             -- the Organization that is the store; empty when unknown
    fact BIGINT NOT NULL,            -- number of the first resource that states the same fact; its own when it is the first
    source TEXT NOT NULL,            -- who sent it
    how TEXT NOT NULL,               -- live, import or derived
    salt TEXT NOT NULL,              -- of the entry's digest; erased together with the body, and the chain still verifies
    meta TEXT NOT NULL,              -- members of meta as sent, without versionId and lastUpdated; empty when none
    body TEXT NOT NULL               -- the accepted resource without id and meta
);
CREATE UNIQUE INDEX resources_key ON resources (tenant, kind, id);
CREATE INDEX resources_updated ON resources (tenant, kind, updated, number);
CREATE INDEX resources_person ON resources (tenant, person, kind, number);

CREATE TABLE versions (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    source TEXT NOT NULL,
    salt TEXT NOT NULL,              -- of the entry's digest; erased together with the body, and the chain still verifies
    meta TEXT NOT NULL,
    body TEXT NOT NULL,
    CONSTRAINT versions_key PRIMARY KEY (tenant, kind, id, version)
);
