-- Finds the other tables, apart from the main table, on which a lock can keep a step waiting.
-- Grain: one row per table, with the weakest mode of a lock that does so.
-- Parameters: bound: table_name (the main table with its schema), publishes (whether the step publishes the month),
-- attaches (whether that step attaches a new partition).
-- Twice: safe, it only reads.
-- To attach a partition, Postgres locks the whole default partition. It also keeps other sessions from writing to
-- tables that a foreign key connects with the main table, in either direction. To write rows, it locks rows of these.
-- The definition of a partition can't be read while a session has it for itself.
WITH RECURSIVE connected AS (
    SELECT unnested.table_id
    FROM pg_catalog.pg_constraint AS definition
    CROSS JOIN LATERAL (VALUES (definition.conrelid), (definition.confrelid)) AS unnested (table_id)
    WHERE
        definition.contype = 'f'
        AND TO_REGCLASS(%(table_name)s) IN (definition.conrelid, definition.confrelid)
        AND unnested.table_id <> TO_REGCLASS(%(table_name)s)
    UNION
    SELECT inheritance.inhrelid
    FROM connected
    INNER JOIN pg_catalog.pg_inherits AS inheritance ON connected.table_id = inheritance.inhparent
)

SELECT
    connected.table_id::regclass::text AS table_name,
    CASE WHEN %(attaches)s THEN 'RowExclusiveLock' ELSE 'RowShareLock' END AS weakest_mode
FROM connected
WHERE %(publishes)s

UNION ALL

SELECT
    inheritance.inhrelid::regclass::text AS table_name,
    CASE
        WHEN inheritance.inhrelid = main.partdefid AND %(attaches)s THEN 'AccessShareLock'
        ELSE 'AccessExclusiveLock'
    END AS weakest_mode
FROM pg_catalog.pg_partitioned_table AS main
INNER JOIN pg_catalog.pg_inherits AS inheritance ON main.partrelid = inheritance.inhparent
WHERE main.partrelid = TO_REGCLASS(%(table_name)s)
