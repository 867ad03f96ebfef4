-- Since when persons are one: whenever two who were not become one, the older of those they are known as and the other have a bond.
-- Of each two the latest bond on the way from one to the other says it.
CREATE TABLE bonds (
    tenant TEXT NOT NULL,
    person BIGINT NOT NULL,          -- who is no longer known as themselves
    other BIGINT NOT NULL,           -- with whom they are one
    since BIGINT NOT NULL,           -- UTC milliseconds
    CONSTRAINT bonds_key PRIMARY KEY (tenant, person, other)
) WITHOUT ROWID;

-- What was said of two who are one and were not parted since then.
INSERT INTO bonds (tenant, person, other, since)
SELECT u.tenant, CASE WHEN u.person > u.other THEN u.person ELSE u.other END,
    CASE WHEN u.person > u.other THEN u.other ELSE u.person END, MIN(u.at)
FROM unions u
JOIN people p ON p.tenant = u.tenant AND p.person = u.person
JOIN people o ON o.tenant = u.tenant AND o.person = u.other AND o.survivor = p.survivor
WHERE u.person <> u.other AND NOT EXISTS (
    SELECT 1 FROM partings g JOIN partings h ON h.tenant = g.tenant AND h.known_as = g.known_as AND h.until = g.until
    WHERE g.tenant = u.tenant AND g.person = u.person AND h.person = u.other AND g.until > u.at)
GROUP BY 1, 2, 3;
