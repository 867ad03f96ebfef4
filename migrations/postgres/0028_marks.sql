-- The mark behind the code of a token sorts before every letter (12 before 123), and the sigma at the end of a Greek word is one like any
-- other: all that a resource is found by is made again by the extraction that comes with this.
DELETE FROM words;
DELETE FROM amounts;
