-- Moments are found apart from days: what is later than a moment may begin a day before it only where it is as wide as a day.
-- 3: up to a second; 0: up to a day; 1: up to 366 days; 2: longer or open.
UPDATE spans SET wide = 3 WHERE wide = 0 AND high <= low + 1000;
