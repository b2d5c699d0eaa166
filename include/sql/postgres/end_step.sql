-- Enters that no step of an attempt is at work any more, and lets go of the lock that proves that one is.
-- Grain: one row of the ledger.
-- Parameters: bound: load_id.
-- Twice: safe; where there is no lock to let go of, the server warns.
-- In this order: who finds the lock free waits for the row, or passes it by.
UPDATE taxiway.loads
SET at_work_since = NULL
WHERE load_id = %(load_id)s;

SELECT PG_ADVISORY_UNLOCK_SHARED(HASHTEXTEXTENDED('taxiway/load/' || %(load_id)s, 0))
