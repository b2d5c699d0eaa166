-- Finds tables of the staging schema that no run needs any more.
-- Grain: one row per table.
-- Parameters: bound: longest_run (age at which a run that hasn't ended can't continue), longest_pause (time after which
-- a failed run can't continue): intervals.
-- Twice: safe, it only reads.
-- The name of a run's table has the beginning of the SHA-256 of its run id.
SELECT staged.tablename
FROM pg_catalog.pg_tables AS staged
WHERE
    staged.schemaname = 'taxiway_staging'
    AND NOT EXISTS (
        SELECT
        FROM (
            SELECT DISTINCT ON (loads.source, loads.month, loads.run_id)
                loads.run_id,
                loads.state,
                loads.finished_at,
                GREATEST(loads.started_at, loads.at_work_since) AS begun_at
            FROM taxiway.loads
            WHERE loads.destination = 'postgres'
            ORDER BY loads.source, loads.month, loads.run_id, loads.attempt DESC
        ) AS latest
        WHERE
            STRPOS(staged.tablename, LEFT(ENCODE(SHA256(CONVERT_TO(latest.run_id, 'UTF8')), 'hex'), 12)) > 0
            AND latest.state IN ('running', 'failed', 'abandoned')
            AND latest.begun_at > CLOCK_TIMESTAMP() - %(longest_run)s::interval
            AND COALESCE(latest.finished_at > CLOCK_TIMESTAMP() - %(longest_pause)s::interval, TRUE)
    )
ORDER BY staged.tablename
