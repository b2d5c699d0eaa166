-- Prepares a database to be the warehouse: the loader's schemas and rights, and the role that can only read.
-- Grain: the database that the session is connected to.
-- Parameters: none. The server's administrator runs it as it is, by psql too: docs/security.md.
-- Twice: safe, what is there stays; a database that belonged to the loader gets the role that runs this as its owner.
DO $roles$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'taxiway') THEN
        CREATE ROLE taxiway LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'taxiway_reader') THEN
        CREATE ROLE taxiway_reader NOLOGIN;
    END IF;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_roles
        WHERE
            rolname IN ('taxiway', 'taxiway_reader')
            AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)
    ) THEN
        ALTER ROLE taxiway NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
        ALTER ROLE taxiway_reader NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    END IF;
END
$roles$;

DO $database$
DECLARE
    warehouse text := QUOTE_IDENT(CURRENT_DATABASE());
BEGIN
    -- An owner could create schemas, grant anything in it, and drop it.
    IF EXISTS (
        SELECT FROM pg_catalog.pg_database
        WHERE datname = CURRENT_DATABASE() AND PG_GET_USERBYID(datdba) = 'taxiway'
    ) THEN
        EXECUTE 'ALTER DATABASE ' || warehouse || ' OWNER TO CURRENT_USER';
    END IF;
    EXECUTE 'REVOKE ALL ON DATABASE ' || warehouse || ' FROM PUBLIC, taxiway, taxiway_reader';
    EXECUTE 'GRANT CONNECT ON DATABASE ' || warehouse || ' TO taxiway, taxiway_reader';
    -- By default, the schema named like the role comes first. A table created by a short name would then be in the
    -- ledger's schema, and hide the main table of that name.
    IF NOT EXISTS (
        SELECT
        FROM pg_catalog.pg_db_role_setting AS given, UNNEST(given.setconfig) AS setting
        WHERE
            given.setrole = 'taxiway'::regrole
            AND given.setdatabase IN (
                0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = CURRENT_DATABASE())
            )
            AND setting LIKE 'search_path=%'
    ) THEN
        EXECUTE 'ALTER ROLE taxiway IN DATABASE ' || warehouse || ' SET search_path = public, "$user"';
    END IF;
END
$database$;

DO $schemas$
BEGIN
    IF TO_REGNAMESPACE('taxiway') IS NULL THEN
        CREATE SCHEMA taxiway AUTHORIZATION taxiway;
    END IF;
    IF TO_REGNAMESPACE('taxiway_staging') IS NULL THEN
        CREATE SCHEMA taxiway_staging AUTHORIZATION taxiway;
    END IF;
END
$schemas$;

COMMENT ON SCHEMA taxiway IS 'Taxiway: the ledger of every load, and what could not be read';
COMMENT ON SCHEMA taxiway_staging IS 'Taxiway: tables of runs under way; empty when nothing runs';

-- The main tables are made in public, by the loader.
REVOKE ALL ON SCHEMA public FROM taxiway_reader;
REVOKE CREATE ON SCHEMA public FROM public;
GRANT USAGE, CREATE ON SCHEMA public TO taxiway;
GRANT USAGE ON SCHEMA public, taxiway TO taxiway_reader;

-- What the loader made before the role that reads was there; what it makes from now on, it grants itself.
-- Only if the right is missing: a grant conflicts with a load that changes the same table.
DO $tables$
DECLARE
    unreadable regclass;
BEGIN
    FOR unreadable IN
        SELECT relation.oid
        FROM pg_catalog.pg_class AS relation
        WHERE
            PG_GET_USERBYID(relation.relowner) = 'taxiway'
            AND NOT HAS_TABLE_PRIVILEGE('taxiway_reader', relation.oid, 'SELECT')
            AND (
                relation.oid IN (
                    TO_REGCLASS('taxiway.loads'), TO_REGCLASS('taxiway.rejected_rows'), TO_REGCLASS('taxiway.months'),
                    TO_REGCLASS('taxiway.watched_files'),
                    TO_REGCLASS('public.monthly_zone_summary')
                )
                OR relation.oid IN (
                    SELECT UNNEST(main.oid || ARRAY(SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = main.oid))
                    FROM pg_catalog.pg_class AS main
                    WHERE
                        main.relkind = 'p'
                        AND main.relnamespace = TO_REGNAMESPACE('public')
                        AND (
                            SELECT COUNT(*)
                            FROM pg_catalog.pg_attribute AS attribute
                            WHERE
                                attribute.attrelid = main.oid
                                AND attribute.attname IN ('unique_row_id', 'filename')
                                AND NOT attribute.attisdropped
                        ) = 2
                )
            )
    LOOP
        EXECUTE 'GRANT SELECT ON ' || unreadable || ' TO taxiway_reader';
    END LOOP;
END
$tables$;
