-- Finds other runs of a month that are over.
-- Grain: one row per run.
-- Parameters: bound: source, month, destination, run_id (the run that asks), longest_run (age at which a run that
-- hasn't ended can't continue), longest_pause (time after which a failed run can't continue): intervals.
-- Twice: safe, it only reads.
SELECT latest.run_id
FROM (
    SELECT DISTINCT ON (loads.run_id)
        loads.run_id,
        loads.state,
        GREATEST(loads.started_at, loads.at_work_since) AS begun_at,
        loads.finished_at
    FROM taxiway.loads
    WHERE
        loads.source = %(source)s
        AND loads.month = %(month)s
        AND loads.destination = %(destination)s
        AND loads.run_id <> %(run_id)s
    ORDER BY loads.run_id, loads.attempt DESC
) AS latest
WHERE
    latest.state IN ('published', 'unchanged', 'skipped')
    OR latest.finished_at < CLOCK_TIMESTAMP() - %(longest_pause)s::interval
    OR latest.begun_at < CLOCK_TIMESTAMP() - %(longest_run)s::interval
