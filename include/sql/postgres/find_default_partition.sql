-- Finds the default partition of the main table.
-- Grain: one row with its name, quoted and with its schema; no row if there is none.
-- Parameters: bound: table_name (the main table with its schema).
-- Twice: safe, it only reads.
SELECT partdefid::regclass::text AS default_partition
FROM pg_catalog.pg_partitioned_table
WHERE partrelid = TO_REGCLASS(%(table_name)s) AND partdefid <> 0
