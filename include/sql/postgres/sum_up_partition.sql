-- Counts the rows of a partition, and sums up which transactions wrote them: every change of a row leaves another sum.
-- Grain: one row with the number of rows and a digest.
-- Parameters: partition (with its schema); bound: partition_name (the same, as a value), column_names (those that the
-- rows were loaded with: a column that the source has gained since is NULL, and leaves the digest as it is).
-- Twice: safe, it only reads; the same rows give the same digest.
-- Every version of a row names the transaction that wrote it (xmin), and keeps that name when it is frozen or the table
-- is rewritten by VACUUM FULL. An insert, an update or a delete changes how many rows some transaction has. A column that
-- is dropped and added again leaves the rows as they are, and has another number.
SELECT
    COALESCE(SUM(written.row_count), 0)::bigint AS row_count,
    MD5(CONCAT_WS(
        ';',
        (
            SELECT STRING_AGG(attribute.attnum || ' ' || attribute.attname, ',' ORDER BY attribute.attnum)
            FROM pg_catalog.pg_attribute AS attribute
            WHERE
                attribute.attrelid = %(partition_name)s::regclass
                AND attribute.attnum > 0
                AND NOT attribute.attisdropped
                AND attribute.attname = ANY(%(column_names)s::text[])
        ),
        STRING_AGG(written.writer || ' ' || written.row_count, ',' ORDER BY written.writer)
    )) AS digest
FROM (
    SELECT
        xmin::text AS writer,
        COUNT(*) AS row_count
    FROM {{ partition }}
    GROUP BY xmin
) AS written
