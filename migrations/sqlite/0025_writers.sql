-- Who writes to a file keeps its lock as long as the process lives: there is nothing to count.
SELECT 1;
