-- Measures the partitions of a main table with their indexes, and says where the server keeps its files.
-- Grain: one row. The size is NULL if there is no partition, the folder if the role may not know it.
-- Parameters: bound: table_name (the main table with its schema).
-- Twice: safe, it only reads.
SELECT
    (
        SELECT SUM(PG_TOTAL_RELATION_SIZE(inheritance.inhrelid))::bigint
        FROM pg_catalog.pg_inherits AS inheritance
        WHERE inheritance.inhparent = TO_REGCLASS(%(table_name)s)
    ) AS size,
    (
        SELECT settings.setting FROM pg_catalog.pg_settings AS settings
        WHERE settings.name = 'data_directory'
    ) AS folder
