-- How each past version was learned: live, import or derived. A rule that was imported does not run, whatever came before or after it.
ALTER TABLE versions ADD COLUMN how TEXT NOT NULL DEFAULT 'live';
-- What is there was kept under the word of its current version.
UPDATE versions SET how = (SELECT r.how FROM resources r
    WHERE r.tenant = versions.tenant AND r.kind = versions.kind AND r.id = versions.id);
-- Of what rules are made of, the entries know it; those are few, and on the chain of nobody.
UPDATE versions SET how = COALESCE((SELECT MIN(e.how) FROM entries e WHERE e.tenant = versions.tenant AND e.person = 0
    AND e.kind = versions.kind AND e.id = versions.id AND e.version = versions.version), how)
    WHERE kind IN ('PlanDefinition', 'ActivityDefinition', 'ValueSet', 'ConceptMap');
