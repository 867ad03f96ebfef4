-- Dates lie in the order in which they are searched: by their first millisecond, then by number. With the end between the two,
-- all that begins at the same moment had to be sorted for each page.
ALTER TABLE spans DROP CONSTRAINT spans_key;
ALTER TABLE spans ADD CONSTRAINT spans_key PRIMARY KEY (tenant, parameter, wide, low, number, high);
