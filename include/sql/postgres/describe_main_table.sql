-- Describes the relation that has the main table's name, of whatever kind.
-- Grain: one row with the kind of relation (p: partitioned table), its columns with their types, and what it is
-- partitioned by; no row if there is no such relation.
-- Parameters: bound: table_name (with its schema).
-- Twice: safe, it only reads.
SELECT
    relation.relkind::text AS relation_kind,
    ARRAY(
        SELECT
            ARRAY[
                attribute.attname,
                FORMAT_TYPE(attribute.atttypid, attribute.atttypmod)
                || CASE WHEN attribute.attcollation <> of_column.typcollation THEN ' with a collation of its own' ELSE '' END
                || CASE WHEN attribute.attgenerated <> '' THEN ' GENERATED' ELSE '' END
                || CASE WHEN attribute.attidentity <> '' THEN ' IDENTITY' ELSE '' END
            ]
        FROM pg_catalog.pg_attribute AS attribute
        INNER JOIN pg_catalog.pg_type AS of_column ON attribute.atttypid = of_column.oid
        WHERE attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
        ORDER BY attribute.attnum
    ) AS columns,
    PG_GET_PARTKEYDEF(relation.oid) AS partition_key
FROM pg_catalog.pg_class AS relation
WHERE relation.oid = TO_REGCLASS(%(table_name)s)
