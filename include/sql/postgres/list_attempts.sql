-- Lists the last attempts to load a month, the latest one first.
-- Grain: one row per attempt.
-- Parameters: bound: source, month, destination, most (rows).
-- Twice: safe, it only reads.
SELECT
    load_id,
    run_id,
    attempt,
    state,
    step,
    started_at,
    finished_at,
    rows_staged,
    rows_rejected,
    error,
    warnings
FROM taxiway.loads
WHERE source = %(source)s AND month = %(month)s AND destination = %(destination)s
ORDER BY load_id DESC
LIMIT %(most)s
