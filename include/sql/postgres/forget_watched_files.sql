-- Removes what earlier looks decided about months that are no longer watched.
-- Grain: the rows of a warehouse.
-- Parameters: bound: warehouse, checked_at (of the last look).
-- Twice: safe, nothing is left to remove.
DELETE FROM taxiway.watched_files
WHERE warehouse = %(warehouse)s AND checked_at < %(checked_at)s
