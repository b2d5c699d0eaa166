-- Lists the partitions of a main table that an earlier version made: partitioned by filename, the downloaded file's name.
-- Grain: one row per partition: its name, quoted and with its schema, and the expression of its bound.
-- Parameters: bound: table_name (the main table with its schema).
-- Twice: safe, it only reads.
SELECT
    inheritance.inhrelid::regclass::text AS partition_name,
    PG_GET_EXPR(child.relpartbound, child.oid) AS bound
FROM pg_catalog.pg_inherits AS inheritance
INNER JOIN pg_catalog.pg_class AS child ON inheritance.inhrelid = child.oid
WHERE inheritance.inhparent = TO_REGCLASS(%(table_name)s)
ORDER BY partition_name
