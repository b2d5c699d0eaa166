-- Finds who holds an advisory lock of this database.
-- Grain: one row, or none where it has been released meanwhile.
-- Parameters: bound: lock_name.
-- Twice: safe, it only reads.
-- A lock's bigint key lies in pg_locks in two halves.
SELECT
    held.pid,
    activity.usename::text AS role_name,
    activity.application_name,
    activity.xact_start AS began_at
FROM pg_catalog.pg_locks AS held
LEFT JOIN pg_catalog.pg_stat_activity AS activity ON held.pid = activity.pid
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
