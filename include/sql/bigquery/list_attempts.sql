-- Lists the last attempts to load a month, the latest one first.
-- Grain: one row per attempt.
-- Parameters: dataset (with its project); bound: source, month, destination, most (rows).
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
FROM `{{ dataset }}.loads`
WHERE source = @source AND month = @month AND destination = @destination
ORDER BY load_number DESC, load_id DESC
LIMIT @most
