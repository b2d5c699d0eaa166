-- Records that no step of an attempt is at work any more, and releases the lock that proved it.
-- Grain: one row of the ledger.
-- Parameters: bound: load_id.
-- Twice: safe; if no lock is held, the server warns.
-- The row comes first: a session that finds the lock free then waits for the row, or skips it.
UPDATE taxiway.loads
SET at_work_since = NULL
WHERE load_id = %(load_id)s;

SELECT PG_ADVISORY_UNLOCK_SHARED(HASHTEXTEXTENDED('taxiway/load/' || %(load_id)s, 0))
