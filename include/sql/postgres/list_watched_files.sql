-- Lists what the watch has seen of the files of a warehouse's months.
-- Grain: one row per source and month that the last look was about.
-- Parameters: bound: warehouse.
-- Twice: safe, it only reads.
SELECT
    source,
    month,
    decision,
    reason,
    checked_at
FROM taxiway.watched_files
WHERE warehouse = %(warehouse)s
ORDER BY source, month
