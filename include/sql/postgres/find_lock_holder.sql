-- Finds the session that holds an advisory lock of this database, and what it does.
-- Grain: one row; no row if the lock has been released meanwhile.
-- Parameters: bound: lock_name.
-- Twice: safe, it only reads.
-- pg_locks shows a lock's bigint key in two halves. Of a COPY, only its progress tells whether data arrives.
SELECT
    held.pid,
    activity.usename::text AS role_name,
    activity.application_name,
    activity.xact_start AS began_at,
    activity.wait_event,
    activity.state_change AS waits_since,
    copying.bytes_processed
FROM pg_catalog.pg_locks AS held
LEFT JOIN pg_catalog.pg_stat_activity AS activity ON held.pid = activity.pid
LEFT JOIN pg_catalog.pg_stat_progress_copy AS copying ON held.pid = copying.pid
WHERE
    held.locktype = 'advisory'
    AND held.granted
    AND held.database = (
        SELECT oid FROM pg_catalog.pg_database
        WHERE datname = CURRENT_DATABASE()
    )
    AND held.objsubid = 1
    AND (held.classid::bigint << 32 | held.objid::bigint) = HASHTEXTEXTENDED(%(lock_name)s, 0)
ORDER BY activity.xact_start
LIMIT 1
