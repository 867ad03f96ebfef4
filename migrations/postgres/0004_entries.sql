-- The unified patient ledger: append-only, one chain per person.
CREATE TABLE entries (
    tenant TEXT COLLATE "C" NOT NULL,
    person BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,         -- 1, 2, 3 … without gaps
    line TEXT COLLATE "C" NOT NULL,              -- created, updated, deleted, linked
    happened BIGINT NOT NULL,        -- when it happened, UTC milliseconds
    learned BIGINT NOT NULL,         -- when we learned it
    how TEXT COLLATE "C" NOT NULL,               -- live, import or derived
    source TEXT COLLATE "C" NOT NULL,
    store TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,            -- SHA-256(salt, body), base64url
    hash TEXT COLLATE "C" NOT NULL,              -- SHA-256(previous hash, metadata, digest), base64url
    CONSTRAINT entries_key PRIMARY KEY (tenant, person, ordinal)
);

CREATE TABLE checkpoints (
    tenant TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    people BIGINT NOT NULL,          -- how many heads the root covers
    entries BIGINT NOT NULL,         -- how many entries lie under them
    root TEXT COLLATE "C" NOT NULL,              -- Merkle root over all sealed heads, base64url
    previous TEXT COLLATE "C" NOT NULL,          -- signature of the checkpoint before; empty for the first
    signature TEXT COLLATE "C" NOT NULL,         -- Ed25519 over all of the above, base64url
    CONSTRAINT checkpoints_key PRIMARY KEY (tenant, number)
);
