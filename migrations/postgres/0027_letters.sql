-- Letters that no accent makes are spelt with plain ones in what is searched by (lukasz, strasse): the rows that still hold one go, and
-- all that a resource is found by is made again by the extraction that comes with this.
DELETE FROM words WHERE word LIKE '%ł%' OR word LIKE '%ø%' OR word LIKE '%đ%' OR word LIKE '%ð%' OR word LIKE '%ı%'
    OR word LIKE '%ß%' OR word LIKE '%æ%' OR word LIKE '%œ%' OR word LIKE '%þ%';
