-- Counts the rejected lines of attempts.
-- Grain: one row.
-- Parameters: bound: load_ids (an array).
-- Twice: safe, it only reads.
SELECT COUNT(*)
FROM taxiway.rejected_rows
WHERE load_id = ANY(%(load_ids)s::bigint [])
