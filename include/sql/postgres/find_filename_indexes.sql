-- Finds a partition's own indexes on its filename, which go with that column when it is made anew.
-- Grain: one row per index: the statement that makes it again.
-- Parameters: bound: partition (with its schema).
-- Twice: safe, it only reads.
-- If an index belongs to an index of the main table, Postgres creates it again when the partition is attached.
SELECT DISTINCT PG_GET_INDEXDEF(of_partition.indexrelid) AS definition
FROM pg_catalog.pg_index AS of_partition
INNER JOIN pg_catalog.pg_attribute AS attribute
    ON of_partition.indrelid = attribute.attrelid AND attribute.attname = 'filename'
INNER JOIN pg_catalog.pg_depend AS depending
    ON
        depending.classid = 'pg_catalog.pg_class'::regclass
        AND of_partition.indexrelid = depending.objid
        AND depending.refclassid = 'pg_catalog.pg_class'::regclass
        AND attribute.attrelid = depending.refobjid
        AND attribute.attnum = depending.refobjsubid
WHERE
    of_partition.indrelid = TO_REGCLASS(%(partition)s)
    AND NOT EXISTS (
        SELECT 1 FROM pg_catalog.pg_inherits AS inheritance
        WHERE inheritance.inhrelid = of_partition.indexrelid
    )
