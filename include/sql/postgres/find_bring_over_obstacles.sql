-- Finds what somebody has made of an earlier version's main table that can't be brought over with it.
-- Grain: one row per obstacle: what it is, the statement that removes it, and the statement that creates it again
-- afterwards, or NULL.
-- Parameters: bound: table_name (the main table with its schema).
-- Twice: safe, it only reads.
-- In the order in which the statements can run: what depends on something comes before it.
WITH main AS (
    SELECT
        oid,
        relowner,
        reltype,
        PG_GET_USERBYID(relowner) AS owner_name
    FROM pg_catalog.pg_class
    WHERE oid = TO_REGCLASS(%(table_name)s)
),

members AS (
    SELECT
        main.oid,
        'p' AS relation_kind,
        main.relowner,
        TRUE AS is_main
    FROM main
    UNION ALL
    SELECT
        child.oid,
        child.relkind::text AS relation_kind,
        child.relowner,
        FALSE AS is_main
    FROM main
    INNER JOIN pg_catalog.pg_inherits AS inheritance ON main.oid = inheritance.inhparent
    INNER JOIN pg_catalog.pg_class AS child ON inheritance.inhrelid = child.oid
),

filenames AS (
    SELECT
        members.oid,
        members.is_main,
        attribute.attnum
    FROM members
    INNER JOIN pg_catalog.pg_attribute AS attribute ON members.oid = attribute.attrelid
    WHERE attribute.attname = 'filename'
),

dependents AS (
    SELECT DISTINCT
        depending.classid,
        depending.objid,
        0 AS objsubid,
        filenames.is_main,
        rewriting.ev_class,
        depending_relation.relkind
    FROM filenames
    INNER JOIN pg_catalog.pg_depend AS depending
        ON
            depending.refclassid = 'pg_catalog.pg_class'::regclass
            AND filenames.oid = depending.refobjid
            AND depending.deptype = 'n'
            -- Of a partition, only its column filename is made anew.
            AND (filenames.is_main OR filenames.attnum = depending.refobjsubid)
    LEFT JOIN pg_catalog.pg_rewrite AS rewriting
        ON depending.classid = 'pg_catalog.pg_rewrite'::regclass AND depending.objid = rewriting.oid
    LEFT JOIN pg_catalog.pg_class AS depending_relation ON rewriting.ev_class = depending_relation.oid
    WHERE
        -- Objects that belong to the table itself are found by their kind.
        depending.classid <> 'pg_catalog.pg_publication_rel'::regclass
        AND rewriting.ev_class IS DISTINCT FROM filenames.oid
        AND NOT EXISTS (
            SELECT 1 FROM pg_catalog.pg_constraint AS own
            WHERE
                depending.classid = 'pg_catalog.pg_constraint'::regclass
                AND own.oid = depending.objid
                AND own.conrelid = filenames.oid
        )
        AND NOT EXISTS (
            SELECT 1 FROM pg_catalog.pg_trigger AS own
            WHERE
                depending.classid = 'pg_catalog.pg_trigger'::regclass
                AND own.oid = depending.objid
                AND (own.tgrelid = filenames.oid OR own.tgisinternal)
        )
        AND NOT EXISTS (
            SELECT 1 FROM pg_catalog.pg_policy AS own
            WHERE
                depending.classid = 'pg_catalog.pg_policy'::regclass
                AND own.oid = depending.objid
                AND own.polrelid = filenames.oid
        )
    UNION
    -- What uses the type of its rows: an argument of a function, a column of another table.
    SELECT
        depending.classid,
        depending.objid,
        depending.objsubid,
        TRUE AS is_main,
        NULL::oid AS ev_class,
        NULL::"char" AS relkind
    FROM main
    INNER JOIN pg_catalog.pg_type AS of_rows ON main.reltype IN (of_rows.oid, of_rows.typelem)
    INNER JOIN pg_catalog.pg_depend AS depending
        ON
            depending.refclassid = 'pg_catalog.pg_type'::regclass
            AND of_rows.oid = depending.refobjid
            AND depending.deptype = 'n'
),

-- A view is replaced by its owner, who may create one in its schema.
others_views AS (
    SELECT DISTINCT
        view.oid::regclass AS view,
        owner.rolname AS owner_name,
        owner.rolsuper AS is_superusers,
        CASE
            WHEN NOT HAS_SCHEMA_PRIVILEGE(view.relnamespace, 'CREATE') THEN view.relnamespace::regnamespace::text
        END AS closed_schema
    FROM dependents
    INNER JOIN pg_catalog.pg_class AS view ON dependents.ev_class = view.oid
    INNER JOIN pg_catalog.pg_roles AS owner ON view.relowner = owner.oid
    WHERE dependents.is_main AND view.relkind = 'v' AND NOT PG_HAS_ROLE(CURRENT_USER, owner.oid, 'USAGE')
),

obstacles AS (
    -- Another role's table, or view.
    SELECT
        1 AS position,
        FORMAT('the owner %%I of %%s', PG_GET_USERBYID(members.relowner), members.oid::regclass) AS found,
        FORMAT('ALTER TABLE %%s OWNER TO %%I', members.oid::regclass, CURRENT_USER) AS remedy,
        FORMAT('ALTER TABLE %%s OWNER TO %%I', members.oid::regclass, PG_GET_USERBYID(members.relowner)) AS restored
    FROM members
    WHERE NOT PG_HAS_ROLE(CURRENT_USER, members.relowner, 'USAGE')

    UNION ALL

    SELECT
        2 AS position,
        FORMAT('the view %%s of the role %%I', others_views.view, others_views.owner_name) AS found,
        CASE
            WHEN NOT others_views.is_superusers THEN FORMAT('GRANT %%I TO %%I', others_views.owner_name, CURRENT_USER)
            ELSE
                FORMAT(
                    'ALTER VIEW %%s OWNER TO %%I%%s', others_views.view, CURRENT_USER,
                    '; GRANT CREATE ON SCHEMA ' || others_views.closed_schema || ' TO ' || QUOTE_IDENT(CURRENT_USER)
                )
        END AS remedy,
        CASE
            WHEN NOT others_views.is_superusers THEN FORMAT('REVOKE %%I FROM %%I', others_views.owner_name, CURRENT_USER)
            ELSE
                FORMAT(
                    'ALTER VIEW %%s OWNER TO %%I%%s', others_views.view, others_views.owner_name,
                    '; REVOKE CREATE ON SCHEMA ' || others_views.closed_schema || ' FROM ' || QUOTE_IDENT(CURRENT_USER)
                )
        END AS restored
    FROM others_views

    UNION ALL

    -- Views of a partition's filename, materialized views, functions, foreign keys of other tables and so on.
    SELECT
        3 AS position,
        CASE
            WHEN dependents.relkind IN ('v', 'm')
                THEN PG_DESCRIBE_OBJECT('pg_catalog.pg_class'::regclass, dependents.ev_class, 0)
            ELSE PG_DESCRIBE_OBJECT(dependents.classid, dependents.objid, dependents.objsubid)
        END AS found,
        CASE
            WHEN dependents.relkind = 'm' THEN FORMAT('DROP MATERIALIZED VIEW %%s', dependents.ev_class::regclass)
            WHEN dependents.relkind = 'v' THEN FORMAT('DROP VIEW %%s', dependents.ev_class::regclass)
            WHEN definition.oid IS NOT NULL
                THEN FORMAT('ALTER TABLE %%s DROP CONSTRAINT %%I', definition.conrelid::regclass, definition.conname)
            -- A column of another table, whose values stay as text.
            WHEN holder.relkind = 'c'
                THEN FORMAT('ALTER TYPE %%s ALTER ATTRIBUTE %%I TYPE text', holder.oid::regclass, holding.attname)
            WHEN holding.attname IS NOT NULL
                THEN
                    FORMAT(
                        'ALTER TABLE %%1$s ALTER COLUMN %%2$I TYPE text USING %%2$I::text', holder.oid::regclass, holding.attname
                    )
            ELSE FORMAT('DROP %%s %%s', UPPER(named.type), named.identity)
        END AS remedy,
        CASE dependents.relkind
            WHEN 'm' THEN FORMAT('CREATE MATERIALIZED VIEW %%s AS %%s', dependents.ev_class::regclass, RTRIM(PG_GET_VIEWDEF(dependents.ev_class), ';'))
            WHEN 'v' THEN FORMAT('CREATE VIEW %%s AS %%s', dependents.ev_class::regclass, RTRIM(PG_GET_VIEWDEF(dependents.ev_class), ';'))
        END AS restored
    FROM dependents
    LEFT JOIN pg_catalog.pg_constraint AS definition
        ON dependents.classid = 'pg_catalog.pg_constraint'::regclass AND dependents.objid = definition.oid
    LEFT JOIN pg_catalog.pg_attribute AS holding
        ON
            dependents.classid = 'pg_catalog.pg_class'::regclass
            AND dependents.objsubid > 0
            AND dependents.objid = holding.attrelid
            AND dependents.objsubid = holding.attnum
    LEFT JOIN pg_catalog.pg_class AS holder ON holding.attrelid = holder.oid
    CROSS JOIN LATERAL PG_IDENTIFY_OBJECT(dependents.classid, dependents.objid, 0) AS named
    WHERE
        COALESCE(definition.conparentid, 0) = 0
        AND NOT (dependents.is_main AND COALESCE(dependents.relkind, 'x') = 'v')

    UNION ALL

    -- A key of a partitioned table has the column in it that the table is partitioned by.
    SELECT
        4 AS position,
        FORMAT('the constraint %%I (%%s)', definition.conname, PG_GET_CONSTRAINTDEF(definition.oid)) AS found,
        FORMAT('ALTER TABLE %%s DROP CONSTRAINT %%I', definition.conrelid::regclass, definition.conname) AS remedy,
        FORMAT(
            'ALTER TABLE %%s ADD CONSTRAINT %%I %%s', definition.conrelid::regclass, definition.conname,
            REGEXP_REPLACE(PG_GET_CONSTRAINTDEF(definition.oid), '\mfilename\M', 'source_month')
        ) AS restored
    FROM main
    INNER JOIN pg_catalog.pg_constraint AS definition ON main.oid = definition.conrelid
    WHERE definition.contype IN ('p', 'u', 'x')

    UNION ALL

    SELECT
        4 AS position,
        FORMAT('the unique index %%s', of_main.indexrelid::regclass) AS found,
        FORMAT('DROP INDEX %%s', of_main.indexrelid::regclass) AS remedy,
        REGEXP_REPLACE(REPLACE(PG_GET_INDEXDEF(of_main.indexrelid), ' ON ONLY ', ' ON '), '\mfilename\M', 'source_month') AS restored
    FROM main
    INNER JOIN pg_catalog.pg_index AS of_main ON main.oid = of_main.indrelid
    WHERE
        of_main.indisunique
        AND NOT EXISTS (
            SELECT 1 FROM pg_catalog.pg_constraint AS definition
            WHERE definition.conindid = of_main.indexrelid AND definition.conrelid = main.oid
        )

    UNION ALL

    -- It would not hold for the names without .gz, and goes with the column of a partition.
    SELECT
        5 AS position,
        FORMAT('the constraint %%I (%%s)', definition.conname, PG_GET_CONSTRAINTDEF(definition.oid)) AS found,
        FORMAT('ALTER TABLE %%s DROP CONSTRAINT %%I', definition.conrelid::regclass, definition.conname) AS remedy,
        NULL AS restored
    FROM filenames
    INNER JOIN pg_catalog.pg_constraint AS definition
        ON filenames.oid = definition.conrelid AND filenames.attnum = ANY(definition.conkey)
    WHERE definition.contype IN ('c', 'f') AND definition.coninhcount = 0 AND definition.conparentid = 0

    UNION ALL

    SELECT
        6 AS position,
        FORMAT('the rule %%I', definition.rulename) AS found,
        FORMAT('DROP RULE %%I ON %%s', definition.rulename, main.oid::regclass) AS remedy,
        NULL AS restored -- loads refuse a rule, which never applies
    FROM main
    INNER JOIN pg_catalog.pg_rewrite AS definition ON main.oid = definition.ev_class

    UNION ALL

    SELECT
        7 AS position,
        FORMAT('the publication %%I', publication.pubname) AS found,
        FORMAT('ALTER PUBLICATION %%I DROP TABLE %%s', publication.pubname, main.oid::regclass) AS remedy,
        FORMAT('ALTER PUBLICATION %%I ADD TABLE %%s', publication.pubname, main.oid::regclass) AS restored
    FROM main
    INNER JOIN pg_catalog.pg_publication_rel AS listed ON main.oid = listed.prrelid
    INNER JOIN pg_catalog.pg_publication AS publication ON listed.prpubid = publication.oid

    UNION ALL

    SELECT
        8 AS position,
        FORMAT(
            'the partition %%s, which is %%s', members.oid::regclass,
            CASE members.relation_kind WHEN 'f' THEN 'a foreign table' ELSE 'partitioned itself' END
        ) AS found,
        FORMAT('ALTER TABLE %%s DETACH PARTITION %%s', main.oid::regclass, members.oid::regclass) AS remedy,
        NULL AS restored
    FROM main
    CROSS JOIN members
    WHERE NOT members.is_main AND members.relation_kind <> 'r'
)

SELECT DISTINCT
    obstacles.position,
    obstacles.found,
    obstacles.remedy,
    obstacles.restored
FROM obstacles
ORDER BY obstacles.position, obstacles.found
