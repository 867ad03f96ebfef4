-- The references that lead to a person, such as Patient/123: a search takes all records of one person for one.
CREATE INDEX identifiers_literal ON identifiers (tenant, person, system, value) WHERE system = '';
