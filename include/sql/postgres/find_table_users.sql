-- Finds the sessions in a transaction that may keep others from the tables of a load.
-- Grain: one row per session, the oldest transaction first.
-- Parameters: bound: table_names.
-- Twice: safe, it only reads.
-- A session that only reads a table keeps others from dropping it, and nobody from writing to it. Of a partitioned table
-- that counts for each partition: to attach one, Postgres locks the default partition. And it locks the tables that a
-- foreign key connects with one of these, either way.
WITH RECURSIVE named AS (
    SELECT TO_REGCLASS(names.table_name)::oid AS table_id
    FROM UNNEST(%(table_names)s::text[]) AS names (table_name)
),

connected AS (
    SELECT table_id FROM named
    UNION
    SELECT unnested.table_id
    FROM pg_catalog.pg_constraint AS definition
    CROSS JOIN LATERAL (VALUES (definition.conrelid), (definition.confrelid)) AS unnested (table_id)
    WHERE
        definition.contype = 'f'
        AND (
            definition.conrelid IN (SELECT named.table_id FROM named)
            OR definition.confrelid IN (SELECT named.table_id FROM named)
        )
),

tables AS (
    SELECT table_id FROM connected
    UNION
    SELECT inheritance.inhrelid
    FROM tables
    INNER JOIN pg_catalog.pg_inherits AS inheritance ON tables.table_id = inheritance.inhparent
)

SELECT
    activity.pid,
    activity.usename::text AS role_name,
    activity.application_name,
    activity.xact_start AS began_at,
    activity.wait_event,
    activity.state_change AS waits_since,
    copying.bytes_processed
FROM pg_catalog.pg_stat_activity AS activity
LEFT JOIN pg_catalog.pg_stat_progress_copy AS copying ON activity.pid = copying.pid
WHERE
    activity.pid <> PG_BACKEND_PID()
    AND activity.pid IN (
        SELECT held.pid
        FROM pg_catalog.pg_locks AS held
        WHERE
            held.granted
            AND held.database = (
                SELECT oid FROM pg_catalog.pg_database
                WHERE datname = CURRENT_DATABASE()
            )
            AND held.relation IN (SELECT tables.table_id FROM tables)
    )
ORDER BY activity.xact_start
LIMIT 3
