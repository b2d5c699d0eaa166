-- Finds what the session's role may not do, and a load does.
-- Grain: one row per right that is missing.
-- Parameters: bound: table_names (main tables and the ledger's, with their schemas; those that are absent don't count).
-- Twice: safe, it only reads.
SELECT rights.missing
FROM (
    VALUES
    (
        'USAGE and CREATE on the schema public',
        COALESCE(
            HAS_SCHEMA_PRIVILEGE(TO_REGNAMESPACE('public')::oid, 'USAGE')
            AND HAS_SCHEMA_PRIVILEGE(TO_REGNAMESPACE('public')::oid, 'CREATE'),
            FALSE
        )
    ),
    (
        'USAGE and CREATE on the schema taxiway',
        COALESCE(
            HAS_SCHEMA_PRIVILEGE(TO_REGNAMESPACE('taxiway')::oid, 'USAGE')
            AND HAS_SCHEMA_PRIVILEGE(TO_REGNAMESPACE('taxiway')::oid, 'CREATE'),
            HAS_DATABASE_PRIVILEGE(CURRENT_DATABASE(), 'CREATE')
        )
    ),
    (
        'USAGE and CREATE on the schema taxiway_staging',
        COALESCE(
            HAS_SCHEMA_PRIVILEGE(TO_REGNAMESPACE('taxiway_staging')::oid, 'USAGE')
            AND HAS_SCHEMA_PRIVILEGE(TO_REGNAMESPACE('taxiway_staging')::oid, 'CREATE'),
            HAS_DATABASE_PRIVILEGE(CURRENT_DATABASE(), 'CREATE')
        )
    )
) AS rights (missing, is_given)
WHERE NOT rights.is_given
UNION ALL
SELECT 'ownership of ' || wanted.table_name || ', which ' || PG_GET_USERBYID(relation.relowner) || ' owns' AS missing
FROM UNNEST(%(table_names)s::text[]) AS wanted (table_name)
INNER JOIN pg_catalog.pg_class AS relation ON TO_REGCLASS(wanted.table_name)::oid = relation.oid
WHERE NOT PG_HAS_ROLE(relation.relowner, 'USAGE')
