-- Finds the partition of a file, whatever its name.
-- Grain: one row with its name, quoted and with its schema, or none.
-- Parameters: bound: table_name (the main table with its schema), filename.
-- Twice: safe, it only reads.
SELECT child.oid::regclass::text AS partition_name
FROM pg_catalog.pg_inherits AS inheritance
INNER JOIN pg_catalog.pg_class AS child ON inheritance.inhrelid = child.oid
WHERE
    inheritance.inhparent = TO_REGCLASS(%(table_name)s)
    AND PG_GET_EXPR(child.relpartbound, child.oid) = FORMAT('FOR VALUES IN (%%L)', %(filename)s::text)
