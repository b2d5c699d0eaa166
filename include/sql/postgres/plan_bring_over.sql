{%- from "postgres/_extended_statistics.sql" import extended_statistics -%}
{%- from "postgres/_grants.sql" import grant, role_name -%}
-- Writes the statements that give the new main table, of the same name, what the table of version 0.1.0 has. Views read
-- the new table, and indexes, triggers, policies, rights and so on are created again.
-- Grain: one row per statement: whether it runs while the earlier table is still there, under another name, and the
-- statement.
-- Parameters: bound: table_name (the main table with its schema).
-- Twice: safe, it only reads the catalog, while the earlier table has its name still.
-- A view is replaced, not made again: it keeps its rights, its comment, and the views that read it. What makes a
-- partition like the main table (CHECK, defaults, settings of columns) is in carry_over.sql.
WITH main AS (
    SELECT
        oid,
        oid::regclass::text AS name,
        relacl,
        relowner,
        relrowsecurity,
        relforcerowsecurity
    FROM pg_catalog.pg_class
    WHERE oid = TO_REGCLASS(%(table_name)s)
),

columns AS (
    SELECT
        attribute.attrelid,
        attribute.attnum,
        attribute.attname,
        attribute.attacl
    FROM main
    INNER JOIN pg_catalog.pg_attribute AS attribute
        ON main.oid = attribute.attrelid AND attribute.attnum > 0 AND NOT attribute.attisdropped
),

triggers AS (
    SELECT
        definition.oid,
        definition.tgname,
        definition.tgenabled
    FROM main
    INNER JOIN pg_catalog.pg_trigger AS definition ON main.oid = definition.tgrelid
    WHERE NOT definition.tgisinternal
),

indexes AS (
    SELECT
        of_main.indexrelid,
        tablespace.spcname
    FROM main
    INNER JOIN pg_catalog.pg_index AS of_main ON main.oid = of_main.indrelid
    INNER JOIN pg_catalog.pg_class AS relation ON of_main.indexrelid = relation.oid
    LEFT JOIN pg_catalog.pg_tablespace AS tablespace ON relation.reltablespace = tablespace.oid
    WHERE NOT of_main.indisunique
),

policies AS (
    SELECT
        policy.oid,
        policy.polname,
        policy.polpermissive,
        policy.polcmd,
        policy.polroles,
        policy.polqual,
        policy.polwithcheck,
        policy.polrelid
    FROM main
    INNER JOIN pg_catalog.pg_policy AS policy ON main.oid = policy.polrelid
),

extended AS (
    SELECT
        counted.oid,
        FORMAT('%%s.%%I', counted.stxnamespace::regnamespace, counted.stxname) AS qualified_name,
        counted.stxowner,
        counted.stxstattarget
    FROM main
    INNER JOIN pg_catalog.pg_statistic_ext AS counted ON main.oid = counted.stxrelid
),

statements AS (
    SELECT DISTINCT
        0 AS position,
        FORMAT(
            'CREATE OR REPLACE VIEW %%s%%s AS %%s', view.oid::regclass,
            ' WITH (' || ARRAY_TO_STRING(view.reloptions, ', ') || ')', PG_GET_VIEWDEF(view.oid)
        ) AS statement
    FROM main
    INNER JOIN pg_catalog.pg_depend AS depending
        ON
            depending.refclassid = 'pg_catalog.pg_class'::regclass
            AND main.oid = depending.refobjid
            AND depending.classid = 'pg_catalog.pg_rewrite'::regclass
    INNER JOIN pg_catalog.pg_rewrite AS rewriting ON depending.objid = rewriting.oid
    INNER JOIN pg_catalog.pg_class AS view ON rewriting.ev_class = view.oid AND view.relkind = 'v'

    UNION ALL

    SELECT
        1 AS position,
        PG_GET_INDEXDEF(indexes.indexrelid) AS statement
    FROM indexes

    UNION ALL

    SELECT
        2 AS position,
        FORMAT('ALTER INDEX %%s SET TABLESPACE %%I', indexes.indexrelid::regclass, indexes.spcname) AS statement
    FROM indexes
    WHERE indexes.spcname IS NOT NULL

    UNION ALL

    SELECT
        2 AS position,
        FORMAT('COMMENT ON INDEX %%s IS %%L', indexes.indexrelid::regclass, OBJ_DESCRIPTION(indexes.indexrelid, 'pg_class')) AS statement
    FROM indexes

    UNION ALL
{{ extended_statistics() }}

    UNION ALL

    SELECT
        1 AS position,
        FORMAT('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', main.name, definition.conname, PG_GET_CONSTRAINTDEF(definition.oid)) AS statement
    FROM main
    INNER JOIN pg_catalog.pg_constraint AS definition ON main.oid = definition.conrelid AND definition.contype = 'f'
    WHERE definition.conparentid = 0

    UNION ALL

    SELECT
        2 AS position,
        FORMAT('COMMENT ON CONSTRAINT %%I ON %%s IS %%L', definition.conname, main.name, OBJ_DESCRIPTION(definition.oid, 'pg_constraint')) AS statement
    FROM main
    INNER JOIN pg_catalog.pg_constraint AS definition ON main.oid = definition.conrelid AND definition.contype IN ('c', 'f')
    WHERE OBJ_DESCRIPTION(definition.oid, 'pg_constraint') IS NOT NULL

    UNION ALL

    SELECT
        1 AS position,
        PG_GET_TRIGGERDEF(triggers.oid) AS statement
    FROM triggers

    UNION ALL

    SELECT
        2 AS position,
        FORMAT(
            'ALTER TABLE %%s %%s TRIGGER %%I', main.name,
            CASE triggers.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END,
            triggers.tgname
        ) AS statement
    FROM main
    CROSS JOIN triggers
    WHERE triggers.tgenabled <> 'O'

    UNION ALL

    SELECT
        2 AS position,
        FORMAT('COMMENT ON TRIGGER %%I ON %%s IS %%L', triggers.tgname, main.name, OBJ_DESCRIPTION(triggers.oid, 'pg_trigger')) AS statement
    FROM main
    CROSS JOIN triggers

    UNION ALL

    SELECT
        1 AS position,
        FORMAT(
            'CREATE POLICY %%I ON %%s AS %%s FOR %%s TO %%s%%s%%s', policy.polname, main.name,
            CASE WHEN policy.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
            CASE policy.polcmd
                WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL'
            END,
            (
                SELECT STRING_AGG({{ role_name("role.oid") }}, ', ')
                FROM UNNEST(policy.polroles) AS role (oid)
            ),
            ' USING (' || PG_GET_EXPR(policy.polqual, policy.polrelid) || ')',
            ' WITH CHECK (' || PG_GET_EXPR(policy.polwithcheck, policy.polrelid) || ')'
        ) AS statement
    FROM main
    CROSS JOIN policies AS policy

    UNION ALL

    SELECT
        2 AS position,
        FORMAT('COMMENT ON POLICY %%I ON %%s IS %%L', policies.polname, main.name, OBJ_DESCRIPTION(policies.oid, 'pg_policy')) AS statement
    FROM main
    CROSS JOIN policies

    UNION ALL

    SELECT
        2 AS position,
        FORMAT('ALTER TABLE %%s ENABLE ROW LEVEL SECURITY', main.name) AS statement
    FROM main
    WHERE main.relrowsecurity

    UNION ALL

    SELECT
        2 AS position,
        FORMAT('ALTER TABLE %%s FORCE ROW LEVEL SECURITY', main.name) AS statement
    FROM main
    WHERE main.relforcerowsecurity

    UNION ALL

    SELECT
        2 AS position,
        FORMAT('COMMENT ON TABLE %%s IS %%L', main.name, OBJ_DESCRIPTION(main.oid, 'pg_class')) AS statement
    FROM main

    UNION ALL

    SELECT
        2 AS position,
        FORMAT('COMMENT ON COLUMN %%s.%%I IS %%L', main.name, columns.attname, COL_DESCRIPTION(main.oid, columns.attnum)) AS statement
    FROM main
    CROSS JOIN columns
    WHERE
        columns.attname <> 'filename'
        -- Unless it is the earlier version's own.
        OR COL_DESCRIPTION(main.oid, columns.attnum) <> 'Name of the file that the row comes from, one partition each'

    UNION ALL

    SELECT
        2 AS position,
        {{ grant("granted.privilege_type", "main.name", "main.relowner") }} AS statement
    FROM main
    CROSS JOIN LATERAL ACLEXPLODE(main.relacl) AS granted

    UNION ALL

    SELECT
        2 AS position,
        {{ grant("FORMAT('%%s (%%I)', granted.privilege_type, columns.attname)", "main.name", "main.relowner") }} AS statement
    FROM main
    CROSS JOIN columns
    CROSS JOIN LATERAL ACLEXPLODE(columns.attacl) AS granted

    UNION ALL

    -- This comes last, because the new owner may be another role than the one that grants.
    SELECT
        3 AS position,
        FORMAT('ALTER TABLE %%s OWNER TO %%I', main.name, PG_GET_USERBYID(main.relowner)) AS statement
    FROM main
    WHERE PG_GET_USERBYID(main.relowner) <> CURRENT_USER
)

SELECT
    statements.position = 0 AS is_before,
    statements.statement
FROM statements
ORDER BY statements.position, statements.statement
