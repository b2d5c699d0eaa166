-- Lists every attempt of the ledger, for what is kept of it.
-- Grain: one row per attempt.
-- Parameters: bound: destination.
-- Twice: safe, it only reads.
SELECT
    load_id::text,
    source,
    month,
    run_id,
    attempt,
    state,
    GREATEST(started_at, at_work_since) AS begun_at,
    finished_at,
    sha256,
    fetched_load_id::text,
    load_id = MAX(load_id) OVER (PARTITION BY source, month) AS is_last,
    state = 'published' AND load_id = FIRST_VALUE(load_id) OVER (
        PARTITION BY source, month
        ORDER BY state = 'published' DESC, COALESCE(fetched_load_id, load_id) DESC, load_id DESC
    ) AS is_published
FROM taxiway.loads
WHERE destination = %(destination)s
