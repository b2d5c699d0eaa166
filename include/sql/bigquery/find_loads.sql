-- Finds every attempt to load a month.
-- Grain: one row per attempt, in the order in which they began.
-- Parameters: dataset (with its project); bound: source, month, destination.
-- Twice: safe, it only reads.
-- It asks for the column that came last, so that it fails on an earlier version's ledger.
SELECT
    load_id,
    load_number,
    publication,
    run_id,
    attempt,
    fetched_load_id,
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
    layout,
    started_at,
    yaml_sha256
FROM `{{ dataset }}.loads`
WHERE source = @source AND month = @month AND destination = @destination
ORDER BY load_number, attempt, load_id
