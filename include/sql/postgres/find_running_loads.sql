{%- from "postgres/_held_locks.sql" import is_abandoned -%}
-- Finds attempts that the ledger has as running, and whether nobody works on them.
-- Grain: one row per attempt.
-- Parameters: bound: longest_run (age at which an attempt is over, an interval).
-- Twice: safe, it only reads; the next load of the month marks those that nobody works on (abandon_loads.sql).
SELECT
    loads.source,
    loads.month,
    loads.run_id,
    loads.step,
    GREATEST(loads.started_at, loads.at_work_since) AS begun_at,
    {{ is_abandoned("loads") }} AS is_abandoned
FROM taxiway.loads
WHERE
    loads.destination = 'postgres'
    AND loads.state = 'running'
ORDER BY loads.source, loads.month
