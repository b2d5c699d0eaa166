-- Finds objects on the main table or on a month's partition that keep the month from being published, or that would not
-- hold for its rows.
-- Grain: one row per obstacle: what it is, and the statement that removes it.
-- Parameters: bound: table_name (the main table with its schema), month (its first day).
-- Twice: safe, it only reads.
-- Rows reach a partition, not the main table: what is defined for rows follows them there; what is defined for
-- statements, and a rule, doesn't.
WITH main AS (
    SELECT
        oid,
        relnamespace,
        relowner,
        reltablespace
    FROM pg_catalog.pg_class
    WHERE oid = TO_REGCLASS(%(table_name)s)
),

partitions AS (
    SELECT
        child.oid,
        child.relnamespace,
        child.relowner,
        child.relkind,
        child.relreplident,
        PG_GET_EXPR(child.relpartbound, child.oid) AS bound
    FROM main
    INNER JOIN pg_catalog.pg_inherits AS inheritance ON main.oid = inheritance.inhparent
    INNER JOIN pg_catalog.pg_class AS child ON inheritance.inhrelid = child.oid
),

of_month AS (
    SELECT
        oid,
        relnamespace,
        relowner,
        relkind,
        relreplident
    FROM partitions
    WHERE bound = FORMAT('FOR VALUES IN (%%L)', %(month)s::date)
)

SELECT
    FORMAT('the owner %%I of %%s', PG_GET_USERBYID(owned.relowner), owned.oid::regclass) AS found,
    FORMAT('ALTER TABLE %%s OWNER TO %%I', owned.oid::regclass, CURRENT_USER) AS remedy
FROM (
    SELECT
        oid,
        relowner
    FROM main
    UNION ALL
    SELECT
        oid,
        relowner
    FROM of_month
) AS owned
WHERE NOT PG_HAS_ROLE(CURRENT_USER, owned.relowner, 'USAGE')

UNION ALL

SELECT
    FORMAT('the trigger %%I, which fires for each statement: it would never fire, for loads name partitions', definition.tgname) AS found,
    FORMAT('ALTER TABLE %%s DISABLE TRIGGER %%I', main.oid::regclass, definition.tgname) AS remedy
FROM main
INNER JOIN pg_catalog.pg_trigger AS definition ON main.oid = definition.tgrelid
WHERE
    NOT definition.tgisinternal
    AND definition.tgenabled IN ('O', 'A')
    -- Not for each row; and for inserts (4), deletes (8) or updates (16).
    AND definition.tgtype & 1 = 0
    AND definition.tgtype & 28 <> 0

UNION ALL

SELECT
    FORMAT('the rule %%I: it would never apply, for loads name partitions', definition.rulename) AS found,
    FORMAT('DROP RULE %%I ON %%s', definition.rulename, main.oid::regclass) AS remedy
FROM main
INNER JOIN pg_catalog.pg_rewrite AS definition ON main.oid = definition.ev_class
-- For updates (2), inserts (3) or deletes (4).
WHERE definition.ev_enabled IN ('O', 'A') AND definition.ev_type IN ('2', '3', '4')

UNION ALL

SELECT
    FORMAT(
        'the partition %%s of the month, which is %%s', of_month.oid::regclass,
        CASE of_month.relkind WHEN 'f' THEN 'a foreign table' ELSE 'partitioned itself' END
    ) AS found,
    FORMAT('ALTER TABLE %%s DETACH PARTITION %%s', main.oid::regclass, of_month.oid::regclass) AS remedy
FROM main
INNER JOIN of_month ON main.oid <> of_month.oid
WHERE of_month.relkind <> 'r'

UNION ALL

SELECT
    FORMAT('the partition %%s, which holds the month beside other values', partitions.oid::regclass) AS found,
    FORMAT('ALTER TABLE %%s DETACH PARTITION %%s', main.oid::regclass, partitions.oid::regclass) AS remedy
FROM main
INNER JOIN partitions ON main.oid <> partitions.oid
WHERE
    POSITION(QUOTE_LITERAL(%(month)s::date) IN partitions.bound) > 0
    AND NOT EXISTS (SELECT 1 FROM of_month)

UNION ALL

SELECT
    FORMAT('the tablespace %%I, in which %%I may create nothing', tablespace.spcname, CURRENT_USER) AS found,
    FORMAT('GRANT CREATE ON TABLESPACE %%I TO %%I', tablespace.spcname, CURRENT_USER) AS remedy
FROM main
INNER JOIN pg_catalog.pg_tablespace AS tablespace ON main.reltablespace = tablespace.oid
WHERE NOT HAS_TABLESPACE_PRIVILEGE(CURRENT_USER, tablespace.oid, 'CREATE')

UNION ALL

SELECT
    FORMAT('the publication %%I, to which %%s can''t name its rows', publication.pubname, of_month.oid::regclass) AS found,
    FORMAT('ALTER TABLE %%s REPLICA IDENTITY FULL', of_month.oid::regclass) AS remedy
FROM main
INNER JOIN of_month ON main.oid <> of_month.oid
CROSS JOIN pg_catalog.pg_publication AS publication
WHERE
    (publication.pubdelete OR publication.pubupdate)
    AND (
        publication.puballtables
        OR publication.oid IN (
            SELECT listed.prpubid FROM pg_catalog.pg_publication_rel AS listed
            WHERE listed.prrelid IN (main.oid, of_month.oid)
        )
        OR publication.oid IN (
            SELECT listed.pnpubid FROM pg_catalog.pg_publication_namespace AS listed
            WHERE listed.pnnspid IN (main.relnamespace, of_month.relnamespace)
        )
    )
    AND of_month.relreplident <> 'f'
    AND NOT EXISTS (
        SELECT 1 FROM pg_catalog.pg_index AS of_table
        WHERE
            of_table.indrelid = of_month.oid
            AND CASE of_month.relreplident
                WHEN 'd' THEN of_table.indisprimary
                WHEN 'i' THEN of_table.indisreplident
            END
    )
