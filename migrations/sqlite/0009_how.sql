-- How each past version was learned: live, import or derived. A rule that was imported does not run, whatever came before or after it.
ALTER TABLE versions ADD COLUMN how TEXT NOT NULL DEFAULT 'live';
-- What is there was kept under the word of its current version.
UPDATE versions SET how = (SELECT r.how FROM resources r
    WHERE r.tenant = versions.tenant AND r.kind = versions.kind AND r.id = versions.id);
