-- Each version of a rule is counted, stopped and let go on its own.
ALTER TABLE firings ADD COLUMN version TEXT COLLATE "C" NOT NULL DEFAULT '';  -- url|version; empty for what was counted before
ALTER TABLE firings DROP CONSTRAINT firings_key;
ALTER TABLE firings ADD CONSTRAINT firings_key PRIMARY KEY (tenant, rule, version, day);

ALTER TABLE halts DROP CONSTRAINT halts_key;
ALTER TABLE halts ADD CONSTRAINT halts_key PRIMARY KEY (tenant, rule, version);

-- A due that is gone, or comes at another time, waits for nothing any more.
CREATE INDEX withheld_due ON withheld (tenant, person, output);
