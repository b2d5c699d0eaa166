-- Finds a load's entry in the ledger.
-- Grain: one row, or none.
-- Parameters: bound: source, month, destination, run_id.
-- Twice: safe, it only reads.
SELECT
    state,
    rows_read,
    rows_rejected,
    rows_inserted,
    rows_deleted,
    rows_unchanged
FROM taxiway.loads
WHERE
    source = %(source)s
    AND month = %(month)s
    AND destination = %(destination)s
    AND run_id = %(run_id)s
