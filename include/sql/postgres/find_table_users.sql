-- Finds the sessions in a transaction that keep a load from tables.
-- Grain: one row per session, the one with the strongest lock first.
-- Parameters: bound: table_names, weakest_modes (for each table, the weakest mode of a lock that keeps the load from
-- it).
-- Twice: safe, it only reads.
-- A lock that a load asks for conflicts with one mode and with each stronger one.
WITH modes AS (
    SELECT
        listed.mode,
        listed.strength
    FROM UNNEST(
        ARRAY[
            'AccessShareLock', 'RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock',
            'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'
        ]
    ) WITH ORDINALITY AS listed (mode, strength)
),

holders AS (
    SELECT
        held.pid,
        MAX(modes.strength) AS strength
    FROM UNNEST(%(table_names)s::text[], %(weakest_modes)s::text[]) AS wanted (table_name, weakest_mode)
    INNER JOIN pg_catalog.pg_locks AS held ON TO_REGCLASS(wanted.table_name)::oid = held.relation
    INNER JOIN modes ON held.mode = modes.mode
    INNER JOIN modes AS weakest ON wanted.weakest_mode = weakest.mode
    WHERE
        held.granted
        AND held.database = (
            SELECT oid FROM pg_catalog.pg_database
            WHERE datname = CURRENT_DATABASE()
        )
        AND modes.strength >= weakest.strength
    GROUP BY held.pid
)

SELECT
    activity.pid,
    activity.usename::text AS role_name,
    activity.application_name,
    activity.xact_start AS began_at,
    activity.wait_event,
    activity.state_change AS waits_since,
    copying.bytes_processed
FROM holders
INNER JOIN pg_catalog.pg_stat_activity AS activity ON holders.pid = activity.pid
LEFT JOIN pg_catalog.pg_stat_progress_copy AS copying ON activity.pid = copying.pid
WHERE activity.pid <> PG_BACKEND_PID()
ORDER BY holders.strength DESC, activity.xact_start
LIMIT 3
