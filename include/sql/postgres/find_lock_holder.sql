{%- from "postgres/_held_locks.sql" import held_locks -%}
-- Finds the session that holds an advisory lock of this database, and what it does.
-- Grain: one row; no row if the lock has been released meanwhile.
-- Parameters: bound: lock_name.
-- Twice: safe, it only reads.
-- Of a COPY, only its progress tells whether data arrives.
SELECT
    held.pid,
    activity.usename::text AS role_name,
    activity.application_name,
    activity.xact_start AS began_at,
    activity.wait_event,
    activity.state_change AS waits_since,
    copying.bytes_processed
FROM {{ held_locks() }} AS held
LEFT JOIN pg_catalog.pg_stat_activity AS activity ON held.pid = activity.pid
LEFT JOIN pg_catalog.pg_stat_progress_copy AS copying ON held.pid = copying.pid
WHERE held.lock_key = HASHTEXTEXTENDED(%(lock_name)s, 0)
ORDER BY activity.xact_start
LIMIT 1
