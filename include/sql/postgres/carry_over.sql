-- Finds what a new partition takes over from the main table: CHECK and NOT NULL, defaults, statistics, storage,
-- tablespace, replica identity. With these it can be attached, and equals a partition that Postgres itself would
-- create.
-- Grain: one row with the clauses of ALTER TABLE, in one text.
-- Parameters: bound: table_name (the main table with its schema), partition_index (its unique index, without a schema;
-- NULL if the table gets no index).
-- Twice: safe, it only reads.
-- Indexes, keys and triggers for each row come with ATTACH PARTITION. A publication can't tell which row is deleted
-- unless an index names the rows.
WITH main AS (
    SELECT
        oid,
        reltablespace,
        relreplident
    FROM pg_catalog.pg_class
    WHERE oid = TO_REGCLASS(%(table_name)s)
),

columns AS (
    SELECT
        attribute.attname,
        attribute.attnotnull,
        attribute.attstattarget,
        attribute.attoptions,
        attribute.attstorage,
        attribute.attcompression,
        of_column.typstorage,
        PG_GET_EXPR(preset.adbin, preset.adrelid) AS default_value
    FROM main
    INNER JOIN pg_catalog.pg_attribute AS attribute
        ON main.oid = attribute.attrelid AND attribute.attnum > 0 AND NOT attribute.attisdropped
    INNER JOIN pg_catalog.pg_type AS of_column ON attribute.atttypid = of_column.oid
    LEFT JOIN pg_catalog.pg_attrdef AS preset
        ON attribute.attrelid = preset.adrelid AND attribute.attnum = preset.adnum
),

clauses AS (
    SELECT FORMAT('ADD CONSTRAINT %%I %%s', definition.conname, PG_GET_CONSTRAINTDEF(definition.oid)) AS clause
    FROM main
    INNER JOIN pg_catalog.pg_constraint AS definition ON main.oid = definition.conrelid AND definition.contype = 'c'
    UNION ALL
    SELECT FORMAT('ALTER COLUMN %%I SET NOT NULL', columns.attname)
    FROM columns
    WHERE columns.attnotnull
    UNION ALL
    SELECT FORMAT('ALTER COLUMN %%I SET DEFAULT %%s', columns.attname, columns.default_value)
    FROM columns
    WHERE columns.default_value IS NOT NULL
    UNION ALL
    SELECT FORMAT('ALTER COLUMN %%I SET STATISTICS %%s', columns.attname, columns.attstattarget)
    FROM columns
    WHERE columns.attstattarget >= 0
    UNION ALL
    SELECT FORMAT('ALTER COLUMN %%I SET (%%s)', columns.attname, ARRAY_TO_STRING(columns.attoptions, ', '))
    FROM columns
    WHERE columns.attoptions IS NOT NULL
    UNION ALL
    SELECT
        FORMAT(
            'ALTER COLUMN %%I SET STORAGE %%s', columns.attname,
            CASE columns.attstorage
                WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED'
            END
        )
    FROM columns
    WHERE columns.attstorage <> columns.typstorage
    UNION ALL
    SELECT
        FORMAT(
            'ALTER COLUMN %%I SET COMPRESSION %%s', columns.attname,
            CASE columns.attcompression WHEN 'l' THEN 'lz4' ELSE 'pglz' END
        )
    FROM columns
    WHERE columns.attcompression <> ''
    UNION ALL
    SELECT FORMAT('SET TABLESPACE %%I', tablespace.spcname)
    FROM main
    INNER JOIN pg_catalog.pg_tablespace AS tablespace ON main.reltablespace = tablespace.oid
    UNION ALL
    SELECT
        CASE
            WHEN main.relreplident = 'f' THEN 'REPLICA IDENTITY FULL'
            WHEN main.relreplident = 'n' THEN 'REPLICA IDENTITY NOTHING'
            WHEN
                main.relreplident = 'd'
                AND EXISTS (
                    SELECT 1
                    FROM pg_catalog.pg_index AS of_main
                    WHERE of_main.indrelid = main.oid AND of_main.indisprimary
                )
                THEN 'REPLICA IDENTITY DEFAULT'
            WHEN %(partition_index)s::text IS NOT NULL
                THEN FORMAT('REPLICA IDENTITY USING INDEX %%I', %(partition_index)s::text)
        END
    FROM main
)

SELECT STRING_AGG(clauses.clause, ', ') AS clauses
FROM clauses
