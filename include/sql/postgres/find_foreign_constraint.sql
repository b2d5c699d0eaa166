-- Finds the foreign key of another table that keeps rows of a main table from being changed.
-- Grain: one row with the table and the constraint as ALTER TABLE names them. No row if the constraint is the main
-- table's own, refers to another table, or is gone.
-- Parameters: bound: table_name (the main table with its schema), schema_name, holder_name, constraint_name (as an error
-- of Postgres names the table with the foreign key, and the constraint).
-- Twice: safe, it only reads.
-- Postgres creates one more constraint for each partition that has a foreign key or is referred to by one. Only the
-- constraint that they come from can be dropped.
WITH RECURSIVE origin AS (
    SELECT
        definition.oid,
        definition.conrelid,
        definition.confrelid,
        definition.conname,
        definition.conparentid
    FROM pg_catalog.pg_constraint AS definition
    INNER JOIN pg_catalog.pg_class AS holder ON definition.conrelid = holder.oid
    INNER JOIN pg_catalog.pg_namespace AS of_holder ON holder.relnamespace = of_holder.oid
    WHERE
        of_holder.nspname = %(schema_name)s
        AND holder.relname = %(holder_name)s
        AND definition.conname = %(constraint_name)s
        AND definition.contype = 'f'
    UNION ALL
    SELECT
        definition.oid,
        definition.conrelid,
        definition.confrelid,
        definition.conname,
        definition.conparentid
    FROM origin
    INNER JOIN pg_catalog.pg_constraint AS definition ON origin.conparentid = definition.oid
)

SELECT
    origin.conrelid::regclass::text AS holder,
    FORMAT('%%I', origin.conname) AS constraint_name
FROM origin
WHERE
    origin.conparentid = 0
    AND origin.conrelid <> TO_REGCLASS(%(table_name)s)
    AND (
        origin.confrelid = TO_REGCLASS(%(table_name)s)
        OR origin.confrelid IN (
            SELECT inheritance.inhrelid FROM pg_catalog.pg_inherits AS inheritance
            WHERE inheritance.inhparent = TO_REGCLASS(%(table_name)s)
        )
    )
