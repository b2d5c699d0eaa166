{%- from "postgres/_extended_statistics.sql" import extended_statistics -%}
{%- from "postgres/_grants.sql" import grant -%}
-- Writes the statements that give a partition's column filename, which is created anew, what was defined on it: indexes,
-- keys and extended statistics with their comments, and the column's own comment, rights and settings.
-- Grain: one row per statement, in the order in which they run.
-- Parameters: bound: partition (with its schema).
-- Twice: safe, it only reads.
-- An index that belongs to an index of the main table is created again when the partition is attached.
WITH filename AS (
    SELECT
        attribute.attrelid,
        attribute.attnum,
        attribute.attacl,
        attribute.attstattarget,
        attribute.attoptions,
        partition.oid::regclass::text AS partition_name,
        partition.relowner
    FROM pg_catalog.pg_class AS partition
    INNER JOIN pg_catalog.pg_attribute AS attribute ON partition.oid = attribute.attrelid AND attribute.attname = 'filename'
    WHERE partition.oid = TO_REGCLASS(%(partition)s)
),

indexes AS (
    SELECT
        filename.partition_name,
        of_partition.indexrelid,
        of_partition.indisreplident,
        of_partition.indisclustered,
        relation.relname,
        relation.reloptions,
        tablespace.spcname,
        definition.oid AS constraint_oid,
        definition.conname
    FROM filename
    INNER JOIN pg_catalog.pg_index AS of_partition ON filename.attrelid = of_partition.indrelid
    INNER JOIN pg_catalog.pg_class AS relation ON of_partition.indexrelid = relation.oid
    LEFT JOIN pg_catalog.pg_tablespace AS tablespace ON relation.reltablespace = tablespace.oid
    LEFT JOIN pg_catalog.pg_constraint AS definition
        ON of_partition.indexrelid = definition.conindid AND filename.attrelid = definition.conrelid
    WHERE
        EXISTS (
            SELECT 1 FROM pg_catalog.pg_depend AS depending
            WHERE
                (depending.classid, depending.objid) IN (
                    ('pg_catalog.pg_class'::regclass, of_partition.indexrelid), ('pg_catalog.pg_constraint'::regclass, definition.oid)
                )
                AND depending.refclassid = 'pg_catalog.pg_class'::regclass
                AND depending.refobjid = filename.attrelid
                AND depending.refobjsubid = filename.attnum
        )
        AND NOT EXISTS (
            SELECT 1 FROM pg_catalog.pg_inherits AS inheritance
            WHERE inheritance.inhrelid = of_partition.indexrelid
        )
),

extended AS (
    SELECT
        counted.oid,
        FORMAT('%%s.%%I', counted.stxnamespace::regnamespace, counted.stxname) AS qualified_name,
        counted.stxowner,
        counted.stxstattarget
    FROM filename
    INNER JOIN pg_catalog.pg_statistic_ext AS counted ON filename.attrelid = counted.stxrelid
    INNER JOIN pg_catalog.pg_depend AS depending
        ON
            depending.classid = 'pg_catalog.pg_statistic_ext'::regclass
            AND counted.oid = depending.objid
            AND depending.refclassid = 'pg_catalog.pg_class'::regclass
            AND filename.attrelid = depending.refobjid
            AND filename.attnum = depending.refobjsubid
),

statements AS (
    SELECT
        1 AS position,
        CASE
            WHEN indexes.constraint_oid IS NULL THEN PG_GET_INDEXDEF(indexes.indexrelid)
            ELSE
                FORMAT(
                    'ALTER TABLE %%s ADD CONSTRAINT %%I %%s', indexes.partition_name, indexes.conname,
                    PG_GET_CONSTRAINTDEF(indexes.constraint_oid)
                )
        END AS statement
    FROM indexes
    UNION ALL
    SELECT
        2 AS position,
        FORMAT('ALTER INDEX %%s SET (%%s)', indexes.indexrelid::regclass, ARRAY_TO_STRING(indexes.reloptions, ', ')) AS statement
    FROM indexes
    WHERE indexes.reloptions IS NOT NULL
    UNION ALL
    SELECT
        2 AS position,
        FORMAT('ALTER INDEX %%s SET TABLESPACE %%I', indexes.indexrelid::regclass, indexes.spcname) AS statement
    FROM indexes
    WHERE indexes.spcname IS NOT NULL
    UNION ALL
    SELECT
        2 AS position,
        FORMAT('ALTER TABLE %%s REPLICA IDENTITY USING INDEX %%I', indexes.partition_name, indexes.relname) AS statement
    FROM indexes
    WHERE indexes.indisreplident
    UNION ALL
    SELECT
        2 AS position,
        FORMAT('ALTER TABLE %%s CLUSTER ON %%I', indexes.partition_name, indexes.relname) AS statement
    FROM indexes
    WHERE indexes.indisclustered
    UNION ALL
    SELECT
        2 AS position,
        FORMAT('COMMENT ON INDEX %%s IS %%L', indexes.indexrelid::regclass, OBJ_DESCRIPTION(indexes.indexrelid, 'pg_class')) AS statement
    FROM indexes
    UNION ALL
    SELECT
        2 AS position,
        FORMAT(
            'COMMENT ON CONSTRAINT %%I ON %%s IS %%L', indexes.conname, indexes.partition_name,
            OBJ_DESCRIPTION(indexes.constraint_oid, 'pg_constraint')
        ) AS statement
    FROM indexes
    WHERE indexes.constraint_oid IS NOT NULL
    UNION ALL
{{- extended_statistics() }}
    UNION ALL
    SELECT
        2 AS position,
        FORMAT(
            'COMMENT ON COLUMN %%s.filename IS %%L', filename.partition_name, COL_DESCRIPTION(filename.attrelid, filename.attnum)
        ) AS statement
    FROM filename
    UNION ALL
    SELECT
        2 AS position,
        FORMAT('ALTER TABLE %%s ALTER COLUMN filename SET STATISTICS %%s', filename.partition_name, filename.attstattarget) AS statement
    FROM filename
    WHERE filename.attstattarget >= 0
    UNION ALL
    SELECT
        2 AS position,
        FORMAT(
            'ALTER TABLE %%s ALTER COLUMN filename SET (%%s)', filename.partition_name, ARRAY_TO_STRING(filename.attoptions, ', ')
        ) AS statement
    FROM filename
    WHERE filename.attoptions IS NOT NULL
    UNION ALL
    SELECT
        2 AS position,
        {{ grant("granted.privilege_type || ' (filename)'", "filename.partition_name", "filename.relowner") }} AS statement
    FROM filename
    CROSS JOIN LATERAL ACLEXPLODE(filename.attacl) AS granted
)

SELECT statements.statement
FROM statements
ORDER BY statements.position, statements.statement
