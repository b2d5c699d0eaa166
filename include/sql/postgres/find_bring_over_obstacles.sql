-- Finds what somebody has made of an earlier version's main table that can't be brought over with it.
-- Grain: one row per obstacle: what it is, the statement that removes it, the statement that creates it again afterwards,
-- or NULL, and the view that pg_dump keeps, or NULL.
-- Parameters: bound: table_name (the main table with its schema).
-- Twice: safe, it only reads.
-- In the order in which the statements can run: what depends on something comes before it.
WITH RECURSIVE main AS (
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
    -- A view depends by its rule _RETURN. Any other rule of a view is dropped as such.
    LEFT JOIN pg_catalog.pg_class AS depending_relation
        ON rewriting.ev_class = depending_relation.oid AND rewriting.rulename = '_RETURN'
    WHERE
        -- Objects that belong to the main table itself are found by their kind, and so are constraints of a partition.
        depending.classid <> 'pg_catalog.pg_publication_rel'::regclass
        AND (rewriting.ev_class IS DISTINCT FROM filenames.oid OR NOT filenames.is_main)
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
                AND (own.tgrelid = filenames.oid AND filenames.is_main OR own.tgisinternal OR own.tgparentid <> 0)
        )
        AND NOT EXISTS (
            SELECT 1 FROM pg_catalog.pg_policy AS own
            WHERE
                depending.classid = 'pg_catalog.pg_policy'::regclass
                AND own.oid = depending.objid
                AND own.polrelid = filenames.oid
                AND filenames.is_main
        )
    UNION
    -- What uses the type of its rows: an argument of a function, a column of another table or of a view.
    SELECT
        depending.classid,
        depending.objid,
        CASE WHEN of_view.oid IS NULL THEN depending.objsubid ELSE 0 END AS objsubid,
        FALSE AS is_main,
        of_view.oid AS ev_class,
        of_view.relkind
    FROM main
    INNER JOIN pg_catalog.pg_type AS of_rows ON main.reltype IN (of_rows.oid, of_rows.typelem)
    INNER JOIN pg_catalog.pg_depend AS depending
        ON
            depending.refclassid = 'pg_catalog.pg_type'::regclass
            AND of_rows.oid = depending.refobjid
            AND depending.deptype = 'n'
    LEFT JOIN pg_catalog.pg_class AS of_view
        ON
            depending.classid = 'pg_catalog.pg_class'::regclass
            AND depending.objid = of_view.oid
            AND of_view.relkind IN ('v', 'm')
),

-- What has to be dropped, and what depends on that in turn. A view of the main table is replaced.
dropped AS (
    SELECT
        CASE WHEN dependents.relkind IN ('v', 'm') THEN 'pg_catalog.pg_class'::regclass ELSE dependents.classid END AS classid,
        CASE WHEN dependents.relkind IN ('v', 'm') THEN dependents.ev_class ELSE dependents.objid END AS objid,
        dependents.objsubid,
        0 AS depth
    FROM dependents
    WHERE NOT (dependents.is_main AND COALESCE(dependents.relkind, 'x') = 'v')
    UNION
    SELECT
        CASE WHEN view.oid IS NULL THEN depending.classid ELSE 'pg_catalog.pg_class'::regclass END AS classid,
        COALESCE(view.oid, depending.objid) AS objid,
        CASE WHEN view.oid IS NULL THEN depending.objsubid ELSE 0 END AS objsubid,
        dropped.depth + 1 AS depth
    FROM dropped
    LEFT JOIN pg_catalog.pg_type AS of_rows
        ON dropped.classid = 'pg_catalog.pg_class'::regclass AND dropped.objid = of_rows.typrelid
    INNER JOIN pg_catalog.pg_depend AS depending
        ON
            dropped.objsubid = 0
            AND dropped.depth < 100
            AND depending.deptype = 'n'
            AND (
                dropped.classid = depending.refclassid AND dropped.objid = depending.refobjid
                OR depending.refclassid = 'pg_catalog.pg_type'::regclass AND depending.refobjid IN (of_rows.oid, of_rows.typarray)
            )
    LEFT JOIN pg_catalog.pg_rewrite AS rewriting
        ON depending.classid = 'pg_catalog.pg_rewrite'::regclass AND depending.objid = rewriting.oid
    LEFT JOIN pg_catalog.pg_class AS view
        ON
            COALESCE(rewriting.ev_class, CASE depending.classid WHEN 'pg_catalog.pg_class'::regclass THEN depending.objid END)
            = view.oid
            AND view.relkind IN ('v', 'm')
            AND COALESCE(rewriting.rulename, '_RETURN') = '_RETURN'
    -- A rule of the view itself, and its own type.
    WHERE COALESCE(view.oid, depending.objid) <> dropped.objid
),

in_turn AS (
    SELECT
        dropped.classid,
        dropped.objid,
        dropped.objsubid,
        MAX(dropped.depth) AS depth,
        relation.relkind
    FROM dropped
    LEFT JOIN pg_catalog.pg_class AS relation
        ON dropped.classid = 'pg_catalog.pg_class'::regclass AND dropped.objsubid = 0 AND dropped.objid = relation.oid
    GROUP BY dropped.classid, dropped.objid, dropped.objsubid, relation.relkind
),

triggers AS (
    SELECT
        definition.oid,
        definition.tgrelid,
        definition.tgparentid,
        definition.tgname,
        CASE definition.tgenabled
            WHEN 'O' THEN 'ENABLE' WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS'
        END AS switch
    FROM pg_catalog.pg_trigger AS definition
    WHERE NOT definition.tgisinternal
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
    WHERE
        dependents.is_main
        AND dependents.relkind = 'v'
        AND NOT PG_HAS_ROLE(CURRENT_USER, owner.oid, 'USAGE')
        AND view.oid NOT IN (SELECT in_turn.objid FROM in_turn)
),

obstacles AS (
    -- Another role's table, or view.
    SELECT
        100 AS position,
        FORMAT('the owner %%I of %%s', PG_GET_USERBYID(members.relowner), members.oid::regclass) AS found,
        FORMAT('ALTER TABLE %%s OWNER TO %%I', members.oid::regclass, CURRENT_USER) AS remedy,
        FORMAT('ALTER TABLE %%s OWNER TO %%I', members.oid::regclass, PG_GET_USERBYID(members.relowner)) AS restored,
        NULL AS kept
    FROM members
    WHERE NOT PG_HAS_ROLE(CURRENT_USER, members.relowner, 'USAGE')

    UNION ALL

    SELECT
        200 AS position,
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
        END AS restored,
        NULL AS kept
    FROM others_views

    UNION ALL

    -- Views of a partition's filename, materialized views, functions, foreign keys of other tables and so on.
    SELECT
        300 - in_turn.depth AS position,
        PG_DESCRIBE_OBJECT(in_turn.classid, in_turn.objid, in_turn.objsubid) AS found,
        CASE
            WHEN in_turn.relkind = 'm' THEN FORMAT('DROP MATERIALIZED VIEW %%s', in_turn.objid::regclass)
            WHEN in_turn.relkind = 'v' THEN FORMAT('DROP VIEW %%s', in_turn.objid::regclass)
            WHEN definition.oid IS NOT NULL
                THEN FORMAT('ALTER TABLE %%s DROP CONSTRAINT %%I', definition.conrelid::regclass, definition.conname)
            WHEN preset.oid IS NOT NULL
                THEN FORMAT('ALTER TABLE %%s ALTER COLUMN %%I DROP DEFAULT', holder.oid::regclass, holding.attname)
            -- A column of another table, whose values stay as text.
            WHEN holder.relkind = 'c'
                THEN FORMAT('ALTER TYPE %%s ALTER ATTRIBUTE %%I TYPE text', holder.oid::regclass, holding.attname)
            WHEN holding.attname IS NOT NULL
                THEN
                    FORMAT(
                        'ALTER TABLE %%1$s ALTER COLUMN %%2$I TYPE text USING %%2$I::text', holder.oid::regclass, holding.attname
                    )
            ELSE FORMAT('DROP %%s %%s', REPLACE(UPPER(named.type), ' OBJECT', ''), named.identity)
        END AS remedy,
        NULL AS restored,
        CASE WHEN in_turn.relkind IN ('v', 'm') THEN in_turn.objid::regclass::text END AS kept
    FROM in_turn
    LEFT JOIN pg_catalog.pg_constraint AS definition
        ON in_turn.classid = 'pg_catalog.pg_constraint'::regclass AND in_turn.objid = definition.oid
    LEFT JOIN pg_catalog.pg_attrdef AS preset
        ON in_turn.classid = 'pg_catalog.pg_attrdef'::regclass AND in_turn.objid = preset.oid
    LEFT JOIN pg_catalog.pg_attribute AS holding
        ON
            COALESCE(preset.adrelid, CASE WHEN in_turn.classid = 'pg_catalog.pg_class'::regclass THEN in_turn.objid END)
            = holding.attrelid
            AND COALESCE(preset.adnum, in_turn.objsubid) = holding.attnum
            AND holding.attnum > 0
    LEFT JOIN pg_catalog.pg_class AS holder ON holding.attrelid = holder.oid
    CROSS JOIN LATERAL PG_IDENTIFY_OBJECT(in_turn.classid, in_turn.objid, 0) AS named
    WHERE COALESCE(definition.conparentid, 0) = 0

    UNION ALL

    -- A key of a partitioned table has the column in it that the table is partitioned by.
    SELECT
        400 AS position,
        FORMAT('the constraint %%I (%%s)', definition.conname, PG_GET_CONSTRAINTDEF(definition.oid)) AS found,
        FORMAT('ALTER TABLE %%s DROP CONSTRAINT %%I', definition.conrelid::regclass, definition.conname) AS remedy,
        FORMAT(
            'ALTER TABLE %%s ADD CONSTRAINT %%I %%s', definition.conrelid::regclass, definition.conname,
            REGEXP_REPLACE(PG_GET_CONSTRAINTDEF(definition.oid), '\mfilename\M', 'source_month')
        )
        || COALESCE(
            FORMAT('; COMMENT ON CONSTRAINT %%I ON %%s IS ', definition.conname, definition.conrelid::regclass)
            || QUOTE_LITERAL(OBJ_DESCRIPTION(definition.oid, 'pg_constraint')), ''
        ) AS restored,
        NULL AS kept
    FROM main
    INNER JOIN pg_catalog.pg_constraint AS definition ON main.oid = definition.conrelid
    WHERE definition.contype IN ('p', 'u', 'x')

    UNION ALL

    SELECT
        400 AS position,
        FORMAT('the unique index %%s', of_main.indexrelid::regclass) AS found,
        FORMAT('DROP INDEX %%s', of_main.indexrelid::regclass) AS remedy,
        REGEXP_REPLACE(REPLACE(PG_GET_INDEXDEF(of_main.indexrelid), ' ON ONLY ', ' ON '), '\mfilename\M', 'source_month')
        || COALESCE(
            FORMAT('; COMMENT ON INDEX %%s IS ', of_main.indexrelid::regclass)
            || QUOTE_LITERAL(OBJ_DESCRIPTION(of_main.indexrelid, 'pg_class')), ''
        ) AS restored,
        NULL AS kept
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
        500 AS position,
        FORMAT('the constraint %%I (%%s)', definition.conname, PG_GET_CONSTRAINTDEF(definition.oid)) AS found,
        FORMAT('ALTER TABLE %%s DROP CONSTRAINT %%I', definition.conrelid::regclass, definition.conname) AS remedy,
        NULL AS restored,
        NULL AS kept
    FROM filenames
    INNER JOIN pg_catalog.pg_constraint AS definition
        ON filenames.oid = definition.conrelid AND filenames.attnum = ANY(definition.conkey)
    WHERE definition.contype IN ('c', 'f') AND definition.coninhcount = 0 AND definition.conparentid = 0

    UNION ALL

    SELECT
        600 AS position,
        FORMAT('the rule %%I', definition.rulename) AS found,
        FORMAT('DROP RULE %%I ON %%s', definition.rulename, main.oid::regclass) AS remedy,
        NULL AS restored, -- loads refuse a rule, which never applies
        NULL AS kept
    FROM main
    INNER JOIN pg_catalog.pg_rewrite AS definition ON main.oid = definition.ev_class

    UNION ALL

    -- Of a partition, only what needs its filename.
    SELECT
        700 AS position,
        FORMAT('the publication %%I of %%s', publication.pubname, filenames.oid::regclass) AS found,
        FORMAT('ALTER PUBLICATION %%I DROP TABLE %%s', publication.pubname, filenames.oid::regclass) AS remedy,
        FORMAT(
            'ALTER PUBLICATION %%I ADD TABLE %%s%%s%%s', publication.pubname, filenames.oid::regclass,
            (
                SELECT FORMAT(' (%%s)', STRING_AGG(QUOTE_IDENT(attribute.attname), ', ' ORDER BY attribute.attnum))
                FROM pg_catalog.pg_attribute AS attribute
                WHERE attribute.attrelid = filenames.oid AND attribute.attnum = ANY(listed.prattrs)
                HAVING COUNT(*) > 0
            ),
            ' WHERE (' || PG_GET_EXPR(listed.prqual, listed.prrelid) || ')'
        ) AS restored,
        NULL AS kept
    FROM filenames
    INNER JOIN pg_catalog.pg_publication_rel AS listed ON filenames.oid = listed.prrelid
    INNER JOIN pg_catalog.pg_publication AS publication ON listed.prpubid = publication.oid
    WHERE
        filenames.is_main
        OR EXISTS (
            SELECT 1 FROM pg_catalog.pg_depend AS depending
            WHERE
                depending.classid = 'pg_catalog.pg_publication_rel'::regclass
                AND depending.objid = listed.oid
                AND depending.refclassid = 'pg_catalog.pg_class'::regclass
                AND depending.refobjid = filenames.oid
                AND depending.refobjsubid = filenames.attnum
        )

    UNION ALL

    -- It would be dropped with its column.
    SELECT
        750 AS position,
        FORMAT('the sequence %%s of the column %%s.%%I', owned.oid::regclass, filenames.oid::regclass, attribute.attname) AS found,
        FORMAT('ALTER SEQUENCE %%s OWNED BY NONE', owned.oid::regclass) AS remedy,
        FORMAT('ALTER SEQUENCE %%s OWNED BY %%s.%%I', owned.oid::regclass, filenames.oid::regclass, attribute.attname) AS restored,
        NULL AS kept
    FROM filenames
    INNER JOIN pg_catalog.pg_depend AS depending
        ON
            depending.classid = 'pg_catalog.pg_class'::regclass
            AND depending.refclassid = 'pg_catalog.pg_class'::regclass
            AND filenames.oid = depending.refobjid
            AND depending.deptype = 'a'
            AND (filenames.is_main OR filenames.attnum = depending.refobjsubid)
    INNER JOIN pg_catalog.pg_class AS owned ON depending.objid = owned.oid AND owned.relkind = 'S'
    INNER JOIN pg_catalog.pg_attribute AS attribute
        ON depending.refobjid = attribute.attrelid AND depending.refobjsubid = attribute.attnum

    UNION ALL

    -- A partition's trigger becomes what the main table's is.
    SELECT
        760 AS position,
        FORMAT('the trigger %%I, which is switched otherwise on %%s', of_partition.tgname, members.oid::regclass) AS found,
        FORMAT('ALTER TABLE %%s %%s TRIGGER %%I', members.oid::regclass, of_main.switch, of_partition.tgname) AS remedy,
        FORMAT('ALTER TABLE %%s %%s TRIGGER %%I', members.oid::regclass, of_partition.switch, of_partition.tgname) AS restored,
        NULL AS kept
    FROM members
    INNER JOIN triggers AS of_partition ON members.oid = of_partition.tgrelid
    INNER JOIN triggers AS of_main ON of_partition.tgparentid = of_main.oid AND of_partition.switch <> of_main.switch

    UNION ALL

    SELECT
        800 AS position,
        FORMAT(
            'the partition %%s, which is %%s', members.oid::regclass,
            CASE members.relation_kind WHEN 'f' THEN 'a foreign table' ELSE 'partitioned itself' END
        ) AS found,
        FORMAT('ALTER TABLE %%s DETACH PARTITION %%s', main.oid::regclass, members.oid::regclass) AS remedy,
        NULL AS restored,
        NULL AS kept
    FROM main
    CROSS JOIN members
    WHERE NOT members.is_main AND members.relation_kind <> 'r'
)

SELECT DISTINCT
    obstacles.position,
    obstacles.found,
    obstacles.remedy,
    obstacles.restored,
    obstacles.kept
FROM obstacles
ORDER BY obstacles.position, obstacles.found
