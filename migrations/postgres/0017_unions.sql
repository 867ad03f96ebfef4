-- Who says that persons are one: the survivor of a person follows from these. A link that is taken back stays, and says so.
CREATE TABLE unions (
    tenant TEXT COLLATE "C" NOT NULL,
    person BIGINT NOT NULL,          -- of the Patient that says so
    other BIGINT NOT NULL,           -- with whom it is one
    patient TEXT COLLATE "C" NOT NULL,           -- id of that Patient; empty where it is not known any more
    link BIGINT NOT NULL,            -- 1 when a link says so, 0 when an identifier does
    said BIGINT NOT NULL,            -- 1 while the Patient says so; 0 when it does no longer
    at BIGINT NOT NULL,              -- when it was said, UTC milliseconds
    CONSTRAINT unions_key PRIMARY KEY (tenant, person, other, patient, link)
);

-- Who was one was so by what is not known any more.
INSERT INTO unions (tenant, person, other, patient, link, said, at)
SELECT tenant, person, survivor, '', 0, 1, created FROM people WHERE survivor <> person;

-- Who was taken for one with others for a time: what was said to any of them then counts for all of them.
CREATE TABLE partings (
    tenant TEXT COLLATE "C" NOT NULL,
    person BIGINT NOT NULL,
    known_as BIGINT NOT NULL,        -- the survivor of all who were one until then
    since BIGINT NOT NULL,           -- UTC milliseconds
    until BIGINT NOT NULL,
    CONSTRAINT partings_key PRIMARY KEY (tenant, person, known_as, until)
);
CREATE INDEX partings_known_as ON partings (tenant, known_as, until);
