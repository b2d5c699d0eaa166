-- Finds the last attempt of a run to load a month, and locks it.
-- Grain: one row, or no row.
-- Parameters: bound: source, month, destination, run_id.
-- Twice: safe, it only reads.
SELECT
    load_id,
    COALESCE(fetched_load_id, load_id) AS fetched_load_id,
    attempt,
    step,
    state,
    sha256,
    rows_read,
    rows_rejected,
    rows_staged,
    rows_inserted,
    rows_deleted,
    rows_unchanged,
    warnings,
    layout
FROM taxiway.loads
WHERE
    source = %(source)s
    AND month = %(month)s
    AND destination = %(destination)s
    AND run_id = %(run_id)s
ORDER BY attempt DESC
LIMIT 1
FOR UPDATE
