-- Deletes attempts that ended long ago from the ledger.
-- Grain: one row per attempt.
-- Parameters: bound: load_ids (an array).
-- Twice: safe, what is gone stays gone.
DELETE FROM taxiway.loads
WHERE load_id = ANY(%(load_ids)s::bigint []) AND state <> 'running'
