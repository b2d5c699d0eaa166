-- Lets the role taxiway_reader, where there is one, read Taxiway's tables and views, partitions each by itself too.
-- Grain: the tables, the views, and their partitions.
-- Parameters: tables (with their schemas).
-- Twice: safe, a right is granted only where it is missing: a grant collides with whatever else changes the table.
-- Nothing is locked but what gets its right: somebody may be busy with another month's partition for long.
-- Where another role owns a table, granting is for that role to do. The policies of a main table (row level security)
-- don't hold for who reads a partition by itself: its partitions are read through it.
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
