-- Says whether the rows of a new month have to be inserted, because somebody waits for that: a trigger for each row, or
-- a publication. A table that is attached with its rows tells neither.
-- Grain: one row.
-- Parameters: bound: table_name (the main table with its schema).
-- Twice: safe, it only reads.
SELECT
    EXISTS (
        SELECT 1
        FROM pg_catalog.pg_trigger AS definition
        WHERE
            definition.tgrelid = main.oid
            AND NOT definition.tgisinternal
            AND definition.tgenabled IN ('O', 'A')
            -- For each row (1), and for inserts (4).
            AND definition.tgtype & 5 = 5
    )
    OR EXISTS (
        SELECT 1
        FROM pg_catalog.pg_publication AS publication
        WHERE
            publication.pubinsert
            AND (
                publication.puballtables
                OR publication.oid IN (
                    SELECT listed.prpubid FROM pg_catalog.pg_publication_rel AS listed
                    WHERE listed.prrelid = main.oid
                )
                OR publication.oid IN (
                    SELECT listed.pnpubid FROM pg_catalog.pg_publication_namespace AS listed
                    WHERE listed.pnnspid = main.relnamespace
                )
            )
    ) AS must_insert
FROM pg_catalog.pg_class AS main
WHERE main.oid = TO_REGCLASS(%(table_name)s)
