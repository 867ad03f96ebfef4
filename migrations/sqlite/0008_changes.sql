-- Past versions in the order in which they were made, for the history of a type and of the whole.
CREATE INDEX versions_updated ON versions (tenant, kind, updated, id, version);
