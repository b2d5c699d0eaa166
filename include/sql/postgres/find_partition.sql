-- Finds the partition of a month, whatever its name.
-- Grain: one row with its name, quoted and with its schema, and whether a unique index is on its ids; no row for a month
-- without a partition.
-- Parameters: bound: table_name (the main table with its schema), month (its first day).
-- Twice: safe, it only reads.
SELECT
    child.oid::regclass::text AS partition_name,
    EXISTS(
        SELECT 1
        FROM pg_catalog.pg_index AS of_child
        INNER JOIN pg_catalog.pg_attribute AS id_column
            ON of_child.indrelid = id_column.attrelid AND id_column.attname = 'unique_row_id'
        WHERE
            of_child.indrelid = child.oid
            AND of_child.indisunique
            AND of_child.indisvalid
            AND of_child.indpred IS NULL
            -- One column and no other, also no included column.
            AND of_child.indkey::text = id_column.attnum::text
    ) AS has_unique_ids
FROM pg_catalog.pg_inherits AS inheritance
INNER JOIN pg_catalog.pg_class AS child ON inheritance.inhrelid = child.oid
WHERE
    inheritance.inhparent = TO_REGCLASS(%(table_name)s)
    AND PG_GET_EXPR(child.relpartbound, child.oid) = FORMAT('FOR VALUES IN (%%L)', %(month)s::date)
