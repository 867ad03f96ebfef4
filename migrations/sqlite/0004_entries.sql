-- The unified patient ledger: append-only, one chain per person.
CREATE TABLE entries (
    tenant TEXT NOT NULL,
    person BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,         -- 1, 2, 3 … without gaps
    line TEXT NOT NULL,              -- created, updated, deleted, linked
    happened BIGINT NOT NULL,        -- when it happened, UTC milliseconds
    learned BIGINT NOT NULL,         -- when we learned it
    how TEXT NOT NULL,               -- live, import or derived
    source TEXT NOT NULL,
    store TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    digest TEXT NOT NULL,            -- SHA-256(salt, body), base64url
    hash TEXT NOT NULL,              -- SHA-256(previous hash, metadata, digest), base64url
    CONSTRAINT entries_key PRIMARY KEY (tenant, person, ordinal)
) WITHOUT ROWID;

CREATE TABLE checkpoints (
    tenant TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    people BIGINT NOT NULL,          -- how many heads the root covers
    entries BIGINT NOT NULL,         -- how many entries lie under them
    root TEXT NOT NULL,              -- Merkle root over all sealed heads, base64url
    previous TEXT NOT NULL,          -- signature of the checkpoint before; empty for the first
    signature TEXT NOT NULL,         -- Ed25519 over all of the above, base64url
    CONSTRAINT checkpoints_key PRIMARY KEY (tenant, number)
) WITHOUT ROWID;
