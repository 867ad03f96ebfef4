-- Up to which resource, by number, all search rows stand; those of what was created behind it are made when the file is opened.
CREATE TABLE indexed (
    number BIGINT NOT NULL
);
INSERT INTO indexed (number) SELECT COALESCE(MAX(number), 0) FROM resources;
