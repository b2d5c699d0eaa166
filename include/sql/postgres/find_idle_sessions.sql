-- Finds sessions that keep others waiting, or have left a transaction open.
-- Grain: one row per session.
-- Parameters: bound: longest_wait (how long somebody may wait for a lock), longest_pause (how long a transaction may be
-- idle): intervals.
-- Twice: safe, it only reads.
WITH waiting AS (
    SELECT
        blocker.pid,
        COUNT(*) AS sessions
    FROM pg_catalog.pg_stat_activity AS waiter
    CROSS JOIN LATERAL UNNEST(PG_BLOCKING_PIDS(waiter.pid)) AS blocker (pid)
    WHERE
        waiter.datname = CURRENT_DATABASE()
        AND waiter.wait_event_type = 'Lock'
        AND waiter.state_change < CLOCK_TIMESTAMP() - %(longest_wait)s::interval
    GROUP BY blocker.pid
)

SELECT
    activity.pid,
    activity.usename::text AS role_name,
    activity.application_name,
    activity.xact_start AS began_at,
    COALESCE(waiting.sessions, 0) AS sessions
FROM pg_catalog.pg_stat_activity AS activity
LEFT JOIN waiting ON activity.pid = waiting.pid
WHERE
    activity.datname = CURRENT_DATABASE()
    AND activity.pid <> PG_BACKEND_PID()
    AND (
        waiting.sessions > 0
        OR (
            STARTS_WITH(activity.state, 'idle in transaction')
            AND activity.state_change < CLOCK_TIMESTAMP() - %(longest_pause)s::interval
        )
    )
ORDER BY sessions DESC, activity.xact_start
LIMIT 5
