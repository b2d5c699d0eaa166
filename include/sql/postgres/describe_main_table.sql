-- Describes the table of the main table's name, whatever made it.
-- Grain: one row with the kind of relation (p: partitioned) and its columns with their types, or none.
-- Parameters: bound: table_name (with its schema).
-- Twice: safe, it only reads.
SELECT
    relation.relkind::text AS relation_kind,
    ARRAY(
        SELECT attribute.attname || ' ' || FORMAT_TYPE(attribute.atttypid, attribute.atttypmod)
        FROM pg_catalog.pg_attribute AS attribute
        WHERE attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
        ORDER BY attribute.attnum
    ) AS columns
FROM pg_catalog.pg_class AS relation
WHERE relation.oid = TO_REGCLASS(%(table_name)s)
