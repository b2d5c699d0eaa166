-- Finds attempts that the ledger has as running, and nobody works on.
-- Grain: one row per attempt.
-- Parameters: bound: longest_run (age at which an attempt is over, an interval).
-- Twice: safe, it only reads; the next load of the month marks them (abandon_loads.sql, which says how they are known).
SELECT
    loads.source,
    loads.month,
    loads.step,
    GREATEST(loads.started_at, loads.at_work_since) AS begun_at
FROM taxiway.loads
WHERE
    loads.destination = 'postgres'
    AND loads.state = 'running'
    AND (
        GREATEST(loads.started_at, loads.at_work_since) < CLOCK_TIMESTAMP() - %(longest_run)s::interval
        OR (
            loads.at_work_since IS NOT NULL
            AND HASHTEXTEXTENDED('taxiway/load/' || loads.load_id, 0) NOT IN (
                SELECT held.classid::bigint << 32 | held.objid::bigint
                FROM pg_catalog.pg_locks AS held
                WHERE
                    held.locktype = 'advisory'
                    AND held.granted
                    AND held.database = (
                        SELECT oid FROM pg_catalog.pg_database
                        WHERE datname = CURRENT_DATABASE()
                    )
                    AND held.objsubid = 1
            )
        )
    )
ORDER BY loads.source, loads.month
