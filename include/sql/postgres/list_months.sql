-- Lists the months that a main table has partitions of.
-- Grain: one row per partition by a single month; other partitions are left out.
-- Parameters: bound: table_name (the main table with its schema).
-- Twice: safe, it only reads.
SELECT SUBSTRING(PG_GET_EXPR(child.relpartbound, child.oid) FROM '^FOR VALUES IN \(''(.{10})''\)$')::date AS month
FROM pg_catalog.pg_inherits AS inheritance
INNER JOIN pg_catalog.pg_class AS child ON inheritance.inhrelid = child.oid
WHERE
    inheritance.inhparent = TO_REGCLASS(%(table_name)s)
    AND PG_GET_EXPR(child.relpartbound, child.oid) LIKE 'FOR VALUES IN (''__________'')'
ORDER BY month
