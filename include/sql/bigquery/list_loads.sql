-- Lists every attempt of the ledger, for what is kept of it.
-- Grain: one row per attempt.
-- Parameters: dataset (with its project); bound: destination.
-- Twice: safe, it only reads.
SELECT
    load_id,
    source,
    month,
    run_id,
    attempt,
    state,
    started_at AS begun_at,
    finished_at,
    sha256,
    fetched_load_id,
    ROW_NUMBER() OVER (PARTITION BY source, month ORDER BY load_number DESC, load_id DESC) = 1 AS is_last,
    state = 'published' AND ROW_NUMBER() OVER (
        PARTITION BY source, month ORDER BY IF(state = 'published', 1, 0) DESC, publication DESC, load_number DESC
    ) = 1 AS is_published
FROM `{{ dataset }}.loads`
WHERE destination = @destination
