-- Deletes the rejected lines of attempts.
-- Grain: one row per line.
-- Parameters: bound: load_ids (an array).
-- Twice: safe, what is gone stays gone.
DELETE FROM taxiway.rejected_rows
WHERE load_id = ANY(%(load_ids)s::bigint [])
