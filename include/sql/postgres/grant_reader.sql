-- Lets the role taxiway_reader, if it exists, read Taxiway's tables and views, and each partition by itself.
-- Grain: the tables, the views, and their partitions.
-- Parameters: tables (with their schemas).
-- Twice: safe, a right is granted only if it is missing, because a grant conflicts with other changes of the table.
-- Only tables that get a right are locked, because another session may hold another month's partition for long.
-- If another role owns a table, that role must grant the right. The policies of a main table (row level security) don't
-- hold for a reader of the partition itself. So its partitions can be read through the main table only.
DO $reader$
DECLARE
    unreadable regclass;
BEGIN
    IF TO_REGROLE('taxiway_reader') IS NULL THEN
        RETURN;
    END IF;
    FOR unreadable IN
        SELECT relation.oid
        FROM pg_catalog.pg_class AS relation
        WHERE
            relation.oid IN (
{%- for table in tables %}
                SELECT {{ table | literal }}::regclass
                UNION ALL
                SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = {{ table | literal }}::regclass
{%- if not loop.last %}
                UNION ALL
{%- endif %}
{%- endfor %}
            )
            AND PG_HAS_ROLE(CURRENT_USER, relation.relowner, 'USAGE')
            AND NOT HAS_TABLE_PRIVILEGE('taxiway_reader', relation.oid, 'SELECT')
            AND NOT EXISTS (
                SELECT 1
                FROM pg_catalog.pg_inherits AS inheritance
                INNER JOIN pg_catalog.pg_class AS parent ON inheritance.inhparent = parent.oid
                WHERE inheritance.inhrelid = relation.oid AND parent.relrowsecurity
            )
    LOOP
        EXECUTE 'GRANT SELECT ON ' || unreadable || ' TO taxiway_reader';
    END LOOP;
END
$reader$
