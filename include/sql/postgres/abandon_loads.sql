{%- from "postgres/_held_locks.sql" import is_abandoned -%}
-- Marks abandoned what other runs of a month have left open, and nobody works on.
-- Grain: one row of the ledger per such attempt.
-- Parameters: bound: source, month, destination, run_id (the run that asks), longest_run (age at
-- which an attempt is over, an interval).
-- Twice: safe.
-- A row that somebody has locked is being worked on.
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
            AND {{ is_abandoned("others") }}
        FOR UPDATE SKIP LOCKED
    )
