-- Marks abandoned what other runs of a month have left open, and nobody works on.
-- Grain: one row of the ledger per such attempt.
-- Parameters: bound: source, month, destination, run_id (the run that asks), longest_run (age at
-- which an attempt is over, an interval).
-- Twice: safe.
-- A step at work holds a lock as long as its session lives (begin_step.sql). If the lock is free, the worker is gone.
-- Between two steps no session holds the lock; then only the age of the attempt counts. A row that somebody has locked
-- is being worked on.
-- pg_locks shows a lock's bigint key in two halves.
UPDATE taxiway.loads
SET
    state = 'abandoned',
    error = step || ': its worker ended without a word',
    at_work_since = NULL,
    finished_at = CLOCK_TIMESTAMP()
WHERE
    load_id IN (
        SELECT others.load_id
        FROM taxiway.loads AS others
        WHERE
            others.source = %(source)s
            AND others.month = %(month)s
            AND others.destination = %(destination)s
            AND others.run_id <> %(run_id)s
            AND others.state = 'running'
            AND (
                GREATEST(others.started_at, others.at_work_since)
                < CLOCK_TIMESTAMP() - %(longest_run)s::interval
                OR (
                    others.at_work_since IS NOT NULL
                    AND HASHTEXTEXTENDED('taxiway/load/' || others.load_id, 0) NOT IN (
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
        FOR UPDATE SKIP LOCKED
    )
