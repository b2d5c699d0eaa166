-- Finds the table that has a name, or whose index has it.
-- Grain: one row with the table, or with NULL if the name is free.
-- Parameters: bound: table_name (with its schema).
-- Twice: safe, it only reads.
SELECT COALESCE(of_index.indrelid, named.found)::regclass::text AS holder
FROM (SELECT TO_REGCLASS(%(table_name)s) AS found) AS named
LEFT JOIN pg_catalog.pg_index AS of_index ON named.found = of_index.indexrelid
