-- Finds what the main table demands of each row by itself: CHECK and NOT NULL.
-- Grain: one row per constraint: its name, the condition that is true of a row that breaks it, and the statement that
-- drops it.
-- Parameters: bound: table_name (the main table with its schema).
-- Twice: safe, it only reads.
-- Of unique_row_id, filename and source_month, NOT NULL is Taxiway's own.
SELECT
    FORMAT('%%I (%%s)', definition.conname, PG_GET_CONSTRAINTDEF(definition.oid)) AS constraint_name,
    FORMAT('NOT (%%s)', PG_GET_EXPR(definition.conbin, definition.conrelid)) AS is_broken,
    FORMAT('ALTER TABLE %%s DROP CONSTRAINT %%I', definition.conrelid::regclass, definition.conname) AS remedy
FROM pg_catalog.pg_constraint AS definition
WHERE
    definition.conrelid = TO_REGCLASS(%(table_name)s)
    AND definition.contype = 'c'
    AND PG_GET_CONSTRAINTDEF(definition.oid) NOT LIKE '%% NOT ENFORCED'

UNION ALL

SELECT
    FORMAT('NOT NULL of the column %%I', attribute.attname) AS constraint_name,
    FORMAT('%%I IS NULL', attribute.attname) AS is_broken,
    FORMAT('ALTER TABLE %%s ALTER COLUMN %%I DROP NOT NULL', attribute.attrelid::regclass, attribute.attname) AS remedy
FROM pg_catalog.pg_attribute AS attribute
WHERE
    attribute.attrelid = TO_REGCLASS(%(table_name)s)
    AND attribute.attnum > 0
    AND NOT attribute.attisdropped
    AND attribute.attnotnull
    AND attribute.attname NOT IN ('unique_row_id', 'filename', 'source_month')
ORDER BY constraint_name
