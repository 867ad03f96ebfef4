-- What is due of persons, and the sweeps of what is nobody's: each is found by an index of its own, so that neither waits behind the other.
CREATE INDEX dues_persons ON dues (due, priority, rule) WHERE person <> 0;
CREATE INDEX dues_sweeps ON dues (due, priority, rule) WHERE person = 0;
DROP INDEX dues_due;
