{%- from "postgres/_held_locks.sql" import is_abandoned -%}
-- Finds attempts that the ledger has as running, and nobody works on.
-- Grain: one row per attempt.
-- Parameters: bound: longest_run (age at which an attempt is over, an interval).
-- Twice: safe, it only reads; the next load of the month marks them (abandon_loads.sql).
SELECT
    loads.source,
    loads.month,
    loads.step,
    GREATEST(loads.started_at, loads.at_work_since) AS begun_at
FROM taxiway.loads
WHERE
    loads.destination = 'postgres'
    AND loads.state = 'running'
    AND {{ is_abandoned("loads") }}
ORDER BY loads.source, loads.month
