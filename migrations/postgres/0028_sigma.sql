-- The sigma at the end of a Greek word is the same letter as any other in what is searched by: the rows that still hold one go, and all
-- that a resource is found by is made again by the extraction that comes with this.
DELETE FROM words WHERE word LIKE '%ς%';
